//! Is the other side still there?

use std::time::Duration;

use tokio::time::Instant;

/// What was said is answered within this time, or the other side is asked; and so is the asking, or it is gone.
const ANSWER: Duration = Duration::from_secs(5);
/// The slowest line that is reckoned with: what is still on its way gets the time for it.
const SLOWEST_BYTES_A_SECOND: u64 = 2_048;

/// Watches a session for silence. Nobody may be silent for one and a half heartbeats; and who does not answer what was said, and then not
/// the ping either, is gone within about ten seconds.
#[derive(Debug)]
pub(super) struct Silence {
    heartbeat: Duration,
    heard: Instant,
    said: Instant,
    unanswered: Option<Unanswered>,
}

/// What was said since anything was heard.
#[derive(Debug, Clone, Copy)]
struct Unanswered {
    since: Instant,
    /// Up to the ping.
    bytes: u64,
    pinged: Option<Instant>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// Say something that has to be answered.
    Ping,
    /// Nobody is there.
    Gone,
}

impl Silence {
    /// A session that begins now.
    pub fn new(heartbeat: Duration, now: Instant) -> Silence {
        Silence { heartbeat, heard: now, said: now, unanswered: None }
    }

    /// The server wants another heartbeat.
    pub fn set_heartbeat(&mut self, heartbeat: Duration) {
        self.heartbeat = heartbeat;
    }

    /// Something came, if only a part of a frame.
    pub fn heard(&mut self, now: Instant) {
        (self.heard, self.unanswered) = (now, None);
    }

    /// A frame of so many bytes is to be written.
    pub fn said(&mut self, now: Instant, bytes: usize, ping: bool) {
        self.said = now;
        let unanswered = self.unanswered.get_or_insert(Unanswered { since: now, bytes: 0, pinged: None });
        // What is said after the ping does not hold up its answer.
        if unanswered.pinged.is_none() {
            unanswered.bytes += bytes as u64;
        }
        if ping {
            unanswered.pinged.get_or_insert(now);
        }
    }

    /// What is to be done at `now`.
    pub fn look(&self, now: Instant) -> Verdict {
        if now >= self.gone_at() {
            Verdict::Gone
        } else if now >= self.ping_at() {
            Verdict::Ping
        } else {
            Verdict::Fine
        }
    }

    /// When to look next.
    pub fn look_at(&self) -> Instant {
        self.gone_at().min(self.ping_at())
    }

    fn gone_at(&self) -> Instant {
        let silent = self.heard + self.heartbeat * 3 / 2;
        let asked = self.unanswered.and_then(|unanswered| Some((unanswered.pinged?, unanswered.bytes)));
        asked.map_or(silent, |(pinged, bytes)| silent.min(pinged + ANSWER + Duration::from_secs(bytes / SLOWEST_BYTES_A_SECOND)))
    }

    fn ping_at(&self) -> Instant {
        let own = self.said + self.heartbeat / 2;
        match self.unanswered {
            Some(Unanswered { since, pinged: None, .. }) => own.min(since + ANSWER),
            _ => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_secs(45);

    /// The seconds after which a session in which nothing is heard any more is pinged, and is given up.
    fn pinged_and_gone(mut silence: Silence, start: Instant) -> (Option<u64>, u64) {
        let mut pinged = None;
        loop {
            let now = silence.look_at();
            match silence.look(now) {
                Verdict::Gone => return (pinged, (now - start).as_secs()),
                Verdict::Ping => {
                    silence.said(now, 16, true);
                    pinged.get_or_insert((now - start).as_secs());
                }
                Verdict::Fine => panic!("it was to be looked for nothing"),
            }
        }
    }

    #[test]
    fn who_does_not_answer_is_gone_soon_and_who_was_not_asked_is_asked_in_time() {
        let start = Instant::now();
        let idle = Silence::new(HEARTBEAT, start);
        assert_eq!(pinged_and_gone(idle, start), (Some(22), 27));
        let mut spoken = Silence::new(HEARTBEAT, start);
        spoken.said(start + ANSWER, 200, false);
        spoken.said(start + 2 * ANSWER, 200, false);
        assert_eq!(pinged_and_gone(spoken, start), (Some(10), 15), "from the first that is not answered");
    }

    #[test]
    fn what_is_heard_answers_everything() {
        let start = Instant::now();
        let mut silence = Silence::new(HEARTBEAT, start);
        silence.said(start, 200, false);
        silence.heard(start + ANSWER / 2);
        assert_eq!(silence.look(start + ANSWER), Verdict::Fine);
        silence.said(start + ANSWER, 16, true);
        silence.heard(start + ANSWER);
        assert_eq!(silence.look(start + 4 * ANSWER), Verdict::Fine);
    }

    #[test]
    fn a_long_text_on_a_slow_line_has_its_time() {
        let start = Instant::now();
        let mut silence = Silence::new(HEARTBEAT, start);
        silence.said(start, 100_000, false);
        assert_eq!(pinged_and_gone(silence, start), (Some(5), 58));
        let mut silence = Silence::new(HEARTBEAT, start);
        silence.said(start, 400_000, false);
        assert_eq!(pinged_and_gone(silence, start), (Some(5), 67), "but not more than anybody");
    }

    #[test]
    fn who_talks_on_does_not_wait_longer() {
        let start = Instant::now();
        let mut silence = Silence::new(HEARTBEAT, start);
        silence.said(start, 200, false);
        silence.said(start + ANSWER, 16, true);
        silence.said(start + ANSWER, 100_000, false);
        assert_eq!(silence.look(start + 2 * ANSWER), Verdict::Gone);
    }
}
