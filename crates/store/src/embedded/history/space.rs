//! Room on the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::data_folder::free_space;

/// Watches the free space of the data folder.
pub(super) struct Space {
    folder: PathBuf,
    reserve: u64,
    every: Duration,
    checked: Option<Instant>,
    full: bool,
}

impl Space {
    /// Watches `folder`, asking the system at most once in `every`.
    pub fn new(folder: PathBuf, reserve: u64, every: Duration) -> Space {
        Space { folder, reserve, every, checked: None, full: false }
    }

    /// Is less than the reserve left?
    pub fn is_full(&mut self) -> bool {
        if self.checked.is_none_or(|checked| checked.elapsed() >= self.every) {
            // If the system cannot say, the write itself will.
            self.full = free_space(&self.folder).is_ok_and(|free| free < self.reserve);
            self.checked = Some(Instant::now());
        }
        self.full
    }
}
