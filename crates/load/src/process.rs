//! What the kernel counts of a process, and what a sync of the disk takes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hdrhistogram::Histogram;

/// Clock ticks a second, in which the kernel counts processor time (`USER_HZ`, 100 on every Linux in use).
const TICKS_PER_SECOND: f64 = 100.0;

/// Bytes of resident memory of a process, and the part of it that is anonymous (not pages of files).
pub fn resident(pid: u32) -> Result<(u64, u64)> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let field = |name: &str| -> Result<u64> {
        let line = status.lines().find(|line| line.starts_with(name)).with_context(|| format!("no {name}"))?;
        Ok(line.split_whitespace().nth(1).context("no value")?.parse::<u64>()? * 1024)
    };
    Ok((field("VmRSS:")?, field("RssAnon:")?))
}

/// Seconds of processor time that a process has used.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses, which may hold spaces; utime and stime are fields 14 and 15.
    let fields: Vec<&str> = stat.rsplit_once(')').context("no name")?.1.split_whitespace().collect();
    let ticks = fields.get(11).context("no utime")?.parse::<f64>()? + fields.get(12).context("no stime")?.parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// Seconds of processor time that everything on this machine has used together, the kernel's own work included.
pub fn machine_cpu_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().context("an empty /proc/stat")?;
    // user, nice, system, idle, iowait, irq, softirq: proc(5). What a hypervisor took is nobody's work here.
    let fields = line.split_whitespace().skip(1).map(str::parse::<f64>).collect::<Result<Vec<_>, _>>()?;
    let busy = [0, 1, 2, 5, 6].iter().filter_map(|field| fields.get(*field)).sum::<f64>();
    Ok(busy / TICKS_PER_SECOND)
}

/// The process of this user's, or of anybody's for root, that listens on a TCP port of IPv4.
pub fn listening(port: u16) -> Result<u32> {
    let sockets = fs::read_to_string("/proc/net/tcp")?;
    // Fields after the number: local address, remote address, state (0A: listening), ..., inode; proc_net_tcp(5).
    let inode = sockets.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let local = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
        (local == port && *fields.get(3)? == "0A").then(|| fields.get(9).copied())?
    });
    let socket = format!("socket:[{}]", inode.with_context(|| format!("nobody listens on port {port}"))?);
    for process in fs::read_dir("/proc")?.flatten() {
        let Some(number) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Others' processes are not shown, and any may end meanwhile.
        let Ok(open) = fs::read_dir(process.path().join("fd")) else { continue };
        let mut links = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        if links.any(|link| link.as_os_str() == socket.as_str()) {
            return Ok(number);
        }
    }
    anyhow::bail!("the process that listens on port {port} is not shown to this user")
}

/// Bytes of kernel memory for TCP in this network namespace, both ends of loopback connections together.
pub fn kernel_tcp_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/sockstat")?;
    let line = text.lines().find(|line| line.starts_with("TCP:")).context("no TCP line")?;
    let pages: u64 = line.rsplit(' ').next().context("no pages")?.parse()?;
    Ok(pages * 4096)
}

/// What this network namespace's TCP counted since it began, by the kernel's names (see `nstat`): for example `ListenOverflows`,
/// connections that found a listener's queue full and have to knock again.
pub fn tcp_counters() -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string("/proc/net/netstat")?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next().context("no names")?, lines.next().context("no values")?);
    let counters = names.split(' ').zip(values.split(' ')).map(|(name, value)| Ok((name.to_owned(), value.parse()?)));
    counters.collect()
}

/// Times of `rounds` appends of `bytes` bytes, each with an fdatasync, in microseconds.
pub fn sync_times(folder: &Path, rounds: u32, bytes: usize) -> Result<Histogram<u64>> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path)?;
    let mut times = Histogram::new(3)?;
    let block = vec![7; bytes];
    for _ in 0..rounds {
        let start = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        times.record(micros(start.elapsed()))?;
    }
    fs::remove_file(&path)?;
    Ok(times)
}

/// A duration in whole microseconds, at least 1.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

/// Quantiles of a histogram of microseconds, in milliseconds.
pub fn quantiles(times: &Histogram<u64>) -> serde_json::Value {
    let at = |quantile: f64| times.value_at_quantile(quantile) as f64 / 1000.0;
    serde_json::json!({
        "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "p99.9": at(0.999), "max": times.max() as f64 / 1000.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening(port).unwrap(), std::process::id());
        drop(listener);
        assert!(listening(port).unwrap_err().to_string().contains("nobody listens"));
    }

    #[test]
    fn the_machine_works_at_least_as_much_as_this_process() {
        assert!(machine_cpu_seconds().unwrap() >= cpu_seconds(std::process::id()).unwrap());
    }
}
