//! What is moved, and where to.

use std::sync::Arc;

use banter_store::directory::movable::MovableDirectory;
use banter_store::history::movable::MovableHistory;

use crate::Identity;

/// An installation. No server is running on it.
#[derive(Clone)]
pub struct Installation {
    /// Its people.
    pub directory: Arc<dyn MovableDirectory>,
    /// Its logs.
    pub history: Arc<dyn MovableHistory>,
    /// What it is beside them.
    pub identity: Arc<dyn Identity>,
    /// Its queue, which is empty: everything in it was applied.
    pub queue: Queue,
}

/// Which positions a queue gives next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Queue {
    /// Those after the ones that the history holds, whatever they are: the embedded queue.
    AfterHistory {
        /// How many partitions it has.
        partitions: u32,
    },
    /// Those after these, one for each partition: a topic that was made.
    After(Vec<u64>),
}

impl Queue {
    /// How many partitions it has.
    pub fn partitions(&self) -> u32 {
        match self {
            Queue::AfterHistory { partitions } => *partitions,
            // Partitions are numbered with 32 bits.
            Queue::After(positions) => positions.len() as u32,
        }
    }
}
