//! The form that both kinds of tokens share: a payload and its HMAC-SHA256, in base64url.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the signature.
const SIGNATURE: usize = 32;

/// Signs payloads of one kind of token.
#[derive(Clone)]
pub(crate) struct Signer(Hmac<Sha256>);

impl Signer {
    /// A signer with the server's secret key. `purpose` is signed too, so that a token of one kind is never one of another.
    pub(crate) fn new(key: &[u8; 32], purpose: &[u8]) -> Self {
        // HMAC takes keys of every length.
        let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
        mac.update(purpose);
        mac.update(&[0]);
        Signer(mac)
    }

    /// `payload` and its signature as text.
    pub(crate) fn sign(&self, payload: &[u8]) -> String {
        let mut mac = self.0.clone();
        mac.update(payload);
        let mut bytes = payload.to_vec();
        bytes.extend_from_slice(&mac.finalize().into_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The payload of `token`, if it has `LENGTH` bytes and was signed with this key for this purpose. Compares in constant time.
    pub(crate) fn check<const LENGTH: usize>(&self, token: &str) -> Option<[u8; LENGTH]> {
        // A hostile text of a megabyte is not even decoded.
        if token.len() != ((LENGTH + SIGNATURE) * 4).div_ceil(3) {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (payload, signature) = bytes.split_at_checked(LENGTH)?;
        let mut mac = self.0.clone();
        mac.update(payload);
        mac.verify_slice(signature).ok()?;
        payload.try_into().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_character_is_noticed() {
        let signer = Signer::new(&[7; 32], b"test");
        let token = signer.sign(b"payload of 19 bytes");
        assert_eq!(signer.check::<19>(&token), Some(*b"payload of 19 bytes"));
        for index in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(signer.check::<19>(std::str::from_utf8(&changed).unwrap()), None, "at {index}");
        }
        assert_eq!(signer.check::<18>(&token), None);
        assert_eq!(signer.check::<19>(&token[1..]), None);
        assert_eq!(signer.check::<19>(&format!("{token}A")), None);
    }

    #[test]
    fn key_and_purpose_count() {
        let token = Signer::new(&[7; 32], b"test").sign(b"x");
        assert_eq!(Signer::new(&[8; 32], b"test").check::<1>(&token), None);
        assert_eq!(Signer::new(&[7; 32], b"rest").check::<1>(&token), None);
        assert_eq!(Signer::new(&[7; 32], b"test").check::<1>(&token), Some(*b"x"));
    }

    #[test]
    fn every_length_comes_back() {
        let signer = Signer::new(&[1; 32], b"");
        assert_eq!(signer.check::<2>(&signer.sign(b"ab")), Some(*b"ab"));
        assert_eq!(signer.check::<3>(&signer.sign(b"abc")), Some(*b"abc"));
        assert_eq!(signer.check::<4>(&signer.sign(b"abcd")), Some(*b"abcd"));
    }
}
