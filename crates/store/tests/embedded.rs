//! The embedded engines: the behaviour that all engines share, and what only these have.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

#[path = "embedded/crash.rs"]
mod crash;
#[path = "embedded/durability.rs"]
mod durability;
#[path = "embedded/feed.rs"]
mod feed;
#[path = "embedded/full_disk.rs"]
mod full_disk;
#[path = "embedded/members.rs"]
mod members;
#[path = "embedded/pages.rs"]
mod pages;
#[path = "embedded/torn.rs"]
mod torn;

use std::path::Path;
use std::sync::Arc;

use banter_store::behaviour;
use banter_store::data_folder::DataFolder;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions, OpenError};
use banter_store::embedded::queue::EmbeddedQueue;
use banter_store::history::movable::MovableHistory;

/// Small, so that tests get to see tables and compactions.
fn options() -> HistoryOptions {
    HistoryOptions { cache_bytes: 4 << 20, memtable_bytes: 256 << 10, ..HistoryOptions::default() }
}

fn open(path: &Path) -> EmbeddedHistory {
    open_with(path, options())
}

fn open_with(path: &Path, options: HistoryOptions) -> EmbeddedHistory {
    EmbeddedHistory::open(Arc::new(DataFolder::open(path).unwrap()), options).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_behaves() {
    let folder = tempfile::tempdir().unwrap();
    behaviour::history::all(Arc::new(open(folder.path())), behaviour::seed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn history_is_movable() {
    let folder = tempfile::tempdir().unwrap();
    behaviour::history::movable::all(&open(folder.path()), behaviour::seed()).await;
}

#[tokio::test]
async fn a_history_that_a_move_has_not_filled_is_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Arc::new(DataFolder::open(folder.path()).unwrap());
    let half = EmbeddedHistory::open_to_move(folder.clone(), options()).unwrap();
    half.set_move_note(Some(b"half")).await.unwrap();
    drop(half);
    assert!(matches!(EmbeddedHistory::open(folder.clone(), options()), Err(OpenError::HalfMoved)));
    let moved = EmbeddedHistory::open_to_move(folder.clone(), options()).unwrap();
    moved.set_move_note(None).await.unwrap();
    drop(moved);
    EmbeddedHistory::open(folder, options()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queue_keeps_order_and_counts_positions() {
    for (partitions, capacity) in [(1, 1), (8, 7), (32, 1_000)] {
        let starts: Vec<u64> = (0..u64::from(partitions)).map(|partition| partition * 1_000_003).collect();
        let (queue, readers) = EmbeddedQueue::new(partitions, capacity, &starts);
        behaviour::queue::order_and_positions(queue, readers, &starts, behaviour::seed()).await;
    }
}

#[tokio::test]
async fn queue_is_bounded() {
    for capacity in [1, 5] {
        let (queue, readers) = EmbeddedQueue::new(2, capacity, &[0, 0]);
        behaviour::queue::bounded(queue, readers, capacity as u64, async {}).await;
    }
}

#[tokio::test]
async fn queue_drains_when_closed() {
    let (queue, readers) = EmbeddedQueue::new(3, 10, &[0, 5, 9]);
    let (_queue, readers) = behaviour::queue::closing_refuses(queue, readers, 10, EmbeddedQueue::close, async {}).await;
    behaviour::queue::closed_and_empty_ends(readers).await;
}

#[tokio::test]
async fn the_one_process_is_assigned_every_partition() {
    for partitions in [1, 32] {
        let (queue, assignment) = EmbeddedQueue::assigned(partitions, 10);
        behaviour::assignment::one_reads_all(queue, assignment, behaviour::seed()).await;
    }
}

#[tokio::test]
async fn a_dropped_queue_ends_its_readers_after_what_is_queued() {
    use banter_store::behaviour::{Random, queue};
    use banter_store::{CommandQueue, PartitionReader};
    let (embedded, mut readers) = EmbeddedQueue::new(1, 10, &[41]);
    let id = queue::conversation_in(0, 1, &mut Random::new(1));
    embedded.try_push(queue::envelope(id, 1)).unwrap();
    assert_eq!(embedded.waiting(0), 1);
    drop(embedded);
    assert_eq!(readers[0].next_batch(10).await, Some(vec![(42, queue::envelope(id, 1))]));
    assert_eq!(readers[0].next_batch(10).await, None);
}
