//! The registry of sessions as this node uses it: where the users of others are, and which of its own are still to be entered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::{Condition, Member, NodeIncarnation, living};
use banter_store::sessions::{SessionsError, USERS_AT_ONCE};
use banter_store::{Cluster, Sessions};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::delivery::routing::{Numbers, Places};

/// The longest that delivery waits for the registry; after it everything goes everywhere.
const PATIENCE: Duration = Duration::from_millis(50);

/// The registry of sessions, and what is on its way there.
pub struct Registry {
    sessions: Arc<dyn Sessions>,
    cluster: Arc<dyn Cluster>,
    pending: Mutex<HashMap<UserId, Pending>>,
    pub(crate) changed: Notify,
}

/// A user whose entry is to be written.
#[derive(Default)]
struct Pending {
    here: bool,
    /// It could not be written at once: the user's sessions may have missed something by now.
    late: bool,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Entries that are being written.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) here: Vec<UserId>,
    pub(crate) gone: Vec<UserId>,
    taken: HashMap<UserId, Pending>,
}

impl Registry {
    /// The registry `sessions` for this node of `cluster`.
    pub fn new(sessions: Arc<dyn Sessions>, cluster: Arc<dyn Cluster>) -> Arc<Self> {
        Arc::new(Registry { sessions, cluster, pending: Mutex::default(), changed: Notify::new() })
    }

    /// The engine itself.
    pub(crate) fn sessions(&self) -> &dyn Sessions {
        &*self.sessions
    }

    /// The cluster that the gateways are members of.
    pub(crate) fn cluster(&self) -> &dyn Cluster {
        &*self.cluster
    }

    /// Where `users` have sessions, for delivery.
    pub async fn places(&self, users: &[UserId]) -> Places {
        let members = self.cluster.members().borrow().clone();
        let unlisted = members.iter().filter(|member| member.condition.unlisted).map(|member| member.node.number).collect();
        if users.is_empty() {
            return Places { of: Some(HashMap::new()), unlisted };
        }
        let of = match tokio::time::timeout(PATIENCE, self.living(users, &members)).await {
            Ok(Ok(of)) => Some(of),
            Ok(Err(error)) => {
                tracing::debug!(%error, "sent to all gateways");
                None
            }
            Err(_) => None,
        };
        Places { of, unlisted }
    }

    /// The gateways where each of `users` has sessions, this one included.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn gateways(&self, users: &[UserId]) -> Result<HashMap<UserId, Numbers>, SessionsError> {
        let members = self.cluster.members().borrow().clone();
        self.living(users, &members).await
    }

    async fn living(&self, users: &[UserId], members: &[Member]) -> Result<HashMap<UserId, Numbers>, SessionsError> {
        let mut gateways: HashMap<UserId, Numbers> = HashMap::new();
        for part in users.chunks(USERS_AT_ONCE) {
            for (user, node) in self.sessions.gateways(part).await? {
                let numbers = gateways.entry(user).or_default();
                if living(members, node).is_some() && !numbers.contains(&node.number) {
                    numbers.push(node.number);
                }
            }
        }
        gateways.retain(|_, numbers| !numbers.is_empty());
        Ok(gateways)
    }

    /// `user` has a session here now, or none any more; to be written soon.
    pub(crate) fn set(&self, user: UserId, here: bool) {
        self.pending.lock().entry(user).or_default().here = here;
        self.changed.notify_one();
    }

    /// The same for many; what is to be written of a user already stands.
    pub(crate) fn set_all(&self, users: impl IntoIterator<Item = UserId>, here: bool) {
        let mut pending = self.pending.lock();
        for user in users {
            pending.entry(user).or_insert_with(|| Pending { here, ..Pending::default() });
        }
        drop(pending);
        self.changed.notify_one();
    }

    /// If others may not find `user` here yet: done when they do, or when it is clear that they will be late.
    pub(crate) fn listed(&self, user: UserId) -> Option<oneshot::Receiver<()>> {
        let mut pending = self.pending.lock();
        let pending = pending.get_mut(&user).filter(|pending| pending.here)?;
        let (done, listed) = oneshot::channel();
        pending.waiting.push(done);
        Some(listed)
    }

    /// Is the user's entry still to be written?
    pub(crate) fn is_pending(&self, user: UserId) -> bool {
        self.pending.lock().contains_key(&user)
    }

    /// Is nothing to be written?
    pub(crate) fn is_settled(&self) -> bool {
        self.pending.lock().is_empty()
    }

    /// Takes what is to be written next.
    pub(crate) fn take(&self) -> Batch {
        let mut pending = self.pending.lock();
        let users: Vec<UserId> = pending.keys().copied().take(USERS_AT_ONCE).collect();
        let mut batch = Batch::default();
        for user in users {
            if let Some(entry) = pending.remove(&user) {
                if entry.here { batch.here.push(user) } else { batch.gone.push(user) }
                batch.taken.insert(user, entry);
            }
        }
        batch
    }

    /// What was taken is not written: it is tried again, unless something newer is to be written of the same user.
    pub(crate) fn put_back(&self, batch: Batch) {
        let mut pending = self.pending.lock();
        for (user, entry) in batch.taken {
            // Whoever waits goes on: the other ends are dropped.
            let again = || Pending { here: entry.here, ..Pending::default() };
            pending.entry(user).or_insert_with(again).late = true;
        }
    }

    /// Says whether all users of this node can be found in the registry.
    pub(crate) fn set_unlisted(&self, unlisted: bool) {
        self.cluster.update(&move |condition: &mut Condition| condition.unlisted = unlisted);
    }

    /// This node in its present life.
    pub(crate) fn node(&self) -> NodeIncarnation {
        self.cluster.node()
    }
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// It is written: whoever waits is told. Returns those who are here and whose sessions may have missed something, since others
    /// could not find them for a while.
    pub(crate) fn written(self) -> Vec<UserId> {
        let mut late = Vec::new();
        for (user, entry) in self.taken {
            // One that waits no longer went on without it.
            let gave_up = entry.waiting.into_iter().map(|waiting| waiting.send(()).is_err()).fold(false, |all, one| all | one);
            if entry.here && (entry.late || gave_up) {
                late.push(user);
            }
        }
        late
    }
}

#[cfg(test)]
mod tests {
    use banter_store::cluster::{NodeProfile, Roles};
    use banter_store::embedded::cluster::EmbeddedCluster;
    use banter_store::embedded::sessions::EmbeddedSessions;

    use super::*;

    const ADA: UserId = UserId(1);

    fn profile() -> NodeProfile {
        NodeProfile {
            roles: Roles::all(),
            client_url: String::new(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        }
    }

    fn registry() -> Arc<Registry> {
        let cluster = EmbeddedCluster::new();
        Registry::new(Arc::new(EmbeddedSessions::new()), Arc::new(cluster.join(profile()).unwrap()))
    }

    #[tokio::test]
    async fn whoever_comes_waits_until_others_find_them() {
        let registry = registry();
        assert!(registry.listed(ADA).is_none(), "nothing to wait for");
        registry.set(ADA, true);
        let mut listed = registry.listed(ADA).unwrap();
        let batch = registry.take();
        assert_eq!((&batch.here[..], batch.gone.len()), (&[ADA][..], 0));
        assert!(listed.try_recv().is_err());
        assert!(batch.written().is_empty());
        assert!(listed.await.is_ok() && registry.is_settled());
    }

    #[tokio::test]
    async fn who_could_not_be_entered_is_late() {
        let registry = registry();
        registry.set(ADA, true);
        let listed = registry.listed(ADA).unwrap();
        registry.put_back(registry.take());
        assert!(listed.await.is_err(), "goes on without it");
        assert_eq!(registry.take().written(), [ADA]);
        // What came meanwhile stands.
        registry.set(ADA, true);
        let batch = registry.take();
        registry.set(ADA, false);
        registry.put_back(batch);
        let batch = registry.take();
        assert_eq!((batch.here.len(), &batch.gone[..]), (0, &[ADA][..]));
        assert!(batch.written().is_empty());
        // One that waited too long.
        registry.set(ADA, true);
        drop(registry.listed(ADA));
        assert_eq!(registry.take().written(), [ADA]);
    }

    #[tokio::test]
    async fn only_living_gateways_count() {
        let cluster = EmbeddedCluster::new();
        let (here, there) = (Arc::new(cluster.join(profile()).unwrap()), cluster.join(profile()).unwrap());
        let sessions = Arc::new(EmbeddedSessions::new());
        let registry = Registry::new(sessions.clone(), here.clone());
        sessions.update(here.node(), &[ADA], &[]).await.unwrap();
        sessions.update(there.node(), &[ADA, UserId(2)], &[]).await.unwrap();
        let found = registry.gateways(&[ADA, UserId(2), UserId(3)]).await.unwrap();
        assert_eq!((found.len(), found[&ADA].len(), &found[&UserId(2)][..]), (2, 2, &[1][..]));
        there.update(&|condition| condition.unlisted = true);
        assert_eq!(registry.places(&[ADA]).await.unlisted[..], [1]);
        drop(there);
        let places = registry.places(&[ADA, UserId(2)]).await;
        assert_eq!(places.of.unwrap().into_iter().collect::<Vec<_>>(), [(ADA, Numbers::from_slice(&[0]))]);
        assert!(places.unlisted.is_empty());
    }
}
