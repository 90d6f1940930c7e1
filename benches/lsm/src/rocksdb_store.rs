//! The history on RocksDB.

use anyhow::{Context, Result};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType, Direction,
    IteratorMode, Options, ReadOptions, WaitForCompactOptions, WriteBatch, WriteOptions,
};

use crate::engine::{Batch, Compression, HeadKey, Row, RowKey, Settings, Store, Sync};

/// An open RocksDB database.
pub struct RocksdbStore {
    db: DB,
    write: WriteOptions,
}

impl RocksdbStore {
    /// Opens or creates it.
    pub fn open(settings: &Settings) -> Result<Self> {
        let cache = Cache::new_lru_cache(usize::try_from(settings.cache_mib * 1024 * 1024)?);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_background_jobs(2);
        options.set_bytes_per_sync(1024 * 1024);
        options.set_max_total_wal_size(settings.journal_mib * 1024 * 1024);
        let families = [
            ColumnFamilyDescriptor::new("messages", family(settings, &cache, settings.block_kib)?),
            ColumnFamilyDescriptor::new("heads", family(settings, &cache, 4)?),
        ];
        let db = DB::open_cf_descriptors(&options, &settings.path, families)?;
        let mut write = WriteOptions::default();
        write.set_sync(settings.sync != Sync::Buffer);
        Ok(Self { db, write })
    }

    fn messages(&self) -> Result<&ColumnFamily> {
        self.db.cf_handle("messages").context("no messages")
    }

    fn heads(&self) -> Result<&ColumnFamily> {
        self.db.cf_handle("heads").context("no heads")
    }
}

/// Options of a column family: indices are partitioned and in the cache, so that memory is bounded.
fn family(settings: &Settings, cache: &Cache, block_kib: u32) -> Result<Options> {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_block_size(usize::try_from(block_kib * 1024)?);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_pin_top_level_index_and_filter(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(usize::try_from(settings.memtable_mib * 1024 * 1024)?);
    options.set_max_write_buffer_number(4);
    options.set_compression_type(match settings.compression {
        Compression::None => DBCompressionType::None,
        Compression::Lz4 => DBCompressionType::Lz4,
        Compression::Zstd => DBCompressionType::Zstd,
    });
    Ok(options)
}

impl Store for RocksdbStore {
    fn commit(&self, batch: &Batch) -> Result<()> {
        let (messages, heads) = (self.messages()?, self.heads()?);
        let mut write = WriteBatch::default();
        for (key, value) in &batch.rows {
            write.put_cf(messages, key, value);
        }
        for (key, value) in &batch.heads {
            write.put_cf(heads, key, value);
        }
        Ok(self.db.write_opt(write, &self.write)?)
    }

    fn page(&self, first: &RowKey, last: &RowKey) -> Result<Vec<Row>> {
        let mut end = last.to_vec();
        end.push(0);
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(end);
        let from = IteratorMode::From(first, Direction::Forward);
        let mut rows = Vec::new();
        for row in self.db.iterator_cf_opt(self.messages()?, options, from) {
            let (key, value) = row?;
            rows.push((key.into_vec(), value.into_vec()));
        }
        Ok(rows)
    }

    fn head(&self, key: &HeadKey) -> Result<Option<Vec<u8>>> {
        Ok(self.db.get_cf(self.heads()?, key)?)
    }

    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        for row in self.db.iterator_cf(self.messages()?, IteratorMode::Start) {
            let (key, value) = row?;
            each(&key, &value)?;
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.db.flush_cf(self.messages()?)?;
        self.db.flush_cf(self.heads()?)?;
        let mut options = WaitForCompactOptions::default();
        options.set_flush(true);
        Ok(self.db.wait_for_compact(&options)?)
    }
}
