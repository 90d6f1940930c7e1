//! Spares callers the waiting while an engine is known to be away.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

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
    /// Leave to make a call; `None` while the engine is away.
    pub(super) fn admit(&self) -> Option<Permit<'_>> {
        let mut state = self.0.lock();
        if let Some(open) = &mut state.open {
            if open.trying || Instant::now() < open.until {
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

    /// It did not, or not in time.
    pub(super) fn failed(mut self) {
        self.decided = true;
        let mut state = self.circuit.0.lock();
        if state.generation == self.generation {
            state.generation += 1;
            state.pause = (state.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
            state.open = Some(Open { until: Instant::now() + state.pause, trying: false });
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

    fn admit(circuit: &Circuit) -> Permit<'_> {
        circuit.admit().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn one_call_finds_out_and_the_others_do_not_wait() {
        let circuit = Circuit::default();
        let (slow, other) = (admit(&circuit), admit(&circuit));
        admit(&circuit).failed();
        assert!(circuit.admit().is_none());
        other.failed();
        slow.answered();
        assert!(circuit.admit().is_none(), "an answer from before the failure says nothing");
        tokio::time::advance(FIRST_PAUSE).await;
        let trying = admit(&circuit);
        assert!(circuit.admit().is_none(), "one is enough");
        drop(trying);
        admit(&circuit).failed();
        tokio::time::advance(FIRST_PAUSE).await;
        assert!(circuit.admit().is_none(), "the pause has doubled");
        tokio::time::advance(FIRST_PAUSE).await;
        admit(&circuit).answered();
        let all = [admit(&circuit), admit(&circuit)];
        assert_eq!(all.len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_are_bounded() {
        let circuit = Circuit::default();
        for _ in 0..20 {
            admit(&circuit).failed();
            tokio::time::advance(LONGEST_PAUSE).await;
        }
        assert!(circuit.admit().is_some());
    }
}
