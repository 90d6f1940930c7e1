//! Growth: what a message costs with ten times the conversations, the history, the sessions.

use anyhow::Result;
use clap::Args;
use serde_json::{Map, Value, json};

use super::{Load, Measured, Mixed};
use crate::Common;

/// Mixed traffic in worlds that differ in one thing each, one after the other. At 1,000 messages a second if no rate is given.
#[derive(Args, Clone, Debug)]
pub struct Growth {
    #[command(flatten)]
    load: Load,
    /// How much larger the larger worlds are.
    #[arg(long, default_value_t = 10)]
    factor: usize,
    /// How often each world is measured; the best run of each counts, since others on the machine only add to the cost.
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Seconds to measure each time.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds to run before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

/// What is larger.
#[derive(Clone, Copy)]
enum Larger {
    Nothing,
    Conversations,
    History,
    Sessions,
}

impl Growth {
    /// Runs them, and prints a line for each: what a message costs, and by how much it is more than in the small world.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let worlds = [Larger::Nothing, Larger::Conversations, Larger::History, Larger::Sessions];
        let mut best: [Option<Measured>; 4] = [const { None }; 4];
        // Round by round, so that a machine that is slower for a while is so for all of them.
        for _ in 0..self.rounds.max(1) {
            for (larger, best) in worlds.into_iter().zip(&mut best) {
                let mixed = Mixed { load: self.world(larger), seconds: self.seconds, warm_up: self.warm_up };
                let measured = mixed.measure(common).await?;
                if best.as_ref().is_none_or(|best| measured.microseconds < best.microseconds) {
                    *best = Some(measured);
                }
            }
        }
        let base = best[0].as_ref().map_or(f64::NAN, |small| small.microseconds);
        let rows = worlds.into_iter().zip(&best);
        Ok(rows.filter_map(|(larger, best)| Some((self.name(larger), row(&self.world(larger), best.as_ref()?, base)))).collect())
    }

    fn world(&self, larger: Larger) -> Load {
        let mut load = self.load.clone().with_rate(1_000.0);
        let shape = &mut load.shape;
        match larger {
            Larger::Nothing => {}
            Larger::Conversations => shape.conversations *= self.factor,
            Larger::History => shape.history *= self.factor,
            Larger::Sessions => shape.sessions *= self.factor,
        }
        load
    }

    /// The name of a world; they sort in the order in which they run.
    fn name(&self, larger: Larger) -> String {
        match larger {
            Larger::Nothing => "1: as asked for".to_owned(),
            Larger::Conversations => format!("2: {} x the conversations", self.factor),
            Larger::History => format!("3: {} x the history", self.factor),
            Larger::Sessions => format!("4: {} x the sessions", self.factor),
        }
    }
}

fn row(load: &Load, measured: &Measured, base: f64) -> Value {
    let p99 = |times: &hdrhistogram::Histogram<u64>| times.value_at_quantile(0.99) as f64 / 1000.0;
    json!({
        "conversations": load.shape.conversations,
        "history": load.shape.history * load.shape.conversations,
        "sessions": load.shape.sessions,
        "messages/s": measured.messages.round(),
        "us/message": (measured.microseconds * 10.0).round() / 10.0,
        "ratio": (measured.microseconds / base * 1000.0).round() / 1000.0,
        "receipt p99 ms": p99(&measured.interval.receipts),
        "page p99 ms": p99(&measured.interval.reads),
        "errors": measured.interval.error_count(),
        "wrong logs": measured.faults,
    })
}
