//! Who may reach whom, remembered for a while.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use banter_model::UserId;
use banter_model::limits::USERS_PER_QUESTION;
use banter_store::Directory;
use banter_store::directory::{DirectoryError, Relation};
use quick_cache::sync::Cache;

/// Most pairs of users, and most users, that are remembered.
const REMEMBERED: usize = 50_000;
/// The longest that something is remembered: how long another node's change may take to be seen here.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// How many counters users share. Two users on one counter cost a question more, now and then.
const COUNTERS: usize = 4_096;

/// A bounded memory of relations in front of the directory.
///
/// What is remembered carries the counters of its users as they were before the directory was asked. Forgetting a user
/// counts theirs up: so it works in both directions, and an answer that was under way at that moment is not kept.
pub struct Relations {
    directory: Arc<dyn Directory>,
    pairs: Cache<(UserId, UserId), Remembered<Option<Relation>>>,
    receipts: Cache<UserId, Remembered<bool>>,
    counters: Box<[AtomicU64]>,
    hasher: std::hash::RandomState,
}

#[derive(Clone, Copy)]
struct Remembered<T> {
    value: T,
    at: Instant,
    counters: (u64, u64),
}

impl Relations {
    /// A memory in front of `directory`.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Relations {
            directory,
            pairs: Cache::new(REMEMBERED),
            receipts: Cache::new(REMEMBERED),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
        }
    }

    /// What is remembered of `from` towards `to`, without asking the directory.
    pub fn known(&self, from: UserId, to: UserId) -> Option<Relation> {
        self.remembered(from, to).flatten()
    }

    /// What decides whether `from` may reach `to`; `None` if there is no such user.
    pub async fn of(&self, from: UserId, to: UserId) -> Result<Option<Relation>, DirectoryError> {
        if let Some(relation) = self.remembered(from, to) {
            return Ok(relation);
        }
        let counters = (self.counter(from), self.counter(to));
        let value = self.directory.relations(from, &[to]).await?.into_iter().find(|relation| relation.user == to);
        self.pairs.insert((from, to), Remembered { value, at: Instant::now(), counters });
        Ok(value)
    }

    /// Those of `users` who let others know how far they have read. Deleted users do not.
    pub async fn shows_reading(&self, users: &[UserId]) -> Result<Vec<UserId>, DirectoryError> {
        let mut showing = Vec::with_capacity(users.len());
        let mut unknown = Vec::new();
        for user in users {
            let counters = (self.counter(*user), 0);
            match self.receipts.get(user).filter(|remembered| remembered.is_good(counters)) {
                Some(Remembered { value: true, .. }) => showing.push(*user),
                Some(_) => {}
                None => unknown.push((*user, counters)),
            }
        }
        for part in unknown.chunks(USERS_PER_QUESTION) {
            let users: Vec<_> = part.iter().map(|(user, _)| *user).collect();
            // The settings are the same for whoever asks.
            let relations = self.directory.relations(users[0], &users[1..]).await?;
            let first = self.directory.settings(users[0]).await?;
            for (user, counters) in part {
                let relation = relations.iter().find(|relation| relation.user == *user).map(|relation| relation.settings);
                let settings = if *user == users[0] { first } else { relation };
                let value = settings.is_some_and(|settings| settings.read_receipts);
                self.receipts.insert(*user, Remembered { value, at: Instant::now(), counters: *counters });
                if value {
                    showing.push(*user);
                }
            }
        }
        Ok(showing)
    }

    /// Something of `user` changed (settings, friends, blocks, the account): what is remembered of them in either direction is
    /// forgotten.
    pub fn forget(&self, user: UserId) {
        self.counters[self.counter_index(user)].fetch_add(1, Ordering::Release);
    }

    fn remembered(&self, from: UserId, to: UserId) -> Option<Option<Relation>> {
        let counters = (self.counter(from), self.counter(to));
        self.pairs.get(&(from, to)).filter(|remembered| remembered.is_good(counters)).map(|remembered| remembered.value)
    }

    fn counter(&self, user: UserId) -> u64 {
        self.counters[self.counter_index(user)].load(Ordering::Acquire)
    }

    fn counter_index(&self, user: UserId) -> usize {
        hash(&self.hasher, user) as usize % COUNTERS
    }
}

fn hash(hasher: &std::hash::RandomState, user: impl Hash) -> u64 {
    hasher.hash_one(user)
}

impl<T> Remembered<T> {
    fn is_good(&self, counters: (u64, u64)) -> bool {
        self.counters == counters && self.at.elapsed() < REMEMBERED_FOR
    }
}
