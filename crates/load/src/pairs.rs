//! Pairs of users: one writes, the other receives.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::ConversationId;
use bytes::{Buf, BytesMut};
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{Notify, Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::{Common, process, server::Server, wire};

/// Digits at the start of a text that hold when it was due to be sent, in nanoseconds from the start.
const STAMP_DIGITS: usize = 20;

/// Most bytes given to the kernel in one write.
const WRITE_BYTES: usize = 16 << 10;
/// How long the last messages are waited for.
const LAST_ONES: Duration = Duration::from_secs(1);

/// One of each pair writes to the other.
#[derive(Args)]
pub struct Pairs {
    /// How many pairs.
    #[arg(long, default_value_t = 100)]
    pairs: u64,
    /// Messages of a pair that are sent and not yet received by the other.
    #[arg(long, default_value_t = 16)]
    window: usize,
    /// Characters of a text.
    #[arg(long, default_value_t = 100)]
    length: usize,
    /// Messages a second of all pairs together; as fast as it goes when absent. Latency counts from when a message was due.
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds to run before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
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
    /// When each tag was due; more of them than can be under way.
    due: Vec<AtomicU64>,
    over: Notify,
}

impl Shared {
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Pairs {
    /// Runs the pairs.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.length >= STAMP_DIGITS, "a text needs {STAMP_DIGITS} characters for its time");
        let server = Arc::new(Server::start(common, self.pairs * 2).await?);
        let probe = process::sync_times(server.folder.path(), 2_000, 4_096)?;
        let start = Instant::now() + Duration::from_millis(500);
        let from = start + Duration::from_secs(self.warm_up);
        let until = from + Duration::from_secs(self.seconds);
        let mut pairs = JoinSet::new();
        let mut turns = Vec::new();
        for pair in 0..self.pairs {
            let shared = Arc::new(Shared {
                start,
                until,
                measured: nanos(from - start)..nanos(until - start),
                window: Semaphore::new(self.window),
                due: (0..(self.window * 2).next_power_of_two().max(1_024)).map(|_| AtomicU64::new(0)).collect(),
                over: Notify::new(),
            });
            let schedule = self.rate.map(|_| {
                let (turn, schedule) = mpsc::unbounded_channel();
                turns.push(turn);
                schedule
            });
            let (server, length) = (server.clone(), self.length);
            pairs.spawn(async move { run_pair(&server, pair, shared, schedule, length).await });
        }
        if let Some(rate) = self.rate {
            std::thread::spawn(move || take_turns(turns, start, until, rate));
        }
        tokio::time::sleep_until(from.into()).await;
        let cpu = (process::cpu_seconds(server.pid())?, process::cpu_seconds(std::process::id())?);
        let metrics = counters(&server).await?;
        tokio::time::sleep_until(until.into()).await;
        let cpu_after = (process::cpu_seconds(server.pid())?, process::cpu_seconds(std::process::id())?);
        let metrics_after = counters(&server).await?;
        let mut all = Measured { receipt: Histogram::new(3)?, answer: Histogram::new(3)? };
        while let Some(measured) = pairs.join_next().await {
            let measured = measured??;
            all.receipt.add(&measured.receipt)?;
            all.answer.add(&measured.answer)?;
        }
        let seconds = self.seconds as f64;
        let change = |name: &str| metrics_after.get(name).copied().unwrap_or(0.0) - metrics.get(name).copied().unwrap_or(0.0);
        let per = |name: &str, other: &str| change(name) / change(other).max(1.0);
        let (resident, _) = process::resident(server.pid())?;
        let figures = json!({
            "pairs": self.pairs, "window": self.window, "characters": self.length,
            "events stored a second, by the server's own count": change("banter_events_total") / seconds,
            "messages received a second": all.receipt.len() as f64 / seconds,
            "from due to receipt, ms": process::quantiles(&all.receipt),
            "from due to answer, ms": process::quantiles(&all.answer),
            "fdatasync of 4 KiB on this disk, ms": process::quantiles(&probe),
            "processors used by the server": (cpu_after.0 - cpu.0) / seconds,
            "processors used by the generator": (cpu_after.1 - cpu.1) / seconds,
            "commands per round": per("banter_commands_total", "banter_rounds_total"),
            "events per sync": per("banter_events_total", "banter_history_syncs_total"),
            "write calls per event": per("banter_socket_writes_total", "banter_events_total"),
            "encodings per event": per("banter_frames_encoded_total", "banter_events_total"),
            "server memory, MiB": resident as f64 / f64::from(1 << 20),
        });
        match figures {
            Value::Object(figures) => Ok(figures),
            _ => Ok(Map::new()),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

async fn run_pair(
    server: &Server,
    pair: u64,
    shared: Arc<Shared>,
    mut schedule: Option<mpsc::UnboundedReceiver<Instant>>,
    length: usize,
) -> Result<Measured> {
    let (writer, reader) = (&server.users[pair as usize * 2], &server.users[pair as usize * 2 + 1]);
    let conversation = ConversationId::direct(writer.id, reader.id).context("two different users")?;
    let (receiving, _open) = wire::connect(server.address, pair * 2, &reader.token).await?.into_split();
    let (answers, mut frames) = wire::connect(server.address, pair * 2 + 1, &writer.token).await?.into_split();
    let received = tokio::spawn(read(receiving, shared.clone(), Awaited::Receipt));
    let answered = tokio::spawn(read(answers, shared.clone(), Awaited::Answer));
    tokio::time::sleep_until(shared.start.into()).await;
    let mut buffer = Vec::new();
    let mut tag = 0_u64;
    while Instant::now() < shared.until {
        let due = match &mut schedule {
            None => None,
            Some(schedule) => match schedule.recv().await {
                Some(due) => Some(due),
                None => break,
            },
        };
        shared.window.acquire().await?.forget();
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
    // What is under way counts if it was due in time.
    tokio::time::sleep(LAST_ONES).await;
    shared.over.notify_waiters();
    Ok(Measured { receipt: received.await??, answer: answered.await?? })
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
async fn read(mut stream: OwnedReadHalf, shared: Arc<Shared>, awaited: Awaited) -> Result<Histogram<u64>> {
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

/// Counters of the server, by name.
pub(crate) async fn counters(server: &Server) -> Result<HashMap<String, f64>> {
    let mut stream = tokio::net::TcpStream::connect(server.address).await?;
    stream
        .write_all(format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", server.address).as_bytes())
        .await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    Ok(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}
