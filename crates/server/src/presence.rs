//! Presence: who is online, and when somebody last was.

use banter_model::UserId;
use banter_protocol::frame::UserPresence;
use banter_store::directory::DirectoryError;

/// Knows who is online.
#[derive(Debug, Default)]
pub struct Presence {}

impl Presence {
    /// What `asker` may know of the presence of `users`; those that do not exist are left out.
    pub async fn of(&self, asker: UserId, users: &[UserId]) -> Result<Vec<UserPresence>, DirectoryError> {
        let _ = (asker, users);
        Ok(Vec::new())
    }

    /// Friends, blocks or settings of `user` changed: friends who are online are told what they may know now.
    pub fn audience_changed(&self, user: UserId) {
        let _ = user;
    }
}
