//! What the engine holds, and what it has yet to do.

use fjall::AbstractTree;

use super::tables::Tables;

/// What the engine holds at one moment, and what it has yet to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFigures {
    /// Bytes of the tables of events on the disk.
    pub event_bytes: u64,
    /// Bytes of all other tables.
    pub other_bytes: u64,
    /// Bytes of the journals; 0 when they could not be looked at.
    pub journal_bytes: u64,
    /// Tables of events in each level, the freshest first.
    pub tables_by_level: Vec<usize>,
    /// Runs of fresh tables of events: each is asked for every page, until compaction has merged them.
    pub fresh_runs: usize,
    /// Memtables that are full and not tables on the disk yet.
    pub memtables_waiting: usize,
    /// Compactions that are running.
    pub compactions_running: usize,
    /// Bytes of the tables' indexes and filters of events that are kept in memory.
    pub pinned_bytes: u64,
}

impl EngineFigures {
    pub(super) fn of(tables: &Tables) -> EngineFigures {
        let events = &tables.events;
        let event_bytes = events.disk_space();
        EngineFigures {
            event_bytes,
            other_bytes: tables.all().into_iter().map(fjall::Keyspace::disk_space).sum::<u64>().saturating_sub(event_bytes),
            journal_bytes: tables.db.journal_disk_space().unwrap_or_default(),
            tables_by_level: (0..).map_while(|level| events.tree.level_table_count(level)).collect(),
            fresh_runs: events.tree.l0_run_count(),
            memtables_waiting: tables.all().into_iter().map(fjall::Keyspace::sealed_memtable_count).sum(),
            compactions_running: tables.db.active_compactions(),
            pinned_bytes: (events.tree.pinned_block_index_size() + events.tree.pinned_filter_size()) as u64,
        }
    }
}
