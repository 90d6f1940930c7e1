//! When a device was acknowledged something, and told something: what pauses are read from.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// What waited so long for its answer is remembered by what it is, in milliseconds.
const LONG_MS: u64 = 2_000;

/// The times of a device, in milliseconds from the beginning of the run.
#[derive(Debug, Default)]
pub struct Times {
    acknowledged: Mutex<Vec<u64>>,
    told: Mutex<Vec<u64>>,
    /// When something was acknowledged, how long it had waited, and what it is where that was long.
    waits: Mutex<Vec<(u64, u64, Option<String>)>>,
    /// What has no answer yet: when it was written, and what it is for people.
    waiting: Mutex<BTreeMap<u64, (u64, String)>>,
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

    /// Notes that the `number`-th thing was written at `since`, and waits for its answer; `what` is it for people.
    pub fn waits(&self, number: u64, since: u64, what: String) {
        self.waiting.lock().insert(number, (since, what));
    }

    /// Notes that it waits no longer: it was acknowledged at `now`, or it was refused, or nobody waits any more.
    pub fn waited(&self, number: u64, now: Option<u64>) {
        let written = self.waiting.lock().remove(&number);
        if let (Some((since, what)), Some(now)) = (written, now) {
            let wait = now.saturating_sub(since);
            self.waits.lock().push((now, wait, Some(what).filter(|_| wait >= LONG_MS)));
        }
    }

    /// What waits for an answer since before `time`, the oldest.
    pub fn waiting_since_before(&self, time: u64) -> Option<(u64, String)> {
        self.waiting.lock().values().filter(|(since, _)| *since < time).min().cloned()
    }

    /// The longest that anything had waited that was acknowledged from `from` up to `to`, in milliseconds; and what it is, if that is two seconds
    /// or more.
    pub fn longest_wait(&self, from: u64, to: u64) -> (u64, Option<String>) {
        let waits = self.waits.lock();
        let meanwhile = waits.iter().filter(|(now, ..)| (from..=to).contains(now));
        meanwhile
            .max_by_key(|(_, wait, _)| *wait)
            .map(|(now, wait, what)| {
                (*wait, what.as_ref().map(|what| format!("{what}, written at {} and answered at {now}", now - wait)))
            })
            .unwrap_or_default()
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
        for (number, since, answered) in [(1, 5, Some(10)), (2, 10, Some(40)), (3, 1, Some(90)), (4, 7, None)] {
            times.waits(number, since, format!("number {number}"));
            assert_eq!(times.waiting_since_before(since + 1), Some((since, format!("number {number}"))));
            assert_eq!(times.waiting_since_before(since), None);
            times.waited(number, answered);
        }
        assert_eq!([times.longest_wait(0, 50).0, times.longest_wait(0, 90).0, times.longest_wait(91, 99).0], [30, 89, 0]);
    }
}
