//! System calls of another process, counted by the kernel's tracepoints through `perf`.

use std::net::SocketAddr;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};

use crate::counters::Counters;

const ALL: &str = "raw_syscalls:sys_enter";
const SYNCS: [&str; 2] = ["syscalls:sys_enter_fdatasync", "syscalls:sys_enter_fsync"];

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SystemCalls {
    /// Calls of any kind, for each event that was stored meanwhile.
    pub all_per_message: f64,
    /// Calls that sync a file.
    pub syncs_a_second: f64,
}

/// Counts the system calls of the process `pid` for so many seconds, in relation to the `banter_events_total` of its metrics page.
pub async fn count(pid: u32, address: SocketAddr, seconds: u64) -> Result<SystemCalls> {
    let begun = Instant::now();
    let before = Counters::read(address).await?;
    let mut perf = tokio::process::Command::new("perf");
    perf.args([
        "stat",
        "-x",
        ";",
        "-e",
        ALL,
        "-e",
        &SYNCS.join(","),
        "-p",
        &pid.to_string(),
        "--",
        "sleep",
        &seconds.to_string(),
    ]);
    let output = perf.env("LC_ALL", "C").output().await.context("there is no perf")?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "perf: {}", text.trim().lines().next().unwrap_or("failed"));
    // perf takes a moment to start and to end, so the two are compared as rates.
    let messages = Counters::read(address).await?.since(&before).of("banter_events_total");
    let messages_a_second = messages / begun.elapsed().as_secs_f64();
    let a_second = |event: &str| Ok::<f64, anyhow::Error>(counted(&text, event)? / seconds as f64);
    let syncs = SYNCS.into_iter().map(a_second).sum::<Result<f64>>()?;
    Ok(SystemCalls { all_per_message: a_second(ALL)? / messages_a_second.max(1.0), syncs_a_second: syncs })
}

/// The count of `event` in the output of `perf stat -x ;`: lines of count, unit, event and more.
fn counted(output: &str, event: &str) -> Result<f64> {
    for line in output.lines() {
        let fields: Vec<&str> = line.split(';').collect();
        if fields.get(2) == Some(&event) {
            return fields[0].parse().with_context(|| format!("perf did not count {event}: {}", fields[0]));
        }
    }
    bail!("perf says nothing about {event}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_found_and_their_absence_is_told() {
        let output = "1234;;raw_syscalls:sys_enter;2000000;100.00;;\n<not supported>;;syscalls:sys_enter_fsync;0;100.00;;\n";
        assert_eq!(counted(output, ALL).unwrap(), 1234.0);
        assert!(counted(output, SYNCS[1]).unwrap_err().to_string().contains("not supported"));
        counted(output, SYNCS[0]).unwrap_err();
    }
}
