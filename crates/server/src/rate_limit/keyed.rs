//! One limit for many keys, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;

use banter_model::Millis;
use parking_lot::Mutex;

use super::gcra::step;
use super::{Limited, Quota};

/// A limit for each key.
///
/// Keys live in two generations: those used lately, and those used before. A key that is used moves to the first. When the
/// first has half of all keys, or is older than a burst takes to come back, it becomes the second, and the second is
/// forgotten: by then its keys have their whole burst again, unless an attacker brings more keys than there is room for.
pub(super) struct KeyedLimit<K> {
    interval: u64,
    burst: u32,
    keys: usize,
    generations: Mutex<Generations<K>>,
}

struct Generations<K> {
    began: u64,
    lately: HashMap<K, u64>,
    before: HashMap<K, u64>,
}

impl<K: Hash + Eq> KeyedLimit<K> {
    /// `quota` for each of at most `keys` keys.
    pub(super) fn new(quota: Quota, keys: usize) -> Self {
        let interval = u64::try_from(quota.every.as_micros()).unwrap_or(u64::MAX);
        let generations = Generations { began: 0, lately: HashMap::new(), before: HashMap::new() };
        KeyedLimit { interval, burst: quota.burst.max(1), keys: keys.max(2), generations: Mutex::new(generations) }
    }

    /// Lets one more of `key` through.
    pub(super) fn check(&self, key: K, now: Millis) -> Result<(), Limited> {
        if self.interval == 0 {
            return Ok(());
        }
        let now = now.saturating_mul(1_000);
        let mut generations = self.generations.lock();
        let recovery = self.interval.saturating_mul(u64::from(self.burst));
        if generations.lately.len() >= self.keys / 2 || now >= generations.began.saturating_add(recovery) {
            generations.began = now;
            generations.before = std::mem::take(&mut generations.lately);
        }
        let known = generations.lately.get(&key).or_else(|| generations.before.get(&key)).copied();
        let next = step(known.unwrap_or(0), now, self.interval, self.burst, 1);
        // A refused key is moved up too: an attacker who goes on is not forgotten.
        generations.lately.insert(key, next.ok().or(known).unwrap_or(now));
        next.map(drop).map_err(|micros| Limited { retry_after: micros.div_ceil(1_000_000) })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        let generations = self.generations.lock();
        generations.lately.len() + generations.before.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Millis = 1_800_000_000_000;

    fn limit(keys: usize) -> KeyedLimit<u64> {
        KeyedLimit::new(Quota::new(3, Duration::from_secs(10)), keys)
    }

    #[test]
    fn keys_do_not_disturb_each_other() {
        let limit = limit(100);
        for key in 0..10 {
            assert_eq!((0..5).filter(|_| limit.check(key, NOW).is_ok()).count(), 3);
        }
        assert_eq!(limit.check(4, NOW), Err(Limited { retry_after: 10 }));
        assert_eq!(limit.check(4, NOW + 9_500), Err(Limited { retry_after: 1 }));
        assert_eq!(limit.check(4, NOW + 10_000), Ok(()));
    }

    #[test]
    fn memory_is_bounded_and_comes_back() {
        let limit = limit(1_000);
        for key in 0..100_000 {
            assert_eq!(limit.check(key, NOW), Ok(()));
        }
        assert!(limit.len() <= 1_000, "{}", limit.len());
        limit.check(1, NOW + 60_000).unwrap();
        limit.check(1, NOW + 120_000).unwrap();
        assert_eq!(limit.len(), 2);
    }

    #[test]
    fn who_goes_on_is_not_forgotten() {
        let limit = limit(1_000);
        assert_eq!((0..4).filter(|_| limit.check(7, NOW).is_ok()).count(), 3);
        for other in 0..10_000 {
            limit.check(1_000 + other, NOW).unwrap();
            assert!(limit.check(7, NOW).is_err(), "after {other} others");
        }
    }

    #[test]
    fn over_a_long_time_it_is_the_rate() {
        let limit = limit(100);
        let through = (0..1_000).filter(|second| limit.check(1, NOW + second * 1_000).is_ok()).count();
        assert_eq!(through, 3 + 99, "a burst of 3, and one every 10 s of 999 s");
    }

    #[test]
    fn no_limit() {
        let limit = KeyedLimit::new(Quota::UNLIMITED, 0);
        assert!((0..10_000).all(|_| limit.check(1, NOW).is_ok()));
        assert_eq!(limit.len(), 0);
    }
}
