//! The one thread that writes: it takes everything that waits, writes it as one, syncs once, and answers each.
//!
//! One writer is what makes read-modify-write of the registers safe without locks, what makes a crash leave whole writes in
//! their order, and what lets [`super::journal`] tell a torn write from lost data.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use banter_model::encoding::Stored;
use fjall::{PersistMode, Slice};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};

use super::counters::{HistoryCounters, Written};
use super::key;
use super::row::{Register, Row};
use super::space::Space;
use super::tables::{Table, Tables};
use crate::StoreError;
use crate::history::Progress;

/// Requests that wait for the writer; senders wait when there are more.
pub(super) const WAITING: usize = 1_024;
/// Most requests in one write.
const REQUESTS_PER_WRITE: usize = 1_024;
/// No request is added to a write that has this many bytes.
const BYTES_PER_WRITE: usize = 8 << 20;
/// How often the writer looks whether the engine has caught up, before it helps.
const LOOKS: u32 = 50;
/// How long it waits from one look to the next.
const LOOK: Duration = Duration::from_millis(2);

/// Is the history being written?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteState {
    /// Yes.
    Writing,
    /// Not until there is more room on the disk. Looked at again with each write.
    Full,
    /// Not before the server is started again, and the reason. Reading goes on.
    Failed(String),
}

/// What the writer is asked for.
pub(super) enum Request {
    /// Store rows and move registers, synced.
    Commit { rows: Vec<Row>, events: usize, registers: Vec<Register>, answer: oneshot::Sender<Result<(), StoreError>> },
    /// Move a register, not synced.
    Advance { register: Register, answer: oneshot::Sender<Result<Progress, StoreError>> },
    /// Write what waits, then end.
    Close { answer: oneshot::Sender<Result<(), StoreError>> },
}

impl Request {
    fn refuse(self, error: StoreError) {
        // Whoever asked may have gone.
        match self {
            Request::Commit { answer, .. } | Request::Close { answer } => drop(answer.send(Err(error))),
            Request::Advance { answer, .. } => drop(answer.send(Err(error))),
        }
    }
}

/// An answer that is due when the write is done.
enum Due {
    Commit(oneshot::Sender<Result<(), StoreError>>),
    Advance(oneshot::Sender<Result<Progress, StoreError>>, Progress),
}

impl Due {
    fn settle(self, written: Result<(), StoreError>) {
        // Whoever asked may have gone.
        match self {
            Due::Commit(answer) => drop(answer.send(written)),
            Due::Advance(answer, progress) => drop(answer.send(written.map(|()| progress))),
        }
    }
}

/// What is written together. Of several values for a row the last stays: the engine gives all rows of a write one number,
/// and knows no order among them.
#[derive(Default)]
struct Group {
    rows: HashMap<(Table, Slice), Option<Slice>>,
    due: Vec<Due>,
    written: Written,
}

/// The writer: the one thread that writes, and what it needs.
pub(super) struct Committer {
    pub tables: Tables,
    pub requests: mpsc::Receiver<Request>,
    pub space: Space,
    pub counters: Arc<HistoryCounters>,
    pub state: Arc<RwLock<WriteState>>,
}

impl Committer {
    /// Runs until it is told to close, or nobody can ask any more. Syncs at the end.
    pub fn run(mut self) {
        let mut waiting = Vec::new();
        let mut closing = Vec::new();
        while let Some(first) = self.requests.blocking_recv() {
            waiting.push(first);
            let mut bytes = size(&waiting[0]);
            while waiting.len() < REQUESTS_PER_WRITE && bytes < BYTES_PER_WRITE {
                let Ok(next) = self.requests.try_recv() else { break };
                bytes += size(&next);
                waiting.push(next);
            }
            let mut work = Vec::with_capacity(waiting.len());
            for request in waiting.drain(..) {
                match request {
                    Request::Close { answer } => {
                        // What was sent before this is still received.
                        self.requests.close();
                        closing.push(answer);
                    }
                    request => work.push(request),
                }
            }
            self.write(work);
        }
        let synced = self.tables.db.persist(PersistMode::SyncAll);
        for answer in closing {
            // Whoever asked may have gone.
            let _ = answer.send(synced.as_ref().copied().map_err(|error| self.failed(error)));
        }
    }

    fn write(&mut self, work: Vec<Request>) {
        if work.is_empty() {
            return;
        }
        if let Some(refusal) = self.refusal() {
            self.counters.refused.fetch_add(work.len() as u64, Ordering::Relaxed);
            work.into_iter().for_each(|request| request.refuse(refusal()));
            return;
        }
        let mut group = Group::default();
        for request in work {
            self.add(request, &mut group);
        }
        if group.due.is_empty() {
            return;
        }
        let begun = Instant::now();
        let written =
            if group.rows.is_empty() { Ok(false) } else { self.wait_for_engine().and_then(|()| self.store(&mut group)) };
        match written {
            Ok(written) => {
                if written {
                    self.counters.note(group.written, begun.elapsed());
                }
                group.due.into_iter().for_each(|due| due.settle(Ok(())));
            }
            Err(error) => {
                let refusal = self.failed(&error);
                self.counters.refused.fetch_add(group.due.len() as u64, Ordering::Relaxed);
                group.due.into_iter().for_each(|due| due.settle(Err(again(&refusal))));
            }
        }
    }

    /// Why nothing can be written now, if so.
    fn refusal(&mut self) -> Option<impl Fn() -> StoreError + use<>> {
        let failed = match &*self.state.read() {
            WriteState::Failed(reason) => Some(reason.clone()),
            _ => None,
        };
        if failed.is_none() {
            let state = if self.space.is_full() { WriteState::Full } else { WriteState::Writing };
            let full = state == WriteState::Full;
            if *self.state.read() != state {
                tracing::warn!(?state, "the room on the disk of the history changed");
                *self.state.write() = state;
            }
            if !full {
                return None;
            }
        }
        Some(move || failed.clone().map_or(StoreError::Full, StoreError::ReadOnly))
    }

    /// Adds a request to a group, or answers that it cannot be.
    fn add(&self, request: Request, group: &mut Group) {
        match request {
            Request::Commit { rows, events, registers, answer } => {
                let mut moved = Vec::with_capacity(registers.len());
                for register in registers {
                    match self.advance(register, group, &moved) {
                        Ok((row, _)) => moved.extend(row),
                        Err(error) => return drop(answer.send(Err(error))),
                    }
                }
                rows.into_iter().chain(moved).for_each(|row| group.put(row));
                group.written.batches += 1;
                group.written.events += events as u64;
                group.due.push(Due::Commit(answer));
            }
            Request::Advance { register, answer } => match self.advance(register, group, &[]) {
                Ok((row, progress)) => {
                    if let Some(row) = row {
                        group.put(row);
                        group.written.advances += 1;
                    }
                    group.due.push(Due::Advance(answer, progress));
                }
                Err(error) => drop(answer.send(Err(error))),
            },
            Request::Close { .. } => {}
        }
    }

    /// Where a register is after it was moved, and the row if it moved. `moved` are rows that are not in the group yet.
    fn advance(&self, register: Register, group: &Group, moved: &[Row]) -> Result<(Option<Row>, Progress), StoreError> {
        let key = Slice::from(key::member(register.user, register.conversation));
        let pending = moved.iter().rev().find(|row| row.key == key).map(|row| &row.value);
        let pending = pending.or_else(|| group.rows.get(&(Table::Progress, key.clone())));
        let now = match pending {
            Some(value) => value.as_deref().map(Progress::decode).transpose()?,
            None => self.tables.get(Table::Progress, &key)?.map(|value| Progress::decode(&value)).transpose()?,
        }
        .unwrap_or_default();
        let after = now.advanced(register.advance, register.now);
        Ok(((after != now).then(|| Row::new(Table::Progress, &key, &after)), after))
    }

    /// Waits while the engine is behind with its own work, so that the write does not wait inside it; and helps if that takes long.
    fn wait_for_engine(&self) -> Result<(), fjall::Error> {
        let mut looks = 0;
        while let Some(table) = self.tables.behind() {
            // Says so if the engine's threads have failed, and would never catch up.
            self.tables.db.persist(PersistMode::Buffer)?;
            std::thread::sleep(LOOK);
            looks += 1;
            if looks % LOOKS == 0 {
                Tables::merge(table)?;
            }
        }
        Ok(())
    }

    /// Writes a group that holds something, and syncs it if it holds a batch.
    fn store(&self, group: &mut Group) -> Result<bool, fjall::Error> {
        let persist = if group.written.batches > 0 { PersistMode::SyncData } else { PersistMode::Buffer };
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.tables.db.clone(), group.rows.len()).durability(Some(persist));
        for ((table, key), value) in group.rows.drain() {
            match value {
                Some(value) => batch.insert(self.tables.keyspace(table), key, value),
                None => batch.remove(self.tables.keyspace(table), key),
            }
        }
        batch.commit()?;
        self.tables.seal_outgrown()?;
        Ok(true)
    }

    /// Notes that the engine failed. It takes no more writes itself then: after a failed write or sync nobody knows what
    /// is on the disk, and only opening it again tells.
    fn failed(&self, error: &fjall::Error) -> StoreError {
        let full = is_full(error);
        let reason = if full {
            "the disk became full during a write: free some space, then start the server again".to_owned()
        } else {
            format!("a write failed ({error}): check the disk, then start the server again")
        };
        let mut state = self.state.write();
        if !matches!(*state, WriteState::Failed(_)) {
            tracing::error!(%error, "the history takes no more writes");
            *state = WriteState::Failed(reason.clone());
        }
        if full { StoreError::Full } else { StoreError::ReadOnly(reason) }
    }
}

impl Group {
    fn put(&mut self, row: Row) {
        self.written.bytes += row.size() as u64;
        self.rows.insert((row.table, row.key), row.value);
    }
}

fn size(request: &Request) -> usize {
    match request {
        Request::Commit { rows, .. } => rows.iter().map(Row::size).sum(),
        Request::Advance { .. } | Request::Close { .. } => 0,
    }
}

/// The same refusal, for another who asked.
fn again(refusal: &StoreError) -> StoreError {
    match refusal {
        StoreError::Full => StoreError::Full,
        StoreError::ReadOnly(reason) => StoreError::ReadOnly(reason.clone()),
        other => StoreError::Failed(other.to_string()),
    }
}

fn is_full(error: &fjall::Error) -> bool {
    let kind = match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error.kind(),
        _ => return false,
    };
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
