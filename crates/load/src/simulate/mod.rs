//! Workers on a simulated topic and store: does a replay do no harm?
//!
//! The real [`banter_server::worker::Worker`] and the real fold, over a store that keeps of each row the write with the greatest
//! timestamp and knows no transactions, and a scheduler that draws from a seed who goes on to their next access of the
//! store, who dies there, who stands still for a while and who takes the partition for theirs meanwhile, which reads and writes
//! fail, seem to, or land much later, when devices send again, and when the topic is lost and made anew. At the end everything has to
//! be as one undisturbed worker leaves it (see `verify.rs`). A seed always gives the same run.

mod devices;
mod history;
mod rows;
mod scheduler;
mod state;
mod told;
mod topic;
mod verify;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, bail};
use banter_server::metrics::Metrics;
use clap::{Args, ValueEnum};
use parking_lot::Mutex;
use serde_json::{Map, Value};

pub use scheduler::{Passed, Wrong};

use scheduler::Scheduler;

/// Simulates workers that die, stand still and overlap, from one seed after the other.
#[derive(Args, Clone, Debug)]
pub struct Simulate {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    pub seeds: u64,
    /// The first seed; the others follow it.
    #[arg(long, default_value_t = 1)]
    pub first: u64,
    /// Threads; as many as there are processors when absent.
    #[arg(long)]
    pub threads: Option<NonZeroUsize>,
    /// A rule to switch off, to see that it is needed.
    #[arg(long, value_enum, default_value_t = Mutation::None)]
    pub mutation: Mutation,
}

/// A rule of the protocol that is switched off: each has to be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// All rules hold.
    None,
    /// The write that comes last wins, whatever its timestamp.
    NoTimestamps,
    /// What was applied before is applied again.
    NoSkip,
    /// A worker does not see that a row is ahead of it.
    NeverOvertaken,
    /// Who loads a conversation does not write again what its redo list says.
    NoRedo,
    /// The head is written before the events.
    HeadFirst,
    /// What follows from a command is written before the head.
    FollowsBeforeHead,
    /// The partition's position is written before what follows from the commands.
    PositionEarly,
    /// A new event is written as later commands of its batch left it.
    AmendedAtOnce,
    /// A worker that cannot read or write says so, and goes on.
    AnswersThatItCannot,
    /// A new worker begins at the end of the topic.
    StartsAtTheEnd,
}

/// Runs one seed.
///
/// # Errors
/// What is wrong, with what happened up to there when `traced`.
pub fn run_seed(seed: u64, mutation: Mutation, traced: bool, metrics: &Arc<Metrics>) -> Result<Passed, Wrong> {
    Scheduler::new(seed, mutation, traced, metrics.clone()).run()
}

/// What many seeds came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passes {
    /// Seeds that were run.
    pub seeds: u64,
    /// What they came to together.
    pub sum: Passed,
}

impl Simulate {
    /// Runs the seeds.
    ///
    /// # Errors
    /// One was wrong; with what happened in it.
    pub fn run(&self) -> Result<Map<String, Value>> {
        let begun = Instant::now();
        let passes = match self.run_seeds() {
            Ok(passes) => passes,
            Err((seed, wrong)) => bail!("seed {seed}\n{}\n\nseed {seed}: {}", wrong.trace.join("\n"), wrong.what),
        };
        let Passes { seeds, sum } = passes;
        let figures = [
            ("seeds", seeds),
            ("commands", sum.commands),
            ("events", sum.events),
            ("accesses of the store", sum.turns),
            ("workers started", sum.lives),
            ("topics made anew", sum.epochs),
            ("seconds", begun.elapsed().as_secs()),
        ];
        Ok(figures.into_iter().map(|(name, figure)| (name.to_owned(), Value::from(figure))).collect())
    }

    /// Runs the seeds, up to the first that is wrong: its number, and what is wrong with what happened.
    pub fn run_seeds(&self) -> Result<Passes, (u64, Wrong)> {
        let next = AtomicU64::new(self.first);
        let end = self.first.saturating_add(self.seeds);
        let stop = AtomicBool::new(false);
        let found = Mutex::new((Passes::default(), None::<u64>));
        let threads = self.threads.or_else(|| thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    let metrics = Arc::new(Metrics::default());
                    while !stop.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= end {
                            break;
                        }
                        let outcome = run_seed(seed, self.mutation, false, &metrics);
                        let (passes, failed) = &mut *found.lock();
                        match outcome {
                            Ok(passed) => passes.add(passed),
                            Err(_) => {
                                *failed = Some(failed.map_or(seed, |before| before.min(seed)));
                                stop.store(true, Ordering::Relaxed);
                            }
                        }
                    }
                });
            }
        });
        let (passes, failed) = found.into_inner();
        let Some(seed) = failed else { return Ok(passes) };
        match run_seed(seed, self.mutation, true, &Arc::new(Metrics::default())) {
            Err(wrong) => Err((seed, wrong)),
            Ok(_) => {
                let what =
                    "it was wrong before, and is not when run again: the simulation is not a function of its seed".to_owned();
                Err((seed, Wrong { what, trace: Vec::new() }))
            }
        }
    }
}

impl Passes {
    fn add(&mut self, passed: Passed) {
        let Passed { commands, events, turns, lives, epochs } = passed;
        self.seeds += 1;
        self.sum.commands += commands;
        self.sum.events += events;
        self.sum.turns += turns;
        self.sum.lives += lives;
        self.sum.epochs += epochs;
    }
}
