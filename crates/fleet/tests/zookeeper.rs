//! The cluster on a real ZooKeeper, when `BANTER_TEST_ZOOKEEPER` (host:port) names one.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod proxy;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_fleet::zookeeper::{StoppedCluster, StoppedError, ZooKeeperNode, ZooKeeperOptions};
use banter_store::behaviour::cluster::{self, profile, see, some_ids};
use banter_store::cluster::{Cluster, JoinError, Lease, NodeIncarnation, Standing};
use proxy::Proxy;
use tokio::time::{sleep, timeout};
use zookeeper_client::{Acls, Client, CreateMode};

const PATIENCE: Duration = Duration::from_secs(60);

/// The engine, if there is one.
fn engine() -> Option<String> {
    let engine = std::env::var("BANTER_TEST_ZOOKEEPER").ok();
    if engine.is_none() {
        eprintln!("not run: BANTER_TEST_ZOOKEEPER is not set");
    }
    engine
}

/// Options with a root that no other test has.
fn options(servers: &str) -> ZooKeeperOptions {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let root = format!("/banter-test-{}-{}-{}", std::process::id(), now(), NEXT.fetch_add(1, Ordering::Relaxed));
    // Few ids ahead: so that running out of them, and waiting for those of others, can be seen.
    let (session_timeout, ids_ahead) = (Duration::from_secs(2), Duration::from_secs(1));
    ZooKeeperOptions { root, session_timeout, ids_ahead, ..ZooKeeperOptions::new(servers) }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

async fn join(options: &ZooKeeperOptions, name: &str) -> ZooKeeperNode {
    ZooKeeperNode::join(options.clone(), profile(name)).await.unwrap()
}

async fn stands(node: &ZooKeeperNode, what: &str, wanted: impl Fn(&Standing) -> bool) -> Standing {
    let mut standing = node.standing();
    let seen = timeout(PATIENCE, standing.wait_for(|standing| wanted(standing))).await.map(|seen| *seen.unwrap());
    seen.unwrap_or_else(|_| panic!("never: {what}; it is {:?}", node.standing().borrow()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_come_and_go() {
    let Some(engine) = engine() else { return };
    let options = options(&engine);
    let join = async |profile| ZooKeeperNode::join(options.clone(), profile).await.unwrap();
    cluster::members_come_and_go(join, async |node| drop(node)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_leased() {
    let Some(engine) = engine() else { return };
    let options = options(&engine);
    // All but four numbers were used, and their ids are far ahead: the four are used again and again.
    let client = Client::connect(&engine).await.unwrap();
    let persistent = CreateMode::Persistent.with_acls(Acls::anyone_all());
    client.mkdir(&format!("{}/numbers", options.root), &persistent).await.unwrap();
    let kept = format!(r#"{{"incarnation":1,"ids_until":{}}}"#, now() + 86_400_000);
    for number in 0..1020 {
        client.create(&format!("{}/numbers/{number:04}", options.root), kept.as_bytes(), &persistent).await.unwrap();
    }
    let join = async |profile| ZooKeeperNode::join(options.clone(), profile).await.unwrap();
    cluster::numbers_are_leased(join, async |node| drop(node), 5).await;
    cluster::floors_rise(join).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_short_cut_changes_nothing() {
    let Some(engine) = engine() else { return };
    let link = Proxy::to(&engine).await;
    let direct = options(&engine);
    let through = ZooKeeperOptions { servers: link.address(), ..direct.clone() };
    let (node, other) = (join(&through, "node:1").await, join(&direct, "other:1").await);
    see(&node, "both", |members| members.len() == 2).await;
    let before = *node.standing().borrow();
    link.cut();
    stands(&node, "in doubt", |standing| standing.lease == Lease::InDoubt).await;
    node.update(&|condition| condition.draining = true);
    let third = join(&direct, "third:1").await;
    link.mend();
    let after = stands(&node, "held again", |standing| standing.lease == Lease::Held).await;
    assert_eq!(after, before, "the same life");
    see(&node, "who came meanwhile", |members| members.len() == 3).await;
    let draining = |members: &[banter_store::cluster::Member]| {
        members.iter().any(|member| member.node == node.node() && member.condition.draining)
    };
    see(&other, "what it said meanwhile", draining).await;
    drop(third);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_go_on_without_zookeeper() {
    let Some(engine) = engine() else { return };
    let link = Proxy::to(&engine).await;
    let direct = options(&engine);
    let ids_ahead = ZooKeeperOptions::new(&engine).ids_ahead;
    let through = ZooKeeperOptions { servers: link.address(), ids_ahead, ..direct.clone() };
    let (node, other) = (join(&through, "node:1").await, join(&direct, "other:1").await);
    see(&node, "both", |members| members.len() == 2).await;
    some_ids(&node).await;
    link.cut();
    see(&other, "its session is over", |members| members.len() == 1).await;
    let time = now();
    assert!(node.id_floor().until(time) > time, "no ids while ZooKeeper is away");
    link.mend();
    stands(&node, "held again", |standing| standing.lease == Lease::Held).await;
    // Those of the life before are reserved already: a new life of the same process does not wait for them.
    let time = now();
    assert!(node.id_floor().until(time) > time && node.id_floor().after() < time);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_taken_for_dead_gives_out_what_it_reserved_and_joins_again() {
    let Some(engine) = engine() else { return };
    let link = Proxy::to(&engine).await;
    let direct = options(&engine);
    let through = ZooKeeperOptions { servers: link.address(), ..direct.clone() };
    let (node, other) = (join(&through, "node:1").await, join(&direct, "other:1").await);
    see(&node, "both", |members| members.len() == 2).await;
    let ids_until = some_ids(&node).await;
    let NodeIncarnation { number, incarnation } = node.node();
    link.cut();
    stands(&node, "in doubt", |standing| standing.lease == Lease::InDoubt).await;
    see(&other, "it is gone", |members| members.len() == 1).await;
    let time = now();
    let until = node.id_floor().until(time);
    assert!(until >= ids_until && until < time, "ids go on beyond what was reserved: {until} at {time}");
    assert_eq!(node.members().borrow().len(), 2, "the last known members stay");
    sleep(Duration::from_secs(3)).await;
    assert_eq!((node.members().borrow().len(), node.standing().borrow().lease), (2, Lease::InDoubt));
    link.mend();
    let after = stands(&node, "held again", |standing| standing.lease == Lease::Held).await;
    assert!(after.incarnation > incarnation, "a new life");
    assert_eq!(node.number(), number);
    see(&other, "it is back", |members| members.iter().any(|member| member.node == node.node())).await;
    assert!(some_ids(&node).await > until);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_number_another_has_ends() {
    let Some(engine) = engine() else { return };
    let link = Proxy::to(&engine).await;
    let direct = options(&engine);
    let through = ZooKeeperOptions { servers: link.address(), ..direct.clone() };
    let (node, other) = (join(&through, "node:1").await, join(&direct, "other:1").await);
    some_ids(&node).await;
    link.cut();
    see(&other, "it is gone", |members| members.len() == 1).await;
    // As another node would take it.
    let client = Client::connect(&engine).await.unwrap();
    let path = format!("{}/numbers/{:04}", direct.root, node.number());
    let kept = format!(r#"{{"incarnation":{},"ids_until":{}}}"#, now() + 5, now() + 5_000);
    client.set_data(&path, kept.as_bytes(), None).await.unwrap();
    link.mend();
    stands(&node, "ended", |standing| standing.lease == Lease::Ended).await;
    assert_eq!(node.id_floor().until(now()), 0);
    assert_eq!(other.members().borrow().len(), 1, "it is no member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_zookeeper_joining_fails_in_time() {
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let options = ZooKeeperOptions { session_timeout: Duration::from_secs(2), ..ZooKeeperOptions::new(closed.to_string()) };
    let joined = timeout(PATIENCE, ZooKeeperNode::join(options, profile("node:1"))).await.unwrap();
    assert!(matches!(joined, Err(JoinError::Unreachable(_))), "{joined:?}");
}

#[tokio::test]
async fn ids_of_all_numbers_are_raised_while_no_node_runs() {
    let Some(engine) = engine() else { return };
    let options = options(&engine);
    // One number was in use before.
    let before = join(&options, "before").await;
    let reserved = some_ids(&before).await;
    assert!(matches!(StoppedCluster::connect(options.clone()).await, Err(StoppedError::Running(1))));
    drop(before);
    let gone = async {
        loop {
            match StoppedCluster::connect(options.clone()).await {
                Ok(stopped) => return stopped,
                Err(StoppedError::Running(_)) => sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    let stopped = timeout(PATIENCE, gone).await.unwrap();
    assert!(stopped.ids_until().await.unwrap() >= reserved);
    let far = now() + 3_600_000;
    for until in [far, far, 5] {
        stopped.raise_ids_until(until).await.unwrap();
        assert_eq!(stopped.ids_until().await.unwrap(), far);
    }
    for name in ["first", "second"] {
        assert_eq!(join(&options, name).await.id_floor().after(), far, "whichever number it is");
    }
}
