//! How far the partitions are: where sync points come from, and what is known of what happened after one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use banter_model::{ConversationId, Millis, Seq, UserId};
use banter_store::{History, StoreError};
use tokio::sync::Mutex;

use super::recent::{Happened, Recent};
use super::sync_point::SyncPoint;
use crate::clock;

/// How old the stored positions may be when they are handed out: an older point only means that a little is told again.
const REFRESHED_EVERY: Duration = Duration::from_secs(1);

/// How far the partitions are.
pub enum Points {
    /// All partitions are applied in this process, which remembers where something happened lately.
    Applied(Recent),
    /// They are applied elsewhere, and read from the history.
    Stored(StoredPoints),
}

/// The positions as the history has them, read again now and then.
pub struct StoredPoints {
    history: Arc<dyn History>,
    partitions: Vec<u32>,
    known: Mutex<Option<(SyncPoint, Instant)>>,
}

impl StoredPoints {
    /// The positions of so many partitions in `history`.
    pub fn new(history: Arc<dyn History>, partitions: u32) -> Self {
        StoredPoints { history, partitions: (0..partitions).collect(), known: Mutex::const_new(None) }
    }

    /// Whoever asks while the positions are read waits for them: one question to the history, however many ask.
    async fn current(&self, since: Option<&SyncPoint>) -> Result<SyncPoint, StoreError> {
        let asked = Instant::now();
        let mut known = self.known.lock().await;
        if let Some((point, read)) = &*known {
            let behind = || since.is_some_and(|since| since.is_ahead_of(point));
            // A device that comes from another node may know of more than was read here. Only what was read after it
            // asked can say that it knows what never was.
            if *read >= asked || (read.elapsed() < REFRESHED_EVERY && !behind()) {
                return Ok(point.clone());
            }
        }
        // Before the question: what happens while it is answered is in the next answer.
        let (at, read) = (clock::now(), Instant::now());
        let point = SyncPoint { at, positions: self.history.positions(&self.partitions).await? };
        *known = Some((point.clone(), read));
        Ok(point)
    }
}

impl Points {
    /// A point up to which everything is stored, to be taken before anything else is read for an answer. It is behind `since` only if
    /// that is from a future of the history.
    pub async fn current(&self, since: Option<&SyncPoint>) -> Result<SyncPoint, StoreError> {
        match self {
            Points::Applied(recent) => Ok(recent.point(clock::now())),
            Points::Stored(stored) => stored.current(since).await,
        }
    }

    /// See [`Recent::since`].
    pub fn since(&self, user: UserId, since: &SyncPoint, slack: Millis) -> Option<Vec<ConversationId>> {
        match self {
            Points::Applied(recent) => recent.since(user, since, slack),
            Points::Stored(_) => None,
        }
    }

    /// See [`Recent::roster_stayed`].
    pub fn roster_stayed(&self, conversation: ConversationId, partition: u32, since: u64, head: u64) -> bool {
        match self {
            Points::Applied(recent) => recent.roster_stayed(conversation, partition, since, head),
            Points::Stored(_) => false,
        }
    }

    /// See [`Recent::first_since`].
    pub fn first_since(&self, conversation: ConversationId, partition: u32, since: u64) -> Option<Seq> {
        match self {
            Points::Applied(recent) => recent.first_since(conversation, partition, since),
            Points::Stored(_) => None,
        }
    }

    /// See [`Recent::note`].
    pub fn note(&self, partition: u32, position: u64, happened: impl Iterator<Item = Happened>, now: Millis) {
        if let Points::Applied(recent) = self {
            recent.note(partition, position, happened, now);
        }
    }

    /// See [`Recent::note_register`].
    pub fn note_register(&self, conversation: ConversationId, users: impl IntoIterator<Item = UserId>, now: Millis) {
        if let Points::Applied(recent) = self {
            recent.note_register(conversation, users, now);
        }
    }
}
