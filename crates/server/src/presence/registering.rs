//! Keeps what the registry says of this gateway true.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::NodeIncarnation;
use banter_store::sessions::{SHARDS, SessionsError, shard_of};
use tokio::time::Instant;

use super::{Presence, Why};
use crate::registry::{Batch, Registry};

/// The pause after the registry did not answer.
const PAUSE: Duration = Duration::from_secs(1);
/// How often what the registry holds is compared with the sessions there are: it may have been lost, or set back.
const COMPARED_EVERY: Duration = Duration::from_secs(30);

impl Presence {
    /// Writes who comes and goes to the registry, for as long as it is polled.
    pub async fn register(self: Arc<Self>) {
        let Some(registry) = self.registry.clone() else { return std::future::pending().await };
        let mut standing = registry.cluster().standing();
        let mut announced = None;
        let mut unlisted = false;
        let mut compared = Instant::now();
        loop {
            let at = registry.node();
            let written = match announced == Some(at) {
                true => self.write(&registry, at).await,
                false => self.announce(&registry, at).await.map(|()| announced = Some(at)),
            };
            if let Err(error) = written {
                if !unlisted {
                    tracing::warn!(%error, "not all users can be found here: workers send everything");
                    unlisted = true;
                    registry.set_unlisted(true);
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            if !registry.is_settled() {
                continue;
            }
            if unlisted {
                unlisted = false;
                registry.set_unlisted(false);
            }
            if compared.elapsed() >= COMPARED_EVERY {
                compared = Instant::now();
                if let Err(error) = self.compare(&registry, at).await {
                    tracing::warn!(%error, "the registry is not compared");
                }
                continue;
            }
            let changed = standing.changed();
            tokio::select! {
                () = registry.changed.notified() => {}
                changed = changed => if changed.is_err() { tokio::time::sleep(PAUSE).await },
                () = tokio::time::sleep_until(compared + COMPARED_EVERY) => {}
            }
        }
    }

    /// Begins a life: everybody who is here is to be entered under it.
    async fn announce(&self, registry: &Registry, at: NodeIncarnation) -> Result<(), SessionsError> {
        registry.sessions().announce(at).await?;
        registry.set_all(self.everybody_here(), true);
        Ok(())
    }

    /// Writes what waits.
    async fn write(&self, registry: &Registry, at: NodeIncarnation) -> Result<(), SessionsError> {
        let batch = registry.take();
        if batch.is_empty() {
            return Ok(());
        }
        match registry.sessions().update(at, &batch.here, &batch.gone).await {
            Ok(_) => {
                self.written(batch);
                Ok(())
            }
            Err(error) => {
                registry.put_back(batch);
                Err(error)
            }
        }
    }

    /// Others find them now, or no longer: friends are told.
    fn written(&self, batch: Batch) {
        {
            let mut state = self.state.lock();
            batch.here.iter().for_each(|user| state.change(*user, Why::Came));
            batch.gone.iter().for_each(|user| state.change(*user, Why::Went));
        }
        self.changed.notify_one();
        batch.written().into_iter().for_each(|user| self.hub.resync(user));
    }

    /// Finds what the registry has lost of this gateway, or has too much.
    async fn compare(&self, registry: &Registry, at: NodeIncarnation) -> Result<(), SessionsError> {
        let stored = registry.sessions().counts(at).await?;
        let mut here: Vec<Vec<UserId>> = vec![Vec::new(); SHARDS as usize];
        self.everybody_here().into_iter().for_each(|user| here[shard_of(user) as usize].push(user));
        for count in stored {
            let Some(users) = here.get(count.shard as usize).filter(|users| users.len() as u64 != count.users) else { continue };
            let registered: HashSet<UserId> = registry.sessions().registered(at, count.shard).await?.into_iter().collect();
            let lost = users.iter().copied().filter(|user| !registered.contains(user));
            let lost: Vec<UserId> = lost.filter(|user| !registry.is_pending(*user)).collect();
            let extra = registered.iter().copied().filter(|user| !self.is_here(*user) && !registry.is_pending(*user));
            let extra: Vec<UserId> = extra.collect();
            if !lost.is_empty() {
                tracing::warn!(shard = count.shard, users = lost.len(), "the registry has lost sessions of this gateway");
                registry.set_all(lost, true);
            }
            registry.set_all(extra, false);
        }
        Ok(())
    }

    fn everybody_here(&self) -> HashSet<UserId> {
        let mut users = HashSet::new();
        self.hub.for_each_user(|user| {
            users.insert(user);
        });
        users.extend(self.state.lock().leaving.keys());
        users
    }
}
