//! A thread with its share of the devices: each connects, is cut, and comes back to what it missed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddrV4;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use banter_client::connection::{Backoff, CONNECT};
use banter_model::{ConversationId, DeviceId, Seq, UserId};
use banter_protocol::close_code;
use banter_protocol::limits::HEARTBEAT_MS;
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use hdrhistogram::Histogram;
use parking_lot::Mutex;
use rand::RngExt;
use serde::Deserialize;

use super::layout::Layout;
use super::pulling::{Answer, Gap, Pulling};
use crate::crowd::{Frame, Heartbeats, Interest, Poll, Socket, Sources, Tally, next_frame, upgrade_request};
use crate::wire;

/// The longest that a thread waits for its connections before it looks at what else there is to do.
const TURN: Duration = Duration::from_millis(10);
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// An answer to a sync question that has not come after this long is asked for again, as the Rust client does.
const ANSWER: Duration = Duration::from_secs(30);
/// Devices come back to a server that went down after a random time up to this, as the Rust client does.
const GOING_AWAY: Duration = Duration::from_secs(3);

/// Where the run is.
pub(super) mod stage {
    /// The devices connect, a few at a time.
    pub const GATHER: u8 = 0;
    /// All are cut.
    pub const CUT: u8 = 1;
    /// All come back.
    pub const RETURN: u8 = 2;
    /// It is over.
    pub const OVER: u8 = 3;
}

/// What all threads know, and tell.
pub(super) struct Shared {
    pub address: SocketAddrV4,
    pub tokens: Arc<AccessTokens>,
    pub layout: Layout,
    /// The sync point that every device has.
    pub point: String,
    /// New events for each device.
    pub missed: u64,
    /// Connections that one thread opens at the same time while the devices gather.
    pub at_once: usize,
    /// See [`stage`].
    pub stage: AtomicU8,
    /// Devices that have what the stage is for: a session, none, or everything.
    pub done: AtomicU64,
    /// When the devices began to come back.
    pub returned: Mutex<Option<Instant>>,
}

/// What a thread saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// From the beginning of the storm until a device had everything, in microseconds.
    pub in_sync: Histogram<u64>,
    /// Until its session stood.
    pub welcomed: Histogram<u64>,
    /// Until its sync was answered.
    pub answered: Histogram<u64>,
    /// What went wrong since the beginning of the storm, each followed by another try.
    pub retries: Tally,
    /// Events that were pulled.
    pub events: u64,
    /// Pages that held them.
    pub pages: u64,
    /// Bytes of the answers to sync questions.
    pub sync_bytes: u64,
    /// Devices that pulled another number of events than were written.
    pub wrong: u64,
}

impl Seen {
    /// Nothing yet.
    pub fn new() -> Result<Self> {
        let [in_sync, welcomed, answered] = [Histogram::new(3)?, Histogram::new(3)?, Histogram::new(3)?];
        Ok(Seen { in_sync, welcomed, answered, retries: Tally::default(), events: 0, pages: 0, sync_bytes: 0, wrong: 0 })
    }

    /// What another thread saw, too.
    pub fn add(&mut self, other: &Seen) -> Result<()> {
        self.in_sync.add(&other.in_sync)?;
        self.welcomed.add(&other.welcomed)?;
        self.answered.add(&other.answered)?;
        self.retries.add(&other.retries);
        self.events += other.events;
        self.pages += other.pages;
        self.sync_bytes += other.sync_bytes;
        self.wrong += other.wrong;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Connecting,
    Upgrading,
    Greeting,
    Syncing,
    Pulling,
    Ready,
}

struct Device {
    socket: Option<Socket>,
    state: State,
    /// What came of a frame that is not whole.
    rest: Vec<u8>,
    backoff: Backoff,
    /// The number of its latest alarm: earlier ones are void.
    alarm: u32,
    /// Events pulled so far.
    pulled: u64,
    pulling: Option<Box<Pulling>>,
}

#[derive(Deserialize)]
struct SyncAnswer {
    conversations: Vec<Changed>,
    #[serde(default)]
    more: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    conversation: ConversationId,
    head_seq: Seq,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
struct Bye {
    code: u16,
}

/// The thread.
pub(super) struct Devices {
    shared: Arc<Shared>,
    first: u64,
    devices: Vec<Device>,
    stage: u8,
    /// Gathered so far, and on their way.
    next: usize,
    opening: usize,
    alarms: BinaryHeap<Reverse<(Instant, usize, u32)>>,
    poll: Poll,
    sources: Sources,
    seen: Seen,
}

impl Devices {
    /// A thread's share of the devices. `thread` is its number.
    pub fn new(shared: Arc<Shared>, thread: usize, share: Range<u64>) -> Result<Self> {
        let device = |_| Device {
            socket: None,
            state: State::Away,
            rest: Vec::new(),
            backoff: Backoff::default(),
            alarm: 0,
            pulled: 0,
            pulling: None,
        };
        Ok(Devices {
            shared,
            first: share.start,
            devices: (share.start..share.end).map(device).collect(),
            stage: stage::GATHER,
            next: 0,
            opening: 0,
            alarms: BinaryHeap::new(),
            poll: Poll::new()?,
            sources: Sources::of_thread(thread),
            seen: Seen::new()?,
        })
    }

    /// Does what the stage asks for until it is over.
    pub fn run(mut self) -> Result<Seen> {
        let mut heartbeats = Heartbeats::new(Instant::now(), Duration::from_millis(HEARTBEAT_MS));
        let mut ping = Vec::new();
        wire::frame(&mut ping, br#"{"type":"ping"}"#);
        let mut buffer = vec![0; READ_BYTES];
        let mut tokens = Vec::new();
        loop {
            self.follow_stage();
            if self.stage == stage::OVER {
                return Ok(self.seen);
            }
            for index in heartbeats.due(Instant::now(), self.devices.len() as u64) {
                self.ping(index, &ping);
            }
            self.ring();
            self.poll.wait(TURN, &mut tokens)?;
            for token in tokens.drain(..) {
                let index = (token / 2) as usize;
                let stepped = match token % 2 {
                    0 => self.step(index, &mut buffer).map_err(|error| self.disconnected(index, &format!("{error:#}"), None)),
                    _ => self.step_pull(index, &mut buffer).map_err(|error| self.pull_failed(index, &format!("{error:#}"), None)),
                };
                // A failure is dealt with: the device comes again.
                let _ = stepped;
            }
        }
    }

    fn follow_stage(&mut self) {
        let stage = self.shared.stage.load(Ordering::Acquire);
        if stage == self.stage {
            if stage == stage::GATHER {
                while self.opening < self.shared.at_once && self.next < self.devices.len() {
                    let index = self.next;
                    self.next += 1;
                    self.opening += 1;
                    self.connect(index);
                }
            }
            return;
        }
        self.stage = stage;
        match stage {
            stage::CUT => {
                self.alarms.clear();
                for device in &mut self.devices {
                    if let Some(socket) = device.socket.take() {
                        socket.reset();
                    }
                    (device.state, device.rest, device.backoff) = (State::Away, Vec::new(), Backoff::default());
                }
                self.shared.done.fetch_add(self.devices.len() as u64, Ordering::AcqRel);
                self.seen.retries = Tally::default();
            }
            stage::RETURN => (0..self.devices.len()).for_each(|index| self.come_later(index, None)),
            _ => {}
        }
    }

    /// Connects after the wait that a client would make.
    fn come_later(&mut self, index: usize, code: Option<u16>) {
        let backoff = &mut self.devices[index].backoff;
        let wait = match code {
            Some(close_code::GOING_AWAY) => {
                backoff.reset();
                rand::rng().random_range(Duration::ZERO..GOING_AWAY)
            }
            _ => backoff.next_wait(),
        };
        self.set_alarm(index, wait);
    }

    fn set_alarm(&mut self, index: usize, after: Duration) {
        let device = &mut self.devices[index];
        device.alarm += 1;
        self.alarms.push(Reverse((Instant::now() + after, index, device.alarm)));
    }

    /// Does what is due.
    fn ring(&mut self) {
        let now = Instant::now();
        while let Some(Reverse((at, index, alarm))) = self.alarms.peek().copied()
            && at <= now
        {
            self.alarms.pop();
            if self.devices[index].alarm != alarm {
                continue;
            }
            match self.devices[index].state {
                State::Away => self.connect(index),
                State::Connecting | State::Upgrading | State::Greeting => self.disconnected(index, "no session in 15 s", None),
                State::Syncing => {
                    self.seen.retries.count("sync asked again");
                    self.ask(index, None);
                }
                State::Pulling => match &self.devices[index].pulling {
                    Some(pulling) if pulling.asked || (pulling.socket.is_some() && !pulling.connected) => {
                        self.pull_failed(index, "no answer in 30 s", None);
                    }
                    _ => self.pull(index),
                },
                State::Ready => {}
            }
        }
    }

    fn connect(&mut self, index: usize) {
        let connected = Socket::connect(self.shared.address, &mut self.sources).and_then(|socket| {
            self.poll.add(&socket, index as u64 * 2, Interest::Write)?;
            Ok(socket)
        });
        match connected {
            Ok(socket) => {
                self.devices[index].socket = Some(socket);
                self.devices[index].state = State::Connecting;
                self.set_alarm(index, CONNECT);
            }
            Err(error) => self.disconnected(index, &error.to_string(), None),
        }
    }

    /// The session is gone, whatever it had begun; another one is begun later.
    fn disconnected(&mut self, index: usize, reason: &str, code: Option<u16>) {
        self.seen.retries.count(reason);
        let device = &mut self.devices[index];
        if device.state == State::Ready {
            self.shared.done.fetch_sub(1, Ordering::AcqRel);
            // While the devices gather, one that does not stand keeps its place among those on their way.
            self.opening += usize::from(self.stage == stage::GATHER);
        }
        (device.socket, device.state, device.rest, device.pulling) = (None, State::Away, Vec::new(), None);
        device.pulled = 0;
        self.come_later(index, code);
    }

    fn ping(&mut self, index: usize, ping: &[u8]) {
        let device = &self.devices[index];
        if let (Some(socket), State::Ready | State::Syncing | State::Pulling) = (&device.socket, device.state)
            && let Err(error) = socket.write(ping)
        {
            self.disconnected(index, &error.to_string(), None);
        }
    }

    fn token(&self, index: usize) -> String {
        let number = self.first + index as u64 + 1;
        self.shared.tokens.issue(UserId(number), DeviceId(number), clock::now()).0
    }

    fn send(&self, index: usize, json: &str) -> Result<()> {
        let mut frame = Vec::new();
        wire::frame(&mut frame, json.as_bytes());
        Ok(self.devices[index].socket.as_ref().context("no connection")?.write(&frame)?)
    }

    /// A session's connection is ready for what it waits for.
    fn step(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        let device = &mut self.devices[index];
        let Some(socket) = &device.socket else { return Ok(()) };
        if device.state == State::Connecting {
            socket.connected()?;
            socket.write(upgrade_request(self.shared.address).as_bytes())?;
            self.poll.change(socket, index as u64 * 2, Interest::Read)?;
            device.state = State::Upgrading;
            return Ok(());
        }
        let read = match socket.read(buffer)? {
            None => return Ok(()),
            Some(0) => bail!("closed by the server"),
            Some(read) => read,
        };
        let mut rest = std::mem::take(&mut device.rest);
        let bytes = match rest.is_empty() {
            true => &buffer[..read],
            false => {
                rest.extend_from_slice(&buffer[..read]);
                &rest
            }
        };
        let mut taken = 0;
        // A frame may end the session: what follows is of the one before.
        while self.devices[index].socket.is_some()
            && let Some((frame, length)) = next_frame(&bytes[taken..], self.devices[index].state != State::Upgrading)?
        {
            taken += length;
            self.take(index, &frame)?;
        }
        if self.devices[index].socket.is_some() {
            match taken {
                // A long frame comes in many pieces: its buffer stays.
                0 if !rest.is_empty() => self.devices[index].rest = rest,
                _ => self.devices[index].rest = bytes[taken..].to_vec(),
            }
        }
        Ok(())
    }

    fn take(&mut self, index: usize, frame: &Frame<'_>) -> Result<()> {
        match frame {
            Frame::Upgraded => {
                let token = self.token(index);
                let json = match self.stage {
                    stage::GATHER => format!(r#"{{"type":"hello","token":"{token}"}}"#),
                    _ => format!(r#"{{"type":"resume","token":"{token}","since":"{}"}}"#, self.shared.point),
                };
                self.devices[index].state = State::Greeting;
                self.send(index, &json)
            }
            Frame::Text(json) => self.take_json(index, json),
            Frame::Close(code) => {
                self.disconnected(index, &format!("closed with {code}"), Some(*code));
                Ok(())
            }
            Frame::Control => Ok(()),
        }
    }

    fn take_json(&mut self, index: usize, json: &[u8]) -> Result<()> {
        let state = self.devices[index].state;
        let kind = wire::text_field(json, "type")?;
        match (kind, state) {
            (b"welcome", State::Greeting) if self.stage == stage::GATHER => {
                self.opening = self.opening.saturating_sub(1);
                self.ready(index);
            }
            (b"welcome", State::Greeting) => {
                let micros = self.since_return();
                self.seen.welcomed.record(micros)?;
                self.devices[index].state = State::Syncing;
                self.set_alarm(index, ANSWER);
            }
            (b"sync", State::Syncing) => self.synced(index, json)?,
            (b"error", State::Syncing) => {
                let Refusal { code, retry_after } = serde_json::from_slice(json)?;
                self.seen.retries.count(format!("sync: {code}"));
                let wait = self.devices[index].backoff.next_wait().max(Duration::from_secs(retry_after.unwrap_or(0)));
                self.set_alarm(index, wait);
            }
            (b"bye", _) => {
                let Bye { code } = serde_json::from_slice(json)?;
                self.disconnected(index, &format!("closed with {code}"), Some(code));
            }
            (b"resync", State::Syncing | State::Pulling) => {
                self.seen.retries.count("resync");
                self.ask(index, None);
            }
            (b"error", _) => bail!("{}", String::from_utf8_lossy(json)),
            // Others' presence, answers to pings, an answer that was asked for twice.
            _ => {}
        }
        Ok(())
    }

    /// Asks what changed, or for the next part of the answer.
    fn ask(&mut self, index: usize, more: Option<&str>) {
        let device = &mut self.devices[index];
        device.state = State::Syncing;
        if more.is_none() {
            (device.pulling, device.pulled) = (None, 0);
        }
        let more = more.map(|more| format!(r#","more":"{more}""#)).unwrap_or_default();
        let question = format!(r#"{{"type":"sync","since":"{}"{more}}}"#, self.shared.point);
        self.set_alarm(index, ANSWER);
        if let Err(error) = self.send(index, &question) {
            self.disconnected(index, &format!("{error:#}"), None);
        }
    }

    fn synced(&mut self, index: usize, json: &[u8]) -> Result<()> {
        let SyncAnswer { conversations, more } = serde_json::from_slice(json)?;
        self.seen.sync_bytes += json.len() as u64;
        let gaps = conversations.into_iter().filter_map(|Changed { conversation, head_seq: head }| {
            let after = self.shared.layout.known(conversation);
            (head > after).then_some(Gap { conversation, after, head })
        });
        let gaps: Vec<Gap> = gaps.collect();
        let token = self.token(index);
        let pulling = self.devices[index].pulling.get_or_insert_with(|| Box::new(Pulling::new(token)));
        pulling.gaps.extend(gaps);
        if let Some(more) = more {
            self.ask(index, Some(&more));
            return Ok(());
        }
        let micros = self.since_return();
        self.seen.answered.record(micros)?;
        self.devices[index].state = State::Pulling;
        self.pull(index);
        Ok(())
    }

    /// Asks for the next page, or has everything.
    fn pull(&mut self, index: usize) {
        let Some(pulling) = &mut self.devices[index].pulling else { return };
        if pulling.gaps.is_empty() {
            return self.in_sync(index);
        }
        let asked = match &pulling.socket {
            Some(socket) if pulling.connected => {
                let request = pulling.request(self.shared.address).unwrap_or_default();
                pulling.asked = true;
                socket.write(request.as_bytes())
            }
            Some(_) => Ok(()),
            None => Socket::connect(self.shared.address, &mut self.sources).and_then(|socket| {
                self.poll.add(&socket, index as u64 * 2 + 1, Interest::Write)?;
                (pulling.socket, pulling.connected) = (Some(socket), false);
                Ok(())
            }),
        };
        match asked {
            // As long as the Rust client waits for an answer of the API.
            Ok(()) => self.set_alarm(index, ANSWER),
            Err(error) => self.pull_failed(index, &error.to_string(), None),
        }
    }

    fn step_pull(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(pulling) = &mut self.devices[index].pulling else { return Ok(()) };
        let Some(socket) = &pulling.socket else { return Ok(()) };
        if !pulling.connected {
            socket.connected()?;
            self.poll.change(socket, index as u64 * 2 + 1, Interest::Read)?;
            pulling.connected = true;
            self.pull(index);
            return Ok(());
        }
        match socket.read(buffer)? {
            None => return Ok(()),
            Some(0) => bail!("closed by the server"),
            Some(read) => pulling.answer.extend_from_slice(&buffer[..read]),
        }
        let Some((answer, stays)) = pulling.take_answer()? else { return Ok(()) };
        if !stays {
            pulling.socket = None;
        }
        match answer {
            Answer::Page { events, to } => {
                pulling.took(to)?;
                self.devices[index].pulled += events;
                self.seen.events += events;
                self.seen.pages += 1;
                self.pull(index);
            }
            Answer::Refused { code, retry_after } => self.pull_refused(index, &code, retry_after),
        }
        Ok(())
    }

    fn pull_failed(&mut self, index: usize, reason: &str, retry_after: Option<u64>) {
        if let Some(pulling) = &mut self.devices[index].pulling {
            (pulling.socket, pulling.asked, pulling.answer) = (None, false, Vec::new());
        }
        self.pull_refused(index, reason, retry_after);
    }

    /// Asks again later, as the Rust client does.
    fn pull_refused(&mut self, index: usize, reason: &str, retry_after: Option<u64>) {
        self.seen.retries.count(format!("page: {reason}"));
        let Some(pulling) = &mut self.devices[index].pulling else { return };
        pulling.failures += 1;
        let wait = Duration::from_millis(100 << pulling.failures.min(8)).max(Duration::from_secs(retry_after.unwrap_or(0)));
        self.set_alarm(index, wait);
    }

    fn in_sync(&mut self, index: usize) {
        self.devices[index].pulling = None;
        if self.devices[index].pulled != self.shared.missed {
            self.seen.wrong += 1;
        }
        let micros = self.since_return();
        // Beyond what a histogram takes there is nothing: it grows.
        let _ = self.seen.in_sync.record(micros);
        self.ready(index);
    }

    fn ready(&mut self, index: usize) {
        let device = &mut self.devices[index];
        device.state = State::Ready;
        device.alarm += 1;
        device.backoff.reset();
        self.shared.done.fetch_add(1, Ordering::AcqRel);
    }

    fn since_return(&self) -> u64 {
        let returned = *self.shared.returned.lock();
        returned.map_or(1, |returned| u64::try_from(returned.elapsed().as_micros()).unwrap_or(u64::MAX).max(1))
    }
}
