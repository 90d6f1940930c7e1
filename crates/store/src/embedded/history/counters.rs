//! What the writer did, for a metrics page.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How finely [`HistoryCounters::sync_sizes`] tells: up to 2^16 events, more than a write holds.
const SYNC_SIZES: usize = 18;

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
    /// Event rows that those syncs were for.
    pub synced_events: AtomicU64,
    /// Syncs by how many event rows they were for: at most 1, 2, 4 and so on, the last without a bound.
    sync_sizes: [AtomicU64; SYNC_SIZES],
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
        if written.batches > 0 {
            add(&self.synced_events, written.events);
            let size = written.events.max(1).next_power_of_two().trailing_zeros() as usize;
            add(&self.sync_sizes[size.min(SYNC_SIZES - 1)], 1);
        }
        add(&self.write_microseconds, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
        self.most_batches.fetch_max(written.batches, Ordering::Relaxed);
    }

    /// Upper ends of sizes in event rows, and how many syncs were of that size: more than the size before, and at most this.
    pub fn sync_sizes(&self) -> [(f64, u64); SYNC_SIZES] {
        std::array::from_fn(|size| {
            let at_most = if size == SYNC_SIZES - 1 { f64::MAX } else { (1_u64 << size) as f64 };
            (at_most, self.sync_sizes[size].load(Ordering::Relaxed))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syncs_are_counted_by_size() {
        let counters = HistoryCounters::default();
        for (batches, events) in [(1, 1), (1, 2), (2, 3), (3, 4), (1, 1 << 40), (0, 0)] {
            counters.note(Written { batches, events, ..Written::default() }, Duration::ZERO);
        }
        let sizes: Vec<_> = counters.sync_sizes().into_iter().filter(|size| size.1 > 0).collect();
        assert_eq!(sizes, [(1.0, 1), (2.0, 1), (4.0, 2), (f64::MAX, 1)]);
        assert_eq!(counters.syncs.load(Ordering::Relaxed), 5);
    }
}
