//! What the writer did, for a metrics page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counters since the history was opened. They only grow; read them with [`Ordering::Relaxed`].
#[derive(Debug, Default)]
pub struct HistoryCounters {
    /// Batches stored.
    pub batches: AtomicU64,
    /// Event rows stored, new or amended.
    pub events: AtomicU64,
    /// Bytes of all rows stored, keys included.
    pub bytes: AtomicU64,
    /// Times that read markers were moved forward.
    pub advances: AtomicU64,
    /// Writes to the engine; each takes all that is waiting.
    pub writes: AtomicU64,
    /// Syncs of the journal for those writes: one for each that holds a batch.
    pub syncs: AtomicU64,
    /// Most batches in one write.
    pub most_batches: AtomicU64,
    /// Time spent in those writes, their syncs included, in microseconds.
    pub write_microseconds: AtomicU64,
    /// Batches and advances refused because the disk is full or the engine failed.
    pub refused: AtomicU64,
}

/// What one write held.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub batches: u64,
    pub events: u64,
    pub bytes: u64,
    pub advances: u64,
}

impl HistoryCounters {
    /// Counts a write, and how long it took.
    pub(super) fn note(&self, written: Written, time: Duration) {
        let add = |counter: &AtomicU64, count: u64| counter.fetch_add(count, Ordering::Relaxed);
        add(&self.batches, written.batches);
        add(&self.events, written.events);
        add(&self.bytes, written.bytes);
        add(&self.advances, written.advances);
        add(&self.writes, 1);
        add(&self.syncs, u64::from(written.batches > 0));
        add(&self.write_microseconds, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.most_batches.fetch_max(written.batches, Ordering::Relaxed);
    }
}
