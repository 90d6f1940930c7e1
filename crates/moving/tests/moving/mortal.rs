//! Engines that die at a chosen moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use banter_moving::Installation;
use banter_store::StoreError;
use banter_store::directory::DirectoryError;
use banter_store::directory::movable::{DirectoryPlace, DirectoryRecord, MovableDirectory};
use banter_store::history::PageSize;
use banter_store::history::movable::{HistoryPlace, HistoryRecord, MovableHistory};

/// Records that these engines give at most at once, so that a small installation is many parts.
const PART: usize = 40;

/// How many more operations are done, and how much of the one at which it ends: none of it, half, or all of it without an answer.
#[derive(Clone)]
pub struct Life {
    given: i64,
    left: Arc<AtomicI64>,
    halves: usize,
}

impl Life {
    /// `halves` is 0, 1 or 2.
    pub fn new(operations: u64, halves: u64) -> Life {
        let given = operations as i64;
        Life { given, left: Arc::new(AtomicI64::new(given)), halves: halves as usize }
    }

    /// How many operations were done.
    pub fn done(&self) -> u64 {
        (self.given - self.left.load(Ordering::SeqCst)) as u64
    }

    /// `installation`, whose engines die when the life is over.
    pub fn of(&self, installation: &Installation) -> Installation {
        Installation {
            directory: Arc::new(MortalDirectory(installation.directory.clone(), self.clone())),
            history: Arc::new(MortalHistory(installation.history.clone(), self.clone())),
            ..installation.clone()
        }
    }

    /// How much of an operation with `parts` parts is done before it dies; `None` when all of it, and it is answered.
    fn dies(&self, parts: usize) -> Option<usize> {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        (left <= 0).then(|| if left < 0 { 0 } else { parts * self.halves / 2 })
    }
}

struct MortalDirectory(Arc<dyn MovableDirectory>, Life);

#[async_trait]
impl MovableDirectory for MortalDirectory {
    async fn records(&self, after: &DirectoryPlace, limit: usize) -> Result<Vec<DirectoryRecord>, DirectoryError> {
        match self.1.dies(0) {
            Some(_) => Err(DirectoryError::Failed("killed".to_owned())),
            None => self.0.records(after, limit.min(PART)).await,
        }
    }

    async fn restore(&self, records: &[DirectoryRecord]) -> Result<(), DirectoryError> {
        match self.1.dies(records.len()) {
            Some(done) => {
                // All or none, as it promises.
                if done == records.len() {
                    self.0.restore(records).await?;
                }
                Err(DirectoryError::Failed("killed".to_owned()))
            }
            None => self.0.restore(records).await,
        }
    }
}

struct MortalHistory(Arc<dyn MovableHistory>, Life);

#[async_trait]
impl MovableHistory for MortalHistory {
    async fn records(&self, after: &HistoryPlace, page: PageSize) -> Result<Vec<HistoryRecord>, StoreError> {
        match self.1.dies(0) {
            Some(_) => Err(StoreError::Failed("killed".to_owned())),
            None => self.0.records(after, PageSize { events: page.events.min(PART), ..page }).await,
        }
    }

    async fn restore(&self, mut records: Vec<HistoryRecord>) -> Result<(), StoreError> {
        match self.1.dies(records.len()) {
            Some(done) => {
                records.truncate(done);
                self.0.restore(records).await?;
                Err(StoreError::Failed("killed".to_owned()))
            }
            None => self.0.restore(records).await,
        }
    }

    async fn move_note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        match self.1.dies(0) {
            Some(_) => Err(StoreError::Failed("killed".to_owned())),
            None => self.0.move_note().await,
        }
    }

    async fn set_move_note(&self, note: Option<&[u8]>) -> Result<(), StoreError> {
        match self.1.dies(1) {
            Some(done) => {
                if done == 1 {
                    self.0.set_move_note(note).await?;
                }
                Err(StoreError::Failed("killed".to_owned()))
            }
            None => self.0.set_move_note(note).await,
        }
    }
}
