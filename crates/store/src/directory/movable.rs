//! What a move to another installation needs of a directory: every record in it, taken out and put back as it is.

use async_trait::async_trait;
use banter_model::{DeviceId, GroupId, Millis, UserId};
use serde::{Deserialize, Serialize};

use super::{Audience, DirectoryError};

/// Most records that are taken out or put in at once.
pub const RECORDS_AT_ONCE: usize = 2_000;

/// A directory whose records can be gone through and put back.
///
/// Nobody writes meanwhile but the move: records come from a server that is stopped, and go to one that was never started.
#[async_trait]
pub trait MovableDirectory: Send + Sync + 'static {
    /// At most `limit` records of one kind after `after`, in an order that is the same each time; at most [`RECORDS_AT_ONCE`]. Empty
    /// after the last.
    async fn records(&self, after: &DirectoryPlace, limit: usize) -> Result<Vec<DirectoryRecord>, DirectoryError>;

    /// Stores records in place of those with the same key: all of them or none, durable when this returns. Users are there before what
    /// names them. At most [`RECORDS_AT_ONCE`].
    ///
    /// # Errors
    /// [`DirectoryError::UnknownUser`] for a record that names a user who is not there.
    async fn restore(&self, records: &[DirectoryRecord]) -> Result<(), DirectoryError>;
}

/// A record of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirectoryRecord {
    /// A user.
    User(UserRecord),
    /// A login.
    Device(DeviceRecord),
    /// A login that is gone.
    RemovedDevice(RemovedDeviceRecord),
    /// A friendship, or a request for one.
    Friendship(FriendshipRecord),
    /// A block.
    Block(BlockRecord),
    /// When a user was last online.
    LastSeen(LastSeenRecord),
    /// Which group a request to make one has made.
    GroupKey(GroupKeyRecord),
}

/// A user, with profile and settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserRecord {
    /// Who.
    pub id: UserId,
    /// The unique name.
    pub handle: String,
    /// The name shown.
    pub display_name: String,
    /// A line about them.
    pub about: String,
    /// A PHC string.
    pub password_hash: String,
    /// Who sees whether they are online.
    pub presence: Audience,
    /// May only friends write to them?
    pub friends_only: bool,
    /// Do others see how far they have read?
    pub read_receipts: bool,
    /// Signed up at.
    pub created_at: Millis,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceRecord {
    /// Which.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What the user called it.
    pub name: String,
    /// Logged in at.
    pub created_at: Millis,
    /// Last refreshed at.
    pub used_at: Millis,
    /// The generation of its refresh token.
    pub generation: u64,
}

/// A login that is gone (see [`super::Directory::removed_devices`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemovedDeviceRecord {
    /// Which.
    pub id: DeviceId,
    /// Whose it was.
    pub user: UserId,
    /// When it went.
    pub removed_at: Millis,
}

/// A friendship, or a request for one. One record for two users.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FriendshipRecord {
    /// The one whose id is lower as a signed number.
    pub low: UserId,
    /// The other.
    pub high: UserId,
    /// Who of them asked.
    pub asker: UserId,
    /// Did the other say yes?
    pub accepted: bool,
    /// When one of them last did something about it.
    pub changed_at: Millis,
}

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlockRecord {
    /// Who blocks.
    pub blocker: UserId,
    /// Whom.
    pub blocked: UserId,
    /// Since.
    pub created_at: Millis,
}

/// When a user was last online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSeenRecord {
    /// Who.
    pub user: UserId,
    /// When.
    pub seen_at: Millis,
}

/// Which group a request to make one has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupKeyRecord {
    /// Who asked.
    pub user: UserId,
    /// The request's key.
    pub key: String,
    /// The group.
    pub group: GroupId,
}

/// Where one is among the records: after this record of this kind, or before the first of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum DirectoryPlace {
    /// Among the users.
    Users(Option<UserId>),
    /// Among the devices.
    Devices(Option<DeviceId>),
    /// Among the removed devices.
    RemovedDevices(Option<DeviceId>),
    /// Among the friendships and requests.
    Friendships(Option<(UserId, UserId)>),
    /// Among the blocks.
    Blocks(Option<(UserId, UserId)>),
    /// Among the times when users were last online.
    LastSeen(Option<UserId>),
    /// Among the keys of requests for groups.
    GroupKeys(Option<(UserId, GroupId, String)>),
}

impl DirectoryPlace {
    /// The beginning of each kind. Users come before what names them.
    pub const KINDS: [DirectoryPlace; 7] = [
        DirectoryPlace::Users(None),
        DirectoryPlace::Devices(None),
        DirectoryPlace::RemovedDevices(None),
        DirectoryPlace::Friendships(None),
        DirectoryPlace::Blocks(None),
        DirectoryPlace::LastSeen(None),
        DirectoryPlace::GroupKeys(None),
    ];

    /// The place right after `record`.
    pub fn after(record: &DirectoryRecord) -> DirectoryPlace {
        match record {
            DirectoryRecord::User(record) => DirectoryPlace::Users(Some(record.id)),
            DirectoryRecord::Device(record) => DirectoryPlace::Devices(Some(record.id)),
            DirectoryRecord::RemovedDevice(record) => DirectoryPlace::RemovedDevices(Some(record.id)),
            DirectoryRecord::Friendship(record) => DirectoryPlace::Friendships(Some((record.low, record.high))),
            DirectoryRecord::Block(record) => DirectoryPlace::Blocks(Some((record.blocker, record.blocked))),
            DirectoryRecord::LastSeen(record) => DirectoryPlace::LastSeen(Some(record.user)),
            DirectoryRecord::GroupKey(record) => DirectoryPlace::GroupKeys(Some((record.user, record.group, record.key.clone()))),
        }
    }
}
