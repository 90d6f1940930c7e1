//! Ends sessions that are silent or take nothing, all with one timer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use banter_protocol::close_code;
use banter_protocol::limits::{POLL_SILENCE_MS, SILENCE_MS};

use crate::gateway::Gateway;
use crate::gateway::session::{End, Session, Transport};

/// How often sessions are looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// The pause between two waves of sessions that are sent elsewhere.
const WAVE: Duration = Duration::from_millis(100);
/// A session that takes nothing for this long, while something waits for it, is closed. In seconds.
const BLOCKED_SECONDS: u32 = 30;
/// A polling session that has ended is kept this long for a last poll. In seconds.
const LAST_POLL_SECONDS: u32 = 30;

impl Gateway {
    /// Sweeps for as long as it is polled.
    pub async fn sweep(self: Arc<Self>) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.sweep_once(self.seconds());
        }
    }

    /// Ends what is silent or blocked at `now` (seconds on the gateway's clock).
    fn sweep_once(&self, now: u32) {
        self.node.hub.for_each(|session| {
            if let Some(end) = due(session, now) {
                session.end(end);
            }
        });
        // A polling session has no task that would notice its end. Its user is gone with it; what it was told last is kept for a poll.
        let over = self.polls.take_out(|session| {
            let ended = session.has_ended();
            if ended {
                self.forget(session);
            }
            ended && now >= session.heard() + LAST_POLL_SECONDS
        });
        for end in over.iter().filter_map(|session| session.ending()) {
            self.node.metrics.closed(end.code);
        }
    }

    /// Sends the sessions to other gateways, since this one is about to stop: no more begin, and those there are end one after the other
    /// over most of `time`. Returns when all are gone, or the time is over.
    pub async fn drain(&self, time: Duration) {
        self.ending.store(true, Ordering::Release);
        self.node.cluster.update(&|condition| condition.draining = true);
        let end = End { code: close_code::GOING_AWAY, message: "this server is about to stop: others take over" };
        let mut sessions = Vec::new();
        self.node.hub.for_each(|session| sessions.push(Arc::downgrade(session)));
        let deadline = tokio::time::Instant::now() + time;
        let waves = u32::try_from((time / 2).div_duration_f64(WAVE) as u64).unwrap_or(u32::MAX).max(1);
        let each = sessions.len().div_ceil(waves as usize).max(1);
        for wave in sessions.chunks(each) {
            wave.iter().filter_map(std::sync::Weak::upgrade).for_each(|session| session.end(end));
            tokio::time::sleep(WAVE).await;
        }
        while !self.is_empty() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(WAVE).await;
        }
    }

    /// Ends every session and begins no more, since the server is going down: devices come back to the next one.
    pub fn end_all(&self) {
        self.ending.store(true, Ordering::Release);
        let end = End { code: close_code::GOING_AWAY, message: "the server is going down" };
        self.node.hub.for_each(|session| session.end(end));
        // Those over polling learn it from the poll that waits, or from the next one.
        self.polls.take_out(|session| {
            self.forget(session);
            false
        });
    }
}

/// Why `session` is to end at `now`, if it is.
fn due(session: &Session, now: u32) -> Option<End> {
    let silence_ms = match session.transport {
        Transport::Socket => SILENCE_MS,
        Transport::Polling => POLL_SILENCE_MS,
    };
    // First: nothing is waited for then.
    if session.blocked_since().is_some_and(|since| now.saturating_sub(since) > BLOCKED_SECONDS) {
        return Some(End { code: close_code::TOO_SLOW, message: "the device reads too slowly" });
    }
    let silent = u64::from(now.saturating_sub(session.heard())) * 1_000 > silence_ms;
    silent.then_some(End { code: close_code::SILENT, message: "nothing came from the device for too long" })
}

#[cfg(test)]
mod tests {
    use banter_model::{DeviceId, UserId};

    use super::*;

    fn session(transport: Transport) -> Session {
        Session::new(1, UserId(1), DeviceId(1), transport, 10)
    }

    #[test]
    fn silence_is_measured_from_the_last_sign_of_life() {
        let socket = session(Transport::Socket);
        assert_eq!(due(&socket, 110), None);
        assert_eq!(due(&socket, 111).map(|end| end.code), Some(close_code::SILENT));
        socket.hear(111);
        assert_eq!(due(&socket, 111), None);
        assert_eq!(due(&session(Transport::Polling), 71).map(|end| end.code), Some(close_code::SILENT));
    }

    #[test]
    fn a_blocked_session_is_too_slow_unless_it_takes_again() {
        let socket = session(Transport::Socket);
        socket.set_blocked(Some(20));
        socket.set_blocked(Some(45));
        assert_eq!(due(&socket, 50), None);
        assert_eq!(due(&socket, 51).map(|end| end.code), Some(close_code::TOO_SLOW));
        assert_eq!(due(&socket, 1_000).map(|end| end.code), Some(close_code::TOO_SLOW), "also when it is silent");
        socket.set_blocked(None);
        assert_eq!(due(&socket, 51), None);
    }
}
