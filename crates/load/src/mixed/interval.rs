//! What happened in a stretch of time.

use std::collections::BTreeMap;

use anyhow::Result;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

/// Counts and times, in microseconds, of a stretch.
#[derive(Clone)]
pub struct Interval {
    /// From when a message was due until a member who is online has it, for each of them.
    pub receipts: Histogram<u64>,
    /// From when a message was due until its writer knows it stored.
    pub answers: Histogram<u64>,
    /// From when a page was due until it is there.
    pub reads: Histogram<u64>,
    /// What went wrong, by code.
    pub errors: BTreeMap<String, u64>,
}

impl Interval {
    /// Nothing has happened yet.
    pub fn new() -> Result<Self> {
        let empty = || Histogram::new(3);
        Ok(Interval { receipts: empty()?, answers: empty()?, reads: empty()?, errors: BTreeMap::new() })
    }

    /// One more error.
    pub fn error(&mut self, code: &str) {
        *self.errors.entry(code.to_owned()).or_default() += 1;
    }

    /// How many errors there were.
    pub fn error_count(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Adds what happened in another stretch.
    pub fn add(&mut self, other: &Interval) -> Result<()> {
        self.receipts.add(&other.receipts)?;
        self.answers.add(&other.answers)?;
        self.reads.add(&other.reads)?;
        for (code, count) in &other.errors {
            *self.errors.entry(code.clone()).or_default() += count;
        }
        Ok(())
    }

    /// Takes what is in `shared`, and leaves it empty.
    pub fn take(shared: &Mutex<Interval>) -> Result<Interval> {
        let empty = Interval::new()?;
        Ok(std::mem::replace(&mut *shared.lock(), empty))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_add_up_and_are_taken_once() {
        let shared = Mutex::new(Interval::new().unwrap());
        shared.lock().receipts.record(7).unwrap();
        shared.lock().error("busy");
        let mut all = Interval::take(&shared).unwrap();
        assert_eq!(shared.lock().receipts.len(), 0);
        shared.lock().reads.record(9).unwrap();
        shared.lock().error("busy");
        all.add(&Interval::take(&shared).unwrap()).unwrap();
        assert_eq!((all.receipts.len(), all.reads.len(), all.error_count()), (1, 1, 2));
    }
}
