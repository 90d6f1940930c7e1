//! Clears up after gateways that died: their users may have been told nothing, and their friends neither.

use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::{NodeIncarnation, living};
use banter_store::sessions::SessionsError;

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
        let Some(registry) = self.registry.clone() else { return std::future::pending().await };
        let mut interval = tokio::time::interval(EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut dead_before = Vec::new();
        loop {
            interval.tick().await;
            match self.sweep_once(&registry, &dead_before).await {
                Ok(dead) => dead_before = dead,
                Err(error) => tracing::warn!(%error, "dead gateways are not looked for"),
            }
        }
    }

    /// Sweeps the dead that are among `dead_before`, and returns all.
    async fn sweep_once(
        &self,
        registry: &Registry,
        dead_before: &[NodeIncarnation],
    ) -> Result<Vec<NodeIncarnation>, SessionsError> {
        let nodes = registry.sessions().nodes().await?;
        let members = registry.cluster().members().borrow().clone();
        let dead: Vec<NodeIncarnation> = nodes.into_iter().filter(|node| living(&members, *node).is_none()).collect();
        for node in dead.iter().filter(|node| dead_before.contains(node)) {
            loop {
                let users = registry.sessions().sweep(*node, USERS_AT_ONCE).await?;
                if users.is_empty() {
                    break;
                }
                tracing::info!(node = node.number, users = users.len(), "swept after a dead gateway");
                self.went_elsewhere(&users);
                self.has_room().await;
            }
        }
        Ok(dead)
    }

    /// The sessions of these users on a gateway that is no more are gone.
    fn went_elsewhere(&self, users: &[UserId]) {
        let now = clock::now();
        let mut state = self.state.lock();
        for user in users {
            state.seen.insert(*user, now);
            state.change(*user, Why::Went);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Waits until not too many changes wait to be told.
    async fn has_room(&self) {
        while self.state.lock().changes.len() > super::WAITING_CHANGES / 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
