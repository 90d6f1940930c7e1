//! When a device was acknowledged something, and told something: what pauses are read from.

use parking_lot::Mutex;

/// The times of a device, in milliseconds from the beginning of the run.
#[derive(Debug, Default)]
pub struct Times {
    acknowledged: Mutex<Vec<u64>>,
    told: Mutex<Vec<u64>>,
    /// When something was acknowledged, and how long it had waited.
    waits: Mutex<Vec<(u64, u64)>>,
}

/// What is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Something that the device wrote was acknowledged.
    Acknowledged,
    /// The device was told of an event.
    Told,
}

/// A stretch in which nothing came, in milliseconds from the beginning of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The last that came before it, or the beginning of what was looked at.
    pub from: u64,
    /// The first that came after it, or the end of what was looked at.
    pub to: u64,
}

impl Pause {
    /// How long it was, in milliseconds.
    pub fn length(&self) -> u64 {
        self.to - self.from
    }
}

impl Times {
    /// Notes that it happened at `now`.
    pub fn note(&self, what: What, now: u64) {
        self.of(what).lock().push(now);
    }

    /// Those from `from` up to `to`, in order.
    pub fn between(&self, what: What, from: u64, to: u64) -> Vec<u64> {
        let mut times: Vec<u64> = self.of(what).lock().iter().copied().filter(|time| (from..=to).contains(time)).collect();
        times.sort_unstable();
        times
    }

    /// The first at or after `from`.
    pub fn first_after(&self, what: What, from: u64) -> Option<u64> {
        self.of(what).lock().iter().copied().filter(|time| *time >= from).min()
    }

    /// Notes that something was acknowledged at `now` that was written at `since`.
    pub fn waited(&self, since: u64, now: u64) {
        self.waits.lock().push((now, now.saturating_sub(since)));
    }

    /// The longest that anything had waited that was acknowledged from `from` up to `to`, in milliseconds.
    pub fn longest_wait(&self, from: u64, to: u64) -> u64 {
        let waits = self.waits.lock();
        waits.iter().filter(|(now, _)| (from..=to).contains(now)).map(|(_, wait)| *wait).max().unwrap_or(0)
    }

    fn of(&self, what: What) -> &Mutex<Vec<u64>> {
        match what {
            What::Acknowledged => &self.acknowledged,
            What::Told => &self.told,
        }
    }
}

/// The longest stretch between `from` and `to` in which none of `times` (in order, all between the two) lies.
pub fn longest_pause(times: &[u64], from: u64, to: u64) -> Pause {
    let ends = times.iter().copied().chain([to]);
    let begins = [from].into_iter().chain(times.iter().copied());
    let pauses = begins.zip(ends).map(|(from, to)| Pause { from, to });
    pauses.max_by_key(Pause::length).unwrap_or(Pause { from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_may_be_at_either_end() {
        assert_eq!(longest_pause(&[], 100, 900), Pause { from: 100, to: 900 });
        assert_eq!(longest_pause(&[200, 250, 600], 100, 900), Pause { from: 250, to: 600 });
        assert_eq!(longest_pause(&[500, 600], 100, 700), Pause { from: 100, to: 500 });
        assert_eq!(longest_pause(&[150, 200], 100, 700), Pause { from: 200, to: 700 });
    }

    #[test]
    fn times_are_found_by_when_they_were() {
        let times = Times::default();
        for now in [30, 10, 20] {
            times.note(What::Told, now);
        }
        assert_eq!(times.between(What::Told, 10, 20), [10, 20]);
        assert_eq!(times.first_after(What::Told, 11), Some(20));
        assert_eq!(times.first_after(What::Told, 31), None);
        assert!(times.between(What::Acknowledged, 0, 100).is_empty());
        [(5, 10), (10, 40), (1, 90)].map(|(since, now)| times.waited(since, now));
        assert_eq!([times.longest_wait(0, 50), times.longest_wait(0, 90), times.longest_wait(91, 99)], [30, 89, 0]);
    }
}
