//! How far banter is from a server that does nothing but hand bytes on.
//!
//! The bound is a relay in Rust with no chat in it (`process.rs`): for each message it reads a frame of the size of `send`, writes one of
//! the size of `sent` back and one of the size of `event` to the other. What makes it a fair bound:
//! - it is built like banter where bytes come and go: a process of its own, Tokio's work-stealing runtime with as many threads, the same
//!   allocator, one task a connection, one read into a buffer that the thread lends, all that waits in one vectored write;
//! - the same generator drives it, with the same options, in turn with banter, and the frames have banter's sizes to the byte but for
//!   the digits of counters;
//! - it does nothing else: no JSON, no checks, no order, no disk. So it is faster than any chat server on this machine can be that
//!   uses sockets in this way.
//!
//! How many messages go into one read and write decides how many a second there are, and the relay could do better or worse than
//! banter there by chance: handing on at once, it finds fewer waiting than a server that gathers while it syncs. So it is run both ways, at once and
//! in rounds as long as banter's between two syncs, both are printed with their calls per message, and banter is held against the faster one.

mod frames;
mod link;
mod process;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use banter_model::UserId;
use clap::Args;
use serde_json::{Map, Value, json};

use crate::Common;
use crate::pairs::Pairs;
use crate::pairs::traffic::{self, Run, Target};
use crate::server::{Server, User};

pub use frames::{FrameSizes, frame_sizes};
pub use process::RelayProcess;

/// Pairs against banter and against the relay, in turn.
#[derive(Args, Clone, Debug)]
pub struct Relay {
    #[command(flatten)]
    pairs: Pairs,
    /// How often each is run.
    #[arg(long, default_value_t = 3)]
    runs: usize,
}

/// Runs of one of the three that are compared.
#[derive(Default)]
struct Runs(Vec<Run>);

impl Runs {
    fn messages_a_second(&self) -> Vec<f64> {
        self.0.iter().map(Run::messages_a_second).collect()
    }

    fn median(&self, figure: impl Fn(&Run) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.0.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or_default()
    }

    fn figures(&self) -> Value {
        let per_event =
            |name: &'static str| self.median(|run| run.change.of(name) / run.change.of("banter_events_total").max(1.0));
        json!({
            "messages received a second": self.messages_a_second(),
            "median": self.median(Run::messages_a_second),
            "p50 from due to receipt, ms": self.median(|run| run.receipt.value_at_quantile(0.5) as f64 / 1e3),
            "p99 from due to receipt, ms": self.median(|run| run.receipt.value_at_quantile(0.99) as f64 / 1e3),
            "processors used by the server": self.median(|run| run.server_processors),
            "processors used by the generator": self.median(|run| run.generator_processors),
            "read calls per message": per_event("banter_socket_reads_total"),
            "write calls per message": per_event("banter_socket_writes_total"),
            "system calls per message": self.system_calls(),
        })
    }

    /// As perf counted them; `null` where it could not in one of the runs.
    fn system_calls(&self) -> Option<f64> {
        let counted = |run: &Run| run.system_calls.as_ref()?.as_ref().ok().map(|counted| counted.all_per_message);
        self.0.iter().all(|run| counted(run).is_some()).then(|| self.median(|run| counted(run).unwrap_or_default()))
    }
}

impl Relay {
    /// Runs all of them.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.runs > 0, "there is nothing to compare without a run");
        let (mut banter, mut at_once, mut in_rounds) = (Runs::default(), Runs::default(), Runs::default());
        for _ in 0..self.runs {
            let mut server = Server::start(common, self.pairs.pairs * 2).await?;
            let users = std::mem::take(&mut server.users).into();
            let run = traffic::run(&self.pairs, &Target::one(server.address, server.pid(), users)).await?;
            drop(server);
            let syncs = run.change.of("banter_history_syncs_total").max(1.0);
            let between_syncs = Duration::from_secs_f64(run.seconds / syncs);
            banter.0.push(run);
            at_once.0.push(self.relayed(Duration::ZERO).await?);
            in_rounds.0.push(self.relayed(between_syncs).await?);
        }
        let median = |runs: &Runs| runs.median(Run::messages_a_second);
        let faster = median(&at_once).max(median(&in_rounds));
        let sizes = frame_sizes(self.pairs.length)?;
        let figures = json!({
            "pairs": self.pairs.pairs, "window": self.pairs.window, "characters": self.pairs.length, "runs of each": self.runs,
            "frame of send, bytes": sizes.send, "frame of sent, bytes": sizes.sent, "frame of event, bytes": sizes.event,
            "banter": banter.figures(),
            "relay that hands on at once": at_once.figures(),
            "relay in rounds as long as banter's": in_rounds.figures(),
            "banter / relay that hands on at once": median(&banter) / median(&at_once),
            "banter / relay in rounds": median(&banter) / median(&in_rounds),
            "banter / the faster relay": median(&banter) / faster,
        });
        Ok(figures.as_object().cloned().unwrap_or_default())
    }

    async fn relayed(&self, gather: Duration) -> Result<Run> {
        let relay = Running::start(&self.pairs, gather)?;
        // To the relay, the token is the number of the connection.
        let users = (0..self.pairs.pairs * 2).map(|number| User { id: UserId(number + 1), token: number.to_string() });
        let users: Arc<[User]> = users.collect();
        traffic::run(&self.pairs, &Target::one(relay.address, relay.child.id(), users)).await
    }
}

/// The relay's process.
struct Running {
    child: Child,
    address: std::net::SocketAddr,
}

impl Running {
    fn start(pairs: &Pairs, gather: Duration) -> Result<Running> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg("relay-process")
            .args(["--pairs", &pairs.pairs.to_string(), "--length", &pairs.length.to_string()])
            .args(["--gather-us", &gather.as_micros().to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .context("the relay does not start")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let address = line.trim().parse();
        // Ended by its drop from here on.
        let mut running = Running { child, address: ([127, 0, 0, 1], 0).into() };
        running.address = address.context("the relay did not say where it listens")?;
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
