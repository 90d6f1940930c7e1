//! The binary form of what is stored and queued: one version byte, then [postcard](https://postcard.jamesmunns.com/wire-format).
//!
//! Postcard writes fields in order and enum variants by number, so a released type only grows at its end, under a new version.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Command, Event, Head, Marker, Membership, Roster};

/// The bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Written by a newer banter.
    #[error("stored in version {found} of the encoding; this program knows up to {VERSION}")]
    NewerVersion {
        /// The version found.
        found: u8,
    },
    /// Cut off or damaged.
    #[error("the stored bytes are damaged: {0}")]
    Damaged(#[from] postcard::Error),
    /// Nothing there.
    #[error("the stored bytes are empty")]
    Empty,
}

/// The version written now.
pub const VERSION: u8 = 1;

/// What has a stored form.
pub trait Stored: Serialize + DeserializeOwned {
    /// The stored form.
    fn encode(&self) -> Vec<u8> {
        // Postcard into a growing vector fails only for types without a fixed shape, and these have one.
        postcard::to_extend(self, vec![VERSION]).expect("types with a stored form have a fixed shape")
    }

    /// Reads the stored form.
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest)?),
            Some((&found, _)) => Err(DecodeError::NewerVersion { found }),
            None => Err(DecodeError::Empty),
        }
    }
}

impl Stored for Event {}
impl Stored for Head {}
impl Stored for Roster {}
impl Stored for Membership {}
impl Stored for Marker {}
impl Stored for Command {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_versions_and_damage_are_told_apart() {
        let marker = Marker { seq: 300, ordinal: 7 };
        let bytes = marker.encode();
        assert_eq!(bytes, [1, 0xac, 0x02, 7], "the stored form changed");
        assert_eq!(Marker::decode(&bytes), Ok(marker));
        assert_eq!(Marker::decode(&[2, 0]), Err(DecodeError::NewerVersion { found: 2 }));
        assert!(matches!(Marker::decode(&bytes[..2]), Err(DecodeError::Damaged(_))));
        assert_eq!(Marker::decode(&[]), Err(DecodeError::Empty));
    }
}
