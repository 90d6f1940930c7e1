//! Who is here, for the registry of sessions.

use std::collections::HashSet;
use std::sync::Arc;

use banter_model::UserId;
use banter_store::sessions::LocalSessions;
use parking_lot::Mutex;

use super::State;
use crate::gateway::hub::Hub;

/// Who has a session on this node, or lost the last one within the grace time: who comes back then was never gone, and nothing
/// is written.
pub(super) struct Here {
    pub(super) hub: Arc<Hub>,
    pub(super) state: Mutex<State>,
}

impl LocalSessions for Here {
    fn has_session(&self, user: UserId) -> bool {
        self.hub.has_session_or(user, || self.state.lock().leaving.contains_key(&user))
    }

    fn users(&self) -> Vec<UserId> {
        let mut users: HashSet<UserId> = self.state.lock().leaving.keys().copied().collect();
        self.hub.for_each_user(|user| {
            users.insert(user);
        });
        users.into_iter().collect()
    }

    fn may_have_missed(&self, users: &[UserId]) {
        users.iter().for_each(|user| self.hub.resync(*user));
    }
}
