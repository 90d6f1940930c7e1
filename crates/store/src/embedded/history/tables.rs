//! The engine's tables.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use fjall::compaction::Leveled;
use fjall::config::BloomConstructionPolicy::FalsePositiveRate;
use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy, PinningPolicy};
use fjall::{AbstractTree, CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, Readable};

use super::{FORMAT, HistoryOptions, OpenError, journal, key};
use crate::StoreError;
use crate::data_folder::sync_folder;

/// What kind of row it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Table {
    Meta,
    Events,
    Heads,
    Rosters,
    Memberships,
    Progress,
    Mentions,
    Feed,
}

/// The number that the engine gives to the first keyspace made, `meta`, which every commit touches.
pub(super) const META_NUMBER: u64 = 1;

/// The engine's folder for its tables, in its own.
const TABLES_FOLDER: &str = "keyspaces";

/// Bytes of event rows in one block, before compression: what is read from the disk at once.
const EVENT_BLOCK_BYTES: u32 = 32 << 10;
/// How often a filter says of an event that it may be in a table where it is not. A page asks for 50 events in each of
/// some five levels.
const EVENT_FILTER_ERRORS: f32 = 0.001;
/// Bytes of a table of events on the disk. The first level that is sorted holds four of them, and each further one ten times as
/// many as the one before: the smaller they are, the less of the history is above the last level and needs filters.
const EVENT_TABLE_BYTES: u64 = 32 << 20;

/// Memtables of one table that wait to become tables on disk before the writer waits for the engine. At four the engine
/// would make it wait, without an end if its own threads have failed.
const SEALED_MEMTABLES: usize = 3;
/// Runs of fresh tables before the writer waits for compaction. At 30 the engine would.
const FRESH_RUNS: usize = 28;

/// At which size the engine itself is to write a table to the disk: see [`Tables::seal_outgrown`].
const NEVER: u64 = u64::MAX;

/// The names of the keyspaces, in the order in which they are made.
const NAMES: [&str; 7] = ["meta", "events", "heads", "rosters", "memberships", "progress", "mentions"];

/// The name of the keyspace of the feed, made last. Folders from before it have none; in others [`key::FEED_MADE`] says that there was one.
const FEED: &str = "feed";

/// The open engine. Clones are handles to the same.
#[derive(Clone)]
pub(super) struct Tables {
    pub db: Database,
    pub meta: Keyspace,
    pub events: Keyspace,
    pub heads: Keyspace,
    pub rosters: Keyspace,
    pub memberships: Keyspace,
    pub progress: Keyspace,
    pub mentions: Keyspace,
    pub feed: Keyspace,
    /// Bytes of events in memory before they are to become a table on the disk; half as many for other rows.
    memtable_bytes: u64,
}

impl Tables {
    /// The engine's keyspace for rows of one kind.
    pub fn keyspace(&self, table: Table) -> &Keyspace {
        match table {
            Table::Meta => &self.meta,
            Table::Events => &self.events,
            Table::Heads => &self.heads,
            Table::Rosters => &self.rosters,
            Table::Memberships => &self.memberships,
            Table::Progress => &self.progress,
            Table::Mentions => &self.mentions,
            Table::Feed => &self.feed,
        }
    }

    /// Every keyspace.
    pub fn all(&self) -> [&Keyspace; 8] {
        [&self.meta, &self.events, &self.heads, &self.rosters, &self.memberships, &self.progress, &self.mentions, &self.feed]
    }

    /// Has every table that outgrew its place in memory written to the disk. To be called by the only writer, after each write.
    ///
    /// The engine would do so itself, but not surely (fjall 3.1): each write asks for it through a queue that its threads both take from
    /// and wait to put into, and when fast writers have filled that, all of them wait for ever, and memory and journals grow
    /// without end. So it is never asked (see [`NEVER`]), and this thread, which takes nothing from that queue, does it.
    pub fn seal_outgrown(&self) -> Result<(), fjall::Error> {
        for table in self.all() {
            let limit = if table.id() == self.events.id() { self.memtable_bytes } else { self.memtable_bytes / 2 };
            if table.tree.active_memtable().size() > limit {
                table.rotate_memtable()?;
            }
        }
        Ok(())
    }

    /// A table with which the engine is so far behind that a writer is to wait for it.
    pub fn behind(&self) -> Option<&Keyspace> {
        let behind =
            |table: &&Keyspace| table.sealed_memtable_count() >= SEALED_MEMTABLES || table.tree.l0_run_count() >= FRESH_RUNS;
        self.all().into_iter().find(behind)
    }

    /// Merges tables on the disk once, as one of the engine's threads would.
    ///
    /// Those look for something to merge a few times after each new table (fjall 3.1). If all that could be merged was being merged at that
    /// moment, nobody looks again before the next new table; and a writer that waits for the merge writes none.
    pub fn merge(table: &Keyspace) -> Result<(), fjall::Error> {
        // 0: every version that a reader may still need is kept; the next merge drops them.
        Ok(table.tree.compact(table.config.compaction_strategy.clone(), 0)?)
    }

    /// Opens what is at `path`, or creates it.
    ///
    /// The engine cannot continue a creation that was interrupted, so it is created under another name, and renamed.
    pub fn open(path: &Path, options: &HistoryOptions) -> Result<Tables, OpenError> {
        if !path.try_exists()? {
            create(path, options)?;
        }
        mend_journals(path)?;
        let db = builder(path, options).open().map_err(|error| cannot_open(path, error))?;
        // The engine would make a new one in place of one that was lost, and drop what the journals have for it.
        if let Some(name) = NAMES.into_iter().find(|name| !db.keyspace_exists(name)) {
            return Err(missing(name, path));
        }
        let feed_made = feed_was_made(&db).map_err(|error| cannot_open(path, error))?;
        if feed_made && !db.keyspace_exists(FEED) {
            return Err(missing(FEED, path));
        }
        let tables = Tables::of(db, options).map_err(|error| cannot_open(path, error))?;
        match tables.meta.get(key::FORMAT).map_err(|error| cannot_open(path, error))?.as_deref().map(<[u8; 4]>::try_from) {
            Some(Ok(found)) => match u32::from_be_bytes(found) {
                FORMAT => {
                    if !feed_made {
                        // It is there for good before anything says so, and it says so before a journal has anything for it.
                        sync_folders(path)?;
                        note_feed(&tables).map_err(|error| cannot_open(path, error))?;
                    }
                    Ok(tables)
                }
                found if found < FORMAT => Err(OpenError::OlderFormat { found }),
                found => Err(OpenError::NewerFormat { found }),
            },
            Some(Err(_)) | None => Err(OpenError::Damaged(format!("{} holds no history: its format is missing", path.display()))),
        }
    }

    fn of(db: Database, options: &HistoryOptions) -> Result<Tables, fjall::Error> {
        // Rows that are asked for are nearly always there: filters for the last level would be nine tenths of the memory
        // and save little.
        let found = || small().expect_point_read_hits(true);
        // First, so that its number is META_NUMBER.
        let [meta, events, heads, rosters, memberships, progress, mentions] = NAMES;
        let meta = db.keyspace(meta, found)?;
        Ok(Tables {
            events: db.keyspace(events, || {
                KeyspaceCreateOptions::default()
                    .max_memtable_size(NEVER)
                    // A page of 50 messages in one block, mostly (see docs/decisions/0009-cold-pages.md).
                    .data_block_size_policy(BlockSizePolicy::all(EVENT_BLOCK_BYTES))
                    .data_block_compression_policy(CompressionPolicy::all(CompressionType::Lz4))
                    // In memory, so that a page reads nothing but its own rows from the disk.
                    .index_block_partitioning_policy(PartitioningPolicy::all(false))
                    .index_block_pinning_policy(PinningPolicy::all(true))
                    // So are the filters, of all levels but the last, which has what the others have not.
                    .filter_policy(FilterPolicy::all(FilterPolicyEntry::Bloom(FalsePositiveRate(EVENT_FILTER_ERRORS))))
                    .filter_block_partitioning_policy(PartitioningPolicy::all(false))
                    .filter_block_pinning_policy(PinningPolicy::all(true))
                    .expect_point_read_hits(true)
                    .compaction_strategy(Arc::new(Leveled::default().with_table_target_size(EVENT_TABLE_BYTES)))
            })?,
            heads: db.keyspace(heads, found)?,
            rosters: db.keyspace(rosters, found)?,
            memberships: db.keyspace(memberships, found)?,
            progress: db.keyspace(progress, small)?,
            mentions: db.keyspace(mentions, || small().filter_policy(FilterPolicy::disabled()))?,
            feed: db.keyspace(FEED, || small().filter_policy(FilterPolicy::disabled()))?,
            meta,
            db,
            memtable_bytes: options.memtable_bytes,
        })
    }

    /// Reads one row, as of the last write that is whole.
    pub fn get(&self, table: Table, key: impl AsRef<[u8]>) -> Result<Option<fjall::Slice>, StoreError> {
        self.db.snapshot().get(self.keyspace(table), key).map_err(unreadable)
    }
}

/// Rows of little size. Their indexes and filters are in parts of 4 KiB, so that a look-up of a row that is not in memory reads one of
/// each. Whole they take half a megabyte to two for each table, and with hundreds of MiB of rows a cache that is smaller reads them
/// again and again.
fn small() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(NEVER)
        .index_block_partitioning_policy(PartitioningPolicy::all(true))
        .filter_block_partitioning_policy(PartitioningPolicy::all(true))
}

/// Was the keyspace of the feed made, as far as the history says?
fn feed_was_made(db: &Database) -> Result<bool, fjall::Error> {
    db.keyspace(NAMES[0], small)?.contains_key(key::FEED_MADE)
}

/// Says, for good, that the keyspace of the feed was made.
fn note_feed(tables: &Tables) -> Result<(), fjall::Error> {
    tables.meta.insert(key::FEED_MADE, [])?;
    tables.db.persist(PersistMode::SyncAll)
}

/// What was there is not.
fn missing(name: &str, path: &Path) -> OpenError {
    let of = path.display();
    OpenError::Damaged(format!("the {name} of the history in {of} are missing: restore the data folder from a backup"))
}

/// The engine could not read.
pub(super) fn unreadable(error: fjall::Error) -> StoreError {
    StoreError::Failed(format!("reading the history: {error}"))
}

/// The engine could not open what is there. It does not say which file is at fault, but the journals were checked before.
fn cannot_open(path: &Path, error: fjall::Error) -> OpenError {
    use fjall::Error::{InvalidVersion, Io, Locked, Storage};
    use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
    let reason = match error {
        Io(error) | Storage(fjall::LsmError::Io(error)) => match error.kind() {
            InvalidData | NotFound | UnexpectedEof => error.to_string(),
            _ => return error.into(),
        },
        Locked | InvalidVersion(_) => return OpenError::Engine(error.to_string()),
        error => error.to_string(),
    };
    OpenError::Damaged(format!(
        "a table of the history, a file in {}, is damaged or missing ({reason}): restore the data folder from a backup",
        path.join(TABLES_FOLDER).display()
    ))
}

fn builder(path: &Path, options: &HistoryOptions) -> fjall::DatabaseBuilder<Database> {
    Database::builder(path)
        .cache_size(options.cache_bytes)
        .max_journaling_size(options.journal_bytes.max(HistoryOptions::LEAST_JOURNAL_BYTES))
        // The first only flushes, and puts a request to compact back into the queue. With one other, busy compacting, it would take
        // and put back the same request all the while, at the cost of a core; a third takes such requests out.
        .worker_threads(3)
        .manual_journal_persist(true)
}

fn create(path: &Path, options: &HistoryOptions) -> Result<(), OpenError> {
    let new = path.with_extension("new");
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let db = builder(&new, options).open()?;
    let tables = Tables::of(db, options)?;
    if tables.meta.id() != META_NUMBER {
        return Err(OpenError::Engine(format!("the engine numbers its first keyspace {}, not {META_NUMBER}", tables.meta.id())));
    }
    tables.meta.insert(key::FORMAT, FORMAT.to_be_bytes())?;
    tables.meta.insert(key::FEED_MADE, [])?;
    tables.db.persist(PersistMode::SyncAll)?;
    drop(tables);
    // The engine syncs the folders of its tables, not the one that they are in.
    sync_folders(&new)?;
    fs::rename(&new, path)?;
    if let Some(parent) = path.parent() {
        sync_folder(parent)?;
    }
    Ok(())
}

/// Syncs a folder and those in it. The files in them are synced by whoever writes them.
fn sync_folders(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    sync_folder(path)
}

/// Cuts off what a power cut left of an unacknowledged write; refuses damage that touches acknowledged ones.
fn mend_journals(path: &Path) -> Result<(), OpenError> {
    let checked = journal::check_all(path, META_NUMBER)?;
    // Nothing is changed when there is damage anywhere.
    if let Some((file, journal::State::Damaged { at })) =
        checked.iter().find(|(_, state)| matches!(state, journal::State::Damaged { .. }))
    {
        return Err(OpenError::Damaged(damaged(file, *at)));
    }
    for (file, state) in checked {
        if let journal::State::Torn { good } = state {
            let length = journal::cut(&file, good)?;
            tracing::warn!(
                journal = %file.display(), bytes = length,
                "the history ended in the middle of a write that was never acknowledged; it is cut off"
            );
        }
    }
    Ok(())
}

/// What to say of a journal that is damaged at byte `at`, and what to do.
pub(super) fn damaged(journal: &Path, at: usize) -> String {
    format!(
        "the journal {} is damaged at byte {at}, before the end of what was acknowledged: the disk lost or changed data. \
         Restore the data folder from a backup, or cut the journal off there to go on without what follows",
        journal.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine's threads look for nothing to merge as long as no table is new: who waits for them has to do it.
    #[test]
    fn who_waits_for_a_merge_can_merge() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(&folder.path().join("history"), &HistoryOptions::default()).unwrap();
        for number in 0..FRESH_RUNS as u32 {
            // From end to end, so that each is a run of its own.
            tables.events.insert(number.to_be_bytes(), [7; 100]).unwrap();
            tables.events.insert(u32::MAX.to_be_bytes(), [7; 100]).unwrap();
            // Past the engine's threads, so that they are not told.
            tables.events.tree.flush_active_memtable(0).unwrap();
        }
        assert_eq!(tables.behind().map(Keyspace::id), Some(tables.events.id()));
        Tables::merge(&tables.events).unwrap();
        assert!(tables.behind().is_none(), "{} runs", tables.events.tree.l0_run_count());
        assert_eq!(tables.events.len().unwrap(), FRESH_RUNS + 1);
    }

    /// What is in memory is bounded by what is sealed at once, however fast it is written.
    #[test]
    fn tables_in_memory_stay_small_under_fast_writes() {
        let folder = tempfile::tempdir().unwrap();
        let options = HistoryOptions { memtable_bytes: 64 << 10, ..HistoryOptions::default() };
        let tables = Tables::open(&folder.path().join("history"), &options).unwrap();
        for number in 0..4_000_u32 {
            let mut batch = tables.db.batch();
            for row in 0..16_u32 {
                batch.insert(&tables.events, [number.to_be_bytes(), row.to_be_bytes()].concat(), [7; 100]);
            }
            batch.commit().unwrap();
            tables.seal_outgrown().unwrap();
            assert!(tables.events.tree.active_memtable().size() <= options.memtable_bytes, "after write {number}");
            // The committer waits likewise.
            while tables.events.sealed_memtable_count() > 2 {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        assert!(tables.events.tree.table_count() > 0, "they went to the disk");
    }
}
