//! The clock, and the ids that are made from it.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_model::snowflake::{Generator, Unavailable};
use banter_store::cluster::IdFloor;
use banter_store::embedded::id_floor::{FileFloor, RESERVED_MS};
use parking_lot::Mutex;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The longest that a step back of the clock is waited out, in milliseconds; beyond it ids are refused until it has caught up.
const WAITED_FOR_CLOCK_MS: u64 = 2 * RESERVED_MS;

/// Gives out the ids of this node: none twice, also when the clock steps back while the server is down.
#[derive(Debug)]
pub struct Ids {
    generator: Mutex<Generator>,
    floor: Arc<dyn IdFloor>,
}

impl Ids {
    /// Ids of the node whose number is leased; `floor` says how far they may go.
    pub fn new(node: u16, floor: Arc<dyn IdFloor>) -> Self {
        Ids { generator: Mutex::new(Generator::after(node, floor.after())), floor }
    }

    /// Ids whose floor is in the file at `path`; see [`FileFloor::open`].
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no time.
    pub fn open(node: u16, path: &Path) -> io::Result<Self> {
        Ok(Self::new(node, Arc::new(FileFloor::open(path)?)))
    }

    /// An id, if one can be given at once.
    ///
    /// # Errors
    /// When the clock does not allow it. Where the floor cannot be raised (the disk is full, or the number may no longer be this
    /// node's), it is [`Unavailable::Exhausted`].
    pub fn try_next(&self) -> Result<u64, Unavailable> {
        let now = now();
        if self.floor.until(now) < now {
            return Err(Unavailable::Exhausted);
        }
        self.generator.lock().next(now)
    }

    /// An id, waiting for the next millisecond or for a clock that stepped back a little.
    ///
    /// # Errors
    /// When the clock is further behind than it is waited for, or out of range, or ids cannot be reserved.
    pub async fn next(&self) -> Result<u64, Unavailable> {
        let mut patience = WAITED_FOR_CLOCK_MS;
        loop {
            let wait_ms = match self.try_next() {
                Ok(id) => return Ok(id),
                Err(Unavailable::Exhausted) => 1,
                Err(Unavailable::ClockBehind { behind_ms }) => behind_ms + 1,
                Err(unavailable) => return Err(unavailable),
            };
            patience = patience.checked_sub(wait_ms).ok_or(Unavailable::ClockBehind { behind_ms: wait_ms })?;
            tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use banter_model::snowflake::time_of;

    use super::*;

    #[tokio::test]
    async fn a_restart_goes_on_after_the_last_run() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let first = Ids::open(0, &path).unwrap().next().await.unwrap();
        let second = Ids::open(0, &path).unwrap();
        assert!(second.try_next().is_err(), "what the first run reserved is not over yet");
        assert!(second.next().await.unwrap() > first);
    }

    #[tokio::test]
    async fn a_clock_far_behind_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let tomorrow = now() + 86_400_000;
        std::fs::write(&path, tomorrow.to_string()).unwrap();
        let refused = Ids::open(0, &path).unwrap().next().await;
        assert!(matches!(refused, Err(Unavailable::ClockBehind { behind_ms }) if behind_ms > 86_000_000), "{refused:?}");
        std::fs::write(&path, "yesterday").unwrap();
        assert_eq!(Ids::open(0, &path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[tokio::test]
    async fn ids_are_of_now() {
        let folder = tempfile::tempdir().unwrap();
        let before = now();
        let id = Ids::open(7, &folder.path().join("ids")).unwrap().next().await.unwrap();
        assert!((before..=now()).contains(&time_of(id)));
    }
}
