//! What the threads know, and what they saw.

use std::net::SocketAddrV4;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Result;
use banter_model::{ConversationId, Seq};
use banter_server::auth::tokens::AccessTokens;
use hdrhistogram::Histogram;
use parking_lot::Mutex;

use super::layout::Layout;
use crate::crowd::Tally;

/// Where the run is.
pub(super) mod stage {
    /// The devices connect, a few at a time.
    pub const GATHER: u8 = 0;
    /// All are cut.
    pub const CUT: u8 = 1;
    /// All come back.
    pub const RETURN: u8 = 2;
    /// It is over.
    pub const OVER: u8 = 3;
}

/// What all threads know, and tell.
pub(super) struct Shared {
    pub address: SocketAddrV4,
    pub tokens: Arc<AccessTokens>,
    pub layout: Layout,
    /// The sync point that every device has when it is cut; empty before any was.
    pub point: Mutex<String>,
    /// That of the latest answer: nothing is written while they come.
    pub next_point: Mutex<String>,
    /// Messages that were written before in each conversation that changes.
    pub written: AtomicU64,
    /// New events for each device.
    pub missed: u64,
    /// Connections that one thread opens at the same time while the devices gather.
    pub at_once: usize,
    /// See [`stage`].
    pub stage: AtomicU8,
    /// Devices that have what the stage is for: a session, none, or everything.
    pub done: AtomicU64,
    /// When the devices began to come back.
    pub returned: Mutex<Option<Instant>>,
}

impl Shared {
    /// The sync point of a device that was cut.
    pub fn point(&self) -> String {
        self.point.lock().clone()
    }

    /// The last event that a device has of a `conversation` that changed.
    pub fn known(&self, conversation: ConversationId) -> Seq {
        self.layout.known(conversation) + self.written.load(Ordering::Acquire)
    }
}

/// What a thread saw.
#[derive(Debug)]
pub(super) struct Seen {
    /// From the beginning of the storm until a device had everything, in microseconds.
    pub in_sync: Histogram<u64>,
    /// Until its session stood.
    pub welcomed: Histogram<u64>,
    /// Until its sync was answered.
    pub answered: Histogram<u64>,
    /// How long the server said nothing to a device that waited for its answer.
    pub silences: Histogram<u64>,
    /// What went wrong since the beginning of the storm, each followed by another try.
    pub retries: Tally,
    /// Events that were pulled.
    pub events: u64,
    /// Pages that held them.
    pub pages: u64,
    /// Bytes of the answers to sync questions.
    pub sync_bytes: u64,
    /// Devices that pulled another number of events than were written.
    pub wrong: u64,
}

impl Seen {
    /// Nothing yet.
    pub fn new() -> Result<Self> {
        let [in_sync, welcomed, answered, silences] =
            [Histogram::new(3)?, Histogram::new(3)?, Histogram::new(3)?, Histogram::new(3)?];
        Ok(Seen {
            in_sync,
            welcomed,
            answered,
            silences,
            retries: Tally::default(),
            events: 0,
            pages: 0,
            sync_bytes: 0,
            wrong: 0,
        })
    }

    /// What another thread saw, too.
    pub fn add(&mut self, other: &Seen) -> Result<()> {
        self.in_sync.add(&other.in_sync)?;
        self.welcomed.add(&other.welcomed)?;
        self.answered.add(&other.answered)?;
        self.silences.add(&other.silences)?;
        self.retries.add(&other.retries);
        self.events += other.events;
        self.pages += other.pages;
        self.sync_bytes += other.sync_bytes;
        self.wrong += other.wrong;
        Ok(())
    }
}
