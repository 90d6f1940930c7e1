//! The registry of sessions in memory: for nodes that live in one process.

use std::collections::{BTreeSet, HashMap};

use async_trait::async_trait;
use banter_model::UserId;
use parking_lot::Mutex;

use crate::cluster::NodeIncarnation;
use crate::sessions::{SHARDS, Sessions, SessionsError, ShardCount, shard_of};

/// Where the users of this process have sessions.
#[derive(Debug, Default)]
pub struct EmbeddedSessions(Mutex<Registry>);

#[derive(Debug, Default)]
struct Registry {
    nodes: BTreeSet<NodeIncarnation>,
    /// By shard.
    users: HashMap<(NodeIncarnation, u32), BTreeSet<UserId>>,
    gateways: HashMap<UserId, BTreeSet<NodeIncarnation>>,
}

impl EmbeddedSessions {
    /// A registry in which nobody is.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Registry {
    fn remove(&mut self, at: NodeIncarnation, user: UserId) {
        let key = (at, shard_of(user));
        if let Some(users) = self.users.get_mut(&key) {
            users.remove(&user);
            if users.is_empty() {
                self.users.remove(&key);
            }
        }
        if let Some(gateways) = self.gateways.get_mut(&user) {
            gateways.remove(&at);
            if gateways.is_empty() {
                self.gateways.remove(&user);
            }
        }
    }

    fn count(&self, at: NodeIncarnation, shard: u32) -> ShardCount {
        ShardCount { shard, users: self.users.get(&(at, shard)).map_or(0, |users| users.len() as u64) }
    }
}

#[async_trait]
impl Sessions for EmbeddedSessions {
    async fn announce(&self, at: NodeIncarnation) -> Result<(), SessionsError> {
        self.0.lock().nodes.insert(at);
        Ok(())
    }

    async fn update(&self, at: NodeIncarnation, here: &[UserId], gone: &[UserId]) -> Result<Vec<ShardCount>, SessionsError> {
        let mut registry = self.0.lock();
        for user in here {
            registry.users.entry((at, shard_of(*user))).or_default().insert(*user);
            registry.gateways.entry(*user).or_default().insert(at);
        }
        for user in gone {
            registry.remove(at, *user);
        }
        let shards: BTreeSet<u32> = here.iter().chain(gone).map(|user| shard_of(*user)).collect();
        Ok(shards.into_iter().map(|shard| registry.count(at, shard)).collect())
    }

    async fn gateways(&self, users: &[UserId]) -> Result<Vec<(UserId, NodeIncarnation)>, SessionsError> {
        let registry = self.0.lock();
        let of = |user: &UserId| registry.gateways.get(user).into_iter().flatten().map(|at| (*user, *at)).collect::<Vec<_>>();
        Ok(users.iter().flat_map(of).collect())
    }

    async fn counts(&self, at: NodeIncarnation) -> Result<Vec<ShardCount>, SessionsError> {
        let registry = self.0.lock();
        Ok((0..SHARDS).map(|shard| registry.count(at, shard)).collect())
    }

    async fn registered(&self, at: NodeIncarnation, shard: u32) -> Result<Vec<UserId>, SessionsError> {
        Ok(self.0.lock().users.get(&(at, shard)).into_iter().flatten().copied().collect())
    }

    async fn nodes(&self) -> Result<Vec<NodeIncarnation>, SessionsError> {
        Ok(self.0.lock().nodes.iter().copied().collect())
    }

    async fn sweep(&self, dead: NodeIncarnation, limit: usize) -> Result<Vec<UserId>, SessionsError> {
        let mut registry = self.0.lock();
        let of_dead = registry.users.iter().filter(|((at, _), _)| *at == dead);
        let users: Vec<UserId> = of_dead.flat_map(|(_, users)| users).copied().take(limit.max(1)).collect();
        if users.is_empty() {
            registry.nodes.remove(&dead);
        }
        users.iter().for_each(|user| registry.remove(dead, *user));
        Ok(users)
    }
}
