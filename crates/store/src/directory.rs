//! The directory: the relational store of people.

use async_trait::async_trait;
use banter_model::{DeviceId, GroupId, Millis, UserId};

pub mod movable;
pub mod sql;

/// The store of users, devices, settings, friends and blocks.
///
/// Handles come in their one spelling ([`banter_model::name::normalise_handle`]), other values checked. Times are arguments.
/// Every change is durable when it returns.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    // Accounts.

    /// Adds a user with the default settings.
    async fn create_user(&self, user: NewUser) -> Result<(), DirectoryError>;
    /// A user by handle.
    async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, DirectoryError>;
    /// Users by id, in no particular order; those that do not exist are left out. At most 200.
    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, DirectoryError>;
    /// The stored password hash (a PHC string).
    async fn password_hash(&self, user: UserId) -> Result<Option<String>, DirectoryError>;
    /// Stores another password hash.
    async fn set_password_hash(&self, user: UserId, hash: &str) -> Result<(), DirectoryError>;
    /// Changes the profile; `None` stays.
    async fn set_profile(&self, user: UserId, display_name: Option<&str>, about: Option<&str>) -> Result<(), DirectoryError>;
    /// A user's settings.
    async fn settings(&self, user: UserId) -> Result<Option<Settings>, DirectoryError>;
    /// Replaces a user's settings.
    async fn set_settings(&self, user: UserId, settings: Settings) -> Result<(), DirectoryError>;
    /// Removes a user and every row that names them, but for [`Directory::removed_devices`]. The handle is free again.
    async fn delete_user(&self, user: UserId, now: Millis) -> Result<(), DirectoryError>;

    // Devices.

    /// Adds a device, its refresh generation being 1. When the user then has more than `most`, those used longest ago are
    /// removed (the new one is not); they are returned.
    async fn create_device(&self, device: Device, most: usize) -> Result<Vec<DeviceId>, DirectoryError>;
    /// A user's devices, the one used last first.
    async fn devices(&self, user: UserId) -> Result<Vec<Device>, DirectoryError>;
    /// Removes a device of a user. Returns whether there was one.
    async fn delete_device(&self, user: UserId, device: DeviceId, now: Millis) -> Result<bool, DirectoryError>;
    /// Removes all devices of a user but `keep`. Returns the removed ones.
    async fn delete_other_devices(
        &self,
        user: UserId,
        keep: Option<DeviceId>,
        now: Millis,
    ) -> Result<Vec<DeviceId>, DirectoryError>;
    /// Uses the refresh token of `generation`. One that was used before removes the device, unless it is the one before the
    /// current and was used less than `leeway_ms` ago: then the answer to that use was lost on its way. A generation above the
    /// current one (the directory was set back) is unknown.
    async fn rotate_refresh(
        &self,
        device: DeviceId,
        generation: u64,
        now: Millis,
        leeway_ms: u64,
    ) -> Result<Rotation, DirectoryError>;
    /// Devices that were removed at `since` or later, by whichever method, each with its user and when. Access tokens are
    /// checked without the directory, so a removed device has to be refused until its last one has expired. They are kept for
    /// at least [`REMOVED_DEVICES_KEPT_MS`]. The times are those that the removing nodes gave: ask from a little earlier.
    async fn removed_devices(&self, since: Millis) -> Result<Vec<(DeviceId, UserId, Millis)>, DirectoryError>;

    // Friends and blocks.

    /// `from` asks `to`. If `to` had asked before, they are friends at once.
    async fn request_friend(&self, from: UserId, to: UserId, now: Millis) -> Result<FriendState, DirectoryError>;
    /// `user` says yes to `from`. Returns false if there was no request.
    async fn accept_friend(&self, user: UserId, from: UserId, now: Millis) -> Result<bool, DirectoryError>;
    /// Removes a friendship or a request between the two, whoever asked. Returns whether there was one.
    async fn remove_friend(&self, user: UserId, other: UserId) -> Result<bool, DirectoryError>;
    /// Everybody who is a friend of `user`, asked them or was asked by them, by handle.
    async fn friends(&self, user: UserId) -> Result<Vec<(User, FriendState)>, DirectoryError>;
    /// Each of `users` with each of their friends (only [`FriendState::Friends`]). At most 200 users in one question.
    async fn friends_of(&self, users: &[UserId]) -> Result<Vec<(UserId, UserId)>, DirectoryError>;
    /// `user` blocks `other`; a friendship or request between them ends.
    async fn block(&self, user: UserId, other: UserId, now: Millis) -> Result<(), DirectoryError>;
    /// `user` no longer blocks `other`. Returns whether they did.
    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, DirectoryError>;
    /// Whom `user` blocks, by handle.
    async fn blocks(&self, user: UserId) -> Result<Vec<User>, DirectoryError>;
    /// What decides whether `from` may reach each of `to` (write, see presence); those that do not exist are left out. `from` may be among
    /// them: no friend of themselves. At most 200.
    async fn relations(&self, from: UserId, to: &[UserId]) -> Result<Vec<Relation>, DirectoryError>;

    // Presence and groups.

    /// Notes when users were last online; a time only grows. Any number of users; those that do not exist are passed over.
    async fn set_last_seen(&self, seen: &[(UserId, Millis)]) -> Result<(), DirectoryError>;
    /// When users were last online, where known. At most 200.
    async fn last_seen(&self, users: &[UserId]) -> Result<Vec<(UserId, Millis)>, DirectoryError>;
    /// The group that `user` made under `key`; `group` if they made none yet, which is then noted.
    async fn group_for_key(&self, user: UserId, key: &str, group: GroupId) -> Result<GroupId, DirectoryError>;
}

/// How long removed devices are kept, in milliseconds: a day, far longer than any access token lives.
pub const REMOVED_DEVICES_KEPT_MS: u64 = 24 * 60 * 60 * 1000;

/// The directory did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// The handle belongs to somebody.
    #[error("the handle is taken")]
    HandleTaken,
    /// The user does not exist.
    #[error("there is no such user")]
    UnknownUser,
    /// The disk is full.
    #[error("the disk of the directory is full")]
    Full,
    /// The engine failed.
    #[error("the directory failed: {0}")]
    Failed(String),
}

/// A user to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    /// A fresh id.
    pub id: UserId,
    /// The handle.
    pub handle: String,
    /// The name shown.
    pub display_name: String,
    /// A PHC string.
    pub password_hash: String,
    /// Now.
    pub created_at: Millis,
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Who.
    pub id: UserId,
    /// The unique name.
    pub handle: String,
    /// The name shown.
    pub display_name: String,
    /// A line about them.
    pub about: String,
}

/// A user's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Who sees whether one is online.
    pub presence: Audience,
    /// May only friends write to one?
    pub friends_only: bool,
    /// Do others see how far one has read?
    pub read_receipts: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { presence: Audience::Everyone, friends_only: false, read_receipts: true }
    }
}

/// Who sees one's presence. The numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everyone who is not blocked.
    Everyone = 0,
    /// Friends.
    Friends = 1,
    /// Nobody.
    Nobody = 2,
}

/// A login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// A fresh id.
    pub id: DeviceId,
    /// Whose.
    pub user: UserId,
    /// What the user called it.
    pub name: String,
    /// Logged in at.
    pub created_at: Millis,
    /// Last refreshed at.
    pub used_at: Millis,
}

/// What became of a refresh token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// It is used up; the next one has `generation`.
    Rotated {
        /// Whose device it is.
        user: UserId,
        /// The generation of the next token.
        generation: u64,
    },
    /// It had been used before: the device is removed.
    Reused {
        /// Whose device it was.
        user: UserId,
    },
    /// There is no such device (any more), or it has not come to that generation.
    Unknown,
}

/// What two users are to each other, seen from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FriendState {
    /// Friends.
    Friends,
    /// The other asked, and waits.
    Incoming,
    /// The other was asked.
    Outgoing,
}

/// What decides whether one user may reach another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation {
    /// The other.
    pub user: UserId,
    /// Are they friends?
    pub friends: bool,
    /// Has the other blocked the one who asks?
    pub blocked_by_them: bool,
    /// Has the one who asks blocked the other?
    pub blocked_by_me: bool,
    /// The other's settings.
    pub settings: Settings,
}

impl Relation {
    /// May the one who asks write to the other (and add them to groups)?
    pub fn may_write(&self) -> bool {
        !self.blocked_by_them && !self.blocked_by_me && (self.friends || !self.settings.friends_only)
    }

    /// May the one who asks see whether the other is online?
    pub fn may_see_presence(&self) -> bool {
        let audience = match self.settings.presence {
            Audience::Everyone => true,
            Audience::Friends => self.friends,
            Audience::Nobody => false,
        };
        audience && !self.blocked_by_them && !self.blocked_by_me
    }
}
