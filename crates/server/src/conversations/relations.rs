//! Who may reach whom, remembered for a while.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use banter_model::UserId;
use banter_model::limits::USERS_PER_QUESTION;
use banter_store::Directory;
use banter_store::directory::{DirectoryError, Relation};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use tokio::time::timeout;

use super::receipt_questions::ReceiptQuestions;

/// Most pairs of users, and most users, that are remembered.
const REMEMBERED: usize = 50_000;
/// The longest that something is remembered: how long another node's change may take to be seen here.
const REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// While the directory does not answer, what is remembered counts for so long: without it nobody changes anything there.
const REMEMBERED_WITHOUT_DIRECTORY: Duration = Duration::from_secs(3_600);
/// The longest that the directory is waited for where something is remembered.
const PATIENCE: Duration = Duration::from_secs(2);
/// A directory that did not answer is not asked for so long where something is remembered.
const SPARED_FOR: Duration = Duration::from_secs(5);
/// How many counters users share. Two users on one counter cost a question more, now and then.
const COUNTERS: usize = 4_096;

/// A bounded memory of relations in front of the directory. Where people write to each other, they go on when the directory is away.
///
/// What is remembered carries the counters of its users as they were before the directory was asked. Forgetting a user
/// counts theirs up: so it works in both directions, and an answer that was under way at that moment is not kept.
pub struct Relations {
    directory: Arc<dyn Directory>,
    questions: ReceiptQuestions,
    pairs: Cache<(UserId, UserId), Remembered<Option<Relation>>>,
    receipts: Cache<UserId, Remembered<bool>>,
    counters: Box<[AtomicU64]>,
    hasher: std::hash::RandomState,
    /// How long an answer counts.
    good_for: Duration,
    /// When the directory last did not answer.
    away_since: Mutex<Option<Instant>>,
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
            questions: ReceiptQuestions::new(directory.clone()),
            directory,
            pairs: Cache::new(REMEMBERED),
            receipts: Cache::new(REMEMBERED),
            counters: (0..COUNTERS).map(|_| AtomicU64::new(0)).collect(),
            hasher: std::hash::RandomState::new(),
            good_for: REMEMBERED_FOR,
            away_since: Mutex::default(),
        }
    }

    /// What is remembered of `from` towards `to`, without asking the directory.
    pub fn known(&self, from: UserId, to: UserId) -> Option<Relation> {
        self.remembered(from, to).flatten()
    }

    /// What decides whether `from` may reach `to`; `None` if there is no such user.
    pub async fn of(&self, from: UserId, to: UserId) -> Result<Option<Relation>, DirectoryError> {
        let counters = (self.counter(from), self.counter(to));
        let remembered = self.pairs.get(&(from, to));
        if let Some(remembered) = remembered.filter(|remembered| remembered.is_good(counters, self.good_for)) {
            return Ok(remembered.value);
        }
        let older = remembered.filter(|remembered| remembered.is_good(counters, REMEMBERED_WITHOUT_DIRECTORY));
        let asked = async { self.directory.relations(from, &[to]).await };
        let value = match (self.ask(older.is_some(), asked).await, older) {
            (Ok(relations), _) => relations.into_iter().find(|relation| relation.user == to),
            (Err(_), Some(older)) => return Ok(older.value),
            (Err(error), None) => return Err(error),
        };
        self.pairs.insert((from, to), Remembered { value, at: Instant::now(), counters });
        Ok(value)
    }

    /// Those of `users` who let others know how far they have read. Deleted users do not.
    pub async fn shows_reading(&self, users: &[UserId]) -> Result<Vec<UserId>, DirectoryError> {
        let mut showing = Vec::with_capacity(users.len());
        let mut unknown = Vec::new();
        for user in users {
            let counters = (self.counter(*user), 0);
            let remembered = self.receipts.get(user);
            match remembered.filter(|remembered| remembered.is_good(counters, self.good_for)) {
                Some(Remembered { value: true, .. }) => showing.push(*user),
                Some(_) => {}
                None => {
                    let older = remembered.filter(|remembered| remembered.is_good(counters, REMEMBERED_WITHOUT_DIRECTORY));
                    unknown.push((*user, counters, older.map(|older| older.value)));
                }
            }
        }
        for part in unknown.chunks(USERS_PER_QUESTION) {
            let users: Vec<_> = part.iter().map(|(user, ..)| *user).collect();
            let older = part.iter().all(|(.., older)| older.is_some());
            let found = match self.ask(older, self.questions.showing(&users)).await {
                Ok(found) => found,
                Err(_) if older => {
                    showing.extend(part.iter().filter(|(.., older)| *older == Some(true)).map(|(user, ..)| *user));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for (user, counters, _) in part {
                let value = found.contains(user);
                self.receipts.insert(*user, Remembered { value, at: Instant::now(), counters: *counters });
                if value {
                    showing.push(*user);
                }
            }
        }
        Ok(showing)
    }

    /// Asks the directory. Where something older is remembered it is not waited for long, and not at all if it did not answer a moment ago.
    async fn ask<T>(&self, older: bool, asked: impl Future<Output = Result<T, DirectoryError>>) -> Result<T, DirectoryError> {
        let no_answer = || DirectoryError::Failed("it did not answer".to_owned());
        if older && self.away_since.lock().is_some_and(|since| since.elapsed() < SPARED_FOR) {
            return Err(no_answer());
        }
        let answer = match older {
            true => timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(no_answer())),
            false => asked.await,
        };
        *self.away_since.lock() = answer.is_err().then(Instant::now);
        if let Err(error) = &answer
            && older
        {
            tracing::warn!(%error, "the directory is away: what was known of people counts");
        }
        answer
    }

    /// Something of `user` changed (settings, friends, blocks, the account): what is remembered of them in either direction is
    /// forgotten.
    pub fn forget(&self, user: UserId) {
        self.counters[self.counter_index(user)].fetch_add(1, Ordering::Release);
    }

    fn remembered(&self, from: UserId, to: UserId) -> Option<Option<Relation>> {
        let counters = (self.counter(from), self.counter(to));
        let remembered = self.pairs.get(&(from, to));
        remembered.filter(|remembered| remembered.is_good(counters, self.good_for)).map(|remembered| remembered.value)
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
    fn is_good(&self, counters: (u64, u64), good_for: Duration) -> bool {
        self.counters == counters && self.at.elapsed() < good_for
    }
}

#[cfg(test)]
mod tests {
    use banter_store::directory::NewUser;
    use banter_store::directory::sql::SqlDirectory;
    use sqlx::Connection;

    use super::*;

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    #[tokio::test]
    async fn what_is_remembered_counts_while_the_directory_is_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("people");
        let directory = SqlDirectory::open_sqlite(&path).await.unwrap();
        for (id, handle) in [(ADA, "ada"), (BOB, "bob")] {
            let (handle, display_name, password_hash) = (handle.to_owned(), String::new(), String::new());
            directory.create_user(NewUser { id, handle, display_name, password_hash, created_at: 1 }).await.unwrap();
        }
        let relations = Relations { good_for: Duration::ZERO, ..Relations::new(Arc::new(directory)) };
        let before = relations.of(ADA, BOB).await.unwrap();
        assert!(before.is_some());
        assert_eq!(relations.shows_reading(&[ADA, BOB]).await.unwrap(), [ADA, BOB]);
        let mut other = sqlx::SqliteConnection::connect(path.to_str().unwrap()).await.unwrap();
        sqlx::query("ALTER TABLE users RENAME TO gone").execute(&mut other).await.unwrap();
        assert_eq!(relations.of(ADA, BOB).await.unwrap(), before);
        assert_eq!(relations.shows_reading(&[ADA, BOB]).await.unwrap(), [ADA, BOB]);
        assert!(relations.of(BOB, ADA).await.is_err(), "of them nothing is known");
        relations.forget(BOB);
        assert!(relations.of(ADA, BOB).await.is_err(), "something changed since");
        sqlx::query("ALTER TABLE gone RENAME TO users").execute(&mut other).await.unwrap();
        assert_eq!(relations.of(ADA, BOB).await.unwrap(), before);
    }
}
