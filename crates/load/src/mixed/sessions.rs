//! What sessions and page readers take in, and what they make of it: times, counts, and whether everything came once and in order.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use parking_lot::Mutex;

use super::http;
use super::interval::Interval;
use crate::groups::connections::Handler;
use crate::groups::lane::{STAMP_DIGITS, UNANSWERED, nanos};
use crate::wire;

/// Digits of a text, after its time, that say which conversation it is in.
pub const ROOM_DIGITS: usize = 8;

/// What the connections know.
pub(super) struct State {
    pub(super) start: Instant,
    /// How many of the connections are sessions; the others read pages.
    pub(super) sessions: usize,
    pub(super) welcomed: usize,
    pub(super) rooms: Vec<Live>,
    pub(super) numbers: HashMap<Vec<u8>, usize>,
    /// By session: where it writes, and where it listens.
    pub(super) duties: Vec<Duties>,
    pub(super) under_way: usize,
    /// Receipts that are still to come.
    pub(super) awaited: u64,
    pub(super) readers: Vec<Option<Reading>>,
    pub(super) free: VecDeque<usize>,
    pub(super) closed: Vec<usize>,
    pub(super) reads_due: VecDeque<Reading>,
    /// Rooms whose unanswered messages go out again, and when.
    pub(super) again: Vec<(Instant, usize)>,
    pub(super) interval: Arc<Mutex<Interval>>,
}

#[derive(Default, Clone)]
pub(super) struct Duties {
    pub(super) writes: Vec<usize>,
    pub(super) listens: Vec<usize>,
}

/// A page that is due or under way.
#[derive(Clone, Copy)]
pub(super) struct Reading {
    pub(super) due: u64,
    pub(super) room: usize,
    /// Read from before here; the newest when absent.
    pub(super) before: Option<u64>,
}

/// A conversation while it is written in.
pub(super) struct Live {
    pub(super) writer: usize,
    pub(super) tag: u64,
    /// Tag and due time of what is not answered.
    pub(super) pending: VecDeque<(u64, u64)>,
    /// The last seq that the writer knows of.
    pub(super) head: u64,
    /// By session of the other members who are online: the last seq that came. `None` after it missed some.
    pub(super) heard: Vec<(usize, Option<u64>)>,
}

impl Live {
    /// May its writer send one more?
    pub(super) fn has_room(&self) -> bool {
        self.pending.front().is_none_or(|(first, _)| self.tag - first < UNANSWERED as u64)
    }
}

impl Handler for State {
    fn bytes(&mut self, connection: usize, bytes: &[u8], now: Instant) -> Result<usize> {
        let elapsed = nanos(now.saturating_duration_since(self.start));
        if connection >= self.sessions {
            return self.page(connection, bytes, elapsed);
        }
        let mut taken = 0;
        while let Some((json, length)) = wire::parse(&bytes[taken..])? {
            taken += length;
            if json.starts_with(br#"{"type":"event""#) {
                self.event(connection, json, elapsed)?;
            } else if json.starts_with(br#"{"type":"sent""#) {
                self.sent(json, elapsed)?;
            } else if json.starts_with(br#"{"type":"welcome""#) {
                self.welcomed += 1;
            } else if json.starts_with(br#"{"type":"error""#) {
                self.error(json, now)?;
            } else if json.starts_with(br#"{"type":"resync""#) {
                self.resync(connection, now);
            } else if json.starts_with(br#"{"type":"bye""#) {
                bail!("the server ended a session: {}", String::from_utf8_lossy(json));
            }
        }
        Ok(taken)
    }

    fn closed(&mut self, connection: usize) -> Result<()> {
        ensure!(connection >= self.sessions, "the server closed a session");
        self.closed.push(connection);
        Ok(())
    }
}

impl State {
    fn event(&mut self, session: usize, json: &[u8], now: u64) -> Result<()> {
        let text = wire::text_field(json, "text")?;
        let number = |range: std::ops::Range<usize>| -> Result<u64> {
            Ok(std::str::from_utf8(text.get(range).context("a text without its time")?)?.parse()?)
        };
        let (stamp, room) = (number(0..STAMP_DIGITS)?, number(STAMP_DIGITS..STAMP_DIGITS + ROOM_DIGITS)? as usize);
        let seq: u64 = wire::number_field(json, "seq")?;
        let live = self.rooms.get_mut(room).context("a text of no conversation")?;
        let heard = live.heard.iter_mut().find(|(member, _)| *member == session).context("an event for somebody else")?;
        let mut interval = self.interval.lock();
        match heard.1 {
            Some(last) if seq <= last => interval.error("an event came twice"),
            Some(last) if seq > last + 1 => interval.error("a gap in what came"),
            _ => {
                interval.receipts.record(micros(now, stamp))?;
                self.awaited = self.awaited.saturating_sub(1);
            }
        }
        heard.1 = heard.1.max(Some(seq));
        Ok(())
    }

    fn sent(&mut self, json: &[u8], now: u64) -> Result<()> {
        let room = *self.numbers.get(wire::text_field(json, "conversation")?).context("an answer from nowhere")?;
        let (tag, seq): (u64, u64) = (wire::number_field(json, "tag")?, wire::number_field(json, "seq")?);
        let live = &mut self.rooms[room];
        // Asked for twice, and answered twice.
        let Some(place) = live.pending.iter().position(|(pending, _)| *pending == tag) else { return Ok(()) };
        let Some((_, stamp)) = live.pending.remove(place) else { return Ok(()) };
        self.under_way -= 1;
        let mut interval = self.interval.lock();
        interval.answers.record(micros(now, stamp))?;
        if seq != live.head + 1 {
            interval.error("an answer out of order");
        }
        live.head = live.head.max(seq);
        Ok(())
    }

    fn error(&mut self, json: &[u8], now: Instant) -> Result<()> {
        let code = String::from_utf8_lossy(wire::text_field(json, "code")?).into_owned();
        self.interval.lock().error(&code);
        let room = wire::text_field(json, "conversation").ok().and_then(|id| self.numbers.get(id).copied());
        let room = room.with_context(|| format!("refused: {}", String::from_utf8_lossy(json)))?;
        let Ok(wait) = wire::number_field::<u64>(json, "retry_after") else {
            bail!("refused for good: {}", String::from_utf8_lossy(json));
        };
        self.repeat_later(now + Duration::from_secs(wait), room);
        Ok(())
    }

    /// The server dropped frames of this session: what is unanswered is asked again, and gaps are no surprise.
    fn resync(&mut self, session: usize, now: Instant) {
        self.interval.lock().error("resync");
        let Duties { writes, listens } = self.duties[session].clone();
        for room in writes {
            self.repeat_later(now, room);
        }
        for room in listens {
            let live = &mut self.rooms[room];
            live.heard.iter_mut().filter(|(member, _)| *member == session).for_each(|(_, last)| *last = None);
        }
        // How many were dropped is not known: those that come still count down.
        self.awaited = 0;
    }

    fn repeat_later(&mut self, at: Instant, room: usize) {
        if !self.again.iter().any(|(_, other)| *other == room) {
            self.again.push((at, room));
        }
    }

    fn page(&mut self, connection: usize, bytes: &[u8], now: u64) -> Result<usize> {
        let Some(answer) = http::answer(bytes)? else { return Ok(0) };
        let reading = self.readers[connection - self.sessions].take().context("an answer to no question")?;
        self.free.push_back(connection);
        let mut interval = self.interval.lock();
        match answer.status {
            200 => interval.reads.record(micros(now, reading.due))?,
            status => interval.error(&format!("http {status}")),
        }
        Ok(answer.body.end)
    }
}

/// Microseconds from `stamp` to `now`, both in nanoseconds from the start.
fn micros(now: u64, stamp: u64) -> u64 {
    now.saturating_sub(stamp).div_ceil(1_000).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: &str = "g.7";

    /// One room, written in by session 0 and heard by session 1; connection 2 reads pages. Three events stand in the log.
    fn state() -> State {
        let live =
            Live { writer: 0, tag: 2, pending: VecDeque::from([(1, 1_000), (2, 2_000)]), head: 3, heard: vec![(1, Some(3))] };
        State {
            start: Instant::now(),
            sessions: 2,
            welcomed: 0,
            rooms: vec![live],
            numbers: HashMap::from([(ROOM.as_bytes().to_vec(), 0)]),
            duties: vec![Duties { writes: vec![0], ..Duties::default() }, Duties { listens: vec![0], ..Duties::default() }],
            under_way: 2,
            awaited: 2,
            readers: vec![None],
            free: VecDeque::new(),
            closed: Vec::new(),
            reads_due: VecDeque::new(),
            again: Vec::new(),
            interval: Arc::new(Mutex::new(Interval::new().unwrap())),
        }
    }

    fn give(state: &mut State, session: usize, json: &str) -> Result<usize> {
        let mut bytes = vec![0x81, 126];
        bytes.extend(u16::try_from(json.len()).unwrap().to_be_bytes());
        bytes.extend(json.as_bytes());
        state.bytes(session, &bytes, Instant::now())
    }

    fn event(seq: u64) -> String {
        let text = format!("{:0STAMP_DIGITS$}{:0ROOM_DIGITS$}abc", 5, 0);
        format!(
            r#"{{"type":"event","conversation":"{ROOM}","event":{{"seq":{seq},"content":{{"kind":"message","text":"{text}"}}}}}}"#
        )
    }

    fn sent(tag: u64, seq: u64) -> String {
        format!(r#"{{"type":"sent","tag":{tag},"conversation":"{ROOM}","seq":{seq}}}"#)
    }

    fn errors(state: &State) -> Vec<String> {
        state.interval.lock().errors.keys().cloned().collect()
    }

    #[test]
    fn receipts_count_once_and_in_order() {
        let mut state = state();
        for seq in [4, 5, 5, 7] {
            give(&mut state, 1, &event(seq)).unwrap();
        }
        assert_eq!(state.interval.lock().receipts.len(), 2);
        assert_eq!(errors(&state), ["a gap in what came", "an event came twice"]);
        assert_eq!(state.awaited, 0);
    }

    #[test]
    fn an_answer_takes_one_off_the_way_and_its_repetition_nothing() {
        let mut state = state();
        give(&mut state, 0, &sent(1, 4)).unwrap();
        give(&mut state, 0, &sent(1, 4)).unwrap();
        assert_eq!((state.under_way, state.rooms[0].head, state.interval.lock().answers.len()), (1, 4, 1));
        give(&mut state, 0, &sent(2, 6)).unwrap();
        assert_eq!(errors(&state), ["an answer out of order"]);
    }

    #[test]
    fn later_and_resync_ask_again_and_a_refusal_for_good_ends_it() {
        let mut state = state();
        let later = format!(r#"{{"type":"error","code":"busy","message":"m","tag":1,"conversation":"{ROOM}","retry_after":5}}"#);
        give(&mut state, 0, &later).unwrap();
        give(&mut state, 0, &later).unwrap();
        assert_eq!(state.again.len(), 1, "once for a room");
        assert!(state.again[0].0 > Instant::now());
        give(&mut state, 1, r#"{"type":"resync"}"#).unwrap();
        give(&mut state, 1, &event(9)).unwrap();
        assert_eq!(errors(&state), ["busy", "resync"], "the gap after a resync is no surprise");
        give(&mut state, 1, &event(11)).unwrap();
        assert_eq!(errors(&state), ["a gap in what came", "busy", "resync"]);
        let refused = format!(r#"{{"type":"error","code":"not_a_member","message":"m","tag":1,"conversation":"{ROOM}"}}"#);
        assert!(give(&mut state, 0, &refused).is_err());
    }

    #[test]
    fn a_page_frees_its_reader_and_a_lost_one_is_told() {
        let mut state = state();
        state.readers[0] = Some(Reading { due: 1, room: 0, before: None });
        let answer = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(state.bytes(2, &answer[..20], Instant::now()).unwrap(), 0);
        assert_eq!(state.bytes(2, answer, Instant::now()).unwrap(), answer.len());
        assert_eq!((errors(&state), state.free.clone()), (vec!["http 503".to_owned()], VecDeque::from([2])));
        state.closed(2).unwrap();
        assert_eq!(state.closed, [2]);
        assert!(state.closed(1).is_err(), "a session does not end");
    }
}
