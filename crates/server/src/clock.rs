//! The clock, and the ids that are made from it.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_model::snowflake::{Generator, Unavailable};
use parking_lot::Mutex;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// For how long at a time ids are reserved, in milliseconds: one small write each time, and after a crash ids begin again when
/// the clock has passed what was reserved.
const RESERVED_MS: u64 = 200;

/// The longest that a step back of the clock is waited out, in milliseconds; beyond it ids are refused until it has caught up.
const WAITED_FOR_CLOCK_MS: u64 = 2 * RESERVED_MS;

/// Gives out the ids of this node: none twice, also when the clock steps back while the server is down.
#[derive(Debug)]
pub struct Ids(Mutex<Reserving>);

#[derive(Debug)]
struct Reserving {
    generator: Generator,
    /// Of the file that holds, in decimal, the time up to which ids may have been given out. Opened for each reservation: ids are
    /// taken on threads that have another descriptor table too (see `gateway::shards`).
    path: PathBuf,
    until: Millis,
}

impl Ids {
    /// Ids of the node whose number is leased. `path` is the file that remembers how far they went; made if it is missing. It
    /// survives the death of the process; a power cut may take back its last moments, during which the clock of a machine
    /// that starts again goes on.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no time.
    pub fn open(node: u16, path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let text = io::read_to_string(&file)?;
        let until = match text.trim() {
            "" => 0,
            text => text.parse().map_err(|_| {
                let message = format!("{} holds no time: delete it if the clock of this machine is right", path.display());
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?,
        };
        Ok(Ids(Mutex::new(Reserving { generator: Generator::after(node, until), path: path.to_owned(), until })))
    }

    /// An id, if one can be given at once.
    ///
    /// # Errors
    /// When the clock does not allow it. A reservation that cannot be written (the disk is full, say) is
    /// [`Unavailable::Exhausted`]: nothing could be stored under the id either.
    pub fn try_next(&self) -> Result<u64, Unavailable> {
        let now = now();
        let mut reserving = self.0.lock();
        if now > reserving.until {
            let until = now + RESERVED_MS;
            // Times have 13 digits until the year 2286, so a later one covers an earlier one whole.
            let written = OpenOptions::new().write(true).open(&reserving.path);
            let written = written.and_then(|file| file.write_all_at(until.to_string().as_bytes(), 0));
            written.map_err(|_| Unavailable::Exhausted)?;
            reserving.until = until;
        }
        reserving.generator.next(now)
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
