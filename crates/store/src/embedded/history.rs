//! The history in an LSM tree ([fjall](https://docs.rs/fjall), chosen in `docs/decisions/0001-history-engine.md`).
//!
//! **Writes** go to one thread, which takes everything that waits, from all partitions, writes it as one atomic batch and
//! syncs the journal once (`history/committer.rs`). A crash at any instant leaves, of each partition, a prefix of what its worker
//! committed that holds everything acknowledged. **Reads** see whole writes only, and only what is synced or (read markers)
//! handed to the system. Reads of single rows run on the calling task: they nearly always find the row in memory, and one
//! that does not holds up its thread for one or two reads of the disk, some tenths of a millisecond on an SSD. Pages, lists
//! and many rows at once run on Tokio's threads for blocking work, a bounded number at a time.
//!
//! **When the disk is full**: with less than the reserve left, writes are refused with [`StoreError::Full`] before the
//! engine is touched, and go on by themselves when there is room again. Should the engine itself fail to write, all writes
//! are refused until the server is started again ([`WriteState::Failed`]), for only opening the journal anew tells what is
//! in it; reading goes on.

mod committer;
mod counters;
mod engine_figures;
mod event_row;
mod examine;
mod feed;
mod feed_index;
mod journal;
mod key;
mod movable;
mod page;
mod row;
mod space;
mod tables;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::encoding::{DecodeError, Stored};
use banter_model::{Conversation, ConversationId, Event, Head, Membership, Millis, Roster, Seq, UserId};
use fjall::{Readable, Snapshot};
use parking_lot::RwLock;
use tokio::sync::{Semaphore, mpsc, oneshot};

use self::committer::{Committer, Request};
use self::row::{Position, Register};
use self::tables::{Table, Tables, unreadable};
use crate::StoreError;
use crate::data_folder::DataFolder;
use crate::history::{Advance, FEW_EVENTS, History, HistoryBatch, Listed, Order, PageSize, Progress};

pub use committer::WriteState;
pub use counters::HistoryCounters;
pub use engine_figures::EngineFigures;
pub(crate) use examine::examine;
pub use feed::EmbeddedFeed;

/// Version of the rows' layout that is written, and the newest that is understood.
pub const FORMAT: u32 = 2;
/// Rows that are read one after the other on the calling task; more go to another thread, which costs as much as several of them.
const FEW: usize = FEW_EVENTS;
/// Rows next to each other, of nothing but a key, that are read on the calling task: a block holds hundreds of them.
const FEW_KEYS: usize = 128;

/// How the history uses memory and disk.
#[derive(Debug, Clone)]
pub struct HistoryOptions {
    /// Memory for what was read lately, in bytes; taken as it is needed.
    pub cache_bytes: u64,
    /// Memory for events that are not in a table yet, in bytes, before they are made one; other rows take half as much for
    /// each kind. Up to four times as much while the disk is behind. Fixed when the history is created.
    pub memtable_bytes: u64,
    /// Most that the journals take on the disk before memtables are made tables to free them, in bytes; at least
    /// [`HistoryOptions::LEAST_JOURNAL_BYTES`]. A start after a crash reads them all.
    pub journal_bytes: u64,
    /// Room on the disk, in bytes, below which nothing is written. It must hold what the engine writes by itself: the
    /// journals' growth, the memtables as tables, and the new tables of a compaction before the old ones go.
    pub reserve_bytes: u64,
    /// How long an answer of the system about room is good for.
    pub space_checked_every: Duration,
    /// Most pages and lists that are read at the same time; others wait.
    pub readers: usize,
    /// Most facts that are kept in the feed for a reader that falls behind, of about 40 bytes each on the disk; older ones are dropped.
    pub feed_facts: u64,
}

impl HistoryOptions {
    /// The engine does not go below this.
    pub const LEAST_JOURNAL_BYTES: u64 = 64 << 20;
}

impl Default for HistoryOptions {
    fn default() -> Self {
        let journal_bytes = HistoryOptions::LEAST_JOURNAL_BYTES;
        HistoryOptions {
            cache_bytes: 64 << 20,
            memtable_bytes: 16 << 20,
            journal_bytes,
            reserve_bytes: (64 << 20) + 2 * journal_bytes,
            space_checked_every: Duration::from_millis(250),
            readers: 64,
            feed_facts: 4_000_000,
        }
    }
}

/// The history cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A newer banter wrote it.
    #[error(
        "the history has format {found}, and this program knows formats up to {FORMAT}: run the banter that wrote it, or a newer one"
    )]
    NewerFormat {
        /// The version found.
        found: u32,
    },
    /// A banter before the first release wrote it.
    #[error("the history has format {found}, from before the first release, and this program knows format {FORMAT} only")]
    OlderFormat {
        /// The version found.
        found: u32,
    },
    /// A move into it did not come to its end.
    #[error(
        "a move into the history has not ended: run the same import or migration again, or delete the data folder that it went to"
    )]
    HalfMoved,
    /// What was acknowledged is damaged.
    #[error("{0}")]
    Damaged(String),
    /// The engine failed.
    #[error("the history's engine cannot open it: {0}")]
    Engine(String),
    /// The system failed.
    #[error("the history cannot be read or written: {0}")]
    Io(#[from] io::Error),
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(error) => OpenError::Io(error),
            error => OpenError::Engine(error.to_string()),
        }
    }
}

/// The history of a data folder.
///
/// [`EmbeddedHistory::close`] ends it in good order; dropping it does the same, but waits for the write under way.
pub struct EmbeddedHistory {
    tables: Tables,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
    scans: Arc<Semaphore>,
    counters: Arc<HistoryCounters>,
    state: Arc<RwLock<WriteState>>,
    followed: Arc<feed_index::Followed>,
    /// Locked as long as this lives.
    _folder: Arc<DataFolder>,
}

impl EmbeddedHistory {
    /// Opens the history of `folder`, creating it if it is missing, and starts its writer.
    ///
    /// Reads the journals, so it takes about a second for each few hundred MiB of them.
    ///
    /// # Errors
    /// Also when a move into it has not ended: what it holds then is no installation.
    pub fn open(folder: Arc<DataFolder>, options: HistoryOptions) -> Result<EmbeddedHistory, OpenError> {
        let history = EmbeddedHistory::open_to_move(folder, options)?;
        match history.tables.get(Table::Meta, key::MOVE_NOTE) {
            Ok(None) => Ok(history),
            Ok(Some(_)) => Err(OpenError::HalfMoved),
            Err(error) => Err(OpenError::Engine(error.to_string())),
        }
    }

    /// The same for a move into it, or out of it: also when one has not ended.
    pub fn open_to_move(folder: Arc<DataFolder>, options: HistoryOptions) -> Result<EmbeddedHistory, OpenError> {
        let tables = Tables::open(&folder.history(), &options)?;
        let (requests, waiting) = mpsc::channel(committer::WAITING);
        let counters = Arc::new(HistoryCounters::default());
        let state = Arc::new(RwLock::new(WriteState::Writing));
        let (feed, followed) = feed_index::FeedIndex::load(&tables, options.feed_facts)?;
        let committer = Committer {
            tables: tables.clone(),
            requests: waiting,
            space: space::Space::new(folder.path().to_owned(), options.reserve_bytes, options.space_checked_every),
            counters: Arc::clone(&counters),
            state: Arc::clone(&state),
            feed,
        };
        let writer = std::thread::Builder::new().name("history".to_owned()).spawn(move || committer.run())?;
        Ok(EmbeddedHistory {
            tables,
            requests: Some(requests),
            writer: Some(writer),
            scans: Arc::new(Semaphore::new(options.readers.max(1))),
            counters,
            state,
            followed,
            _folder: folder,
        })
    }

    /// What the writer did so far.
    pub fn counters(&self) -> &HistoryCounters {
        &self.counters
    }

    /// Could the last write be made?
    pub fn write_state(&self) -> WriteState {
        match self.state.read().clone() {
            WriteState::Failed(reason) => WriteState::Failed(reason),
            _ if self.writer.as_ref().is_none_or(JoinHandle::is_finished) => WriteState::Failed(stopped().to_string()),
            state => state,
        }
    }

    /// Bytes that the history takes on the disk.
    pub fn disk_bytes(&self) -> Result<u64, StoreError> {
        self.tables.db.disk_space().map_err(unreadable)
    }

    /// What the engine holds, and what it has yet to do.
    pub fn engine(&self) -> EngineFigures {
        EngineFigures::of(&self.tables)
    }

    /// Writes what waits, syncs, and takes no more writes: they answer [`StoreError::ReadOnly`]. Reading goes on. Closing
    /// again does nothing.
    pub async fn close(&self) -> Result<(), StoreError> {
        let (answer, closed) = oneshot::channel();
        match self.requests()?.send(Request::Close { answer }).await {
            Ok(()) => closed.await.unwrap_or_else(|_| Err(stopped())),
            Err(_) => Ok(()),
        }
    }

    fn requests(&self) -> Result<&mpsc::Sender<Request>, StoreError> {
        // It is there until the drop.
        self.requests.as_ref().ok_or_else(closed)
    }

    /// Hands a request to the writer and waits for the answer.
    async fn ask<T>(&self, request: Request, answer: oneshot::Receiver<Result<T, StoreError>>) -> Result<T, StoreError> {
        self.requests()?.send(request).await.map_err(|_| closed())?;
        answer.await.map_err(|_| stopped())?
    }

    /// Reads one row on the calling task.
    fn get<T: Stored>(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<T>, StoreError> {
        decoded(self.tables.get(table, key)?)
    }

    /// Reads many rows on another thread.
    async fn scan<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Tables, &Snapshot) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        // Nobody closes the semaphore.
        let permit = Arc::clone(&self.scans).acquire_owned().await.map_err(|_| closed())?;
        let tables = self.tables.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read(&tables, &tables.db.snapshot())
        });
        reading.await.map_err(|error| StoreError::Failed(format!("reading the history: {error}")))?
    }
}

impl Drop for EmbeddedHistory {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(writer) = self.writer.take() {
            // A writer that panicked has said so, and there is nothing left to wait for.
            let _ = writer.join();
        }
    }
}

fn closed() -> StoreError {
    StoreError::ReadOnly("the history is closed".to_owned())
}

/// The writer ended without an answer: it was closed at that moment, or it panicked.
fn stopped() -> StoreError {
    StoreError::ReadOnly("the history's writer has ended".to_owned())
}

fn decoded<T: Stored>(value: Option<fjall::Slice>) -> Result<Option<T>, StoreError> {
    Ok(value.map(|value| T::decode(&value)).transpose()?)
}

fn damaged_key() -> StoreError {
    StoreError::Damaged(DecodeError::Empty)
}

/// Looks up heads, in the order asked.
fn heads(tables: &Tables, snapshot: &Snapshot, ids: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
    ids.iter().map(|id| decoded(snapshot.get(&tables.heads, id.to_bytes()).map_err(unreadable)?)).collect()
}

/// The rows of `user` in a table whose keys are a user and a conversation, from after `after` on, in order.
fn of_user<T: Stored>(
    snapshot: &Snapshot,
    keyspace: &fjall::Keyspace,
    user: UserId,
    after: Option<ConversationId>,
) -> impl Iterator<Item = Result<(ConversationId, T), StoreError>> + use<T> {
    use std::ops::Bound::{Excluded, Included};
    let after = after.map_or_else(|| key::before_first_of(user), |after| key::member(user, after));
    snapshot.range(keyspace, (Excluded(after), Included(key::last_of(user)))).map(|row| {
        let (key, value) = row.into_inner().map_err(unreadable)?;
        let conversation = key::conversation_of_member(&key).ok_or_else(damaged_key)?;
        Ok((conversation, T::decode(&value)?))
    })
}

#[async_trait]
impl History for EmbeddedHistory {
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let snapshot = self.tables.db.snapshot();
        let Some(head) = decoded(snapshot.get(&self.tables.heads, id.to_bytes()).map_err(unreadable)?)? else { return Ok(None) };
        let roster = decoded(snapshot.get(&self.tables.rosters, id.to_bytes()).map_err(unreadable)?)?.unwrap_or_default();
        Ok(Some(Conversation { id, head, roster }))
    }

    async fn heads(&self, ids: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        if ids.len() <= FEW {
            return heads(&self.tables, &self.tables.db.snapshot(), ids);
        }
        let ids = ids.to_vec();
        self.scan(move |tables, snapshot| heads(tables, snapshot, &ids)).await
    }

    async fn roster(&self, id: ConversationId) -> Result<Option<Roster>, StoreError> {
        self.get(Table::Rosters, id.to_bytes())
    }

    async fn event(&self, id: ConversationId, seq: Seq) -> Result<Option<Event>, StoreError> {
        let row = self.tables.get(Table::Events, key::event(id, seq))?;
        Ok(row.map(|row| event_row::decode(id, seq, &row)).transpose()?)
    }

    async fn events(
        &self,
        id: ConversationId,
        first: Seq,
        last: Seq,
        order: Order,
        size: PageSize,
    ) -> Result<Vec<Event>, StoreError> {
        if first > last {
            return Ok(Vec::new());
        }
        let read =
            move |tables: &Tables, snapshot: &Snapshot| page::read(&tables.events, snapshot, id, first..=last, order, size);
        if size.events <= FEW {
            return read(&self.tables, &self.tables.db.snapshot());
        }
        self.scan(read).await
    }

    async fn membership(&self, user: UserId, id: ConversationId) -> Result<Option<Membership>, StoreError> {
        self.get(Table::Memberships, key::member(user, id))
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Membership)>, StoreError> {
        self.scan(move |tables, snapshot| of_user(snapshot, &tables.memberships, user, after).take(limit).collect()).await
    }

    async fn listing(&self, user: UserId, after: Option<ConversationId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        self.scan(move |tables, snapshot| {
            // Both in order of the conversations: read side by side instead of looking for each.
            let mut progresses = of_user::<Progress>(snapshot, &tables.progress, user, after).peekable();
            let list = |row: Result<(ConversationId, Membership), StoreError>| {
                let (conversation, membership) = row?;
                let before = |id: &ConversationId| id.to_bytes() < conversation.to_bytes();
                while progresses.next_if(|row| row.as_ref().is_ok_and(|(id, _)| before(id))).is_some() {}
                let own = progresses.next_if(|row| row.as_ref().map_or(true, |(id, _)| *id == conversation)).transpose()?;
                let peer = match conversation.peer_of(user) {
                    Some(peer) => {
                        let row = snapshot.get(&tables.progress, key::member(peer, conversation)).map_err(unreadable)?;
                        Some(decoded(row)?.unwrap_or_default())
                    }
                    None => None,
                };
                let head = decoded(snapshot.get(&tables.heads, conversation.to_bytes()).map_err(unreadable)?)?;
                let progress = own.map_or_else(Progress::default, |(_, progress)| progress);
                Ok(Listed { conversation, membership, head, progress, peer })
            };
            of_user(snapshot, &tables.memberships, user, after).take(limit).map(list).collect()
        })
        .await
    }

    async fn progress(&self, user: UserId, id: ConversationId) -> Result<Progress, StoreError> {
        Ok(self.get(Table::Progress, key::member(user, id))?.unwrap_or_default())
    }

    async fn advance(&self, user: UserId, id: ConversationId, advance: Advance, now: Millis) -> Result<Progress, StoreError> {
        // Most advances move nothing, since each device of a user sends its own. Registers only grow, so that is final.
        let current = self.progress(user, id).await?;
        if current.advanced(advance, Some(now)) == current {
            return Ok(current);
        }
        let (answer, moved) = oneshot::channel();
        let register = Register { user, conversation: id, advance, now: Some(now) };
        self.ask(Request::Advance { register, answer }, moved).await
    }

    async fn mentions(&self, user: UserId, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let Some(first) = after.checked_add(1) else { return Ok(Vec::new()) };
        let read = move |tables: &Tables, snapshot: &Snapshot| {
            let rows = snapshot.range(&tables.mentions, key::mention(user, id, first)..=key::mention(user, id, Seq::MAX));
            rows.take(limit).map(|row| key::seq_of_mention(&row.key().map_err(unreadable)?).ok_or_else(damaged_key)).collect()
        };
        if limit <= FEW_KEYS {
            return read(&self.tables, &self.tables.db.snapshot());
        }
        self.scan(read).await
    }

    async fn position(&self, partition: u32) -> Result<u64, StoreError> {
        Ok(self.get(Table::Meta, key::position(partition))?.map_or(0, |Position(position)| position))
    }

    async fn commit(&self, batch: HistoryBatch) -> Result<(), StoreError> {
        let (answer, stored) = oneshot::channel();
        // Encoded here, where many can do so at once.
        let (rows, registers) = row::of_batch(&batch);
        let events = batch.events.len() + batch.amended.len();
        let facts = self.followed.is_followed().then(|| row::facts_of_batch(&batch)).flatten();
        self.ask(Request::Commit { rows, events, registers, facts, answer }, stored).await
    }
}
