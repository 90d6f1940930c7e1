//! Refresh tokens: each is good once. Which one is next is known by the directory
//! ([`Directory::rotate_refresh`](banter_store::Directory::rotate_refresh)); the signature keeps guesses away from it.

use banter_model::{DeviceId, Millis};

use super::signature::Signer;

/// A refresh token may be used again for this long after its first use, in milliseconds: the answer may have been lost.
pub const REFRESH_LEEWAY_MS: Millis = 30_000;

/// The first byte of the payload: another layout gets another number.
const VERSION: u8 = 1;
/// Version, device, generation.
const PAYLOAD: usize = 1 + 8 + 8;

/// Signs and reads refresh tokens with the server's secret key.
pub struct RefreshTokens {
    signer: Signer,
}

/// The text is not a refresh token of this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the refresh token is not one of this server's, or was used before: log in")]
pub struct InvalidRefreshToken;

impl RefreshTokens {
    /// Refresh tokens under the server's secret `key`.
    pub fn new(key: &[u8; 32]) -> Self {
        RefreshTokens { signer: Signer::new(key, b"banter refresh token") }
    }

    /// The token of `device` with `generation`.
    pub fn issue(&self, device: DeviceId, generation: u64) -> String {
        let mut payload = [0; PAYLOAD];
        payload[0] = VERSION;
        payload[1..9].copy_from_slice(&device.0.to_be_bytes());
        payload[9..].copy_from_slice(&generation.to_be_bytes());
        self.signer.sign(&payload)
    }

    /// Device and generation of `token`.
    pub fn read(&self, token: &str) -> Result<(DeviceId, u64), InvalidRefreshToken> {
        let payload = self.signer.check::<PAYLOAD>(token).ok_or(InvalidRefreshToken)?;
        if payload[0] != VERSION {
            return Err(InvalidRefreshToken);
        }
        let mut device = [0; 8];
        let mut generation = [0; 8];
        device.copy_from_slice(&payload[1..9]);
        generation.copy_from_slice(&payload[9..]);
        Ok((DeviceId(u64::from_be_bytes(device)), u64::from_be_bytes(generation)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::tokens::AccessTokens;
    use banter_model::UserId;

    #[test]
    fn tokens_come_back_as_they_were() {
        let tokens = RefreshTokens::new(&[5; 32]);
        let token = tokens.issue(DeviceId(77), 12);
        assert_eq!(tokens.read(&token), Ok((DeviceId(77), 12)));
        assert_eq!(RefreshTokens::new(&[6; 32]).read(&token), Err(InvalidRefreshToken));
    }

    #[test]
    fn an_access_token_is_no_refresh_token() {
        let (access, _) = AccessTokens::new(&[5; 32]).issue(UserId(1), DeviceId(2), 0);
        assert_eq!(RefreshTokens::new(&[5; 32]).read(&access), Err(InvalidRefreshToken));
    }
}
