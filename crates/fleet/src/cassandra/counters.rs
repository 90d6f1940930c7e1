//! What the history asked of Cassandra, for a metrics page.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the history was connected. They only grow; read them with [`Ordering::Relaxed`].
///
/// A request is one round trip to a node. Those that the driver itself repeats are counted once.
#[derive(Debug, Default)]
pub struct CassandraCounters {
    /// Batches stored.
    pub batches: AtomicU64,
    /// Steps of those batches: what was waited for in turn, the requests of each going out together.
    pub steps: AtomicU64,
    /// Event rows in those batches, new or amended.
    pub events: AtomicU64,
    /// Requests that wrote.
    pub write_requests: AtomicU64,
    /// Rows that they wrote.
    pub rows_written: AtomicU64,
    /// Requests that read.
    pub read_requests: AtomicU64,
    /// Rows that they brought.
    pub rows_read: AtomicU64,
    /// Requests that failed, after all repetitions.
    pub failed_requests: AtomicU64,
    /// Conversations whose amended events were written again when they were loaded: the last worker was interrupted, or its
    /// last batch there amended something.
    pub redone: AtomicU64,
}

impl CassandraCounters {
    /// Counts.
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
