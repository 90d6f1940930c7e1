//! The sessions of this gateway, by user.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use banter_model::{DeviceId, UserId};
use banter_protocol::{ServerFrame, close_code};
use parking_lot::Mutex;
use smallvec::SmallVec;

use crate::gateway::EncodedFrame;
use crate::gateway::session::{End, Pushed, PushedAll, Session};
use crate::metrics::Metrics;

/// Shards of the table, so that cores seldom meet at one lock.
const SHARDS: usize = 64;

/// Most sessions of one user; a further one ends the one opened longest ago.
pub const SESSIONS_PER_USER: usize = 50;

/// Sessions of one user.
pub type Sessions = SmallVec<[Arc<Session>; 1]>;

/// The sessions of this gateway.
pub struct Hub {
    shards: Box<[Mutex<HashMap<UserId, Sessions>>]>,
    next: AtomicU64,
    metrics: Arc<Metrics>,
}

impl Hub {
    /// A hub without sessions.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Hub { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), next: AtomicU64::new(1), metrics }
    }

    /// A number for a new session.
    pub fn next_number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// From now on `session` gets what is for its user. Returns whether it is the user's first.
    pub fn register(&self, session: Arc<Session>) -> bool {
        let mut shard = self.shard(session.user).lock();
        self.metrics.sessions.inc();
        let sessions = shard.entry(session.user).or_default();
        let first = sessions.is_empty();
        if sessions.len() >= SESSIONS_PER_USER {
            let oldest = sessions.remove(0);
            self.metrics.sessions.dec();
            oldest.end(End { code: close_code::GOING_AWAY, message: "this user has too many sessions" });
        }
        sessions.push(session);
        first
    }

    /// `session` is gone. `on_last` is called when it was the user's last, before anybody can see that there is none: it must not ask
    /// anything of the hub. Returns whether it was.
    pub fn unregister(&self, session: &Session, on_last: impl FnOnce()) -> bool {
        let mut shard = self.shard(session.user).lock();
        let Entry::Occupied(mut entry) = shard.entry(session.user) else { return false };
        let sessions = entry.get_mut();
        let before = sessions.len();
        sessions.retain(|other| other.number != session.number);
        if sessions.len() < before {
            self.metrics.sessions.dec();
        }
        if !sessions.is_empty() {
            return false;
        }
        entry.remove();
        on_last();
        true
    }

    /// Does `user` have a session here?
    pub fn has_session(&self, user: UserId) -> bool {
        self.shard(user).lock().contains_key(&user)
    }

    /// Has `user` a session here, or is it so `otherwise`? Asked at one moment, which no [`Hub::unregister`] divides. `otherwise` must not ask
    /// anything of the hub.
    pub fn has_session_or(&self, user: UserId, otherwise: impl FnOnce() -> bool) -> bool {
        let shard = self.shard(user).lock();
        shard.contains_key(&user) || otherwise()
    }

    /// Sends `frame` to every session of `user` but the one with the number `except`.
    pub fn send_encoded(&self, user: UserId, frame: &EncodedFrame, except: Option<u64>) {
        let shard = self.shard(user).lock();
        let Some(sessions) = shard.get(&user) else { return };
        for session in sessions.iter().filter(|session| Some(session.number) != except) {
            self.count(session.push(frame.clone()));
        }
    }

    /// The sessions of `user`, as they are now.
    pub fn sessions(&self, user: UserId) -> Sessions {
        self.shard(user).lock().get(&user).cloned().unwrap_or_default()
    }

    /// Encodes a frame, and counts it.
    pub fn encode(&self, frame: &ServerFrame) -> EncodedFrame {
        self.metrics.frames_encoded.inc();
        EncodedFrame::new(frame)
    }

    /// Counts what became of a frame for a session.
    pub fn count(&self, pushed: Pushed) {
        match pushed {
            Pushed::Queued => self.metrics.frames_queued.inc(),
            Pushed::Overflowed => self.metrics.outboxes_overflowed.inc(),
            Pushed::Dropped => self.metrics.frames_dropped.inc(),
        };
    }

    /// Counts what became of many frames for a session.
    pub fn count_all(&self, pushed: PushedAll) {
        let PushedAll { queued, overflowed, dropped } = pushed;
        let metrics = &self.metrics;
        // Most are queued, and each counter is a line of memory that all cores share.
        for (counter, count) in
            [(&metrics.frames_queued, queued), (&metrics.outboxes_overflowed, overflowed), (&metrics.frames_dropped, dropped)]
        {
            if count > 0 {
                counter.inc_by(count);
            }
        }
    }

    /// Ends the sessions of a device that was signed out.
    pub fn sign_out(&self, user: UserId, device: DeviceId) {
        let end = End { code: close_code::SIGNED_OUT, message: "this device was signed out" };
        let shard = self.shard(user).lock();
        for session in shard.get(&user).into_iter().flatten().filter(|session| session.device == device) {
            session.end(end);
        }
    }

    /// All sessions of `user` may have missed something.
    pub fn resync(&self, user: UserId) {
        let resync = self.encode(&ServerFrame::Resync {});
        self.sessions(user).iter().for_each(|session| self.count(session.resync(&resync)));
    }

    /// All sessions may have missed something.
    pub fn resync_all(&self) {
        let resync = self.encode(&ServerFrame::Resync {});
        self.for_each(|session| self.count(session.resync(&resync)));
    }

    /// Sessions may have missed something: about one in `parts` is told, others with another `part` of them.
    pub fn resync_part(&self, part: u64, parts: u64) {
        let resync = self.encode(&ServerFrame::Resync {});
        self.for_each(|session| {
            if session.number % parts == part {
                self.count(session.resync(&resync));
            }
        });
    }

    /// Calls `each` with every user that has sessions, a shard at a time.
    pub fn for_each_user(&self, mut each: impl FnMut(UserId)) {
        for shard in &self.shards {
            shard.lock().keys().copied().for_each(&mut each);
        }
    }

    /// Calls `each` with every session, a shard at a time.
    pub fn for_each(&self, mut each: impl FnMut(&Arc<Session>)) {
        for shard in &self.shards {
            shard.lock().values().flatten().for_each(&mut each);
        }
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().values().map(SmallVec::len).sum::<usize>()).sum()
    }

    /// Is there no session?
    pub fn is_empty(&self) -> bool {
        self.shards.iter().all(|shard| shard.lock().is_empty())
    }

    fn shard(&self, user: UserId) -> &Mutex<HashMap<UserId, Sessions>> {
        // Ids end with a counter that starts at 0 each millisecond: mix before taking bits (the multiplier is that of Fibonacci hashing).
        let mixed = user.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        &self.shards[(mixed >> 58) as usize % SHARDS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::session::Transport;

    fn hub() -> Hub {
        Hub::new(Arc::new(Metrics::default()))
    }

    fn open(hub: &Hub, user: u64, device: u64) -> (Arc<Session>, bool) {
        let session = Arc::new(Session::new(hub.next_number(), UserId(user), DeviceId(device), Transport::Socket, 0));
        let first = hub.register(session.clone());
        (session, first)
    }

    #[test]
    fn first_and_last_sessions_are_told_apart() {
        let hub = hub();
        let (phone, first) = open(&hub, 1, 10);
        let (desk, second) = open(&hub, 1, 11);
        assert!(first && !second && hub.has_session(UserId(1)) && hub.len() == 2);
        let unregister = |session: &Session| hub.unregister(session, || ());
        assert!(!unregister(&phone));
        assert!(!unregister(&phone), "gone is gone");
        assert!(unregister(&desk) && hub.is_empty());
    }

    #[test]
    fn nobody_sees_a_user_between_the_last_session_and_what_comes_after_it() {
        let hub = hub();
        let (phone, _) = open(&hub, 1, 10);
        let leaving = std::sync::atomic::AtomicBool::new(false);
        let is_here = || hub.has_session_or(UserId(1), || leaving.load(Ordering::SeqCst));
        std::thread::scope(|scope| {
            let mut looking = None;
            assert!(hub.unregister(&phone, || {
                looking = Some(scope.spawn(is_here));
                // Time enough for it to look, if it could.
                std::thread::sleep(std::time::Duration::from_millis(20));
                leaving.store(true, Ordering::SeqCst);
            }));
            assert!(looking.unwrap().join().unwrap());
        });
    }

    #[test]
    fn everyone_but_the_writer_gets_it() {
        let hub = hub();
        let (phone, _) = open(&hub, 1, 10);
        let (desk, _) = open(&hub, 1, 11);
        hub.send_encoded(UserId(1), &hub.encode(&ServerFrame::Pong {}), Some(phone.number));
        assert!(!phone.has_frames() && desk.has_frames());
    }

    #[test]
    fn a_user_has_a_bounded_number_of_sessions() {
        let hub = hub();
        let (oldest, _) = open(&hub, 1, 10);
        for _ in 1..SESSIONS_PER_USER {
            open(&hub, 1, 10);
        }
        assert!(!oldest.has_ended());
        open(&hub, 1, 10);
        assert!(oldest.has_ended());
        assert_eq!(hub.len(), SESSIONS_PER_USER, "it counts no more");
        assert!(!hub.unregister(&oldest, || ()));
    }

    #[test]
    fn every_session_is_in_one_part() {
        let hub = hub();
        let sessions: Vec<_> = (0..10).map(|user| open(&hub, user, 1).0).collect();
        let told = || sessions.iter().filter(|session| session.has_frames()).count();
        let counts: Vec<usize> = (0..3).map(|part| (hub.resync_part(part, 3), told()).1).collect();
        assert!(counts[0] > 0 && counts[0] < counts[1] && counts[1] < 10 && counts[2] == 10, "{counts:?}");
    }

    #[test]
    fn signing_out_ends_the_sessions_of_that_device_alone() {
        let hub = hub();
        let (phone, _) = open(&hub, 1, 10);
        let (desk, _) = open(&hub, 1, 11);
        hub.sign_out(UserId(1), DeviceId(11));
        assert!(!phone.has_ended() && desk.has_ended());
    }
}
