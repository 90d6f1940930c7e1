//! A registrar with a registry that goes away, comes back, and forgets.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use banter_model::UserId;
use banter_store::behaviour::cluster::profile;
use banter_store::cluster::{Cluster, NodeIncarnation};
use banter_store::embedded::cluster::{EmbeddedCluster, EmbeddedMember};
use banter_store::embedded::sessions::EmbeddedSessions;
use banter_store::sessions::{LocalSessions, Registrar, Sessions, SessionsError, ShardCount};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

#[derive(Default)]
struct Table {
    users: Mutex<BTreeSet<UserId>>,
    missed: Mutex<BTreeSet<UserId>>,
}

impl LocalSessions for Table {
    fn has_session(&self, user: UserId) -> bool {
        self.users.lock().contains(&user)
    }

    fn users(&self) -> Vec<UserId> {
        self.users.lock().iter().copied().collect()
    }

    fn may_have_missed(&self, users: &[UserId]) {
        self.missed.lock().extend(users);
    }
}

/// The embedded registry, behind a switch.
struct Switched {
    registry: Mutex<Arc<EmbeddedSessions>>,
    away: AtomicBool,
    /// So many updates are carried out, and their answers lost.
    lost_answers: AtomicU32,
    /// So many times it does not say how many are where.
    failing_counts: AtomicU32,
}

impl Switched {
    fn reach(&self) -> Result<Arc<EmbeddedSessions>, SessionsError> {
        match self.away.load(Ordering::SeqCst) {
            true => Err(SessionsError::Away("switched off".to_owned())),
            false => Ok(self.registry.lock().clone()),
        }
    }
}

#[async_trait]
impl Sessions for Switched {
    async fn announce(&self, at: NodeIncarnation) -> Result<(), SessionsError> {
        self.reach()?.announce(at).await
    }

    async fn update(&self, at: NodeIncarnation, here: &[UserId], gone: &[UserId]) -> Result<Vec<ShardCount>, SessionsError> {
        let counts = self.reach()?.update(at, here, gone).await?;
        fails(&self.lost_answers).map(|()| counts)
    }

    async fn gateways(&self, users: &[UserId]) -> Result<Vec<(UserId, NodeIncarnation)>, SessionsError> {
        self.reach()?.gateways(users).await
    }

    async fn counts(&self, at: NodeIncarnation) -> Result<Vec<ShardCount>, SessionsError> {
        fails(&self.failing_counts)?;
        self.reach()?.counts(at).await
    }

    async fn registered(&self, at: NodeIncarnation, shard: u32) -> Result<Vec<UserId>, SessionsError> {
        self.reach()?.registered(at, shard).await
    }

    async fn nodes(&self) -> Result<Vec<NodeIncarnation>, SessionsError> {
        self.reach()?.nodes().await
    }

    async fn sweep(&self, dead: NodeIncarnation, limit: usize) -> Result<Vec<UserId>, SessionsError> {
        self.reach()?.sweep(dead, limit).await
    }
}

/// Fails as often as `times` says.
fn fails(times: &AtomicU32) -> Result<(), SessionsError> {
    let less = times.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |times| times.checked_sub(1));
    less.map_or(Ok(()), |_| Err(SessionsError::Failed("this time".to_owned())))
}

struct Setup {
    table: Arc<Table>,
    registry: Arc<Switched>,
    node: Arc<EmbeddedMember>,
    registrar: Arc<Registrar>,
}

fn start(away: bool) -> Setup {
    let table = Arc::new(Table::default());
    let registry = Mutex::new(Arc::new(EmbeddedSessions::new()));
    let registry =
        Switched { registry, away: AtomicBool::new(away), lost_answers: AtomicU32::new(0), failing_counts: AtomicU32::new(0) };
    let registry = Arc::new(registry);
    let node = Arc::new(EmbeddedCluster::new().join(profile("gateway:1")).unwrap());
    let registrar = Registrar::new(table.clone(), registry.clone(), node.clone());
    tokio::spawn(registrar.clone().run());
    Setup { table, registry, node, registrar }
}

impl Setup {
    fn come(&self, user: u64) {
        self.table.users.lock().insert(UserId(user));
        self.registrar.changed(UserId(user));
    }

    fn go(&self, user: u64) {
        self.table.users.lock().remove(&UserId(user));
        self.registrar.changed(UserId(user));
    }

    fn is_unlisted(&self) -> bool {
        self.node.members().borrow()[0].condition.unlisted
    }

    async fn registered(&self) -> Vec<u64> {
        let users: Vec<UserId> = (1..=200).map(UserId).collect();
        let registry = self.registry.registry.lock().clone();
        registry.gateways(&users).await.unwrap().into_iter().map(|(user, _)| user.0).collect()
    }

    async fn until(&self, what: &str, done: impl AsyncFn() -> bool) {
        let wait = async {
            while !done().await {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(60), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

#[tokio::test]
async fn who_has_settled_is_registered() {
    let setup = start(false);
    setup.until("it is listed", async || setup.registrar.is_listed()).await;
    for user in 1..=100 {
        setup.come(user);
        if user % 10 == 0 {
            assert!(setup.registrar.settled(UserId(user)).await);
            assert_eq!(setup.registered().await, (1..=user).collect::<Vec<_>>());
        }
    }
    for user in 1..=50 {
        setup.go(user);
    }
    assert!(setup.registrar.settled(UserId(50)).await);
    assert_eq!(setup.registered().await, (51..=100).collect::<Vec<_>>());
    // Came and went before anything was written: what is true then is written.
    setup.come(1);
    setup.go(1);
    setup.go(51);
    setup.come(51);
    assert!(setup.registrar.settled(UserId(1)).await && setup.registrar.settled(UserId(51)).await);
    assert_eq!(setup.registered().await, (51..=100).collect::<Vec<_>>());
    assert!(setup.table.missed.lock().is_empty() && !setup.is_unlisted(), "nobody missed anything");
}

#[tokio::test]
async fn a_registry_that_was_away_is_made_right_and_newcomers_are_told() {
    let setup = start(false);
    setup.until("it is listed", async || setup.registrar.is_listed()).await;
    (1..=20).for_each(|user| setup.come(user));
    assert!(setup.registrar.settled(UserId(20)).await);
    setup.registry.away.store(true, Ordering::SeqCst);
    setup.come(21);
    assert!(!setup.registrar.settled(UserId(21)).await);
    setup.until("others know", async || setup.is_unlisted()).await;
    setup.go(3);
    setup.come(22);
    assert!(!setup.registrar.settled(UserId(22)).await, "at once: it is known to be away");
    assert!(setup.table.missed.lock().is_empty());
    setup.registry.away.store(false, Ordering::SeqCst);
    setup.until("it is listed again", async || setup.registrar.is_listed()).await;
    let expected: Vec<u64> = (1..=22).filter(|user| *user != 3).collect();
    assert_eq!(setup.registered().await, expected);
    setup.until("the newcomers are told", async || setup.table.missed.lock().len() == 2).await;
    assert_eq!(*setup.table.missed.lock(), BTreeSet::from([UserId(21), UserId(22)]), "the others were in it all the time");
    assert!(!setup.is_unlisted());
}

#[tokio::test]
async fn a_registry_that_forgot_everything_is_filled_and_all_are_told() {
    let setup = start(true);
    (1..=5).for_each(|user| setup.come(user));
    assert!(!setup.registrar.settled(UserId(5)).await, "it was never there");
    setup.registry.away.store(false, Ordering::SeqCst);
    setup.until("it is listed", async || setup.registrar.is_listed()).await;
    setup.until("all are told", async || setup.table.missed.lock().len() == 5).await;
    setup.table.missed.lock().clear();
    // Behind its back; found by the next write's neighbour, the audit, which comes by itself.
    *setup.registry.registry.lock() = Arc::new(EmbeddedSessions::new());
    setup.until("the audit fills it", async || setup.registered().await == [1, 2, 3, 4, 5]).await;
    setup.until("all are told", async || setup.table.missed.lock().len() == 5).await;
    assert_eq!(setup.registry.nodes().await.unwrap(), [setup.node.node()], "and the gateway is announced");
}

/// The registry has them since the first attempt, so that none of the later ones finds them missing.
#[tokio::test]
async fn who_did_not_wait_is_told_however_often_it_fails_meanwhile() {
    let setup = start(false);
    setup.until("it is listed", async || setup.registrar.is_listed()).await;
    setup.registry.lost_answers.store(1, Ordering::SeqCst);
    setup.registry.failing_counts.store(2, Ordering::SeqCst);
    setup.come(1);
    assert!(!setup.registrar.settled(UserId(1)).await);
    setup.until("they are told", async || setup.table.missed.lock().contains(&UserId(1))).await;
    assert_eq!(setup.registry.failing_counts.load(Ordering::SeqCst), 0);
    assert_eq!(setup.registered().await, [1]);
}
