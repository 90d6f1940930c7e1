//! The data folder: where a single server keeps everything.
//!
//! ```text
//! format             what this folder is, the version of its layout, and whether all of its parts were ever there
//! lock               locked while a server uses the folder; holds that server's process id
//! history/           the logs (crate::embedded::history)
//! directory.sqlite   the people (crate::directory::sql)
//! secret             the key that tokens are signed with
//! ids                how far ids went (in milliseconds since the Unix epoch)
//! ```

mod examine;
mod format_file;

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub use examine::{Finding, Severity, examine};
pub use format_file::FORMAT;
use format_file::{FORMAT_FILE, FORMAT_FILE_NEW, Format, FormatFile, read_format, write_format};

const LOCK_FILE: &str = "lock";
const HISTORY: &str = "history";
const DIRECTORY: &str = "directory.sqlite";
const SECRET_KEY: &str = "secret";
/// How far ids went; may be missing, for then the clock alone decides.
const IDS: &str = "ids";
/// What may lie in a folder that is not a data folder yet: what an interrupted creation leaves, and what ext4 puts in every
/// file system.
const NOT_FOREIGN: [&str; 3] = [FORMAT_FILE_NEW, LOCK_FILE, "lost+found"];

/// The data folder of this process. No other process can open it as long as this lives.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    /// Unlocked when it is closed, however the process ends.
    _lock: File,
}

/// The folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process has it open.
    #[error("the data folder {} is in use by another server{}", path.display(), process(*pid))]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The process that has it, if it said so.
        pid: Option<u32>,
    },
    /// It cannot be written to, or not even be read.
    #[error("the data folder {} is not writable for this user: {source}", path.display())]
    NotWritable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A newer banter wrote it.
    #[error("the data folder {} has format {found}, and this program knows formats up to {FORMAT}: run the banter that wrote it, or a newer one", path.display())]
    NewerFormat {
        /// The folder.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// There is something else in it.
    #[error("{} is not a data folder and not empty ({found}): give the path of a new or empty folder", path.display())]
    NotADataFolder {
        /// The folder.
        path: PathBuf,
        /// Something that lies there.
        found: String,
    },
    /// A part of it is gone. A server that made a new one would number what is said from 1 again, know nobody, or log
    /// everybody out.
    #[error("the data folder {} has lost {}: restore the whole folder from a backup", path.display(), missing.join(" and "))]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        missing: Vec<&'static str>,
    },
    /// The system failed.
    #[error("the data folder {} cannot be opened: {source}", path.display())]
    Failed {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn process(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

impl DataFolder {
    /// Opens the folder and locks it, after creating it (readable for this user only) if it is missing.
    ///
    /// A crash at any instant of the creation leaves a folder that the next call completes. A folder that was
    /// [marked as complete](DataFolder::mark_complete) is refused if a part of it is gone.
    pub fn open(path: impl AsRef<Path>) -> Result<DataFolder, DataFolderError> {
        let path = path.as_ref();
        create(path).map_err(|source| failed(path, source))?;
        refuse_foreign(path)?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join(LOCK_FILE))
            .map_err(|source| failed(path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DataFolderError::InUse { path: path.to_owned(), pid: lock_holder(&mut lock) });
            }
            Err(TryLockError::Error(source)) => return Err(failed(path, source)),
        }
        // Again: another process may have been at it until a moment ago.
        let format = refuse_foreign(path)?;
        // The lock file may be writable where the folder is not.
        rustix::fs::access(path, rustix::fs::Access::WRITE_OK).map_err(|errno| failed(path, errno.into()))?;
        write_pid(&mut lock).map_err(|source| failed(path, source))?;
        match format {
            Some(FormatFile { version: found, .. }) if found > FORMAT => {
                return Err(DataFolderError::NewerFormat { path: path.to_owned(), found });
            }
            Some(FormatFile { complete: true, .. }) => {
                let missing = missing_parts(path).map_err(|source| failed(path, source))?;
                if !missing.is_empty() {
                    return Err(DataFolderError::Incomplete { path: path.to_owned(), missing });
                }
            }
            Some(_) => {}
            None => write_format(path, false).map_err(|source| failed(path, source))?,
        }
        Ok(DataFolder { path: path.to_owned(), _lock: lock })
    }

    /// Notes that all of its parts are there: from now on one that is missing was lost, and is not made anew. To be called
    /// when all of them are open; calling it again does nothing.
    ///
    /// # Errors
    /// Also when a part is not there.
    pub fn mark_complete(&self) -> Result<(), DataFolderError> {
        let failed = |source| failed(&self.path, source);
        let missing = missing_parts(&self.path).map_err(failed)?;
        if !missing.is_empty() {
            return Err(DataFolderError::Incomplete { path: self.path.clone(), missing });
        }
        match read_format(&self.path).map_err(failed)? {
            Some(Format::Known(FormatFile { complete: true, .. })) => Ok(()),
            // The parts first: a power cut must not leave the mark and take a part.
            _ => sync_folder(&self.path).and_then(|()| write_format(&self.path, true)).map_err(failed),
        }
    }

    /// Is there a data folder at `path` that has all of its parts? Looks only, and makes nothing.
    ///
    /// # Errors
    /// When the system does not let one look.
    pub fn is_complete(path: &Path) -> io::Result<bool> {
        Ok(matches!(read_format(path)?, Some(Format::Known(FormatFile { complete: true, .. }))))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the history is kept.
    pub fn history(&self) -> PathBuf {
        history(&self.path)
    }

    /// Where the directory's database is kept.
    pub fn directory(&self) -> PathBuf {
        directory(&self.path)
    }

    /// Where the key that tokens are signed with is kept.
    pub fn secret_key(&self) -> PathBuf {
        secret_key(&self.path)
    }

    /// Where it is kept how far ids went.
    pub fn ids(&self) -> PathBuf {
        self.path.join(IDS)
    }

    /// The node number for Snowflakes. The folder's lock is its lease: ids of one installation are unique as long as
    /// nothing but the holder of the lock gives them out.
    pub fn node(&self) -> u16 {
        0
    }

    /// Bytes that this user can still write to the folder's file system.
    pub fn free_space(&self) -> io::Result<u64> {
        free_space(&self.path)
    }
}

/// Bytes that this user can still write to the file system of `path`.
pub fn free_space(path: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(path)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Syncs a folder, so that what was created or renamed in it survives a power cut.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn history(path: &Path) -> PathBuf {
    path.join(HISTORY)
}

fn directory(path: &Path) -> PathBuf {
    path.join(DIRECTORY)
}

fn secret_key(path: &Path) -> PathBuf {
    path.join(SECRET_KEY)
}

/// The parts that are not there.
fn missing_parts(path: &Path) -> io::Result<Vec<&'static str>> {
    let mut missing = Vec::new();
    for part in [HISTORY, DIRECTORY, SECRET_KEY] {
        if !path.join(part).try_exists()? {
            missing.push(part);
        }
    }
    Ok(missing)
}

fn failed(path: &Path, source: io::Error) -> DataFolderError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => DataFolderError::NotWritable { path, source },
        _ => DataFolderError::Failed { path, source },
    }
}

fn create(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let path = std::path::absolute(path)?;
    let missing = path.ancestors().skip(1).take_while(|ancestor| !ancestor.is_dir()).count();
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    // Each folder that was made, in the one that it was made in.
    path.ancestors().skip(1).take(missing + 1).try_for_each(sync_folder)
}

/// The format of the folder; `None` if it has none yet and nothing else is there either.
fn refuse_foreign(path: &Path) -> Result<Option<FormatFile>, DataFolderError> {
    if let Some(format) = read_format(path).map_err(|source| failed(path, source))? {
        return match format {
            Format::Known(file) => Ok(Some(file)),
            Format::Foreign => Err(DataFolderError::NotADataFolder { path: path.to_owned(), found: FORMAT_FILE.to_owned() }),
        };
    }
    match foreign_entry(path).map_err(|source| failed(path, source))? {
        Some(found) => Err(DataFolderError::NotADataFolder { path: path.to_owned(), found }),
        None => Ok(None),
    }
}

/// Something in the folder that an interrupted creation does not leave.
fn foreign_entry(path: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(path)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !NOT_FOREIGN.contains(&name.as_str()) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn write_pid(lock: &mut File) -> io::Result<()> {
    lock.seek(SeekFrom::Start(0))?;
    lock.set_len(0)?;
    writeln!(lock, "{}", std::process::id())
}

fn lock_holder(lock: &mut File) -> Option<u32> {
    let mut text = String::new();
    lock.seek(SeekFrom::Start(0)).ok()?;
    lock.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::format_file::TITLE;
    use super::*;

    #[test]
    fn a_new_folder_is_private_and_comes_back() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("a/b");
        let folder = DataFolder::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(path.join("format")).unwrap(), "banter data folder\nformat 1\n");
        assert!(folder.free_space().unwrap() > 0);
        drop(folder);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn a_second_open_is_refused_and_says_who_has_it() {
        let base = tempfile::tempdir().unwrap();
        let _folder = DataFolder::open(base.path()).unwrap();
        let error = DataFolder::open(base.path()).unwrap_err();
        assert!(
            matches!(error, DataFolderError::InUse { pid: Some(pid), .. } if pid == std::process::id()),
            "unexpected: {error}"
        );
    }

    #[test]
    fn a_newer_format_is_refused_and_left_alone() {
        let base = tempfile::tempdir().unwrap();
        let text = format!("{TITLE}\nformat {}\n", FORMAT + 1);
        fs::write(base.path().join("format"), &text).unwrap();
        let error = DataFolder::open(base.path()).unwrap_err();
        assert!(matches!(error, DataFolderError::NewerFormat { found, .. } if found == FORMAT + 1), "unexpected: {error}");
        assert_eq!(fs::read_to_string(base.path().join("format")).unwrap(), text);
    }

    #[test]
    fn somebody_elses_folder_is_refused_and_left_alone() {
        for (name, content) in [("photos.zip", b"zip".as_slice()), ("format", b"NTFS"), ("format", b"\xff\xfe")] {
            let base = tempfile::tempdir().unwrap();
            fs::write(base.path().join(name), content).unwrap();
            let error = DataFolder::open(base.path()).unwrap_err();
            assert!(matches!(error, DataFolderError::NotADataFolder { .. }), "unexpected: {error}");
            assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1, "something was left in a foreign folder");
        }
    }

    #[test]
    fn an_interrupted_creation_is_completed() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("lock"), "").unwrap();
        fs::write(base.path().join("format.new"), "bant").unwrap();
        drop(DataFolder::open(base.path()).unwrap());
        assert!(matches!(
            read_format(base.path()).unwrap(),
            Some(Format::Known(FormatFile { version: FORMAT, complete: false }))
        ));
    }

    #[test]
    fn a_part_that_was_lost_is_told_and_one_that_was_never_there_is_not() {
        let base = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(base.path()).unwrap();
        fs::create_dir(folder.history()).unwrap();
        fs::write(folder.directory(), "").unwrap();
        let error = folder.mark_complete().unwrap_err();
        assert!(matches!(&error, DataFolderError::Incomplete { missing, .. } if *missing == ["secret"]), "unexpected: {error}");
        drop(folder);
        // The first start ended in the middle: the next one goes on.
        let folder = DataFolder::open(base.path()).unwrap();
        fs::write(folder.secret_key(), "").unwrap();
        folder.mark_complete().unwrap();
        folder.mark_complete().unwrap();
        assert_eq!(fs::read_to_string(base.path().join("format")).unwrap(), "banter data folder\nformat 1\ncomplete\n");
        drop(folder);
        drop(DataFolder::open(base.path()).unwrap());

        fs::remove_dir(base.path().join("history")).unwrap();
        fs::remove_file(base.path().join("secret")).unwrap();
        let error = DataFolder::open(base.path()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("has lost history and secret") && text.contains("backup"), "{text}");
        assert!(!base.path().join("history").exists(), "it was made anew");
    }
}
