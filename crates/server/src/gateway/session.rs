//! A session: what the gateway keeps of one live connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Waker;

use banter_model::{DeviceId, UserId};
use banter_protocol::limits::UNANSWERED_PER_SESSION;
use banter_protocol::{ServerFrame, close_code};
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::gateway::EncodedFrame;
use crate::rate_limit::gcra::Gcra;

/// Most frames that wait for a session.
pub const OUTBOX_FRAMES: usize = 1_024;
/// Most bytes that wait for a session. The bytes of a frame are shared by all sessions that it waits for.
pub const OUTBOX_BYTES: usize = 4 << 20;

/// Malformed frames that a session is allowed.
pub const MALFORMED_FRAMES: u8 = 16;
/// How a session with more of them ends.
pub const TOO_MANY_MALFORMED: End = End { code: close_code::TOO_MANY_ERRORS, message: "too many malformed frames" };

/// How a session's frames travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    Socket,
    /// Long polling.
    Polling,
}

/// What the gateway keeps of a session besides its connection. Small: a server holds a million of these, most of them idle.
#[derive(Debug)]
pub struct Session {
    /// Its number, unique on this gateway while it runs.
    pub number: u64,
    /// Whose.
    pub user: UserId,
    /// On which device.
    pub device: DeviceId,
    /// How its frames travel.
    pub transport: Transport,
    /// How fast it sends frames.
    pub frame_rate: Gcra,
    heard: AtomicU32,
    told: AtomicU32,
    blocked: AtomicU32,
    unanswered: AtomicU32,
    waker: AtomicWaker,
    outbox: Mutex<Outbox>,
}

/// Why and how a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// One of [`banter_protocol::close_code`].
    pub code: u16,
    /// A sentence.
    pub message: &'static str,
}

#[derive(Debug, Default)]
struct Outbox {
    frames: VecDeque<EncodedFrame>,
    bytes: usize,
    /// It was full, and all there is for the session now is `resync`.
    overflowed: bool,
    end: Option<End>,
}

/// What became of a frame for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits for the session.
    Queued,
    /// The outbox was full: what waited is dropped, and the session is told to resync.
    Overflowed,
    /// It is dropped: the session resyncs or ends anyway.
    Dropped,
}

/// What became of many frames for a session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PushedAll {
    /// So many were [`Pushed::Queued`]; they were dropped again if the outbox overflowed after them.
    pub queued: u64,
    /// [`Pushed::Overflowed`]: 1 at most.
    pub overflowed: u64,
    /// [`Pushed::Dropped`].
    pub dropped: u64,
}

impl Outbox {
    fn push(&mut self, frame: EncodedFrame) -> Pushed {
        if self.end.is_some() || self.overflowed {
            return Pushed::Dropped;
        }
        let bytes = frame.socket_bytes().len();
        if self.frames.len() >= OUTBOX_FRAMES || (self.bytes + bytes > OUTBOX_BYTES && !self.frames.is_empty()) {
            self.frames = VecDeque::from([EncodedFrame::new(&ServerFrame::Resync {})]);
            self.bytes = 0;
            self.overflowed = true;
            return Pushed::Overflowed;
        }
        self.bytes += bytes;
        self.frames.push_back(frame);
        Pushed::Queued
    }
}

impl Session {
    /// A session from which something came at `now` (seconds on the gateway's clock).
    pub fn new(number: u64, user: UserId, device: DeviceId, transport: Transport, now: u32) -> Self {
        Session {
            number,
            user,
            device,
            transport,
            frame_rate: Gcra::default(),
            heard: AtomicU32::new(now),
            told: AtomicU32::new(now),
            blocked: AtomicU32::new(0),
            unanswered: AtomicU32::new(0),
            waker: AtomicWaker::new(),
            outbox: Mutex::default(),
        }
    }

    /// Puts `frame` in the outbox. Never waits: a session that does not keep up is told to resync instead.
    pub fn push(&self, frame: EncodedFrame) -> Pushed {
        let pushed = self.outbox.lock().push(frame);
        if pushed != Pushed::Dropped {
            self.waker.wake();
        }
        pushed
    }

    /// Puts `frames` in the outbox, each as [`Session::push`] does, and wakes the session once, when all of them wait.
    pub fn push_all(&self, frames: impl Iterator<Item = EncodedFrame>) -> PushedAll {
        let mut all = PushedAll::default();
        let mut outbox = self.outbox.lock();
        for frame in frames {
            match outbox.push(frame) {
                Pushed::Queued => all.queued += 1,
                Pushed::Overflowed => all.overflowed += 1,
                Pushed::Dropped => all.dropped += 1,
            }
        }
        drop(outbox);
        if all.queued + all.overflowed > 0 {
            self.waker.wake();
        }
        all
    }

    /// The session may have missed something: all there is for it now is `resync`, and it asks again for what is unanswered.
    pub fn resync(&self, resync: &EncodedFrame) -> Pushed {
        let mut outbox = self.outbox.lock();
        if outbox.end.is_some() {
            return Pushed::Dropped;
        }
        // One whose outbox overflowed is told already; answers that were lost since are not waited for either.
        let pushed = if outbox.overflowed { Pushed::Dropped } else { Pushed::Overflowed };
        if pushed == Pushed::Overflowed {
            outbox.frames = VecDeque::from([resync.clone()]);
            outbox.bytes = 0;
            outbox.overflowed = true;
        }
        drop(outbox);
        self.unanswered.store(0, Ordering::Release);
        self.waker.wake();
        pushed
    }

    /// Takes at most `limit` of the frames that wait, and says how the session ends, if it is to end after them.
    pub fn take(&self, limit: usize) -> (VecDeque<EncodedFrame>, Option<End>) {
        let mut outbox = self.outbox.lock();
        let frames = if outbox.frames.len() <= limit {
            outbox.bytes = 0;
            outbox.overflowed = false;
            std::mem::take(&mut outbox.frames)
        } else {
            let rest = outbox.frames.split_off(limit);
            let frames = std::mem::replace(&mut outbox.frames, rest);
            outbox.bytes -= frames.iter().map(|frame| frame.socket_bytes().len()).sum::<usize>().min(outbox.bytes);
            frames
        };
        let end = if outbox.frames.is_empty() { outbox.end } else { None };
        (frames, end)
    }

    /// Does anything wait to be taken?
    pub fn has_frames(&self) -> bool {
        let outbox = self.outbox.lock();
        !outbox.frames.is_empty() || outbox.end.is_some()
    }

    /// Ends the session; the first reason given stands, unless a later one allows no delay. One that was signed out or reads too slowly gets nothing more, others
    /// get what waits. Nothing more is taken from it.
    pub fn end(&self, end: End) {
        let mut outbox = self.outbox.lock();
        let at_once = matches!(end.code, close_code::TOO_SLOW | close_code::SIGNED_OUT);
        if at_once {
            outbox.frames = VecDeque::new();
        }
        // What is under way to one that takes nothing would keep any other end waiting.
        if outbox.end.is_none() || at_once {
            outbox.end = Some(end);
        }
        drop(outbox);
        self.waker.wake();
    }

    /// Is it to end?
    pub fn has_ended(&self) -> bool {
        self.ending().is_some()
    }

    /// Why it is to end, if it is.
    pub fn ending(&self) -> Option<End> {
        self.outbox.lock().end
    }

    /// Wakes `waker` at the next change: a frame, an answer, the end.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Wakes whoever takes from the outbox.
    pub fn wake(&self) {
        self.waker.wake();
    }

    /// A command of this session, of this [weight](banter_model::Action::weight), goes into the queue.
    pub fn asked(&self, weight: u32) {
        self.unanswered.fetch_add(weight, Ordering::AcqRel);
    }

    /// A command of this session, of this weight, was answered.
    pub fn answered(&self, weight: u32) {
        // An answer may come after all to what a resync counted as lost.
        let less = |before: u32| Some(before.saturating_sub(weight));
        let before = self.unanswered.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).unwrap_or(0);
        if before >= UNANSWERED_PER_SESSION && before.saturating_sub(weight) < UNANSWERED_PER_SESSION {
            self.waker.wake();
        }
    }

    /// May it send more before it has answers?
    pub fn may_ask(&self) -> bool {
        self.unanswered.load(Ordering::Acquire) < UNANSWERED_PER_SESSION
    }

    /// Something came from the device at `now` (seconds on the gateway's clock).
    pub fn hear(&self, now: u32) {
        self.heard.store(now, Ordering::Relaxed);
    }

    /// When something last came.
    pub fn heard(&self) -> u32 {
        self.heard.load(Ordering::Relaxed)
    }

    /// The device was told at `now` (seconds on the gateway's clock) that it is being worked for; or nothing of it was waiting then.
    pub fn tell(&self, now: u32) {
        self.told.store(now, Ordering::Relaxed);
    }

    /// Since when it may have heard nothing while frames of it wait.
    pub fn told(&self) -> u32 {
        self.told.load(Ordering::Relaxed)
    }

    /// The device takes nothing since `now` (seconds on the gateway's clock), or takes again (`None`).
    pub fn set_blocked(&self, now: Option<u32>) {
        let value = now.map_or(0, |now| now.max(1));
        if value == 0 || self.blocked.load(Ordering::Relaxed) == 0 {
            self.blocked.store(value, Ordering::Relaxed);
        }
    }

    /// Since when the device takes nothing.
    pub fn blocked_since(&self) -> Option<u32> {
        Some(self.blocked.load(Ordering::Relaxed)).filter(|since| *since > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        Session::new(1, UserId(1), DeviceId(1), Transport::Socket, 0)
    }

    fn frame(message: &str) -> EncodedFrame {
        EncodedFrame::new(&ServerFrame::Bye { code: 1, message: message.to_owned() })
    }

    #[test]
    fn a_full_outbox_becomes_a_resync() {
        let session = session();
        for _ in 0..OUTBOX_FRAMES {
            assert_eq!(session.push(frame("x")), Pushed::Queued);
        }
        assert_eq!(session.push(frame("x")), Pushed::Overflowed);
        assert_eq!(session.push(frame("x")), Pushed::Dropped);
        let (frames, _) = session.take(OUTBOX_FRAMES);
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].json(), br#"{"type":"resync"}"#);
        assert_eq!(session.push(frame("x")), Pushed::Queued, "after the resync was taken, frames come again");
    }

    #[test]
    fn a_resync_takes_the_place_of_what_waits_and_of_answers() {
        let (session, resync) = (session(), EncodedFrame::new(&ServerFrame::Resync {}));
        session.asked(UNANSWERED_PER_SESSION);
        session.push(frame("a"));
        assert_eq!(session.resync(&resync), Pushed::Overflowed);
        assert_eq!((session.resync(&resync), session.push(frame("b"))), (Pushed::Dropped, Pushed::Dropped));
        assert!(session.may_ask());
        session.answered(1);
        assert!(session.may_ask(), "a late answer counts for nothing");
        assert_eq!(session.take(OUTBOX_FRAMES).0, [resync]);
        assert_eq!(session.push(frame("c")), Pushed::Queued);
    }

    #[test]
    fn answers_that_are_lost_after_an_overflow_are_not_waited_for() {
        let session = session();
        session.push_all(std::iter::repeat_n(frame("x"), OUTBOX_FRAMES + 1));
        session.asked(UNANSWERED_PER_SESSION);
        assert!(!session.may_ask());
        assert_eq!(session.resync(&EncodedFrame::new(&ServerFrame::Resync {})), Pushed::Dropped);
        assert!(session.may_ask());
        assert_eq!(session.take(OUTBOX_FRAMES).0.len(), 1, "told once");
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Wakes(AtomicU32);

    impl std::task::Wake for Wakes {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn many_frames_wake_once_and_are_bounded_as_one_by_one() {
        let session = session();
        let wakes = std::sync::Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        session.register(&waker);
        let queued = PushedAll { queued: 3, ..PushedAll::default() };
        assert_eq!(session.push_all(["a", "b", "c"].into_iter().map(frame)), queued);
        session.register(&waker);
        assert_eq!(session.push_all(std::iter::empty()), PushedAll::default());
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1, "once for three, and not for none");
        let (frames, _) = session.take(OUTBOX_FRAMES);
        assert_eq!(frames, ["a", "b", "c"].map(frame));
        let many = session.push_all(std::iter::repeat_n(frame("x"), OUTBOX_FRAMES + 3));
        assert_eq!(many, PushedAll { queued: OUTBOX_FRAMES as u64, overflowed: 1, dropped: 2 });
        let (frames, _) = session.take(OUTBOX_FRAMES);
        assert_eq!(frames[0].json(), br#"{"type":"resync"}"#);
        session.end(End { code: 1001, message: "bye" });
        assert_eq!(session.push_all([frame("y")].into_iter()).dropped, 1);
    }

    #[test]
    fn bytes_are_bounded_but_one_frame_always_fits() {
        let session = session();
        let large = frame(&"x".repeat(OUTBOX_BYTES + 1));
        assert_eq!(session.push(large.clone()), Pushed::Queued);
        assert_eq!(session.push(frame("x")), Pushed::Overflowed);
    }

    #[test]
    fn the_end_comes_after_what_waits() {
        let session = session();
        session.push(frame("a"));
        session.push(frame("b"));
        let end = End { code: 1001, message: "bye" };
        session.end(end);
        session.end(End { code: 4002, message: "silent" });
        assert_eq!(session.push(frame("c")), Pushed::Dropped);
        assert_eq!(session.take(1).1, None);
        assert_eq!(session.take(1).1, Some(end));
    }

    #[test]
    fn being_signed_out_waits_for_nothing() {
        let session = session();
        session.push(frame("a"));
        session.end(End { code: close_code::GOING_AWAY, message: "down" });
        let signed_out = End { code: close_code::SIGNED_OUT, message: "signed out" };
        session.end(signed_out);
        let (frames, end) = session.take(10);
        assert!(frames.is_empty());
        assert_eq!(end, Some(signed_out));
    }

    #[test]
    fn unanswered_commands_are_bounded() {
        let session = session();
        for _ in 0..UNANSWERED_PER_SESSION {
            assert!(session.may_ask());
            session.asked(1);
        }
        assert!(!session.may_ask());
        session.answered(1);
        assert!(session.may_ask());
    }
}
