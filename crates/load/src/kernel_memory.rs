//! What the kernel itself takes for connections, both ends of each when they are on one machine.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process;

/// Bytes of a page.
const PAGE: u64 = 4_096;
/// What the kernel makes for a connection and its place in an epoll. Other programs on the machine change the rest.
const OF_CONNECTIONS: [&str; 9] = [
    "TCP",
    "sock_inode_cache",
    "filp",
    "dentry",
    "eventpoll_epi",
    "lsm_inode_cache",
    "lsm_file_cache",
    "tcp_bind_bucket",
    "tcp_bind2_bucket",
];
/// A kind of object is named if it takes this many bytes more for each connection; the rest is in the sum.
const WORTH_NAMING: f64 = 16.0;

/// The kernel's memory at one moment.
#[derive(Debug, Clone)]
pub struct KernelMemory {
    /// Bytes by kind of object; empty where this user may not know.
    slabs: BTreeMap<String, u64>,
    /// Bytes of all objects.
    slab: u64,
    /// Bytes of page tables, which the processes' own memory needs.
    page_tables: u64,
    /// Bytes of the system that could be had by programs.
    available: u64,
    /// Bytes in socket buffers.
    buffers: u64,
}

impl KernelMemory {
    /// How it is now.
    pub fn now() -> Result<Self> {
        let text = fs::read_to_string("/proc/meminfo")?;
        let field = |name: &str| -> Result<u64> {
            let line = text.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
            Ok(line.split_whitespace().nth(1).context("no value")?.parse::<u64>()? * 1_024)
        };
        // Readable for root alone.
        let slabs = fs::read_to_string("/proc/slabinfo").map(|text| slabs(&text)).unwrap_or_default();
        Ok(KernelMemory {
            slabs,
            slab: field("Slab:")?,
            page_tables: field("PageTables:")?,
            available: field("MemAvailable:")?,
            buffers: process::kernel_tcp_bytes()?,
        })
    }

    /// What it grew by since `before`, for each end of `connections` connections that have both ends here. `processes` is what the
    /// memory of all processes grew by in that time.
    pub fn per_end(&self, before: &KernelMemory, connections: u64, processes: i64) -> Value {
        let ends = connections.max(1) as f64 * 2.0;
        let share = |now: u64, then: u64| (now as f64 - then as f64) / ends;
        let grown = |(name, bytes): (&String, &u64)| {
            let each = share(*bytes, before.slabs.get(name).copied().unwrap_or(0));
            (each.abs() >= WORTH_NAMING).then(|| (name.clone(), json!(each.round())))
        };
        let of_connections = OF_CONNECTIONS.iter().filter_map(|kind| {
            let (now, then) = (self.slabs.get(*kind)?, before.slabs.get(*kind).copied().unwrap_or(0));
            Some(share(*now, then))
        });
        let available = before.available as f64 - self.available as f64 - processes as f64;
        json!({
            "all that is not available any more, without the processes": (available / ends).round(),
            "objects made for connections": of_connections.sum::<f64>().round(),
            "objects of all kinds": share(self.slab, before.slab).round(),
            "objects by kind": self.slabs.iter().filter_map(grown).collect::<serde_json::Map<_, _>>(),
            "socket buffers": share(self.buffers, before.buffers).round(),
            "page tables": share(self.page_tables, before.page_tables).round(),
        })
    }

    /// Bytes of the system that programs could have.
    pub fn available(&self) -> u64 {
        self.available
    }
}

/// Bytes by kind, from the text of `/proc/slabinfo`: whole slabs, with the places in them that are free.
fn slabs(text: &str) -> BTreeMap<String, u64> {
    let kind = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let slab_data = fields.iter().position(|field| *field == "slabdata")?;
        let pages: u64 = fields.get(5)?.parse().ok()?;
        let count: u64 = fields.get(slab_data + 2)?.parse().ok()?;
        Some(((*fields.first()?).to_owned(), pages * count * PAGE))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_are_whole_pages() {
        let text = "slabinfo - version: 2.1\n\
             # name <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables : slabdata <active_slabs> <num_slabs> <shared>\n\
             TCP  20 26 2432 13 8 : tunables 0 0 0 : slabdata 2 2 0\n\
             filp 90 96 192 21 1 : tunables 0 0 0 : slabdata 5 5 0\n";
        let expected = [("TCP".to_owned(), 2 * 8 * PAGE), ("filp".to_owned(), 5 * PAGE)];
        assert_eq!(slabs(text), BTreeMap::from(expected));
    }

    #[test]
    fn growth_is_told_for_each_end() {
        let memory = |filp: u64, slab, available| KernelMemory {
            slabs: BTreeMap::from([("filp".to_owned(), filp), ("dentry".to_owned(), 5)]),
            slab,
            page_tables: 0,
            available,
            buffers: 0,
        };
        let grown = memory(40_000, 90_000, 100_000).per_end(&memory(0, 10_000, 400_000), 10, 100_000);
        assert_eq!(grown["objects of all kinds"], 4_000.0);
        assert_eq!(grown["objects made for connections"], 2_000.0);
        assert_eq!(grown["objects by kind"], json!({"filp": 2_000.0}));
        assert_eq!(grown["all that is not available any more, without the processes"], 10_000.0);
    }
}
