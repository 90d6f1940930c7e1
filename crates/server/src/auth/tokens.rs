//! Access tokens: signed, short-lived, checked without a database.

use banter_model::{DeviceId, Millis, UserId};

use super::signature::Signer;

/// How long an access token is good, in milliseconds.
pub const ACCESS_TOKEN_MS: Millis = 15 * 60 * 1_000;

/// The first byte of the payload: another layout gets another number.
const VERSION: u8 = 1;
/// Version, user, device, expiry.
const PAYLOAD: usize = 1 + 8 + 8 + 8;

/// Signs and checks access tokens with one secret key.
pub struct AccessTokens {
    signer: Signer,
}

/// What an access token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Who.
    pub user: UserId,
    /// From which device.
    pub device: DeviceId,
    /// Until when, in milliseconds since the Unix epoch.
    pub expires_at: Millis,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Malformed, or signed with another key.
    #[error("the access token is not one of this server's")]
    Forged,
    /// It was good once.
    #[error("the access token has expired: refresh it")]
    Expired,
}

impl AccessTokens {
    /// Access tokens under the server's secret `key`. Whoever has the key can be anybody.
    pub fn new(key: &[u8; 32]) -> Self {
        AccessTokens { signer: Signer::new(key, b"banter access token") }
    }

    /// A token that is good for [`ACCESS_TOKEN_MS`], and what it says.
    pub fn issue(&self, user: UserId, device: DeviceId, now: Millis) -> (String, Access) {
        let access = Access { user, device, expires_at: now + ACCESS_TOKEN_MS };
        let mut payload = [0; PAYLOAD];
        payload[0] = VERSION;
        payload[1..9].copy_from_slice(&user.0.to_be_bytes());
        payload[9..17].copy_from_slice(&device.0.to_be_bytes());
        payload[17..].copy_from_slice(&access.expires_at.to_be_bytes());
        (self.signer.sign(&payload), access)
    }

    /// Checks a token.
    ///
    /// # Errors
    /// [`InvalidToken::Expired`] only for a token that was issued here: a client then refreshes, else it logs in.
    pub fn check(&self, token: &str, now: Millis) -> Result<Access, InvalidToken> {
        let payload = self.signer.check::<PAYLOAD>(token).ok_or(InvalidToken::Forged)?;
        let number = |from: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&payload[from..from + 8]);
            u64::from_be_bytes(bytes)
        };
        if payload[0] != VERSION {
            return Err(InvalidToken::Forged);
        }
        let access = Access { user: UserId(number(1)), device: DeviceId(number(9)), expires_at: number(17) };
        if access.expires_at <= now { Err(InvalidToken::Expired) } else { Ok(access) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    #[test]
    fn a_token_is_good_for_a_quarter_of_an_hour() {
        let tokens = AccessTokens::new(&[3; 32]);
        let (token, access) = tokens.issue(UserId(u64::MAX), DeviceId(1), NOW);
        assert_eq!(access.expires_at, NOW + 900_000);
        assert_eq!(tokens.check(&token, NOW + 899_999), Ok(access));
        assert_eq!(tokens.check(&token, NOW + 900_000), Err(InvalidToken::Expired));
    }

    #[test]
    fn what_is_no_token() {
        let (foreign, _) = AccessTokens::new(&[4; 32]).issue(UserId(1), DeviceId(1), NOW);
        let long = "A".repeat(100_000);
        for wrong in ["", "x", "Bearer", "ä", foreign.as_str(), long.as_str()] {
            assert_eq!(AccessTokens::new(&[3; 32]).check(wrong, NOW), Err(InvalidToken::Forged));
        }
    }
}
