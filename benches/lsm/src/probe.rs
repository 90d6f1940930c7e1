//! What the kernel counts: disk reads, memory, and the page cache to be dropped.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Counters at a moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counters {
    /// Read system calls of this process.
    pub calls: u64,
    /// Bytes that this process had fetched from the disk.
    pub bytes: u64,
    /// Read requests of the whole device: other processes are counted too.
    pub requests: u64,
}

impl Counters {
    /// Reads the counters; `path` says which device.
    pub fn now(path: &Path) -> Result<Self> {
        let io = fs::read_to_string("/proc/self/io")?;
        let device = fs::metadata(path)?.dev();
        // The encoding of `dev_t` in Linux, for small numbers.
        let (major, minor) = ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00));
        let disks = fs::read_to_string("/proc/diskstats")?;
        let requests = disks.lines().find_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            (fields.first()?.parse() == Ok(major) && fields.get(1)?.parse() == Ok(minor)).then(|| fields.get(3)?.parse().ok())?
        });
        Ok(Self { calls: field(&io, "syscr:")?, bytes: field(&io, "read_bytes:")?, requests: requests.unwrap_or(0) })
    }

    /// What happened since `before`.
    pub fn since(self, before: Self) -> Self {
        Self { calls: self.calls - before.calls, bytes: self.bytes - before.bytes, requests: self.requests - before.requests }
    }

    /// The sum of both.
    pub fn plus(self, other: Self) -> Self {
        Self { calls: self.calls + other.calls, bytes: self.bytes + other.bytes, requests: self.requests + other.requests }
    }
}

fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().nth(1).context("no value")?.parse()?)
}

/// Resident memory of this process: all of it, and the part that is its own (not pages of mapped files), in MiB.
pub fn resident_mib() -> Result<(f64, f64)> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok((field(&status, "VmRSS:")? as f64 / 1024.0, field(&status, "RssAnon:")? as f64 / 1024.0))
}

/// Drops clean pages from the page cache. Needs root.
pub fn drop_page_cache() -> Result<()> {
    ensure!(Command::new("sync").status()?.success(), "sync failed");
    fs::write("/proc/sys/vm/drop_caches", "3").context("dropping the page cache needs root")
}

/// Bytes that the files below `path` take on the disk.
pub fn disk_bytes(path: &Path) -> Result<u64> {
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        total += if meta.is_dir() { disk_bytes(&entry.path())? } else { meta.blocks() * 512 };
    }
    Ok(total)
}

/// The `share` (0.0 to 1.0) quantile of some durations, in milliseconds. Sorts them.
pub fn quantile(times: &mut [Duration], share: f64) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((last as f64 * share).round() as usize).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
