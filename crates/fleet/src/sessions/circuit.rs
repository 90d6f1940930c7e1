//! Spares callers the waiting while an engine is known to be away.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// After a failure nobody tries for so long; it doubles with each further failure, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Open while the engine is away: calls are refused at once, but for one now and then that finds out whether it is back.
#[derive(Debug, Default)]
pub(super) struct Circuit(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Calls of before a failure say nothing new when they fail too.
    generation: u64,
    pause: Duration,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    until: Instant,
    /// A call is finding out.
    trying: bool,
}

/// Leave to make a call. Dropped without a verdict it counts as not made.
pub(super) struct Permit<'a> {
    circuit: &'a Circuit,
    generation: u64,
    decided: bool,
}

impl Circuit {
    /// Leave to make a call at the time `now`; `None` while the engine is away.
    pub(super) fn admit(&self, now: Instant) -> Option<Permit<'_>> {
        let mut state = self.0.lock();
        if let Some(open) = &mut state.open {
            if open.trying || now < open.until {
                return None;
            }
            open.trying = true;
        }
        Some(Permit { circuit: self, generation: state.generation, decided: false })
    }
}

impl Permit<'_> {
    /// The engine answered.
    pub(super) fn answered(mut self) {
        self.decided = true;
        let mut state = self.circuit.0.lock();
        if state.generation == self.generation {
            (state.open, state.pause) = (None, Duration::ZERO);
        }
    }

    /// It did not, or not in time; that was at `now`.
    pub(super) fn failed(mut self, now: Instant) {
        self.decided = true;
        let mut state = self.circuit.0.lock();
        if state.generation == self.generation {
            state.generation += 1;
            state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            state.open = Some(Open { until: now + state.pause, trying: false });
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.decided {
            return;
        }
        let mut state = self.circuit.0.lock();
        if state.generation == self.generation
            && let Some(open) = &mut state.open
        {
            open.trying = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_finds_out_and_the_others_do_not_wait() {
        let (circuit, start) = (Circuit::default(), Instant::now());
        let (slow, other) = (circuit.admit(start).unwrap(), circuit.admit(start).unwrap());
        circuit.admit(start).unwrap().failed(start);
        assert!(circuit.admit(start).is_none());
        other.failed(start + LONGEST_PAUSE);
        slow.answered();
        assert!(circuit.admit(start).is_none(), "an answer from before the failure says nothing");
        let next = start + FIRST_PAUSE;
        let trying = circuit.admit(next).unwrap();
        assert!(circuit.admit(next).is_none(), "one is enough");
        drop(trying);
        circuit.admit(next).unwrap().failed(next);
        assert!(circuit.admit(next + FIRST_PAUSE).is_none(), "the pause has doubled");
        let last = next + 2 * FIRST_PAUSE;
        circuit.admit(last).unwrap().answered();
        let all = [circuit.admit(last).unwrap(), circuit.admit(last).unwrap()];
        assert_eq!(all.len(), 2);
    }

    #[test]
    fn pauses_are_bounded() {
        let (circuit, mut now) = (Circuit::default(), Instant::now());
        for _ in 0..20 {
            circuit.admit(now).unwrap().failed(now);
            now += LONGEST_PAUSE;
        }
        assert!(circuit.admit(now).is_some());
    }
}
