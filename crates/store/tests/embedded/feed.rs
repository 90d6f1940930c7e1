//! The feed of an embedded history: what only this one has.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use banter_store::behaviour::feed::{Dealt, Logs, Source};
use banter_store::behaviour::{self, feed};
use banter_store::embedded::history::{EmbeddedFeed, EmbeddedHistory, HistoryOptions, OpenError};
use banter_store::feed::{Feed, FeedError, FeedReader};
use banter_store::{History, HistoryBatch};

use crate::{open, open_with, options};

struct Embedded {
    history: Arc<EmbeddedHistory>,
    feed: EmbeddedFeed,
}

impl Embedded {
    fn new(history: EmbeddedHistory) -> Embedded {
        let history = Arc::new(history);
        Embedded { feed: EmbeddedFeed::new(Arc::clone(&history)), history }
    }
}

#[async_trait]
impl Source for Embedded {
    fn feed(&self) -> &dyn Feed {
        &self.feed
    }

    fn partitions(&self) -> u32 {
        4
    }

    async fn store(&self, batch: HistoryBatch) {
        self.history.commit(batch).await.unwrap();
    }
}

async fn read(reader: &mut Box<dyn FeedReader>, dealt: &mut Dealt, until: u64) {
    while dealt.new < until {
        dealt.deal(reader.next(20).await.unwrap().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feed_behaves() {
    let folder = tempfile::tempdir().unwrap();
    feed::all(Arc::new(Embedded::new(open(folder.path()))), behaviour::seed()).await;
}

/// Rows of the feed, with those of its readers.
fn rows(folder: &Path) -> usize {
    let db = fjall::Database::builder(folder.join("history")).open().unwrap();
    db.keyspace("feed", fjall::KeyspaceCreateOptions::default).unwrap().iter().count()
}

#[tokio::test]
async fn nothing_is_kept_that_nobody_is_to_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::new(4, 1);
    let embedded = Embedded::new(open(folder.path()));
    for _ in 0..50 {
        embedded.store(logs.batch(5)).await;
    }
    drop(embedded);
    assert_eq!(rows(folder.path()), 0, "nobody was registered");

    let embedded = Embedded::new(open(folder.path()));
    for name in ["one", "two"] {
        embedded.feed.register(name).await.unwrap();
    }
    let mut logs = Logs::new(4, 2);
    for _ in 0..50 {
        embedded.store(logs.batch(5)).await;
    }
    let mut one = embedded.feed.reader("one").await.unwrap();
    read(&mut one, &mut Dealt::default(), logs.events()).await;
    one.confirm().await.unwrap();
    drop((one, embedded));
    assert!(rows(folder.path()) > 30, "the other has not read them");

    let embedded = Embedded::new(open(folder.path()));
    let mut two = embedded.feed.reader("two").await.unwrap();
    read(&mut two, &mut Dealt::default(), logs.events()).await;
    two.confirm().await.unwrap();
    drop((two, embedded));
    assert_eq!(rows(folder.path()), 2, "both have, and are known");

    let embedded = Embedded::new(open(folder.path()));
    embedded.store(logs.batch(5)).await;
    embedded.feed.unregister("one").await.unwrap();
    embedded.feed.unregister("two").await.unwrap();
    for _ in 0..20 {
        embedded.store(logs.batch(5)).await;
    }
    drop(embedded);
    assert_eq!(rows(folder.path()), 0, "nobody is left");
}

#[tokio::test]
async fn readers_and_what_they_did_not_confirm_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::new(4, 3);
    let mut dealt = Dealt::default();
    for round in 0..5 {
        let embedded = Embedded::new(open(folder.path()));
        embedded.feed.register("reader").await.unwrap();
        for _ in 0..20 {
            embedded.store(logs.batch(9)).await;
        }
        let before = dealt.new;
        let mut reader = embedded.feed.reader("reader").await.unwrap();
        assert!(matches!(embedded.feed.reader("reader").await.err(), Some(FeedError::InUse(_))));
        // Now and then it leaves off in the middle of what was written together.
        let until = logs.events() - 7 * (round % 2);
        while dealt.new < until {
            let limit = usize::try_from(until - dealt.new).unwrap().min(20);
            dealt.deal(reader.next(limit).await.unwrap().unwrap());
        }
        assert!(dealt.again == 0 && dealt.new > before, "what was confirmed came again: {dealt:?}");
        reader.confirm().await.unwrap();
        // Not confirmed: it is to come again.
        while dealt.new + dealt.again < logs.events() {
            let facts = reader.next(3).await.unwrap().unwrap();
            dealt.again += facts.len() as u64;
        }
        dealt.again = 0;
        embedded.history.close().await.unwrap();
        assert!(matches!(reader.next(1).await, Ok(None)), "the feed is closed with its history");
    }
}

#[tokio::test]
async fn the_feed_costs_no_sync_of_its_own() {
    use std::sync::atomic::Ordering::Relaxed;
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::new(open(folder.path()));
    embedded.feed.register("reader").await.unwrap();
    let mut reader = embedded.feed.reader("reader").await.unwrap();
    let (mut logs, mut dealt) = (Logs::new(4, 4), Dealt::default());
    for _ in 0..30 {
        embedded.store(logs.batch(5)).await;
        read(&mut reader, &mut dealt, logs.events()).await;
        reader.confirm().await.unwrap();
    }
    assert_eq!(embedded.history.counters().syncs.load(Relaxed), 30, "one for each batch");
}

#[tokio::test]
async fn who_falls_too_far_behind_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let embedded = Embedded::new(open_with(folder.path(), HistoryOptions { feed_facts: 100, ..options() }));
    embedded.feed.register("slow").await.unwrap();
    let mut logs = Logs::new(1, 5);
    while logs.events() < 1_000 {
        embedded.store(logs.batch(10)).await;
    }
    let mut reader = embedded.feed.reader("slow").await.unwrap();
    let lost = match reader.next(10).await {
        Err(FeedError::Lost { facts, .. }) => facts,
        other => panic!("{other:?}"),
    };
    let mut got = 0;
    while got + lost < logs.events() {
        got += reader.next(10).await.unwrap().unwrap().len() as u64;
    }
    assert!((100..=120).contains(&got) && got + lost == logs.events(), "{lost} lost and {got} read of {}", logs.events());
}

/// Makes the folder what a banter without a feed left, or one whose feed was lost.
fn remove_feed(folder: &Path, forget: bool) {
    let path = folder.join("history");
    let db = fjall::Database::builder(&path).open().unwrap();
    let feed = db.keyspace("feed", fjall::KeyspaceCreateOptions::default).unwrap();
    db.delete_keyspace(feed).unwrap();
    if forget {
        db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap().remove("feed").unwrap();
    }
    db.persist(fjall::PersistMode::SyncAll).unwrap();
}

#[tokio::test]
async fn a_folder_from_before_the_feed_gets_one_and_a_lost_one_is_missed() {
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::new(4, 6);
    let embedded = Embedded::new(open(folder.path()));
    let batch = logs.batch(5);
    let (partition, position) = (batch.partition, batch.position);
    embedded.store(batch).await;
    drop(embedded);

    remove_feed(folder.path(), true);
    for again in [false, true] {
        let embedded = Embedded::new(open(folder.path()));
        if !again {
            assert_eq!(embedded.history.position(partition).await.unwrap(), position, "what was there is there");
        }
        embedded.feed.register("reader").await.unwrap();
        let mut reader = embedded.feed.reader("reader").await.unwrap();
        let mut logs = Logs::new(4, 7);
        while logs.events() == 0 {
            embedded.store(logs.batch(5)).await;
        }
        read(&mut reader, &mut Dealt::default(), logs.events()).await;
        reader.confirm().await.unwrap();
    }

    remove_feed(folder.path(), false);
    for _ in 0..2 {
        let data = Arc::new(banter_store::data_folder::DataFolder::open(folder.path()).unwrap());
        assert!(matches!(EmbeddedHistory::open(data, options()).err(), Some(OpenError::Damaged(_))));
    }
}
