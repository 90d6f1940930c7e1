//! The 64-bit ids of users, devices, groups and events.
//!
//! Every id is a [Snowflake](crate::snowflake). In JSON an id is a decimal string (a JavaScript number holds 53 bits); in the
//! binary encoding it is the number itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The text was not a decimal number from 1 to 2^64 - 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is a decimal number from 1 to 18446744073709551615, not {0:?}")]
pub struct InvalidId(pub String);

/// Reads the one accepted spelling of an id: decimal, no sign, no leading zero, not 0.
pub(crate) fn parse_id(text: &str) -> Result<u64, InvalidId> {
    let plain = !text.is_empty() && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    let invalid = || InvalidId(text.chars().take(40).collect());
    if !plain {
        return Err(invalid());
    }
    text.parse().map_err(|_| invalid())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                parse_id(text).map($name)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(itoa::Buffer::new().format(self.0))
                } else {
                    serializer.serialize_u64(self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if deserializer.is_human_readable() {
                    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                    text.parse().map_err(de::Error::custom)
                } else {
                    u64::deserialize(deserializer).map($name)
                }
            }
        }
    };
}

id! {
    /// A person with an account.
    UserId
}
id! {
    /// One login of a user: holds a refresh token and numbers what it sends with [tags](crate::tag).
    DeviceId
}
id! {
    /// A group conversation.
    GroupId
}
id! {
    /// An event, unique across the system and sortable by time.
    EventId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        assert_eq!("7".parse(), Ok(UserId(7)));
        assert_eq!("18446744073709551615".parse(), Ok(UserId(u64::MAX)));
        for wrong in ["", "0", "07", "+7", "-7", " 7", "7.0", "1e3", "18446744073709551616", "٧"] {
            assert!(wrong.parse::<UserId>().is_err(), "{wrong:?} was taken");
        }
    }
}
