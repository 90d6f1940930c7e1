//! The traffic of pairs, and what is measured of it. Knows nothing of what it runs against but that it speaks like banter.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::ConversationId;
use bytes::{Buf, BytesMut};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::counters::Counters;
use crate::pairs::Pairs;
use crate::pairs::system_calls::{self, SystemCalls};
use crate::server::User;
use crate::{process, wire};

/// Digits at the start of a text that hold when it was due to be sent, in nanoseconds from the start.
const STAMP_DIGITS: usize = 20;
/// Most bytes given to the kernel in one write.
const WRITE_BYTES: usize = 16 << 10;
/// How long the last messages are waited for.
const LAST_ONES: Duration = Duration::from_secs(1);
/// How long a session is given to stand.
const WELCOME: Duration = Duration::from_secs(60);

/// What the pairs run against.
#[derive(Clone)]
pub struct Target {
    /// Where connections are taken. Of several, pairs use each together with each.
    pub gateways: Arc<[SocketAddr]>,
    /// The metrics pages of all its nodes.
    pub nodes: Arc<[SocketAddr]>,
    /// The processes of all its nodes.
    pub processes: Arc<[u32]>,
    /// Two for each pair: who writes, then who receives.
    pub users: Arc<[User]>,
}

impl Target {
    /// One process, which listens at `address`.
    pub fn one(address: SocketAddr, process: u32, users: Arc<[User]>) -> Target {
        Target { gateways: Arc::new([address]), nodes: Arc::new([address]), processes: Arc::new([process]), users }
    }

    /// Where the writer and the reader of a pair connect.
    fn gateways_of(&self, pair: u64) -> (SocketAddr, SocketAddr) {
        let (pair, count) = (pair as usize, self.gateways.len());
        (self.gateways[pair % count], self.gateways[pair / count % count])
    }

    /// Seconds of processor time that its processes have used.
    fn cpu_seconds(&self) -> Result<f64> {
        self.processes.iter().map(|process| process::cpu_seconds(*process)).sum()
    }

    async fn counters(&self) -> Result<Counters> {
        let mut all = Counters::default();
        for node in self.nodes.iter() {
            all.add(&Counters::read(*node).await?);
        }
        Ok(all)
    }
}

/// What was measured.
pub struct Run {
    /// From due to the other's receipt, in microseconds.
    pub receipt: Histogram<u64>,
    /// From due to the answer, in microseconds.
    pub answer: Histogram<u64>,
    /// How long was measured.
    pub seconds: f64,
    /// What the server's counters went up by.
    pub change: Counters,
    /// Processors that the server kept busy.
    pub server_processors: f64,
    /// Processors that this process kept busy.
    pub generator_processors: f64,
    /// Processors of the machine that were busy with anything else: the engines of a fleet, and work of the kernel's own.
    pub other_processors: f64,
    /// The server's system calls, or why they could not be counted; `None` when they were not to be.
    pub system_calls: Option<Result<SystemCalls>>,
}

impl Run {
    /// Messages that arrived, of those that were due while it was measured.
    pub fn messages_a_second(&self) -> f64 {
        self.receipt.len() as f64 / self.seconds
    }
}

/// What one pair measured.
struct Measured {
    receipt: Histogram<u64>,
    answer: Histogram<u64>,
}

/// What the tasks of a pair know.
struct Shared {
    start: Instant,
    until: Instant,
    /// Due in this time, in nanoseconds from `start`, counts.
    measured: Range<u64>,
    window: Semaphore,
    /// Gets a permit for each of the two sessions that stands.
    standing: Semaphore,
    /// When each tag was due; more of them than can be under way.
    due: Vec<AtomicU64>,
    over: Notify,
}

impl Shared {
    fn nanos(&self, at: Instant) -> u64 {
        nanos(at.saturating_duration_since(self.start))
    }
}

/// Runs the pairs against `target`.
pub async fn run(options: &Pairs, target: &Target) -> Result<Run> {
    ensure!(options.length >= STAMP_DIGITS, "a text needs {STAMP_DIGITS} characters for its time");
    let start = Instant::now() + Duration::from_millis(500);
    let from = start + Duration::from_secs(options.warm_up);
    let until = from + Duration::from_secs(options.seconds);
    // perf needs a moment more than it counts.
    let counting = options.system_call_seconds > 0;
    let end = until + Duration::from_secs(options.system_call_seconds + u64::from(counting));
    let mut pairs = JoinSet::new();
    let mut turns = Vec::new();
    for pair in 0..options.pairs {
        let shared = Arc::new(Shared {
            start,
            until: end,
            measured: nanos(from - start)..nanos(until - start),
            window: Semaphore::new(options.window),
            standing: Semaphore::new(0),
            due: (0..(options.window * 2).next_power_of_two().max(1_024)).map(|_| AtomicU64::new(0)).collect(),
            over: Notify::new(),
        });
        let schedule = options.rate.map(|_| {
            let (turn, schedule) = mpsc::unbounded_channel();
            turns.push(turn);
            schedule
        });
        let (target, length) = (target.clone(), options.length);
        pairs.spawn(async move { run_pair(&target, pair, shared, schedule, length).await });
    }
    if let Some(rate) = options.rate {
        std::thread::spawn(move || take_turns(turns, start, end, rate));
    }
    tokio::time::sleep_until(from.into()).await;
    let busy = Busy::now(target)?;
    let counters = target.counters().await?;
    tokio::time::sleep_until(until.into()).await;
    let busy = Busy::now(target)?.since(&busy);
    let change = target.counters().await?.since(&counters);
    let system_calls = match (counting, &*target.processes, &*target.nodes) {
        (true, [process], [node]) => Some(system_calls::count(*process, *node, options.system_call_seconds).await),
        _ => None,
    };
    let mut all = Measured { receipt: Histogram::new(3)?, answer: Histogram::new(3)? };
    while let Some(measured) = pairs.join_next().await {
        let measured = measured??;
        all.receipt.add(&measured.receipt)?;
        all.answer.add(&measured.answer)?;
    }
    let seconds = options.seconds as f64;
    Ok(Run {
        receipt: all.receipt,
        answer: all.answer,
        seconds,
        change,
        server_processors: busy.server / seconds,
        generator_processors: busy.generator / seconds,
        other_processors: (busy.machine - busy.server - busy.generator).max(0.0) / seconds,
        system_calls,
    })
}

/// Seconds of processor time.
struct Busy {
    server: f64,
    generator: f64,
    machine: f64,
}

impl Busy {
    fn now(target: &Target) -> Result<Busy> {
        let (server, generator) = (target.cpu_seconds()?, process::cpu_seconds(std::process::id())?);
        Ok(Busy { server, generator, machine: process::machine_cpu_seconds()? })
    }

    fn since(&self, before: &Busy) -> Busy {
        let (server, generator) = (self.server - before.server, self.generator - before.generator);
        Busy { server, generator, machine: self.machine - before.machine }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

async fn run_pair(
    target: &Target,
    pair: u64,
    shared: Arc<Shared>,
    mut schedule: Option<mpsc::UnboundedReceiver<Instant>>,
    length: usize,
) -> Result<Measured> {
    let (writer, reader) = (&target.users[pair as usize * 2], &target.users[pair as usize * 2 + 1]);
    let conversation = ConversationId::direct(writer.id, reader.id).context("two different users")?;
    let (writes_to, reads_from) = target.gateways_of(pair);
    let (receiving, _open) = wire::connect(reads_from, pair * 2, &reader.token).await?.into_split();
    let (answers, mut frames) = wire::connect(writes_to, pair * 2 + 1, &writer.token).await?.into_split();
    let received = tokio::spawn(read(receiving, shared.clone(), Awaited::Receipt));
    let answered = tokio::spawn(read(answers, shared.clone(), Awaited::Answer));
    let standing = tokio::time::timeout(WELCOME, shared.standing.acquire_many(2)).await.context("no welcome in time")?;
    // Closed by a reading task that failed, as the window is: the error comes out below.
    if standing.is_ok() {
        tokio::time::sleep_until(shared.start.into()).await;
        write(&mut frames, conversation, &shared, &mut schedule, length).await?;
        // What is under way counts if it was due in time.
        tokio::time::sleep(LAST_ONES).await;
    }
    shared.over.notify_waiters();
    Ok(Measured { receipt: received.await??, answer: answered.await?? })
}

/// Writes until it is over.
async fn write(
    frames: &mut tokio::net::tcp::OwnedWriteHalf,
    conversation: ConversationId,
    shared: &Shared,
    schedule: &mut Option<mpsc::UnboundedReceiver<Instant>>,
    length: usize,
) -> Result<()> {
    let mut buffer = Vec::new();
    let mut tag = 0_u64;
    while Instant::now() < shared.until {
        let due = match schedule {
            None => None,
            Some(schedule) => match schedule.recv().await {
                Some(due) => Some(due),
                None => break,
            },
        };
        let Ok(place) = shared.window.acquire().await else { break };
        place.forget();
        // What the window allows goes out in one write.
        loop {
            tag += 1;
            let stamp = shared.nanos(due.unwrap_or_else(Instant::now));
            shared.due[tag as usize % shared.due.len()].store(stamp, Ordering::Release);
            let padding = length - STAMP_DIGITS;
            let text = format!("{stamp:0STAMP_DIGITS$}{:x<padding$}", "");
            let json = format!(r#"{{"type":"send","tag":{tag},"conversation":"{conversation}","text":"{text}"}}"#);
            wire::frame(&mut buffer, json.as_bytes());
            match due {
                None if buffer.len() < WRITE_BYTES => match shared.window.try_acquire() {
                    Ok(place) => place.forget(),
                    Err(_) => break,
                },
                _ => break,
            }
        }
        frames.write_all(&buffer).await?;
        buffer.clear();
    }
    Ok(())
}

/// Tells the pairs in turn when to send, at a rate for all of them together. A thread of its own: the runtime's timers are good to a
/// millisecond, which is more than a message takes.
fn take_turns(turns: Vec<mpsc::UnboundedSender<Instant>>, start: Instant, until: Instant, rate: f64) {
    let interval = Duration::from_secs_f64(1.0 / rate);
    let mut due = start;
    for turn in turns.iter().cycle() {
        if due >= until {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // A pair that failed says so itself.
        let _ = turn.send(due);
        due += interval;
    }
}

/// What a connection is read for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    /// Messages of the other.
    Receipt,
    /// Answers to one's own.
    Answer,
}

/// Reads frames until it is over; returns the times from due to now of those that were due while it is measured.
async fn read(stream: OwnedReadHalf, shared: Arc<Shared>, awaited: Awaited) -> Result<Histogram<u64>> {
    let times = read_frames(stream, &shared, awaited).await;
    if times.is_err() {
        // Nobody is to wait for what will not come.
        shared.standing.close();
        shared.window.close();
    }
    times
}

async fn read_frames(mut stream: OwnedReadHalf, shared: &Shared, awaited: Awaited) -> Result<Histogram<u64>> {
    let mut times = Histogram::new(3)?;
    let mut buffer = BytesMut::with_capacity(32 << 10);
    let over = shared.over.notified();
    tokio::pin!(over);
    loop {
        tokio::select! {
            read = stream.read_buf(&mut buffer) => ensure!(read? > 0, "the server closed"),
            () = &mut over => return Ok(times),
        }
        let now = shared.nanos(Instant::now());
        while let Some((json, length)) = wire::parse(&buffer)? {
            let due = match awaited {
                Awaited::Receipt if json.starts_with(br#"{"type":"event""#) => {
                    shared.window.add_permits(1);
                    let stamp = wire::text_field(json, "text")?.get(..STAMP_DIGITS).context("a text without its time")?;
                    Some(std::str::from_utf8(stamp)?.parse()?)
                }
                Awaited::Answer if json.starts_with(br#"{"type":"sent""#) => {
                    let tag: usize = wire::number_field(json, "tag")?;
                    Some(shared.due[tag % shared.due.len()].load(Ordering::Acquire))
                }
                _ => {
                    ensure!(json.starts_with(br#"{"type":"welcome""#), "{}", String::from_utf8_lossy(json));
                    shared.standing.add_permits(1);
                    None
                }
            };
            if let Some(due) = due.filter(|due| shared.measured.contains(due)) {
                times.record(now.saturating_sub(due).div_ceil(1_000).max(1))?;
            }
            buffer.advance(length);
        }
    }
}
