//! How far ids went, in a file of the data folder.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use banter_model::Millis;
use parking_lot::Mutex;

use crate::cluster::IdFloor;

/// For how long at a time ids are reserved, in milliseconds: one small write each time, and after a crash ids begin again when
/// the clock has passed what was reserved.
pub const RESERVED_MS: u64 = 200;

/// The floor of a node whose number is leased by the lock of its data folder.
#[derive(Debug)]
pub struct FileFloor {
    /// Holds, in decimal, the time up to which ids may have been given out. Opened for each reservation: ids are taken on
    /// threads that have a descriptor table of their own too.
    path: PathBuf,
    after: Millis,
    until: AtomicU64,
    writing: Mutex<()>,
}

impl FileFloor {
    /// The floor in the file at `path`; made if it is missing. It survives the death of the process; a power cut may take back
    /// its last moments, during which the clock of a machine that starts again goes on.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds no time.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let text = io::read_to_string(&file)?;
        let after = match text.trim() {
            "" => 0,
            text => text.parse().map_err(|_| {
                let message = format!("{} holds no time: delete it if the clock of this machine is right", path.display());
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?,
        };
        Ok(FileFloor { path: path.to_owned(), after, until: AtomicU64::new(after), writing: Mutex::new(()) })
    }
}

impl IdFloor for FileFloor {
    fn after(&self) -> Millis {
        self.after
    }

    /// If the file cannot be written (the disk is full, say) it stays where it is: nothing could be stored under new ids either.
    fn until(&self, now: Millis) -> Millis {
        let until = self.until.load(Ordering::Acquire);
        if now <= until {
            return until;
        }
        let _alone = self.writing.lock();
        let until = self.until.load(Ordering::Acquire);
        if now <= until {
            return until;
        }
        let next = now + RESERVED_MS;
        // Times have 13 digits until the year 2286, so a later one covers an earlier one whole.
        let written = OpenOptions::new().write(true).open(&self.path);
        match written.and_then(|file| file.write_all_at(next.to_string().as_bytes(), 0)) {
            Ok(()) => {
                self.until.store(next, Ordering::Release);
                next
            }
            Err(_) => until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    #[test]
    fn the_next_run_begins_after_the_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let floor = FileFloor::open(&path).unwrap();
        assert_eq!(floor.after(), 0);
        let until = floor.until(NOW);
        assert!(until > NOW);
        assert_eq!(floor.until(NOW - 5), until, "a clock that steps back takes nothing back");
        let later = floor.until(until + 1);
        assert!(later > until + 1);
        assert_eq!(FileFloor::open(&path).unwrap().after(), later);
    }

    #[test]
    fn what_cannot_be_written_is_not_reserved() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let floor = FileFloor::open(&path).unwrap();
        let until = floor.until(NOW);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(floor.until(until + 1), until);
        std::fs::write(&path, "yesterday").unwrap();
        assert_eq!(FileFloor::open(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
