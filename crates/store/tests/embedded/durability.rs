//! Opening, closing, and one sync for many.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use banter_model::{ConversationId, GroupId, Marker, UserId};
use banter_store::behaviour::history::{head, message, row};
use banter_store::data_folder::{DataFolder, DataFolderError, Severity, examine};
use banter_store::embedded::history::{EmbeddedHistory, FORMAT, HistoryOptions, OpenError, WriteState};
use banter_store::history::{Advance, Order, PageSize};
use banter_store::{History, HistoryBatch, StoreError};

use crate::{open, open_with, options};

const GROUP: ConversationId = ConversationId::Group(GroupId(1));

fn batch(position: u64) -> HistoryBatch {
    HistoryBatch {
        partition: 3,
        position,
        events: vec![row(GROUP, position, message(position, "text"))],
        heads: vec![(GROUP, head(position))],
        ..HistoryBatch::default()
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let advance = Advance { read: Marker { seq: 5, ordinal: 5 }, delivered: 6 };
    for round in 0..3_u64 {
        let history = open(folder.path());
        assert_eq!(history.position(3).await.unwrap(), round * 100);
        for position in round * 100 + 1..=round * 100 + 100 {
            history.commit(batch(position)).await.unwrap();
        }
        history.advance(UserId(9), GROUP, advance, 77).await.unwrap();
        // Once dropped, once closed first.
        if round == 1 {
            history.close().await.unwrap();
        }
    }
    let history = open(folder.path());
    let progress = history.progress(UserId(9), GROUP).await.unwrap();
    assert_eq!((progress.read, progress.delivered, progress.changed_at), (advance.read, 6, 77));
    assert_eq!(history.heads(&[GROUP]).await.unwrap(), [Some(head(300))]);
    let size = PageSize { events: 1_000, bytes: usize::MAX };
    let events = history.events(GROUP, 1, 1_000, Order::OldestFirst, size).await.unwrap();
    assert_eq!(events, (1..=300).map(|seq| message(seq, "text")).collect::<Vec<_>>());
}

#[tokio::test]
async fn closed_it_is_read_and_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    history.commit(batch(1)).await.unwrap();
    let (one, other) = tokio::join!(history.close(), history.close());
    one.unwrap();
    other.unwrap();
    history.close().await.unwrap();
    assert!(matches!(history.commit(batch(2)).await, Err(StoreError::ReadOnly(_))));
    let advance = Advance { delivered: 1, ..Advance::default() };
    assert!(matches!(history.advance(UserId(9), GROUP, advance, 1).await, Err(StoreError::ReadOnly(_))));
    assert_eq!(history.event(GROUP, 1).await.unwrap(), Some(message(1, "text")));
    assert_eq!(history.event(GROUP, 2).await.unwrap(), None);
}

#[tokio::test]
async fn the_folder_stays_locked_as_long_as_its_history_is_open() {
    let path = tempfile::tempdir().unwrap();
    let folder = Arc::new(DataFolder::open(path.path()).unwrap());
    let history = EmbeddedHistory::open(Arc::clone(&folder), options()).unwrap();
    drop(folder);
    assert!(matches!(DataFolder::open(path.path()), Err(DataFolderError::InUse { .. })));
    drop(history);
    DataFolder::open(path.path()).unwrap();
}

#[tokio::test]
async fn another_format_is_refused() {
    for written in [FORMAT - 1, FORMAT + 1] {
        let folder = tempfile::tempdir().unwrap();
        drop(open(folder.path()));
        {
            let db = fjall::Database::builder(folder.path().join("history")).open().unwrap();
            let meta = db.keyspace("meta", fjall::KeyspaceCreateOptions::default).unwrap();
            meta.insert("format", written.to_be_bytes()).unwrap();
            db.persist(fjall::PersistMode::SyncAll).unwrap();
        }
        let opened = EmbeddedHistory::open(Arc::new(DataFolder::open(folder.path()).unwrap()), options());
        match opened.err() {
            Some(OpenError::OlderFormat { found } | OpenError::NewerFormat { found }) => assert_eq!(found, written),
            other => panic!("format {written}: {other:?}"),
        }
    }
}

/// The engine would begin an empty one in its place, and nobody would know.
#[tokio::test]
async fn a_lost_table_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    history.commit(batch(1)).await.unwrap();
    drop(history);
    std::fs::remove_dir_all(folder.path().join("history/keyspaces/3")).unwrap();
    let opened = EmbeddedHistory::open(Arc::new(DataFolder::open(folder.path()).unwrap()), options());
    assert!(matches!(opened.err(), Some(OpenError::Damaged(_))));
}

#[tokio::test]
async fn an_interrupted_creation_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("history.new");
    drop(DataFolder::open(folder.path()).unwrap());
    // What the engine leaves when it is stopped before it has written its version: it would not open that again.
    std::fs::create_dir_all(half.join("keyspaces")).unwrap();
    std::fs::write(half.join("0.jnl"), [0; 100]).unwrap();
    let history = open(folder.path());
    history.commit(batch(1)).await.unwrap();
    assert!(!half.exists());
}

/// Not by time but by count: with 64 partitions at work on one core or two, a write that takes what waits needs far fewer
/// syncs than one for each batch. Each worker has one batch under way, as real ones do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_takes_the_batches_of_many_partitions() {
    const PARTITIONS: u64 = 64;
    const EACH: u64 = 50;
    let folder = tempfile::tempdir().unwrap();
    let history = Arc::new(open(folder.path()));
    let workers: Vec<_> = (0..PARTITIONS)
        .map(|partition| {
            let history = Arc::clone(&history);
            tokio::spawn(async move {
                let id = ConversationId::Group(GroupId(partition + 1));
                for position in 1..=EACH {
                    let events = vec![row(id, position, message(position, "text"))];
                    let batch = HistoryBatch { partition: partition as u32, position, events, ..HistoryBatch::default() };
                    history.commit(batch).await.unwrap();
                    assert_eq!(history.position(partition as u32).await.unwrap(), position);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
    let counters = history.counters();
    assert_eq!(get(&counters.batches), PARTITIONS * EACH);
    assert_eq!(get(&counters.events), PARTITIONS * EACH);
    assert!(get(&counters.syncs) >= EACH, "a worker's next batch was taken before the one before was synced");
    assert!(get(&counters.syncs) < PARTITIONS * EACH / 2, "{} syncs", get(&counters.syncs));
    assert!(get(&counters.most_batches) > 1);
    assert!(get(&counters.bytes) > PARTITIONS * EACH * 24);
}

#[tokio::test]
async fn read_markers_are_not_synced_and_not_written_twice() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    for delivered in [5, 5, 4, 6] {
        history.advance(UserId(9), GROUP, Advance { delivered, ..Advance::default() }, 1).await.unwrap();
    }
    let counters = history.counters();
    assert_eq!((get(&counters.advances), get(&counters.writes), get(&counters.syncs)), (2, 2, 0));
    assert_eq!(history.write_state(), WriteState::Writing);
}

#[tokio::test]
async fn the_doctor_sees_and_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("data");
    let reserve = HistoryOptions::default().reserve_bytes;
    let worst =
        |path: &std::path::Path, reserve| examine(path, reserve).into_iter().map(|finding| finding.severity).max().unwrap();
    assert_eq!(worst(&path, reserve), Severity::Warning);
    assert!(!path.exists(), "looking created the folder");

    let history = open(&path);
    history.commit(batch(1)).await.unwrap();
    let text = |reserve| examine(&path, reserve).into_iter().map(|finding| finding.text).collect::<Vec<_>>().join("\n");
    assert!(text(1).contains(&format!("a server is using it now (process {})", std::process::id())), "{}", text(1));
    drop(history);
    let before = listing(&path);
    assert!(text(1).contains("no server is using it now") && text(1).contains("1 of the history's journals were checked"));
    // No directory of people and no key yet.
    assert_eq!(worst(&path, 1), Severity::Warning, "{}", text(1));
    assert_eq!(worst(&path, u64::MAX), Severity::Fault, "no disk has that much room");
    assert_eq!(listing(&path), before, "looking changed something");

    std::fs::write(path.join("format"), "banter data folder\nformat 9\n").unwrap();
    assert_eq!(worst(&path, 1), Severity::Fault);
}

#[tokio::test]
async fn damaged_tables_are_told_and_where_they_are() {
    let base = tempfile::tempdir().unwrap();
    let path = base.path().join("data");
    // Small, so that there are tables soon.
    let options = || HistoryOptions { memtable_bytes: 64 << 10, ..options() };
    let tables = path.join("history/keyspaces");
    let files = || listing(&tables).into_iter().map(|(file, ..)| file).filter(|file| file.is_file());
    let is_table = |file: &std::path::Path| file.parent().is_some_and(|folder| folder.ends_with("tables"));
    let history = open_with(&path, options());
    for position in 1.. {
        if position > 1 && files().any(|file| is_table(&file)) {
            break;
        }
        assert!(position < 10_000, "no table was made");
        let events = vec![row(GROUP, position, message(position, &"x".repeat(40_000)))];
        history.commit(HistoryBatch { events, ..batch(position) }).await.unwrap();
    }
    drop(history);
    let mut damaged = 0;
    for file in files().filter(|file| is_table(file) || file.ends_with("current")) {
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, &whole[..whole.len() / 4]).unwrap();
        let folder = Arc::new(DataFolder::open(&path).unwrap());
        match EmbeddedHistory::open(folder, options()) {
            Err(OpenError::Damaged(text)) => {
                assert!(text.contains(tables.to_str().unwrap()) && text.contains("backup"), "{text}");
            }
            Err(error) => panic!("{}: {error}", file.display()),
            Ok(_) => panic!("opened without most of {}", file.display()),
        }
        std::fs::write(&file, whole).unwrap();
        damaged += usize::from(is_table(&file));
    }
    assert!(damaged > 0, "no table is left");
    drop(open_with(&path, options()));
}

/// Every file below a folder, with its size and the time of its last change.
fn listing(path: &std::path::Path) -> Vec<(std::path::PathBuf, u64, std::time::SystemTime)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        let meta = entry.metadata().unwrap();
        found.push((entry.path(), meta.len(), meta.modified().unwrap()));
        if meta.is_dir() {
            found.extend(listing(&entry.path()));
        }
    }
    found.sort();
    found
}

/// More than the journals may hold, through several of them, tables and compactions, reopened in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_when_journals_are_removed() {
    use banter_store::behaviour::Random;
    const BATCHES: u64 = 240;
    let event = |batch: u64, number: u64| {
        let mut random = Random::new(batch << 8 | number);
        let text: String =
            (0..40_000 / 8).flat_map(|_| random.bits().to_le_bytes()).map(|byte| char::from(b' ' + byte % 95)).collect();
        message(batch * 20 + number, &text)
    };
    let group = |number: u64| ConversationId::Group(GroupId(number + 1));
    let folder = tempfile::tempdir().unwrap();
    let options = || HistoryOptions { memtable_bytes: 4 << 20, journal_bytes: HistoryOptions::LEAST_JOURNAL_BYTES, ..options() };
    let mut history = open_with(folder.path(), options());
    for batch in 0..BATCHES {
        let events: Vec<_> = (1..=20).map(|number| row(group(number), batch + 1, event(batch, number))).collect();
        let heads = events.iter().map(|row| (row.conversation, head(row.event.seq))).collect();
        history
            .commit(HistoryBatch { partition: 1, position: batch + 1, events, heads, ..HistoryBatch::default() })
            .await
            .unwrap();
        if batch % 100 == 50 {
            // Written seldom: what keeps an old journal in use, and is found in no other.
            history.advance(UserId(batch), group(1), Advance { delivered: batch, ..Advance::default() }, 1).await.unwrap();
            drop(history);
            history = open_with(folder.path(), options());
        }
    }
    drop(history);
    let journals = std::fs::read_dir(folder.path().join("history")).unwrap().map(|entry| entry.unwrap().path());
    let journals: Vec<_> = journals.filter(|path| path.extension().is_some_and(|end| end == "jnl")).collect();
    let first = journals.iter().map(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap()).min();
    assert!(first > Some(0), "no journal was removed: {journals:?}");

    let history = open_with(folder.path(), options());
    assert_eq!(history.position(1).await.unwrap(), BATCHES);
    for batch in 0..BATCHES {
        for number in 1..=20 {
            let stored = history.event(group(number), batch * 20 + number).await.unwrap();
            assert!(stored == Some(event(batch, number)), "event {number} of batch {batch}");
        }
        if batch % 100 == 50 {
            assert_eq!(history.progress(UserId(batch), group(1)).await.unwrap().delivered, batch);
        }
    }
}
