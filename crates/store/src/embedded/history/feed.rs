//! The feed of an embedded history.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use fjall::Readable;
use tokio::sync::{oneshot, watch};

use super::committer::Request;
use super::feed_index::FeedChange;
use super::row::Place;
use super::tables::{Table, unreadable};
use super::{EmbeddedHistory, damaged_key, key};
use crate::StoreError;
use crate::feed::{Fact, Facts, Feed, FeedError, FeedReader, FeedWriter, check_name};

/// Most facts that a reader reads at once.
const READ_AHEAD: usize = 4_096;

/// The feed that an embedded history writes: an index of its facts in the order of their commits, which costs nothing while
/// nobody is registered, and no sync of its own when somebody is.
pub struct EmbeddedFeed {
    history: Arc<EmbeddedHistory>,
}

impl EmbeddedFeed {
    /// The feed of `history`.
    pub fn new(history: Arc<EmbeddedHistory>) -> EmbeddedFeed {
        EmbeddedFeed { history }
    }
}

impl EmbeddedHistory {
    async fn change_feed(&self, change: FeedChange) -> Result<(), FeedError> {
        let (answer, changed) = oneshot::channel();
        Ok(self.ask(Request::Feed { change, answer }, changed).await?)
    }
}

#[async_trait]
impl Feed for EmbeddedFeed {
    async fn register(&self, name: &str) -> Result<(), FeedError> {
        check_name(name)?;
        self.history.change_feed(FeedChange::Register(name.to_owned())).await
    }

    async fn unregister(&self, name: &str) -> Result<(), FeedError> {
        check_name(name)?;
        self.history.change_feed(FeedChange::Unregister(name.to_owned())).await
    }

    async fn reader(&self, name: &str) -> Result<Box<dyn FeedReader>, FeedError> {
        check_name(name)?;
        let Some(Place(place)) = self.history.get(Table::Feed, key::reader(name))? else {
            return Err(FeedError::Unregistered(name.to_owned()));
        };
        if !self.history.followed.open.lock().insert(name.to_owned()) {
            return Err(FeedError::InUse(name.to_owned()));
        }
        let last = self.history.followed.last.clone();
        Ok(Box::new(EmbeddedFeedReader {
            history: Arc::clone(&self.history),
            name: name.to_owned(),
            last,
            waiting: VecDeque::new(),
            read: place,
            handed_out: place,
            confirmed: place,
        }))
    }

    fn writer(&self, _: u32, _: u64) -> Option<Box<dyn FeedWriter>> {
        None
    }
}

struct EmbeddedFeedReader {
    history: Arc<EmbeddedHistory>,
    name: String,
    last: watch::Receiver<u64>,
    /// Facts that were read and not handed out.
    waiting: VecDeque<Fact>,
    /// Numbers of the last fact that was read, handed out, and confirmed.
    read: u64,
    handed_out: u64,
    confirmed: u64,
}

impl EmbeddedFeedReader {
    /// Reads what comes after what was read, about [`READ_AHEAD`] facts of it. Says how many are missing before it.
    async fn read_on(&mut self) -> Result<u64, StoreError> {
        let after = self.read;
        let Some(first) = after.checked_add(1) else { return Ok(0) };
        let read = move |tables: &super::Tables, snapshot: &fjall::Snapshot| {
            let (mut found, mut missing, mut read): (VecDeque<Fact>, u64, u64) = (VecDeque::new(), 0, after);
            for row in snapshot.range(&tables.feed, key::facts(first)..=key::facts(u64::MAX)) {
                let (key, value) = row.into_inner().map_err(unreadable)?;
                let last = key::number_of_facts(&key).ok_or_else(damaged_key)?;
                let Facts(facts) = Facts::decode(&value)?;
                let before = last.checked_sub(facts.len() as u64).ok_or_else(damaged_key)?;
                missing += before.saturating_sub(read);
                let had = usize::try_from(read.saturating_sub(before)).unwrap_or(usize::MAX);
                found.extend(facts.into_iter().skip(had));
                read = last;
                if found.len() >= READ_AHEAD {
                    break;
                }
            }
            Ok((found, missing, read))
        };
        let (found, missing, read) = self.history.scan(read).await?;
        self.read = read;
        self.handed_out = read - found.len() as u64;
        self.waiting = found;
        Ok(missing)
    }
}

#[async_trait]
impl FeedReader for EmbeddedFeedReader {
    async fn next(&mut self, limit: usize) -> Result<Option<Vec<Fact>>, FeedError> {
        while self.waiting.is_empty() {
            let last = *self.last.borrow_and_update();
            if last > self.read {
                let missing = self.read_on().await?;
                if missing > 0 {
                    return Err(FeedError::Lost { name: self.name.clone(), facts: missing });
                }
                if self.waiting.is_empty() {
                    // What is there is not for this name: it was unregistered meanwhile.
                    return Err(FeedError::Unregistered(self.name.clone()));
                }
            } else if self.last.changed().await.is_err() {
                return Ok(None);
            }
        }
        let facts: Vec<Fact> = self.waiting.drain(..limit.max(1).min(self.waiting.len())).collect();
        self.handed_out += facts.len() as u64;
        Ok(Some(facts))
    }

    async fn confirm(&mut self) -> Result<(), FeedError> {
        if self.handed_out > self.confirmed {
            self.history.change_feed(FeedChange::Confirm(self.name.clone(), self.handed_out)).await?;
            self.confirmed = self.handed_out;
        }
        Ok(())
    }
}

impl Drop for EmbeddedFeedReader {
    fn drop(&mut self) {
        self.history.followed.open.lock().remove(&self.name);
    }
}
