//! A thread with its share of the devices: each connects, is cut, and comes back to what it missed.

mod answers;
mod pages;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use banter_client::connection::{Backoff, CONNECT};
use banter_model::{DeviceId, UserId};
use banter_protocol::close_code;
use banter_protocol::limits::HEARTBEAT_MS;
use banter_server::clock;
use rand::RngExt;

use super::pulling::Pulling;
use super::shared::{Seen, Shared, stage};
use crate::crowd::{Heartbeats, Interest, Poll, Socket, Sources, joined, next_frame, upgrade_request};
use crate::wire;

/// The longest that a thread waits for its connections before it looks at what else there is to do.
const TURN: Duration = Duration::from_millis(10);
/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// An answer to a sync question that has not come this long after the last sign of it is asked for again, as the Rust client does.
const ANSWER: Duration = Duration::from_secs(30);
/// Devices come back to a server that went down after a random time up to this, as the Rust client does.
const GOING_AWAY: Duration = Duration::from_secs(3);

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
    /// When the server last said anything.
    heard: Instant,
    /// Events pulled so far.
    pulled: u64,
    pulling: Option<Box<Pulling>>,
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
            heard: Instant::now(),
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
            self.follow_stage()?;
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

    fn follow_stage(&mut self) -> Result<()> {
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
            return Ok(());
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
                    (device.pulled, device.pulling) = (0, None);
                }
                self.shared.done.fetch_add(self.devices.len() as u64, Ordering::AcqRel);
                self.seen = Seen::new()?;
            }
            stage::RETURN => (0..self.devices.len()).for_each(|index| self.come_later(index, None)),
            _ => {}
        }
        Ok(())
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
            // When the server is killed they are lost before they are cut, while nothing is counted.
            let _ = self.shared.done.fetch_update(Ordering::AcqRel, Ordering::Acquire, |done| Some(done.saturating_sub(1)));
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
        let unfinished = !rest.is_empty();
        let bytes = joined(&mut rest, &buffer[..read]);
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
                0 if unfinished => self.devices[index].rest = rest,
                _ => self.devices[index].rest = bytes[taken..].to_vec(),
            }
        }
        Ok(())
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
        returned.map_or(1, |returned| micros(returned.elapsed()))
    }
}

/// In microseconds, one at least: a histogram takes no zero.
fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}
