//! A rate limit in eight bytes.

use std::sync::atomic::{AtomicU64, Ordering};

/// The generic cell rate algorithm: the time (in microseconds) at which the next event would be on schedule.
#[derive(Debug, Default)]
pub struct Gcra(AtomicU64);

impl Gcra {
    /// Counts one event at `now_ms`, if `per_second` in the long run and `burst` at once allow it.
    ///
    /// # Errors
    /// After how many milliseconds it will be allowed.
    pub fn check(&self, now_ms: u64, per_second: u32, burst: u32) -> Result<(), u64> {
        let now = now_ms.saturating_mul(1_000);
        let interval = 1_000_000 / u64::from(per_second.max(1));
        let tolerance = interval * u64::from(burst.max(1));
        let mut expected = self.0.load(Ordering::Relaxed);
        loop {
            let next = expected.max(now) + interval;
            if next > now + tolerance {
                return Err((next - now - tolerance).div_ceil(1_000));
            }
            match self.0.compare_exchange_weak(expected, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(current) => expected = current,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_rate() {
        let gcra = Gcra::default();
        for _ in 0..5 {
            assert_eq!(gcra.check(1_000, 10, 5), Ok(()));
        }
        assert_eq!(gcra.check(1_000, 10, 5), Err(100));
        assert_eq!(gcra.check(1_100, 10, 5), Ok(()));
        assert_eq!(gcra.check(1_150, 10, 5), Err(50));
        for _ in 0..5 {
            assert_eq!(gcra.check(9_000, 10, 5), Ok(()));
        }
    }
}
