//! What a process reads from the disk, and how to make it read: emptying the page cache.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{Advice, fadvise};

/// Reading so far.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Read calls of the process.
    pub calls: u64,
    /// Bytes that the process had fetched from the disk.
    pub bytes: u64,
    /// Reads that the whole device finished, whoever asked; `None` where the system does not tell.
    pub device: Option<u64>,
}

impl Reading {
    /// That of process `pid`, and of the device that `folder` is on.
    pub fn of(pid: u32, folder: &Path) -> Result<Reading> {
        let io = fs::read_to_string(format!("/proc/{pid}/io"))?;
        let field = |name: &str| -> Result<u64> {
            let line = io.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
            Ok(line.trim().parse()?)
        };
        Ok(Reading { calls: field("syscr:")?, bytes: field("read_bytes:")?, device: device_reads(folder).ok() })
    }

    /// What was read since `earlier`.
    pub fn since(self, earlier: Reading) -> Reading {
        Reading {
            calls: self.calls - earlier.calls,
            bytes: self.bytes - earlier.bytes,
            device: self.device.zip(earlier.device).map(|(now, before)| now - before),
        }
    }
}

fn device_reads(folder: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let device = fs::metadata(folder)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat"))?;
    let reads = stat.split_whitespace().next().and_then(|reads| reads.parse().ok());
    reads.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no count of reads"))
}

/// How the page cache was emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emptied {
    /// All of the machine's (`/proc/sys/vm/drop_caches`), inodes and directories too.
    Machine,
    /// That of the folder's files (`posix_fadvise`).
    Files,
}

impl Emptied {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Emptied::Machine => "drop_caches, then posix_fadvise before each page",
            Emptied::Files => "posix_fadvise of every file, before each page too",
        }
    }
}

/// Empties the page cache: all of it if this user may and `machine` is set, else that of the files under `folder`.
pub fn empty_cache(folder: &Path, machine: bool) -> Result<Emptied> {
    rustix::fs::sync();
    if machine && fs::write("/proc/sys/vm/drop_caches", "3").is_ok() {
        return Ok(Emptied::Machine);
    }
    for file in files(folder)? {
        forget(&File::open(file)?)?;
    }
    Ok(Emptied::Files)
}

/// Files that are kept open to be forgotten again and again.
pub struct Files(Vec<File>);

impl Files {
    /// Those under `folder`.
    pub fn open(folder: &Path) -> Result<Files> {
        Ok(Files(files(folder)?.iter().map(File::open).collect::<io::Result<_>>()?))
    }

    /// Takes them out of the page cache.
    pub fn forget(&self) -> Result<()> {
        self.0.iter().try_for_each(forget)
    }
}

fn forget(file: &File) -> Result<()> {
    Ok(fadvise(file, 0, None, Advice::DontNeed)?)
}

/// The files under `folder`.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => found.extend(files(&entry.path())?),
            kind if kind.is_file() => found.push(entry.path()),
            _ => {}
        }
    }
    Ok(found)
}

/// Bytes that the files under `folder` take on the disk, holes not counted.
pub fn space(folder: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt;
    files(folder)?.iter().try_fold(0, |sum, file| Ok(sum + fs::metadata(file)?.blocks() * 512))
}
