//! Positions, written behind the batches that they stand for.
//!
//! Nobody waits for them, and of several that wait for the same partition only the latest is written: under load one write stands
//! for many batches.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use banter_store::history::plan::Write;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::connection::Connection;
use super::schema::SHARE_BITS;
use super::write;

/// Pause after a write that failed; doubled with each that follows it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The positions that this process has reached, and the task that writes them.
pub(super) struct Positions {
    noted: Arc<Mutex<HashMap<u32, Noted>>>,
    /// Counts notes; the task waits for it to change.
    notes: watch::Sender<u64>,
    /// How many notes were written.
    written: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// How far a partition is. There are no more of them than partitions that this process ever worked on.
#[derive(Debug, Clone, Copy, Default)]
struct Noted {
    position: u64,
    written: u64,
}

impl Positions {
    /// Starts the task that writes them.
    pub fn start(connection: Arc<Connection>) -> Positions {
        let noted = Arc::default();
        let (notes, waiting) = watch::channel(0);
        let (done, written) = watch::channel(0);
        let task = tokio::spawn(write_behind(connection, Arc::clone(&noted), waiting, done));
        Positions { noted, notes, written, task }
    }

    /// Everything up to `position` is stored.
    pub fn note(&self, partition: u32, position: u64) {
        let mut noted = self.noted.lock();
        let entry = noted.entry(partition).or_default();
        entry.position = entry.position.max(position);
        drop(noted);
        self.notes.send_modify(|notes| *notes += 1);
    }

    /// How far `partition` is, as far as this process brought it; 0 if it did nothing there.
    pub fn of(&self, partition: u32) -> u64 {
        self.noted.lock().get(&partition).map_or(0, |noted| noted.position)
    }

    /// Waits until everything noted before is written.
    pub async fn settled(&self) {
        let notes = *self.notes.borrow();
        let mut written = self.written.clone();
        // It ends with an error only when the task is gone, and then there is nothing to wait for.
        let _ = written.wait_for(|written| *written >= notes).await;
    }
}

impl Drop for Positions {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where a position is: its share, and its partition.
pub(super) fn place(partition: u32) -> (i64, i64) {
    (i64::from(partition >> SHARE_BITS), i64::from(partition))
}

async fn write_behind(
    connection: Arc<Connection>,
    noted: Arc<Mutex<HashMap<u32, Noted>>>,
    mut notes: watch::Receiver<u64>,
    done: watch::Sender<u64>,
) {
    let mut pause = FIRST_PAUSE;
    while notes.changed().await.is_ok() {
        loop {
            let up_to = *notes.borrow_and_update();
            let waiting: Vec<(u32, u64)> = {
                let noted = noted.lock();
                noted
                    .iter()
                    .filter(|(_, noted)| noted.position > noted.written)
                    .map(|(id, noted)| (*id, noted.position))
                    .collect()
            };
            let writes =
                waiting.iter().map(|(partition, position)| Write::Position { partition: *partition, position: *position });
            match write::carry_out(&connection, writes.collect()).await {
                Ok(()) => {
                    let mut noted = noted.lock();
                    for (partition, position) in waiting {
                        noted.entry(partition).or_default().written = position;
                    }
                    drop(noted);
                    pause = FIRST_PAUSE;
                    done.send_replace(up_to);
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "positions are not written; trying again");
                    tokio::time::sleep(pause).await;
                    pause = (2 * pause).min(LONGEST_PAUSE);
                }
            }
        }
    }
}
