//! Who may reach whom, remembered for a while.

use banter_model::UserId;
use banter_store::directory::{DirectoryError, Relation};

/// A bounded memory of relations in front of the directory.
pub struct Relations {}

impl Relations {
    /// What is remembered of `from` towards `to`, without asking the directory.
    pub fn known(&self, from: UserId, to: UserId) -> Option<Relation> {
        let _ = (from, to);
        None
    }

    /// What decides whether `from` may reach `to`; `None` if there is no such user.
    pub async fn of(&self, from: UserId, to: UserId) -> Result<Option<Relation>, DirectoryError> {
        let _ = (from, to);
        Ok(None)
    }

    /// Something of `user` changed (settings, friends, blocks, the account): what is remembered of them in either direction is
    /// forgotten.
    pub fn forget(&self, user: UserId) {
        let _ = user;
    }
}
