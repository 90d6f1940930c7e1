//! A thread that opens its share of the sessions and holds them.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use banter_model::{DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use hdrhistogram::Histogram;

use crate::crowd::{Frame, Heartbeats, Interest, Poll, Socket, Sources, Tally, joined, next_frame, upgrade_request};
use crate::wire;

/// The longest that a thread waits for its connections before it looks at what else there is to do.
const TURN: Duration = Duration::from_millis(20);
/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// How often a session is tried before the thread gives up, on average over all.
const ATTEMPTS: u64 = 5;
/// Digits at the start of a text that hold when it was due, in nanoseconds from the beginning.
pub(super) const STAMP_DIGITS: usize = 20;

/// What all threads know, and tell.
pub(super) struct Shared {
    /// Where the server is.
    pub address: SocketAddrV4,
    /// Signs what the sessions begin with.
    pub tokens: AccessTokens,
    /// How many sessions each user has.
    pub sessions_per_user: u64,
    /// Connections that one thread opens at the same time.
    pub at_once: usize,
    /// The time between two heartbeats of a session.
    pub heartbeat: Duration,
    /// What stamps count from.
    pub begun: Instant,
    /// Sessions that stand.
    pub open: AtomicU64,
    /// Messages that came.
    pub received: AtomicU64,
    /// All sessions are to be cut.
    pub over: AtomicBool,
}

impl Shared {
    /// Whose session number `session` is.
    pub fn user_of(&self, session: u64) -> UserId {
        UserId(session / self.sessions_per_user + 1)
    }
}

/// What a thread saw.
pub(super) struct Seen {
    /// From due to receipt, in microseconds.
    pub receipts: Histogram<u64>,
    /// What went wrong.
    pub failures: Tally,
    /// Sessions that stood and were lost.
    pub lost: u64,
    /// Heartbeats sent.
    pub pings: u64,
    /// Heartbeats answered.
    pub pongs: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    Connecting,
    Upgrading,
    Greeting,
    Open,
}

/// A session: as little as can be while it is idle.
struct Held {
    socket: Option<Socket>,
    stage: Stage,
    /// What came of a frame that is not whole.
    rest: Vec<u8>,
}

/// The thread.
pub(super) struct Holder {
    shared: Arc<Shared>,
    /// The number of its first session.
    first: u64,
    held: Vec<Held>,
    /// Those to be opened.
    to_open: VecDeque<usize>,
    opening: usize,
    attempts: u64,
    poll: Poll,
    sources: Sources,
    ping: Vec<u8>,
    seen: Seen,
}

impl Holder {
    /// A thread's share of the sessions. `thread` is its number.
    pub fn new(shared: Arc<Shared>, thread: usize, share: Range<u64>) -> Result<Self> {
        let count = usize::try_from(share.end - share.start)?;
        let mut ping = Vec::new();
        wire::frame(&mut ping, br#"{"type":"ping"}"#);
        Ok(Holder {
            shared,
            first: share.start,
            held: (0..count).map(|_| Held { socket: None, stage: Stage::Away, rest: Vec::new() }).collect(),
            to_open: (0..count).collect(),
            opening: 0,
            attempts: 0,
            poll: Poll::new()?,
            sources: Sources::of_thread(thread),
            ping,
            seen: Seen { receipts: Histogram::new(3)?, failures: Tally::default(), lost: 0, pings: 0, pongs: 0 },
        })
    }

    /// Opens and holds the sessions until it is over, then cuts them.
    pub fn run(mut self) -> Result<Seen> {
        let mut heartbeats = Heartbeats::new(Instant::now(), self.shared.heartbeat);
        let mut buffer = vec![0; READ_BYTES];
        let mut tokens = Vec::new();
        while !self.shared.over.load(Ordering::Acquire) {
            self.open_some()?;
            for index in heartbeats.due(Instant::now(), self.held.len() as u64) {
                self.ping(index);
            }
            self.poll.wait(TURN, &mut tokens)?;
            for token in tokens.drain(..) {
                let index = token as usize;
                if let Err(error) = self.step(index, &mut buffer) {
                    self.failed(index, &error);
                }
            }
        }
        for held in &mut self.held {
            if let Some(socket) = held.socket.take() {
                socket.reset();
            }
        }
        Ok(self.seen)
    }

    fn open_some(&mut self) -> Result<()> {
        while self.opening < self.shared.at_once
            && let Some(index) = self.to_open.pop_front()
        {
            self.attempts += 1;
            if self.attempts > self.held.len() as u64 * ATTEMPTS {
                bail!("too many sessions cannot be opened: {:?}", self.seen.failures);
            }
            self.opening += 1;
            self.held[index].stage = Stage::Connecting;
            if let Err(error) = self.connect(index) {
                self.failed(index, &error);
            }
        }
        Ok(())
    }

    fn connect(&mut self, index: usize) -> Result<()> {
        let socket = Socket::connect(self.shared.address, &mut self.sources)?;
        self.poll.add(&socket, index as u64, Interest::Write)?;
        self.held[index].socket = Some(socket);
        Ok(())
    }

    fn failed(&mut self, index: usize, error: &anyhow::Error) {
        let held = &mut self.held[index];
        self.seen.failures.count(format!("{error:#}"));
        match held.stage {
            Stage::Away => return,
            Stage::Open => {
                self.seen.lost += 1;
                self.shared.open.fetch_sub(1, Ordering::AcqRel);
            }
            Stage::Connecting | Stage::Upgrading | Stage::Greeting => {
                self.opening -= 1;
                self.to_open.push_back(index);
            }
        }
        *held = Held { socket: None, stage: Stage::Away, rest: Vec::new() };
    }

    fn ping(&mut self, index: usize) {
        let Held { socket: Some(socket), stage: Stage::Open, .. } = &self.held[index] else { return };
        match socket.write(&self.ping) {
            Ok(()) => self.seen.pings += 1,
            Err(error) => self.failed(index, &error.into()),
        }
    }

    /// A connection is ready for what it waits for.
    fn step(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        let held = &mut self.held[index];
        let Some(socket) = &held.socket else { return Ok(()) };
        if held.stage == Stage::Connecting {
            socket.connected().context("connecting")?;
            socket.write(upgrade_request(self.shared.address).as_bytes())?;
            self.poll.change(socket, index as u64, Interest::Read)?;
            held.stage = Stage::Upgrading;
            return Ok(());
        }
        let read = match socket.read(buffer)? {
            None => return Ok(()),
            Some(0) => bail!("closed by the server"),
            Some(read) => read,
        };
        let mut rest = std::mem::take(&mut held.rest);
        let bytes = joined(&mut rest, &buffer[..read]);
        let mut taken = 0;
        while let Some((frame, length)) = next_frame(&bytes[taken..], self.held[index].stage != Stage::Upgrading)? {
            taken += length;
            self.take(index, &frame)?;
        }
        // Nothing is kept of an idle session, not even the allocation.
        self.held[index].rest = bytes[taken..].to_vec();
        Ok(())
    }

    fn take(&mut self, index: usize, frame: &Frame<'_>) -> Result<()> {
        let held = &mut self.held[index];
        match (frame, held.stage) {
            (Frame::Upgraded, _) => {
                let session = self.first + index as u64;
                // The devices are not in the directory: nothing asks for those that were not removed.
                let (token, _) = self.shared.tokens.issue(self.shared.user_of(session), DeviceId(session + 1), clock::now());
                let mut hello = Vec::new();
                wire::frame(&mut hello, format!(r#"{{"type":"hello","token":"{token}"}}"#).as_bytes());
                held.socket.as_ref().context("no connection")?.write(&hello)?;
                held.stage = Stage::Greeting;
            }
            (Frame::Text(json), Stage::Greeting) if json.starts_with(br#"{"type":"welcome""#) => {
                held.stage = Stage::Open;
                self.opening -= 1;
                self.shared.open.fetch_add(1, Ordering::AcqRel);
            }
            (Frame::Text(json), _) if json.starts_with(br#"{"type":"pong""#) => self.seen.pongs += 1,
            (Frame::Text(json), _) if json.starts_with(br#"{"type":"event""#) => {
                let now = u64::try_from(self.shared.begun.elapsed().as_nanos())?;
                let stamp = wire::text_field(json, "text")?.get(..STAMP_DIGITS).context("a text without its time")?;
                let due: u64 = std::str::from_utf8(stamp)?.parse()?;
                self.seen.receipts.record(now.saturating_sub(due).div_ceil(1_000).max(1))?;
                self.shared.received.fetch_add(1, Ordering::AcqRel);
            }
            (Frame::Text(json), _) => bail!("{}", String::from_utf8_lossy(json)),
            (Frame::Close(code), _) => bail!("closed with {code}"),
            (Frame::Control, _) => {}
        }
        Ok(())
    }
}
