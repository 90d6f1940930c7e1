//! The history in a real Cassandra, where `BANTER_TEST_CASSANDRA` names a node of it (`host:port`). The tests make a keyspace
//! `banter_test` there and add rows to it.

// What the tests share is no test itself, and fails with them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use banter_fleet::cassandra::{CassandraHistory, CassandraOptions, ConnectError, Copies, Tls};
use banter_model::{ConversationId, GroupId, Head, Membership, UserId};
use banter_store::behaviour::history::{head, message, row};
use banter_store::behaviour::{self, Random};
use banter_store::history::{History, HistoryBatch, MembershipRow, Order, PageSize};
use scylla::client::session_builder::SessionBuilder;
use tokio::sync::OnceCell;

/// The keyspace is made once for all tests, which use ids of their own in it.
static MADE: OnceCell<()> = OnceCell::const_new();

/// How the node is reached; `None` where there is none, and that is said.
fn options() -> Option<CassandraOptions> {
    let Ok(node) = std::env::var("BANTER_TEST_CASSANDRA") else {
        eprintln!("not run: BANTER_TEST_CASSANDRA is not set");
        return None;
    };
    let (keyspace, copies) = ("banter_test".to_owned(), Copies::InEveryDataCenter(1));
    Some(CassandraOptions { keyspace, copies, ..CassandraOptions::of_nodes([node]) })
}

async fn connect() -> Option<(CassandraHistory, Random)> {
    let options = options()?;
    MADE.get_or_init(|| async { CassandraHistory::migrate(&options).await.unwrap() }).await;
    let seed = behaviour::seed();
    eprintln!("BANTER_SEED={seed}");
    Some((CassandraHistory::connect(&options).await.unwrap(), Random::new(seed)))
}

fn group(random: &mut Random) -> ConversationId {
    ConversationId::Group(GroupId(random.id()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_behaves() {
    let Some((history, mut random)) = connect().await else { return };
    behaviour::history::all(Arc::new(history), random.bits()).await;
}

#[tokio::test]
async fn positions_are_there_for_others() {
    let Some((history, mut random)) = connect().await else { return };
    let partitions: Vec<u32> = (0..40).map(|_| random.bits() as u32).collect();
    for (position, partition) in (1..).zip(&partitions) {
        history.commit(HistoryBatch { partition: *partition, position, ..HistoryBatch::default() }).await.unwrap();
    }
    history.close().await;
    let other = CassandraHistory::connect(&options().unwrap()).await.unwrap();
    assert_eq!(other.positions(&partitions).await.unwrap(), (1..=40).collect::<Vec<_>>());
    assert_eq!(other.counters().read_requests.load(Relaxed), 1, "of many partitions at once");

    // A worker that fell behind does not take the position back.
    other.commit(HistoryBatch { partition: partitions[39], position: 7, ..HistoryBatch::default() }).await.unwrap();
    other.close().await;
    assert_eq!(history.position(partitions[39]).await.unwrap(), 40);
    let third = CassandraHistory::connect(&options().unwrap()).await.unwrap();
    assert_eq!(third.position(partitions[39]).await.unwrap(), 40);
}

#[tokio::test]
async fn a_batch_is_few_requests() {
    let Some((history, mut random)) = connect().await else { return };
    let ids: Vec<ConversationId> = (0..10).map(|_| group(&mut random)).collect();
    let mut batch = HistoryBatch { partition: random.bits() as u32, position: 100, ..HistoryBatch::default() };
    for id in &ids {
        batch.events.extend((1..=100).map(|seq| row(*id, seq, message(seq, "text"))));
        batch.heads.push((*id, head(100)));
    }
    history.commit(batch).await.unwrap();
    history.close().await;
    let counters = history.counters();
    assert_eq!(counters.events.load(Relaxed), 1_000);
    assert_eq!(counters.steps.load(Relaxed), 2, "events, then heads; the position is not waited for");
    assert_eq!(counters.write_requests.load(Relaxed), 10 + 10 + 1);
    assert_eq!(counters.rows_written.load(Relaxed), 1_000 + 10 + 1);
    assert_eq!(counters.read_requests.load(Relaxed), 0);

    let page = history.events(ids[0], 1, 100, Order::NewestFirst, PageSize { events: 50, ..PageSize::LARGEST }).await.unwrap();
    assert_eq!(page.len(), 50);
    assert_eq!(counters.read_requests.load(Relaxed), 2, "the page, and the end of the log beside it");
}

#[tokio::test]
async fn a_listing_is_few_requests() {
    let Some((history, mut random)) = connect().await else { return };
    let me = UserId(random.id());
    let mut batch = HistoryBatch { partition: random.bits() as u32, position: 9, ..HistoryBatch::default() };
    for number in 1..=200 {
        let direct = ConversationId::direct(me, UserId(random.id())).unwrap();
        let conversation = if number % 2 == 0 { group(&mut random) } else { direct };
        let mut membership = Membership::default();
        membership.enter(&message(1, "in"), false);
        batch.memberships.push(MembershipRow { user: me, conversation, membership, position: 9 });
        batch.heads.push((conversation, Head { position: 9, ..head(number) }));
    }
    let ids: Vec<ConversationId> = batch.heads.iter().map(|(id, _)| *id).collect();
    history.commit(batch).await.unwrap();
    let requests = || history.counters().read_requests.load(Relaxed);
    let before = requests();
    let listed = history.listing(me, None, 500).await.unwrap();
    assert_eq!(listed.len(), 200);
    assert!(listed.iter().all(|listed| listed.head.is_some()));
    assert!(requests() - before <= 10, "{} requests", requests() - before);
    let before = requests();
    assert!(history.heads(&ids).await.unwrap().iter().all(Option::is_some));
    assert!(requests() - before <= 10, "{} requests", requests() - before);
}

#[tokio::test]
async fn making_the_keyspace_again_changes_nothing() {
    let Some((history, mut random)) = connect().await else { return };
    let id = group(&mut random);
    let batch = HistoryBatch { position: 1, heads: vec![(id, head(1))], ..HistoryBatch::default() };
    history.commit(HistoryBatch { partition: random.bits() as u32, ..batch }).await.unwrap();
    CassandraHistory::migrate(&options().unwrap()).await.unwrap();
    assert_eq!(history.heads(&[id]).await.unwrap(), [Some(head(1))]);
}

#[tokio::test]
async fn what_is_no_history_of_ours_is_refused() {
    let Some(options) = options() else { return };
    let nowhere = CassandraOptions { keyspace: "banter_test_nowhere".to_owned(), ..options.clone() };
    assert!(matches!(CassandraHistory::connect(&nowhere).await, Err(ConnectError::NoHistory { .. })));

    let newer = CassandraOptions { keyspace: "banter_test_newer".to_owned(), ..options.clone() };
    let session = SessionBuilder::new().known_nodes(&options.nodes).build().await.unwrap();
    let copies = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    for statement in [
        format!("CREATE KEYSPACE IF NOT EXISTS banter_test_newer WITH replication = {copies}"),
        "CREATE TABLE IF NOT EXISTS banter_test_newer.meta (name text PRIMARY KEY, value blob)".to_owned(),
        "INSERT INTO banter_test_newer.meta (name, value) VALUES ('format', 0x00000063)".to_owned(),
    ] {
        session.query_unpaged(statement, ()).await.unwrap();
    }
    assert!(matches!(CassandraHistory::connect(&newer).await, Err(ConnectError::OtherFormat { found: 99 })));
}

#[tokio::test]
async fn what_is_unsafe_is_told() {
    let Some((history, _)) = connect().await else { return };
    let found = history.examine(&options().unwrap()).await.unwrap();
    let tells = |words: &str| assert!(found.iter().any(|sentence| sentence.contains(words)), "{words:?} is not in {found:#?}");
    tells("not encrypted");
    tells("without a password");
    tells("1 copies of each row");
}

/// `BANTER_TEST_CASSANDRA_AUTHORITIES` names a PEM file of those who signed the node's certificate.
#[tokio::test]
async fn links_are_encrypted() {
    let Some(options) = options() else { return };
    let Ok(authorities) = std::env::var("BANTER_TEST_CASSANDRA_AUTHORITIES") else {
        eprintln!("not run: BANTER_TEST_CASSANDRA_AUTHORITIES is not set");
        return;
    };
    MADE.get_or_init(|| async { CassandraHistory::migrate(&options).await.unwrap() }).await;
    let tls = Tls { authorities: authorities.into(), client: None, names_checked: false };
    let encrypted = CassandraOptions { tls: Some(tls.clone()), ..options.clone() };
    let history = CassandraHistory::connect(&encrypted).await.unwrap();
    assert_eq!(history.heads(&[ConversationId::Group(GroupId(1))]).await.unwrap().len(), 1);
    let found = history.examine(&encrypted).await.unwrap();
    assert!(!found.iter().any(|sentence| sentence.contains("not encrypted")), "{found:?}");

    // Its certificate names no address.
    let named = CassandraOptions { tls: Some(Tls { names_checked: true, ..tls }), ..options };
    assert!(matches!(CassandraHistory::connect(&named).await, Err(ConnectError::Engine(_))));
}

#[tokio::test]
async fn nobody_waits_for_what_is_not_there() {
    // A port that nobody listens on: it was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let node = format!("127.0.0.1:{port}");
    let options = CassandraOptions { request_timeout: Duration::from_secs(1), ..CassandraOptions::of_nodes([node]) };
    assert!(matches!(CassandraHistory::connect(&options).await, Err(ConnectError::Engine(_))));
    let options = CassandraOptions::of_nodes([] as [&str; 0]);
    assert!(matches!(CassandraHistory::migrate(&options).await, Err(ConnectError::Options(_))));
}
