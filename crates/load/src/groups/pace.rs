//! Says when something is due, at a fixed rate. A thread of its own: waiting in epoll is good to a millisecond, which is more than a
//! message takes.

use std::time::{Duration, Instant};

/// From `start` to `until`, calls `due` with each time that is `1 / rate` seconds after the last, when it has come. A call that takes too
/// long delays the next ones, but not what they are told: what is due stays due. Ends early when `due` says that nobody listens.
pub fn pace(start: Instant, until: Instant, rate: f64, mut due: impl FnMut(Instant) -> bool) {
    for number in 0_u64.. {
        // From the start each time, so that what is rounded does not add up.
        let at = start + Duration::from_secs_f64(number as f64 / rate);
        if at >= until {
            return;
        }
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if !due(at) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_even_whatever_a_call_takes() {
        let start = Instant::now();
        let mut times = Vec::new();
        pace(start, start + Duration::from_millis(50), 100.0, |at| {
            times.push((at - start).as_millis());
            assert!(Instant::now() >= at, "not before it is due");
            std::thread::sleep(Duration::from_millis(if times.len() == 1 { 25 } else { 0 }));
            true
        });
        assert_eq!(times, [0, 10, 20, 30, 40]);
    }

    #[test]
    fn it_ends_when_nobody_listens() {
        let start = Instant::now();
        let mut calls = 0;
        pace(start, start + Duration::from_secs(3_600), 1_000.0, |_| {
            calls += 1;
            calls < 3
        });
        assert_eq!(calls, 3);
    }
}
