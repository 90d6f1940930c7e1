//! Pairs of users: one writes, the other receives.

pub mod system_calls;
pub mod traffic;

use std::sync::Arc;

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::{Common, process, server::Server};
use traffic::{Run, Target};

/// Appends with a sync that are timed before the pairs run, and again after.
const PROBES: u32 = 1_000;
/// Bytes of each.
const PROBE_BYTES: usize = 4_096;

/// One of each pair writes to the other.
#[derive(Args, Clone, Debug)]
pub struct Pairs {
    /// How many pairs.
    #[arg(long, default_value_t = 100)]
    pub pairs: u64,
    /// Messages of a pair that are sent and not yet received by the other.
    #[arg(long, default_value_t = 16)]
    pub window: usize,
    /// Characters of a text.
    #[arg(long, default_value_t = 100)]
    pub length: usize,
    /// Messages a second of all pairs together; as fast as it goes when absent. Latency counts from when a message was due.
    #[arg(long)]
    pub rate: Option<f64>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Seconds to run before that.
    #[arg(long, default_value_t = 2)]
    pub warm_up: u64,
    /// Seconds to run after it, in which the server's system calls are counted; none when 0. Apart, since counting costs something too.
    #[arg(long, default_value_t = 2)]
    pub system_call_seconds: u64,
}

impl Pairs {
    /// Runs the pairs against a server of their own.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let mut server = Server::start(common, self.pairs * 2).await?;
        let users: Arc<[_]> = std::mem::take(&mut server.users).into();
        let mut probe = process::sync_times(server.folder.path(), PROBES, PROBE_BYTES)?;
        let run = traffic::run(self, &Target::one(server.address, server.pid(), users)).await?;
        probe.add(&process::sync_times(server.folder.path(), PROBES, PROBE_BYTES)?)?;
        let (resident, _) = process::resident(server.pid())?;
        let ratio = run.receipt.value_at_quantile(0.99) as f64 / probe.value_at_quantile(0.99) as f64;
        let around = json!({
            "pairs": self.pairs, "window": self.window, "characters": self.length,
            "fdatasync of 4 KiB on this disk, ms": process::quantiles(&probe),
            "p99 from due to receipt / p99 of fdatasync": ratio,
            "server memory, MiB": resident as f64 / f64::from(1 << 20),
        });
        Ok(around.as_object().cloned().into_iter().flatten().chain(figures_of(&run)).collect())
    }
}

/// What a run against banter measured, by name.
pub(crate) fn figures_of(run: &Run) -> Map<String, Value> {
    let change = &run.change;
    let events = change.of("banter_events_total");
    let per_event = |name: &str| change.of(name) / events.max(1.0);
    let per = |name: &str, other: &str| change.of(name) / change.of(other).max(1.0);
    let system_calls = match &run.system_calls {
        Some(Ok(counted)) => json!({
            "system calls per message": counted.all_per_message,
            "fdatasync and fsync calls a second": counted.syncs_a_second,
            "system calls counted by": "perf, tracepoint raw_syscalls:sys_enter",
        }),
        // Reads, writes and syncs are nearly all there are under load; what wakes threads is missing.
        Some(Err(reason)) => json!({
            "system calls per message":
                per_event("banter_socket_reads_total") + per_event("banter_socket_writes_total") + per_event("banter_history_syncs_total"),
            "system calls counted by": format!("the server: reads and writes of WebSockets, and syncs, no others ({reason})"),
        }),
        None => Value::Null,
    };
    let figures = json!({
        "events stored a second, by the server's own count": events / run.seconds,
        "messages received a second": run.messages_a_second(),
        "from due to receipt, ms": process::quantiles(&run.receipt),
        "from due to answer, ms": process::quantiles(&run.answer),
        "processors used by the server": run.server_processors,
        "processors used by the generator": run.generator_processors,
        "processor time of the server per message, us": run.server_processors * run.seconds / events.max(1.0) * 1e6,
        "syncs a second": change.of("banter_history_syncs_total") / run.seconds,
        "commands per round": per("banter_commands_total", "banter_rounds_total"),
        "commands per round, at most": change.quantiles("banter_commands_per_round"),
        "events per sync": per("banter_events_total", "banter_history_syncs_total"),
        "events per sync, at most": change.quantiles("banter_history_events_per_sync"),
        "read calls per event": per_event("banter_socket_reads_total"),
        "write calls per event": per_event("banter_socket_writes_total"),
        "encodings per event": per_event("banter_frames_encoded_total"),
    });
    [figures, system_calls].into_iter().filter_map(|value| value.as_object().cloned()).flatten().collect()
}
