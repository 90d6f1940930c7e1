//! What the parts of a simulation share. One thread runs it all; the lock is there because the worker could run on several.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use banter_store::behaviour::Random;
use banter_store::history::plan::Write;
use parking_lot::{Mutex, MutexGuard};

use banter_store::Fact;

use super::Mutation;
use super::feed::Feed;
use super::rows::{self, Rows};
use super::told::Told;
use super::topic::Topic;

/// Which life of which worker.
pub type LifeId = u64;

/// Turns within which a write that comes late has come.
const LATEST: u64 = 400;

/// The state of a simulation.
pub struct Shared(Mutex<State>);

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is stored, and the worker is told so.
    Stored,
    /// It is stored, and the worker is told that it failed.
    StoredAndFailed,
    /// It is not stored.
    Failed,
    /// The worker is told that it failed, and some time later it is stored.
    LaterAndFailed,
}

/// What is in it.
pub struct State {
    /// What is switched off.
    pub mutation: Mutation,
    /// Draws everything.
    pub random: Random,
    /// Turns so far.
    pub turn: u64,
    /// The store.
    pub rows: Rows,
    /// The queue.
    pub topic: Topic,
    /// What follows from what is applied.
    pub feed: Feed,
    /// What the workers answered.
    pub told: Told,
    /// How many of a thousand reads fail.
    pub failing_reads: u64,
    /// How many of a thousand writes fail, or seem to.
    pub failing_writes: u64,
    /// No turns: whoever runs, runs alone.
    pub alone: bool,
    /// What is wrong, once something is.
    pub wrong: Option<String>,
    /// What happened, if it is to be told.
    pub trace: Option<Vec<String>>,
    late: Vec<(u64, Write)>,
    late_records: Vec<(u64, Vec<Fact>)>,
    resting: BTreeSet<LifeId>,
    revoked: BTreeSet<LifeId>,
}

impl Shared {
    /// The beginning.
    pub fn new(seed: u64, mutation: Mutation, traced: bool) -> Shared {
        Shared(Mutex::new(State {
            mutation,
            random: Random::new(seed),
            turn: 0,
            rows: Rows::new(mutation == Mutation::NoTimestamps),
            topic: Topic::default(),
            feed: Feed::default(),
            told: Told::default(),
            failing_reads: 0,
            failing_writes: 0,
            alone: false,
            wrong: None,
            trace: traced.then(Vec::new),
            late: Vec::new(),
            late_records: Vec::new(),
            resting: BTreeSet::new(),
            revoked: BTreeSet::new(),
        }))
    }

    /// Everything. Never held over a turn.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }
}

impl State {
    /// Notes what happened.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>5}  {}", self.turn, what()));
        }
    }

    /// Notes what is wrong. What came first counts.
    pub fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            let what = what();
            self.note(|| format!("WRONG: {what}"));
            self.wrong = Some(what);
        }
    }

    /// Does the next read fail?
    pub fn fails_to_read(&mut self) -> bool {
        self.failing_reads > 0 && self.random.below(1_000) < self.failing_reads
    }

    /// What becomes of the next write.
    pub fn fate(&mut self) -> Fate {
        if self.failing_writes == 0 || self.random.below(1_000) >= self.failing_writes {
            return Fate::Stored;
        }
        [Fate::StoredAndFailed, Fate::Failed, Fate::LaterAndFailed][self.random.below(3) as usize]
    }

    /// Stores a write.
    pub fn land(&mut self, write: &Write) {
        let second = self.random.below(2) == 0;
        if let Err(error) = self.rows.write(write, second) {
            self.wrong(|| error);
        }
    }

    /// Stores a write later, in whatever order.
    pub fn delay(&mut self, write: Write) {
        let due = self.turn + 1 + self.random.below(LATEST);
        self.late.push((due, write));
    }

    /// A record of the feed lands later.
    pub fn delay_record(&mut self, record: Vec<Fact>) {
        let due = self.turn + 1 + self.random.below(LATEST);
        self.late_records.push((due, record));
    }

    /// Stores what was late and has come; with `all`, half of what has not yet, and none of the rest ever.
    pub fn land_late(&mut self, all: bool) {
        let mut index = 0;
        while index < self.late.len() {
            let due = self.late[index].0 <= self.turn;
            if !due && !all {
                index += 1;
                continue;
            }
            let (_, write) = self.late.swap_remove(index);
            if due || self.random.below(2) == 0 {
                self.note(|| format!("a late write lands: {:?}", rows::name(&write)));
                self.land(&write);
            }
        }
        let turn = self.turn;
        for (_, record) in self.late_records.extract_if(.., |(due, _)| *due <= turn || all) {
            self.feed.land(record);
        }
    }

    /// Is nothing late any more?
    pub fn nothing_is_late(&self) -> bool {
        self.late.is_empty() && self.late_records.is_empty()
    }

    /// The partition is taken from `life`, which will find out.
    pub fn revoke(&mut self, life: LifeId) {
        self.revoked.insert(life);
    }

    /// Was the partition taken from `life`?
    pub fn is_revoked(&self, life: LifeId) -> bool {
        self.revoked.contains(&life)
    }

    /// `life` waits for commands.
    pub fn rest(&mut self, life: LifeId) {
        self.resting.insert(life);
    }

    /// `life` has commands.
    pub fn work(&mut self, life: LifeId) {
        self.resting.remove(&life);
    }

    /// Did `life` wait for commands when it last had a turn?
    pub fn rests(&self, life: LifeId) -> bool {
        self.resting.contains(&life)
    }
}

/// Gives the turn back once: the worker goes on when the scheduler says so, if ever.
#[derive(Debug, Default)]
pub struct Turn(bool);

impl Future for Turn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        // The scheduler draws who goes on, and nobody has to wake it; but of many questions that a worker waits for, those are looked at
        // that say so.
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A place where the worker may die, or stand still.
pub async fn turn(shared: &Shared) {
    let alone = shared.lock().alone;
    if !alone {
        Turn::default().await;
    }
}
