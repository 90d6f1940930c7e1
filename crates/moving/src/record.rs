//! What moves: one record, which is one line of an export.

use std::fmt;

use banter_model::Millis;
use banter_store::directory::movable::DirectoryRecord;
use banter_store::history::movable::HistoryRecord;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is moved. As JSON an object with one field, named for its kind: `{"user":{…}}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The installation itself; the first record.
    Installation(InstallationRecord),
    /// Of people.
    Directory(DirectoryRecord),
    /// Of logs.
    History(HistoryRecord),
}

/// What an installation is beside its people and logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InstallationRecord {
    /// The key that tokens are signed with.
    #[serde(serialize_with = "to_hex", deserialize_with = "of_hex")]
    pub secret_key: [u8; 32],
    /// Up to this time ids may have been given out.
    pub ids_until: Millis,
    /// How many partitions its queue has.
    pub partitions: u32,
}

impl fmt::Debug for InstallationRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallationRecord")
            .field("ids_until", &self.ids_until)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Kinds of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Kind {
    Installation,
    User,
    Device,
    RemovedDevice,
    Friendship,
    Block,
    LastSeen,
    GroupKey,
    Position,
    Event,
    Conversation,
    Membership,
    Progress,
    Mention,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Installation => "installation",
            Kind::User => "users",
            Kind::Device => "devices",
            Kind::RemovedDevice => "removed devices",
            Kind::Friendship => "friendships",
            Kind::Block => "blocks",
            Kind::LastSeen => "times last seen",
            Kind::GroupKey => "keys of groups",
            Kind::Position => "positions",
            Kind::Event => "events",
            Kind::Conversation => "conversations",
            Kind::Membership => "memberships",
            Kind::Progress => "read markers",
            Kind::Mention => "mentions",
        })
    }
}

impl Record {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            Record::Installation(_) => Kind::Installation,
            Record::Directory(record) => match record {
                DirectoryRecord::User(_) => Kind::User,
                DirectoryRecord::Device(_) => Kind::Device,
                DirectoryRecord::RemovedDevice(_) => Kind::RemovedDevice,
                DirectoryRecord::Friendship(_) => Kind::Friendship,
                DirectoryRecord::Block(_) => Kind::Block,
                DirectoryRecord::LastSeen(_) => Kind::LastSeen,
                DirectoryRecord::GroupKey(_) => Kind::GroupKey,
            },
            Record::History(record) => match record {
                HistoryRecord::Position(_) => Kind::Position,
                HistoryRecord::Event(_) => Kind::Event,
                HistoryRecord::Conversation(_) => Kind::Conversation,
                HistoryRecord::Membership(_) => Kind::Membership,
                HistoryRecord::Progress(_) => Kind::Progress,
                HistoryRecord::Mention(_) => Kind::Mention,
            },
        }
    }

    /// The one line that it is in an export, without its end.
    pub fn line(&self) -> String {
        // It fails for maps whose keys are no text, and there are none.
        serde_json::to_string(self).expect("records are JSON")
    }
}

impl Serialize for Record {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_key(&self.kind())?;
        match self {
            Record::Installation(record) => map.serialize_value(record)?,
            Record::Directory(record) => match record {
                DirectoryRecord::User(record) => map.serialize_value(record)?,
                DirectoryRecord::Device(record) => map.serialize_value(record)?,
                DirectoryRecord::RemovedDevice(record) => map.serialize_value(record)?,
                DirectoryRecord::Friendship(record) => map.serialize_value(record)?,
                DirectoryRecord::Block(record) => map.serialize_value(record)?,
                DirectoryRecord::LastSeen(record) => map.serialize_value(record)?,
                DirectoryRecord::GroupKey(record) => map.serialize_value(record)?,
            },
            Record::History(record) => match record {
                HistoryRecord::Position(record) => map.serialize_value(record)?,
                HistoryRecord::Event(record) => map.serialize_value(record)?,
                HistoryRecord::Conversation(record) => map.serialize_value(record)?,
                HistoryRecord::Membership(record) => map.serialize_value(record)?,
                HistoryRecord::Progress(record) => map.serialize_value(record)?,
                HistoryRecord::Mention(record) => map.serialize_value(record)?,
            },
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OneField)
    }
}

struct OneField;

impl<'de> Visitor<'de> for OneField {
    type Value = Record;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one field, named for the kind of the record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Record, A::Error> {
        let kind: Kind = map.next_key()?.ok_or_else(|| A::Error::invalid_length(0, &self))?;
        let record = match kind {
            Kind::Installation => Record::Installation(map.next_value()?),
            Kind::User => Record::Directory(DirectoryRecord::User(map.next_value()?)),
            Kind::Device => Record::Directory(DirectoryRecord::Device(map.next_value()?)),
            Kind::RemovedDevice => Record::Directory(DirectoryRecord::RemovedDevice(map.next_value()?)),
            Kind::Friendship => Record::Directory(DirectoryRecord::Friendship(map.next_value()?)),
            Kind::Block => Record::Directory(DirectoryRecord::Block(map.next_value()?)),
            Kind::LastSeen => Record::Directory(DirectoryRecord::LastSeen(map.next_value()?)),
            Kind::GroupKey => Record::Directory(DirectoryRecord::GroupKey(map.next_value()?)),
            Kind::Position => Record::History(HistoryRecord::Position(map.next_value()?)),
            Kind::Event => Record::History(HistoryRecord::Event(map.next_value()?)),
            Kind::Conversation => Record::History(HistoryRecord::Conversation(map.next_value()?)),
            Kind::Membership => Record::History(HistoryRecord::Membership(map.next_value()?)),
            Kind::Progress => Record::History(HistoryRecord::Progress(map.next_value()?)),
            Kind::Mention => Record::History(HistoryRecord::Mention(map.next_value()?)),
        };
        match map.next_key::<IgnoredAny>()? {
            Some(_) => Err(A::Error::invalid_length(2, &self)),
            None => Ok(record),
        }
    }
}

fn to_hex<S: Serializer>(key: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(key))
}

fn of_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = || D::Error::custom("a secret key is 64 hexadecimal digits");
    if text.len() != 64 || !text.is_ascii() {
        return Err(wrong());
    }
    let mut key = [0; 32];
    for (byte, at) in key.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(key)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
