//! The directory over SQL: SQLite embedded, PostgreSQL in a fleet, with the same queries and the same migrations.
//!
//! What keeps one text good for both: `$1` placeholders, `ON CONFLICT`, `RETURNING`, whole numbers for everything but text,
//! and no order by text (collations differ). Each change is one statement or one transaction, and holds under PostgreSQL's
//! default isolation too: what has to be decided once is decided in a statement that locks the row it decides about.

mod accounts;
mod connect;
mod counted;
mod devices;
mod error;
mod examine;
mod friends;
mod groups;
mod id_list;
mod movable;
mod presence;
mod row;

use async_trait::async_trait;
use banter_model::{DeviceId, GroupId, Millis, UserId};
use sqlx::migrate::Migrator;

pub use counted::DirectoryCounters;
pub use examine::examine_sqlite;

use counted::Pool;

use super::{Device, Directory, DirectoryError, FriendState, NewUser, Relation, Rotation, Settings, User};

/// The schema, embedded in the binary.
static MIGRATIONS: Migrator = sqlx::migrate!();

/// The directory in an SQL database.
#[derive(Debug, Clone)]
pub struct SqlDirectory {
    readers: Pool,
    /// SQLite takes one writer at a time: its pool holds one connection, at which writers queue.
    writer: Pool,
}

impl SqlDirectory {
    /// Adds many users in one transaction, all of them or none; each is as [`Directory::create_user`] makes it, with the time of
    /// creation of the first of its part. For filling a new directory: the writer is taken for as long as it lasts.
    ///
    /// # Errors
    /// [`DirectoryError::HandleTaken`] if one of the handles is, be it by another one of `users`.
    pub async fn create_users(&self, users: impl IntoIterator<Item = NewUser>) -> Result<(), DirectoryError> {
        accounts::create_all(&self.writer, users).await
    }
}

#[async_trait]
impl Directory for SqlDirectory {
    async fn create_user(&self, user: NewUser) -> Result<(), DirectoryError> {
        accounts::create(&self.writer, user).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<User>, DirectoryError> {
        accounts::by_handle(&self.readers, handle).await
    }

    async fn users(&self, ids: &[UserId]) -> Result<Vec<User>, DirectoryError> {
        accounts::by_ids(&self.readers, ids).await
    }

    async fn password_hash(&self, user: UserId) -> Result<Option<String>, DirectoryError> {
        accounts::password_hash(&self.readers, user).await
    }

    async fn set_password_hash(&self, user: UserId, hash: &str) -> Result<(), DirectoryError> {
        accounts::set_password_hash(&self.writer, user, hash).await
    }

    async fn set_profile(&self, user: UserId, display_name: Option<&str>, about: Option<&str>) -> Result<(), DirectoryError> {
        accounts::set_profile(&self.writer, user, display_name, about).await
    }

    async fn settings(&self, user: UserId) -> Result<Option<Settings>, DirectoryError> {
        accounts::settings(&self.readers, user).await
    }

    async fn set_settings(&self, user: UserId, settings: Settings) -> Result<(), DirectoryError> {
        accounts::set_settings(&self.writer, user, settings).await
    }

    async fn delete_user(&self, user: UserId, now: Millis) -> Result<(), DirectoryError> {
        accounts::delete(&self.writer, user, now).await
    }

    async fn create_device(&self, device: Device, most: usize) -> Result<Vec<DeviceId>, DirectoryError> {
        devices::create(&self.writer, device, most).await
    }

    async fn devices(&self, user: UserId) -> Result<Vec<Device>, DirectoryError> {
        devices::of_user(&self.readers, user).await
    }

    async fn delete_device(&self, user: UserId, device: DeviceId, now: Millis) -> Result<bool, DirectoryError> {
        devices::delete(&self.writer, user, device, now).await
    }

    async fn delete_other_devices(
        &self,
        user: UserId,
        keep: Option<DeviceId>,
        now: Millis,
    ) -> Result<Vec<DeviceId>, DirectoryError> {
        devices::delete_others(&self.writer, user, keep, now).await
    }

    async fn rotate_refresh(
        &self,
        device: DeviceId,
        generation: u64,
        now: Millis,
        leeway_ms: u64,
    ) -> Result<Rotation, DirectoryError> {
        devices::rotate(&self.writer, device, generation, now, leeway_ms).await
    }

    async fn removed_devices(&self, since: Millis) -> Result<Vec<(DeviceId, UserId, Millis)>, DirectoryError> {
        devices::removed(&self.readers, since).await
    }

    async fn request_friend(&self, from: UserId, to: UserId, now: Millis) -> Result<FriendState, DirectoryError> {
        friends::request(&self.writer, from, to, now).await
    }

    async fn accept_friend(&self, user: UserId, from: UserId, now: Millis) -> Result<bool, DirectoryError> {
        friends::accept(&self.writer, user, from, now).await
    }

    async fn remove_friend(&self, user: UserId, other: UserId) -> Result<bool, DirectoryError> {
        friends::remove(&self.writer, user, other).await
    }

    async fn friends(&self, user: UserId) -> Result<Vec<(User, FriendState)>, DirectoryError> {
        friends::all(&self.readers, user).await
    }

    async fn friends_of(&self, users: &[UserId]) -> Result<Vec<(UserId, UserId)>, DirectoryError> {
        friends::of(&self.readers, users).await
    }

    async fn block(&self, user: UserId, other: UserId, now: Millis) -> Result<(), DirectoryError> {
        friends::block(&self.writer, user, other, now).await
    }

    async fn unblock(&self, user: UserId, other: UserId) -> Result<bool, DirectoryError> {
        friends::unblock(&self.writer, user, other).await
    }

    async fn blocks(&self, user: UserId) -> Result<Vec<User>, DirectoryError> {
        friends::blocks(&self.readers, user).await
    }

    async fn relations(&self, from: UserId, to: &[UserId]) -> Result<Vec<Relation>, DirectoryError> {
        friends::relations(&self.readers, from, to).await
    }

    async fn set_last_seen(&self, seen: &[(UserId, Millis)]) -> Result<(), DirectoryError> {
        presence::set_last_seen(&self.writer, seen).await
    }

    async fn last_seen(&self, users: &[UserId]) -> Result<Vec<(UserId, Millis)>, DirectoryError> {
        presence::last_seen(&self.readers, users).await
    }

    async fn group_for_key(&self, user: UserId, key: &str, group: GroupId) -> Result<GroupId, DirectoryError> {
        groups::for_key(&self.writer, user, key, group).await
    }
}
