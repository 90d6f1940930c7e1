//! What went wrong, and how often.

use std::collections::BTreeMap;

use serde::Serialize;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Tally(BTreeMap<String, u64>);

impl Tally {
    /// One more of `name`.
    pub fn count(&mut self, name: impl Into<String>) {
        *self.0.entry(name.into()).or_default() += 1;
    }

    /// What `other` counted, too.
    pub fn add(&mut self, other: &Tally) {
        for (name, count) in &other.0 {
            *self.0.entry(name.clone()).or_default() += count;
        }
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }
}
