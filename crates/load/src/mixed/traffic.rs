//! The thread that plays the world: sessions that write and receive, connections that read pages, one epoll for all.

use std::collections::{HashMap, VecDeque};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::{ConversationId, DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use parking_lot::Mutex;
use rand::RngExt;
use rand::rngs::StdRng;

use super::http;
use super::interval::Interval;
use super::sessions::{Duties, Live, ROOM_DIGITS, Reading, State};
use super::verify::Expected;
use super::world::World;
use crate::groups::connections::Connections;
use crate::groups::lane::{STAMP_DIGITS, nanos};
use crate::wire;

/// The longest that a turn waits when nothing comes.
const PATIENCE: Duration = Duration::from_millis(10);
/// How long the last ones are waited for.
const LAST_ONES: Duration = Duration::from_secs(30);
/// Most messages and pages that are due and not begun; a server that is so far behind does not keep up.
const BEHIND: usize = 200_000;
/// Each session says something at least so often, or the server ends it.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Tokens are made anew well before they expire.
const TOKEN_MS: u64 = 10 * 60 * 1_000;

/// When a run begins and ends, and how it goes.
pub struct Plan {
    /// The start; stamps count from it.
    pub start: Instant,
    /// Nothing is due from here on.
    pub until: Instant,
    /// Messages under way at the same time when there is no schedule.
    pub window: usize,
    /// Pages read for each message written.
    pub reads: f64,
    /// Events of a page.
    pub page: usize,
    /// Characters of a text.
    pub length: usize,
}

/// Sessions, page readers, and what they know.
pub struct Traffic {
    connections: Connections,
    address: SocketAddr,
    world: World,
    random: StdRng,
    tokens: Tokens,
    state: State,
}

/// Access tokens, made with the server's key.
pub struct Tokens {
    tokens: AccessTokens,
    kept: HashMap<UserId, (String, u64)>,
}

impl Tokens {
    /// With this key.
    pub fn new(key: &[u8; 32]) -> Self {
        Tokens { tokens: AccessTokens::new(key), kept: HashMap::new() }
    }

    /// A token of `user` that is good for some minutes at least.
    pub fn of(&mut self, user: UserId) -> &str {
        let now = clock::now();
        let kept = self.kept.entry(user).or_default();
        if kept.1 <= now {
            *kept = (self.tokens.issue(user, DeviceId(user.0), now).0, now + TOKEN_MS);
        }
        &kept.0
    }
}

impl Traffic {
    /// Plays `world` with these sessions (by user) and these connections for pages.
    pub fn new(
        world: World,
        random: StdRng,
        tokens: Tokens,
        address: SocketAddr,
        sessions: Vec<TcpStream>,
        readers: usize,
        interval: Arc<Mutex<Interval>>,
    ) -> Result<Traffic> {
        let mut state = State {
            start: Instant::now(),
            sessions: sessions.len(),
            welcomed: 0,
            rooms: Vec::with_capacity(world.rooms.len()),
            numbers: HashMap::with_capacity(world.rooms.len()),
            duties: vec![Duties::default(); sessions.len()],
            under_way: 0,
            awaited: 0,
            readers: vec![None; readers],
            free: VecDeque::new(),
            closed: Vec::new(),
            reads_due: VecDeque::new(),
            again: Vec::new(),
            interval,
        };
        for (number, room) in world.rooms.iter().enumerate() {
            let writer = world.session(room.members[0]).context("who writes is not online")?;
            let heard: Vec<_> =
                room.members[1..].iter().filter_map(|user| Some((world.session(*user)?, Some(room.head())))).collect();
            state.duties[writer].writes.push(number);
            heard.iter().for_each(|(session, _)| state.duties[*session].listens.push(number));
            state.numbers.insert(room.id.to_string().into_bytes(), number);
            state.rooms.push(Live { writer, tag: room.last_tag()?, pending: VecDeque::new(), head: room.head(), heard });
        }
        let mut connections = Connections::new()?;
        for stream in sessions {
            connections.add(stream)?;
        }
        for _ in 0..readers {
            let number = connections.add(TcpStream::connect(address)?)?;
            state.free.push_back(number);
        }
        Ok(Traffic { connections, address, world, random, tokens, state })
    }

    /// Ends a turn from another thread.
    pub fn waker(&self) -> Arc<mio::Waker> {
        self.connections.waker()
    }

    /// Waits until every session has been welcomed.
    pub fn settle(&mut self) -> Result<()> {
        let until = Instant::now() + Duration::from_secs(60);
        while self.state.welcomed < self.state.sessions {
            ensure!(Instant::now() < until, "only {} of {} were welcomed", self.state.welcomed, self.state.sessions);
            self.connections.turn(PATIENCE, &mut self.state)?;
        }
        Ok(())
    }

    /// Plays until the plan is over and what was begun is done. With `due`, a message is due at each time (nanoseconds from the start)
    /// that comes from there; without, as soon as the window allows. Returns what the logs have to hold now.
    pub fn run(mut self, plan: &Plan, due: Option<mpsc::Receiver<u64>>) -> Result<Vec<Expected>> {
        self.state.start = plan.start;
        std::thread::sleep(plan.start.saturating_duration_since(Instant::now()));
        let mut writes_due: VecDeque<u64> = VecDeque::new();
        let (mut credit, mut pinged) = (0.0, 0_u64);
        loop {
            let now = Instant::now();
            let over = now >= plan.until;
            match &due {
                Some(due) => writes_due.extend(due.try_iter()),
                None if !over && writes_due.is_empty() => {
                    let room = plan.window.saturating_sub(self.state.under_way.max(self.state.reads_due.len()));
                    writes_due.extend(std::iter::repeat_n(nanos(plan.start.elapsed()), room));
                }
                None => {}
            }
            while let Some(stamp) = writes_due.front().copied() {
                if !self.write(stamp, plan)? {
                    break;
                }
                writes_due.pop_front();
                credit += plan.reads;
                while credit >= 1.0 {
                    credit -= 1.0;
                    let reading = self.reading(stamp);
                    self.state.reads_due.push_back(reading);
                }
            }
            while let (Some(reading), Some(number)) = (self.state.reads_due.front().copied(), self.state.free.front().copied()) {
                self.state.reads_due.pop_front();
                self.state.free.pop_front();
                self.read(number, reading, plan)?;
            }
            self.repeat(now, plan)?;
            pinged = self.ping(pinged, now.duration_since(plan.start))?;
            self.connections.turn(PATIENCE, &mut self.state)?;
            for number in std::mem::take(&mut self.state.closed) {
                self.reopen(number, plan)?;
            }
            let state = &self.state;
            let behind = writes_due.len() + state.under_way + state.reads_due.len();
            ensure!(behind < BEHIND, "the server is {behind} messages and pages behind: ask for a lower rate");
            if over && behind == 0 && state.awaited == 0 && state.free.len() == state.readers.len() {
                break;
            }
            if now > plan.until + LAST_ONES {
                let missing = format!("{behind} messages and pages, {} receipts", state.awaited);
                state.interval.lock().error(&format!("not there {} s after the end: {missing}", LAST_ONES.as_secs()));
                break;
            }
        }
        Ok(self.expected())
    }

    /// Writes a message that was due at `stamp` somewhere. `false` when there is no room anywhere.
    fn write(&mut self, stamp: u64, plan: &Plan) -> Result<bool> {
        let count = self.state.rooms.len();
        let first = self.random.random_range(0..count);
        let mut numbers = (0..count).map(|step| (first + step) % count);
        let Some(number) = numbers.find(|number| self.state.rooms[*number].has_room()) else { return Ok(false) };
        let live = &mut self.state.rooms[number];
        live.tag += 1;
        live.pending.push_back((live.tag, stamp));
        let (tag, session) = (live.tag, live.writer);
        self.state.under_way += 1;
        self.state.awaited += live.heard.len() as u64;
        self.send(session, number, tag, stamp, plan)?;
        Ok(true)
    }

    fn send(&mut self, session: usize, room: usize, tag: u64, stamp: u64, plan: &Plan) -> Result<()> {
        let id = self.world.rooms[room].id;
        let padding = self.world.letters(room + tag as usize, plan.length - STAMP_DIGITS - ROOM_DIGITS);
        let json = format!(
            r#"{{"type":"send","tag":{tag},"conversation":"{id}","text":"{stamp:0STAMP_DIGITS$}{room:0ROOM_DIGITS$}{padding}"}}"#
        );
        self.connections.send(session, |bytes| wire::frame(bytes, json.as_bytes()))
    }

    /// A page somewhere: as often the newest as one from anywhere in the log.
    fn reading(&mut self, due: u64) -> Reading {
        let room = self.random.random_range(0..self.state.rooms.len());
        let head = self.state.rooms[room].head;
        let before = self.random.random_bool(0.5).then(|| self.random.random_range(2..=head.max(1) + 1));
        Reading { due, room, before }
    }

    fn read(&mut self, number: usize, reading: Reading, plan: &Plan) -> Result<()> {
        let room = &self.world.rooms[reading.room];
        let token = self.tokens.of(room.members[0]).to_owned();
        let place = reading.before.map_or(String::new(), |before| format!("&before={before}"));
        self.state.readers[number - self.state.sessions] = Some(reading);
        let (id, limit): (ConversationId, usize) = (room.id, plan.page);
        let sent = self.connections.send(number, |bytes| http::page_request(bytes, id, limit, &place, &token));
        if sent.is_err() {
            // The server closed it meanwhile.
            self.state.closed.push(number);
        }
        Ok(())
    }

    /// A connection for pages was closed, as the server may: another one asks again what it was asked for.
    fn reopen(&mut self, number: usize, plan: &Plan) -> Result<()> {
        self.connections.replace(number, TcpStream::connect(self.address)?)?;
        match self.state.readers[number - self.state.sessions] {
            Some(reading) => self.read(number, reading, plan)?,
            None if !self.state.free.contains(&number) => self.state.free.push_back(number),
            None => {}
        }
        Ok(())
    }

    /// Sends again, with the same tags, what is unanswered where it is time.
    fn repeat(&mut self, now: Instant, plan: &Plan) -> Result<()> {
        let (due, later) = std::mem::take(&mut self.state.again).into_iter().partition(|(at, _)| *at <= now);
        self.state.again = later;
        let due: Vec<(Instant, usize)> = due;
        for (_, room) in due {
            let session = self.state.rooms[room].writer;
            for (tag, stamp) in self.state.rooms[room].pending.clone() {
                self.send(session, room, tag, stamp, plan)?;
            }
        }
        Ok(())
    }

    /// Pings the sessions in turn. `pinged` have been; returns how many are now.
    fn ping(&mut self, mut pinged: u64, elapsed: Duration) -> Result<u64> {
        let sessions = self.state.sessions as u64;
        let wanted = (elapsed.as_secs_f64() / PING_EVERY.as_secs_f64() * sessions as f64) as u64;
        while pinged < wanted {
            let session = (pinged % sessions) as usize;
            self.connections.send(session, |bytes| wire::frame(bytes, br#"{"type":"ping"}"#))?;
            pinged += 1;
        }
        Ok(pinged)
    }

    fn expected(&self) -> Vec<Expected> {
        let rooms = self.world.rooms.iter().zip(&self.state.rooms);
        rooms
            .map(|(room, live)| Expected {
                id: room.id,
                writer: DeviceId(room.members[0].0),
                before: room.head(),
                answered: (room.last_tag().unwrap_or(0) + 1, live.pending.front().map_or(live.tag, |(tag, _)| tag - 1)),
                sent: live.tag,
            })
            .collect()
    }
}
