//! The index of the feed, as the writer keeps it: facts in the order in which they were committed, and where their readers are.
//!
//! Facts are written together with the events that they are about, one row for each batch, and only while there is a reader. They are numbered
//! through all partitions: the order of the commits is the order of the positions in each. A row is removed when all readers are
//! beyond it, by the write after; or when there are too many.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::{Readable, Slice};
use parking_lot::Mutex;
use tokio::sync::watch;

use std::sync::Arc;

use banter_model::encoding::Stored;

use super::committer::Group;
use super::key;
use super::row::{Place, Row};
use super::tables::{Table, Tables, unreadable};
use super::{OpenError, damaged_key};
use crate::StoreError;

/// Most rows that one write removes, so that it stays short when a reader that was far behind goes.
const TRIMMED_PER_WRITE: usize = 256;

/// What a reader wants changed.
#[derive(Debug)]
pub(super) enum FeedChange {
    Register(String),
    Unregister(String),
    /// Everything up to this fact is dealt with.
    Confirm(String, u64),
}

/// What the readers know of the index.
pub(super) struct Followed {
    /// Is there a reader, so that commits have to bring their facts?
    active: AtomicBool,
    /// Number of the last fact. Its sender goes with the writer.
    pub last: watch::Receiver<u64>,
    /// The names whose reader is open.
    pub open: Mutex<HashSet<String>>,
}

impl Followed {
    /// Is anybody registered?
    pub fn is_followed(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }
}

/// The writer's part.
pub(super) struct FeedIndex {
    /// What each reader has dealt with.
    places: BTreeMap<String, u64>,
    /// Number of the last fact, of all that were or are about to be written.
    last: u64,
    /// Nothing is left up to here.
    trimmed: u64,
    /// Most facts that are kept.
    most: u64,
    shared: Arc<Followed>,
    published: watch::Sender<u64>,
}

impl FeedIndex {
    /// Reads what is there.
    pub fn load(tables: &Tables, most: u64) -> Result<(FeedIndex, Arc<Followed>), OpenError> {
        let unusable = |error: StoreError| OpenError::Damaged(format!("the feed of the history cannot be read: {error}"));
        let (places, last) = read(tables).map_err(unusable)?;
        let (published, receiver) = watch::channel(last);
        let active = AtomicBool::new(!places.is_empty());
        let shared = Arc::new(Followed { active, last: receiver, open: Mutex::default() });
        let index = FeedIndex { places, last, trimmed: 0, most: most.max(1), shared: Arc::clone(&shared), published };
        Ok((index, shared))
    }

    /// Adds the facts of a batch to `group`, if anybody is to read them.
    pub fn append(&mut self, facts: Slice, count: u64, group: &mut Group) {
        if !self.places.is_empty() {
            self.last += count;
            group.put(Row { table: Table::Feed, key: Slice::from(key::facts(self.last)), value: Some(facts) });
        }
    }

    /// Changes something about a reader.
    pub fn change(&mut self, change: FeedChange, group: &mut Group) {
        match change {
            FeedChange::Register(name) if !self.places.contains_key(&name) => {
                group.put(Row::new(Table::Feed, key::reader(&name), &Place(self.last)));
                // Synced, and every synced write touches this table: the check of the journals counts on it.
                group.put(Row { table: Table::Meta, key: Slice::from(key::FEED_MADE), value: Some(Slice::empty()) });
                group.synced = true;
                self.places.insert(name, self.last);
            }
            FeedChange::Unregister(name) if self.places.remove(&name).is_some() => {
                group.put(Row { table: Table::Feed, key: Slice::from(key::reader(&name)), value: None });
            }
            FeedChange::Confirm(name, number) => {
                if let Some(place) = self.places.get_mut(&name).filter(|place| **place < number) {
                    *place = number;
                    group.put(Row::new(Table::Feed, key::reader(&name), &Place(number)));
                }
            }
            FeedChange::Register(_) | FeedChange::Unregister(_) => {}
        }
    }

    /// Adds to `group` that some of what nobody needs goes.
    pub fn trim(&mut self, tables: &Tables, group: &mut Group) {
        let dealt_with = self.places.values().copied().min().unwrap_or(self.last);
        let written = *self.published.borrow();
        // What is in the group itself is not there to be found yet.
        let target = dealt_with.max(self.last.saturating_sub(self.most)).min(written);
        if target <= self.trimmed {
            return;
        }
        let rows = tables.db.snapshot().range(&tables.feed, key::facts(self.trimmed.saturating_add(1))..=key::facts(target));
        let mut found = 0;
        for row in rows.take(TRIMMED_PER_WRITE) {
            match row.key() {
                Ok(key) => {
                    self.trimmed = key::number_of_facts(&key).unwrap_or(self.trimmed);
                    group.put(Row { table: Table::Feed, key: Slice::from(&key[..]), value: None });
                }
                // Nothing depends on it, and whoever reads there says so.
                Err(error) => return tracing::warn!(%error, "the feed cannot be trimmed"),
            }
            found += 1;
        }
        if found < TRIMMED_PER_WRITE {
            self.trimmed = target;
        }
    }

    /// Tells the readers of what is written now.
    pub fn publish(&self) {
        self.shared.active.store(!self.places.is_empty(), Ordering::Release);
        self.published.send_if_modified(|last| std::mem::replace(last, self.last) != self.last);
    }
}

/// The readers' places, and the number of the last fact.
fn read(tables: &Tables) -> Result<(BTreeMap<String, u64>, u64), StoreError> {
    let snapshot = tables.db.snapshot();
    let mut places = BTreeMap::new();
    for row in snapshot.prefix(&tables.feed, [key::READER]) {
        let (key, value) = row.into_inner().map_err(unreadable)?;
        let name = std::str::from_utf8(&key[1..]).map_err(|_| damaged_key())?;
        places.insert(name.to_owned(), Place::decode(&value)?.0);
    }
    let last = match snapshot.range(&tables.feed, key::facts(0)..=key::facts(u64::MAX)).next_back() {
        Some(row) => key::number_of_facts(&row.key().map_err(unreadable)?).ok_or_else(damaged_key)?,
        None => 0,
    };
    // Of what all have dealt with nothing may be left.
    let last = places.values().copied().fold(last, u64::max);
    Ok((places, last))
}
