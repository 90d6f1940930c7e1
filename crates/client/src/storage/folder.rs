//! A device's folder: private, and used by one process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Error;

/// Holds the folder for this process. Two processes that number with the same tags would each lose what the other writes.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code)] File);

impl FolderLock {
    /// Takes the lock of `folder`, which is made if it is not there; waits up to `patience` for another process to end.
    pub async fn take(folder: &Path, patience: Duration) -> Result<Self, Error> {
        make_folder(folder)?;
        let file = private().create(true).truncate(false).write(true).open(folder.join("lock"))?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(FolderLock(file)),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if began.elapsed() >= patience => {
                    let message = format!("{} is used by another process: end it, or use another profile", folder.display());
                    return Err(Error::new(Error::IN_USE, message));
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// Makes `file` so that only its owner reads it. SQLite gives the same mode to the files beside it.
pub(super) fn make_private(file: &Path) -> Result<(), Error> {
    if let Some(folder) = file.parent() {
        make_folder(folder)?;
    }
    private().create(true).truncate(false).write(true).open(file)?;
    Ok(())
}

#[cfg(unix)]
fn private() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

#[cfg(not(unix))]
fn private() -> OpenOptions {
    OpenOptions::new()
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    Ok(builder.create(folder)?)
}
