//! The section of the secret key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::sections::contradiction;

/// `[secret]`: the key that tokens are signed with, and by which nodes know each other. Whoever has it can be anybody. A server with
/// a data folder makes its own there.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Secret {
    /// 64 hexadecimal digits. Better in `key_file`, or in the environment.
    pub key: String,
    /// A file that holds the 32 bytes, or their 64 hexadecimal digits.
    pub key_file: PathBuf,
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secret").field("key_file", &self.key_file).finish_non_exhaustive()
    }
}

impl Secret {
    /// Is none set?
    pub fn is_empty(&self) -> bool {
        self.key.is_empty() && self.key_file.as_os_str().is_empty()
    }

    /// The key itself.
    ///
    /// # Errors
    /// When the file cannot be read, or it is no key.
    pub fn read(&self) -> Result<[u8; 32], ConfigError> {
        if !self.key.is_empty() {
            return of_hex(&self.key).ok_or_else(|| contradiction("`secret.key` is 64 hexadecimal digits".to_owned()));
        }
        let path = self.key_file.display().to_string();
        let bytes = std::fs::read(&self.key_file).map_err(|source| ConfigError::Unreadable { path: path.clone(), source })?;
        let digits = std::str::from_utf8(&bytes).ok().and_then(|text| of_hex(text.trim()));
        let key = <[u8; 32]>::try_from(bytes.as_slice()).ok().or(digits);
        key.ok_or_else(|| contradiction(format!("{path} holds neither 32 bytes nor 64 hexadecimal digits")))
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.is_empty() { Ok(()) } else { self.read().map(drop) }
    }
}

fn of_hex(text: &str) -> Option<[u8; 32]> {
    let mut key = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).ok()?;
    }
    Some(key)
}
