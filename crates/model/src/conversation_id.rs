//! The name of a conversation: 16 bytes that say who is in it, or which group it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::id::{GroupId, UserId, parse_id};

/// A direct conversation is named by its two members, so it needs no creating; a group by its id.
///
/// Text form: `d.<lower user>.<higher user>` or `g.<group>`. Binary form: [`ConversationId::to_bytes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "string"))]
pub enum ConversationId {
    /// Two users, the lower id first. Made by [`ConversationId::direct`], which keeps the order.
    Direct(UserId, UserId),
    /// A group of at most [`crate::limits::GROUP_MEMBERS`].
    Group(GroupId),
}

/// The text or bytes do not name a conversation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a conversation is d.<lower user id>.<higher user id> or g.<group id>, not {0:?}")]
pub struct InvalidConversationId(pub String);

impl ConversationId {
    /// The direct conversation of two different users; `None` for a user with themself.
    pub fn direct(one: UserId, other: UserId) -> Option<Self> {
        (one != other).then(|| ConversationId::Direct(one.min(other), one.max(other)))
    }

    /// Is this the conversation of two people rather than of a group?
    pub fn is_direct(&self) -> bool {
        matches!(self, ConversationId::Direct(..))
    }

    /// The other member of a direct conversation of `user`; `None` when it is a group or somebody else's.
    pub fn peer_of(&self, user: UserId) -> Option<UserId> {
        match *self {
            ConversationId::Direct(low, high) if low == user => Some(high),
            ConversationId::Direct(low, high) if high == user => Some(low),
            _ => None,
        }
    }

    /// 16 bytes: lower and higher user big-endian, or eight zero bytes (no user has id 0) and the group.
    pub fn to_bytes(&self) -> [u8; 16] {
        let (first, second) = match *self {
            ConversationId::Direct(low, high) => (low.0, high.0),
            ConversationId::Group(group) => (0, group.0),
        };
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&first.to_be_bytes());
        bytes[8..].copy_from_slice(&second.to_be_bytes());
        bytes
    }

    /// The inverse of [`ConversationId::to_bytes`]; refuses bytes that it never makes.
    pub fn from_bytes(bytes: [u8; 16]) -> Result<Self, InvalidConversationId> {
        let number = u128::from_be_bytes(bytes);
        match ((number >> 64) as u64, number as u64) {
            (0, group) if group > 0 => Ok(ConversationId::Group(GroupId(group))),
            (low, high) if low > 0 && low < high => Ok(ConversationId::Direct(UserId(low), UserId(high))),
            _ => Err(InvalidConversationId(format!("{number:032x}"))),
        }
    }
}

impl fmt::Display for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConversationId::Direct(low, high) => write!(f, "d.{low}.{high}"),
            ConversationId::Group(group) => write!(f, "g.{group}"),
        }
    }
}

impl fmt::Debug for ConversationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for ConversationId {
    type Err = InvalidConversationId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            if let Some(group) = text.strip_prefix("g.") {
                return parse_id(group).ok().map(|id| ConversationId::Group(GroupId(id)));
            }
            let (low, high) = text.strip_prefix("d.")?.split_once('.')?;
            let (low, high) = (parse_id(low).ok()?, parse_id(high).ok()?);
            (low < high).then_some(ConversationId::Direct(UserId(low), UserId(high)))
        };
        parse().ok_or_else(|| InvalidConversationId(text.chars().take(60).collect()))
    }
}

/// Bytes of the longest text: `d.` and another dot, and twice the twenty digits of the largest number.
const LONGEST_TEXT: usize = 3 + 2 * 20;

impl Serialize for ConversationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return self.to_bytes().serialize(serializer);
        }
        // In every frame that is sent: without the machinery of `Display`, which takes several times as long.
        let (mut text, mut length) = ([0; LONGEST_TEXT], 0);
        let mut put = |part: &str| {
            text[length..length + part.len()].copy_from_slice(part.as_bytes());
            length += part.len();
        };
        let mut number = itoa::Buffer::new();
        match self {
            ConversationId::Direct(low, high) => {
                put("d.");
                put(number.format(low.0));
                put(".");
                put(number.format(high.0));
            }
            ConversationId::Group(group) => {
                put("g.");
                put(number.format(group.0));
            }
        }
        let text = std::str::from_utf8(&text[..length]).map_err(ser::Error::custom)?;
        serializer.serialize_str(text)
    }
}

impl<'de> Deserialize<'de> for ConversationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            std::borrow::Cow::<str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            ConversationId::from_bytes(<[u8; 16]>::deserialize(deserializer)?).map_err(de::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_come_back_as_they_were() {
        let longest = ConversationId::Direct(UserId(u64::MAX - 1), UserId(u64::MAX));
        for id in [ConversationId::direct(UserId(9), UserId(3)).unwrap(), ConversationId::Group(GroupId(u64::MAX)), longest] {
            assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
            assert_eq!(id.to_string().parse(), Ok(id));
            assert_eq!(ConversationId::from_bytes(id.to_bytes()), Ok(id));
        }
        assert_eq!(ConversationId::direct(UserId(9), UserId(3)).unwrap().to_string(), "d.3.9");
    }

    #[test]
    fn other_spellings_are_refused() {
        for wrong in ["", "d.9.3", "d.3.3", "d.0.3", "d.3", "g.", "g.0", "g.07", "x.1", "d.3.9.1", "D.3.9", "g.1 "] {
            assert!(wrong.parse::<ConversationId>().is_err(), "{wrong:?} was taken");
        }
        assert!(ConversationId::direct(UserId(3), UserId(3)).is_none());
        assert!(ConversationId::from_bytes([0; 16]).is_err());
    }
}
