//! How long to wait before connecting again.

use std::time::Duration;

use rand::RngExt;

/// The ceiling of the first wait.
const FIRST: Duration = Duration::from_millis(200);
/// The ceiling of every wait.
const MOST: Duration = Duration::from_secs(30);

/// Waits with full jitter: a random time up to a ceiling that doubles from 0.2 s to 30 s, so that the devices of a server that went
/// down do not all come back in the same instant.
#[derive(Debug, Clone, Copy, Default)]
pub struct Backoff {
    attempts: u32,
}

impl Backoff {
    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let ceiling = self.ceiling();
        self.attempts = self.attempts.saturating_add(1);
        rand::rng().random_range(Duration::ZERO..=ceiling)
    }

    /// What the next wait is at most.
    pub fn ceiling(&self) -> Duration {
        FIRST.saturating_mul(1 << self.attempts.min(20)).min(MOST)
    }

    /// It worked: the next wait is short again.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ceilings_double_up_to_the_most() {
        let mut backoff = Backoff::default();
        let mut ceilings = vec![];
        for _ in 0..40 {
            let ceiling = backoff.ceiling();
            assert!(backoff.next_wait() <= ceiling);
            ceilings.push(ceiling.as_millis());
        }
        assert_eq!(ceilings[..4], [200, 400, 800, 1_600]);
        assert_eq!(ceilings[39], 30_000);
        backoff.reset();
        assert_eq!(backoff.ceiling(), FIRST);
    }
}
