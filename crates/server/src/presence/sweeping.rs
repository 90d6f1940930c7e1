//! Clears up after gateways that died: their users may have been told nothing, and their friends neither.

use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::Lease;
use banter_store::sessions::SessionsError;
use banter_store::sessions::Suspects;

use super::{Presence, Why};
use crate::clock;
use crate::registry::Registry;

/// How often it is looked for dead gateways. One is swept when it is found twice: its users are given that long to come back elsewhere.
const EVERY: Duration = Duration::from_secs(3);
/// Most users that are swept at once.
const USERS_AT_ONCE: usize = 1_000;

impl Presence {
    /// Sweeps for as long as it is polled: what the role `presence` does.
    pub async fn sweep(self: Arc<Self>) {
        let Some(elsewhere) = &self.elsewhere else { return std::future::pending().await };
        let registry = elsewhere.registry.clone();
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut suspects = Suspects::default();
        loop {
            interval.tick().await;
            // Out of touch, the members are those of an earlier time.
            if registry.cluster.standing().borrow().lease != Lease::Held {
                continue;
            }
            if let Err(error) = self.sweep_once(&registry, &mut suspects).await {
                tracing::warn!(%error, "dead gateways are not swept");
            }
        }
    }

    async fn sweep_once(&self, registry: &Registry, suspects: &mut Suspects) -> Result<(), SessionsError> {
        let nodes = registry.sessions.nodes().await?;
        let members = registry.cluster.members().borrow().clone();
        for node in suspects.dead(&nodes, &members) {
            loop {
                let users = registry.sessions.sweep(node, USERS_AT_ONCE).await?;
                if users.is_empty() {
                    break;
                }
                tracing::info!(node = node.number, users = users.len(), "swept after a dead gateway");
                self.went_elsewhere(&users);
                self.has_room().await;
            }
        }
        Ok(())
    }

    /// The sessions of these users on a gateway that is no more are gone.
    fn went_elsewhere(&self, users: &[UserId]) {
        let now = clock::now();
        let mut state = self.here.state.lock();
        for user in users {
            state.seen.insert(*user, now);
            state.change(*user, Why::Went);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until not too many changes wait to be told.
    async fn has_room(&self) {
        while self.here.state.lock().changes.len() > super::WAITING_CHANGES / 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
