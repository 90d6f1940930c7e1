//! One thread of the generator: some of the groups, with all their members.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use banter_model::ConversationId;
use banter_model::limits::UNANSWERED_PER_CONVERSATION;
use hdrhistogram::Histogram;

use super::connections::{Connections, Handler};
use super::positions::Positions;
use crate::wire;

/// Digits at the start of a text that hold when it was due, in nanoseconds from the start.
pub const STAMP_DIGITS: usize = 20;
/// Messages that one device may have unanswered in a conversation.
pub const UNANSWERED: usize = UNANSWERED_PER_CONVERSATION - 1;
/// Due times that are kept for each writer, by tag: more than can be unanswered.
const DUE_KEPT: usize = 64;
/// The longest that a turn waits when nothing comes.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long the last messages are waited for.
const LAST_ONES: Duration = Duration::from_secs(5);
/// Most messages that are due and not sent; a server that is so far behind does not keep up.
const BEHIND: usize = 100_000;

const EVENT: &[u8] = br#"{"type":"event""#;
const SENT: &[u8] = br#"{"type":"sent""#;
const WELCOME: &[u8] = br#"{"type":"welcome""#;
/// What must not come: a frame was refused or dropped, and the bookkeeping would be wrong from there on.
const FAULTS: [&[u8]; 3] = [br#"{"type":"error""#, br#"{"type":"resync""#, br#"{"type":"bye""#];

/// When a run begins and ends, and how it goes.
#[derive(Clone)]
pub struct Plan {
    /// The start; stamps count from it.
    pub start: Instant,
    /// What is due in this time counts, in nanoseconds from the start. Nothing is due after it.
    pub measured: Range<u64>,
    /// Messages of a group that are sent and not yet received by every member.
    pub window: u64,
    /// Characters of a text.
    pub length: usize,
    /// How long receipts gather before they are read.
    pub gather: Duration,
}

/// What a lane has counted so far, for whoever measures.
#[derive(Default)]
pub struct Counts {
    /// Events received.
    pub deliveries: AtomicU64,
    /// Read calls that brought something.
    pub reads: AtomicU64,
}

/// A thread's groups.
pub struct Lane {
    connections: Connections,
    fan_out: FanOut,
}

/// A group, and how far each member has got.
struct Group {
    id: ConversationId,
    first_connection: usize,
    /// Messages sent.
    sent: u64,
    /// Messages that each member knows of.
    known: Vec<u64>,
    /// The least of them.
    known_by_all: u64,
    touched: bool,
    writers: Vec<Writer>,
    next_writer: usize,
    /// Times of messages that are due and not yet sent.
    due: VecDeque<u64>,
}

struct Writer {
    tag: u64,
    unanswered: usize,
    due: [u64; DUE_KEPT],
}

struct FanOut {
    groups: Vec<Group>,
    /// Group and member, by connection.
    owners: Vec<(usize, usize)>,
    welcomed: usize,
    start: Option<Instant>,
    measured: Range<u64>,
    sample: u64,
    deliveries: u64,
    positions: Positions,
    answers: Histogram<u64>,
}

impl Lane {
    /// A lane for groups of `members`, following each `sample`-th message.
    pub fn new(members: usize, sample: u64) -> Result<Lane> {
        let fan_out = FanOut {
            groups: Vec::new(),
            owners: Vec::new(),
            welcomed: 0,
            start: None,
            measured: 0..0,
            sample: sample.max(1),
            deliveries: 0,
            positions: Positions::new(members - 1)?,
            answers: Histogram::new(3)?,
        };
        Ok(Lane { connections: Connections::new()?, fan_out })
    }

    /// Adds a group with the connections of its members, of whom the first `writers` write. One event stands in its log.
    pub fn add(&mut self, id: ConversationId, streams: Vec<std::net::TcpStream>, writers: usize) -> Result<()> {
        let number = self.fan_out.groups.len();
        let (members, first_connection) = (streams.len(), self.fan_out.owners.len());
        for (member, stream) in streams.into_iter().enumerate() {
            self.connections.add(stream)?;
            self.fan_out.owners.push((number, member));
        }
        self.fan_out.groups.push(Group {
            id,
            first_connection,
            sent: 0,
            known: vec![0; members],
            known_by_all: 0,
            touched: false,
            writers: (0..writers).map(|_| Writer { tag: 0, unanswered: 0, due: [0; DUE_KEPT] }).collect(),
            next_writer: 0,
            due: VecDeque::new(),
        });
        Ok(())
    }

    /// Ends a turn of this lane from another thread.
    pub fn waker(&self) -> Arc<mio::Waker> {
        self.connections.waker()
    }

    /// Waits until every member has been welcomed.
    pub fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        while self.fan_out.welcomed < self.fan_out.owners.len() {
            ensure!(Instant::now() < until, "only {} of {} were welcomed", self.fan_out.welcomed, self.fan_out.owners.len());
            self.connections.turn(PATIENCE, &mut self.fan_out)?;
        }
        Ok(())
    }

    /// Writes and receives until the plan is over and everybody has everything. With `due`, what is sent and when comes from there (the
    /// group, by its number in this lane); without, as much as the window allows.
    pub fn run(
        mut self,
        plan: &Plan,
        due: Option<mpsc::Receiver<(usize, u64)>>,
        counts: &Counts,
    ) -> Result<(Positions, Histogram<u64>)> {
        self.fan_out.start = Some(plan.start);
        self.fan_out.measured = plan.measured.clone();
        std::thread::sleep(plan.start.saturating_duration_since(Instant::now()));
        let until = plan.start + Duration::from_nanos(plan.measured.end);
        loop {
            let now = Instant::now();
            let over = now >= until;
            if let Some(due) = &due {
                due.try_iter().for_each(|(group, at)| self.fan_out.groups[group].due.push_back(at));
                let behind = self.fan_out.groups.iter().map(|group| group.due.len()).sum::<usize>();
                ensure!(behind < BEHIND, "the server is {behind} messages behind: ask for a lower rate");
            }
            if !over || due.is_some() {
                for group in &mut self.fan_out.groups {
                    group.write(&mut self.connections, plan, due.is_some())?;
                }
            }
            let idle = self.fan_out.groups.iter().all(|group| group.known_by_all == group.sent && group.due.is_empty());
            if over && idle {
                return Ok((self.fan_out.positions, self.fan_out.answers));
            }
            ensure!(now < until + LAST_ONES, "what was due did not reach everybody within {LAST_ONES:?} of the end");
            if !plan.gather.is_zero() {
                std::thread::sleep(plan.gather);
            }
            self.connections.turn(PATIENCE, &mut self.fan_out)?;
            for group in self.fan_out.groups.iter_mut().filter(|group| group.touched) {
                group.touched = false;
                group.known_by_all = group.known.iter().copied().min().unwrap_or(0);
            }
            counts.deliveries.store(self.fan_out.deliveries, Ordering::Relaxed);
            counts.reads.store(self.connections.reads(), Ordering::Relaxed);
        }
    }
}

impl Group {
    /// Writes what the window allows and, if there is a schedule, what is due.
    fn write(&mut self, connections: &mut Connections, plan: &Plan, scheduled: bool) -> Result<()> {
        let mut idle_writers = 0;
        while self.sent - self.known_by_all < plan.window && idle_writers < self.writers.len() {
            if scheduled && self.due.is_empty() {
                return Ok(());
            }
            let number = self.next_writer;
            self.next_writer = (number + 1) % self.writers.len();
            let writer = &mut self.writers[number];
            if writer.unanswered >= UNANSWERED {
                idle_writers += 1;
                continue;
            }
            idle_writers = 0;
            let stamp = self.due.pop_front().unwrap_or_else(|| nanos(plan.start.elapsed()));
            writer.tag += 1;
            writer.unanswered += 1;
            writer.due[writer.tag as usize % DUE_KEPT] = stamp;
            let (tag, padding) = (writer.tag, plan.length - STAMP_DIGITS);
            let json = format!(
                r#"{{"type":"send","tag":{tag},"conversation":"{}","text":"{stamp:0STAMP_DIGITS$}{:x<padding$}"}}"#,
                self.id, ""
            );
            connections.send(self.first_connection + number, |bytes| wire::frame(bytes, json.as_bytes()))?;
            self.sent += 1;
        }
        Ok(())
    }
}

impl Handler for FanOut {
    /// A log is gapless and its frames come in order, so counting them says which one it is: only a sample is looked into.
    fn bytes(&mut self, connection: usize, bytes: &[u8], now: Instant) -> Result<usize> {
        let (number, member) = self.owners[connection];
        let group = &mut self.groups[number];
        group.touched = true;
        let mut taken = 0;
        while let Some((json, length)) = wire::parse(&bytes[taken..])? {
            taken += length;
            if json.starts_with(EVENT) {
                group.known[member] += 1;
                self.deliveries += 1;
                let seq = group.known[member] + 1;
                if seq.is_multiple_of(self.sample) {
                    let found: u64 = wire::number_field(json, "seq")?;
                    ensure!(found == seq, "a member of {} was told of {found} where {seq} was next", group.id);
                    let stamp = wire::text_field(json, "text")?.get(..STAMP_DIGITS).context("a text without its time")?;
                    let time = time(self.start, &self.measured, now, std::str::from_utf8(stamp)?.parse()?);
                    self.positions.received((number, seq), time)?;
                }
            } else if json.starts_with(SENT) {
                group.known[member] += 1;
                let tag: usize = wire::number_field(json, "tag")?;
                let writer = group.writers.get_mut(member).context("an answer to somebody who does not write")?;
                writer.unanswered = writer.unanswered.saturating_sub(1);
                if let Some(time) = time(self.start, &self.measured, now, writer.due[tag % DUE_KEPT]) {
                    self.answers.record(time)?;
                }
            } else if json.starts_with(WELCOME) {
                self.welcomed += 1;
            } else if FAULTS.iter().any(|fault| json.starts_with(fault)) {
                bail!("{} (a smaller --window may help)", String::from_utf8_lossy(json));
            }
        }
        Ok(taken)
    }
}

/// Microseconds from `stamp` to `now`, if what was due then is measured.
fn time(start: Option<Instant>, measured: &Range<u64>, now: Instant, stamp: u64) -> Option<u64> {
    let now = nanos(now.saturating_duration_since(start?));
    measured.contains(&stamp).then(|| now.saturating_sub(stamp).div_ceil(1_000).max(1))
}

/// A duration in whole nanoseconds.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
