//! The history on fjall.

use std::time::Duration;

use anyhow::{Result, bail};
use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use crate::engine::{Batch, Compression, HeadKey, Row, RowKey, Settings, Store, Sync};

/// An open fjall database.
pub struct FjallStore {
    db: Database,
    messages: Keyspace,
    heads: Keyspace,
    persist: PersistMode,
}

impl FjallStore {
    /// Opens or creates it. fjall keeps the options of a keyspace from its creation and ignores later ones.
    pub fn open(settings: &Settings) -> Result<Self> {
        let compression = match settings.compression {
            Compression::None => CompressionType::None,
            Compression::Lz4 => CompressionType::Lz4,
            Compression::Zstd => bail!("fjall has no zstd"),
        };
        let memtable = settings.memtable_mib * 1024 * 1024;
        let db = Database::builder(&settings.path)
            .cache_size(settings.cache_mib * 1024 * 1024)
            .max_journaling_size(settings.journal_mib.max(64) * 1024 * 1024)
            .worker_threads(2)
            .open()?;
        let messages = db.keyspace("messages", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(memtable)
                .data_block_size_policy(BlockSizePolicy::all(settings.block_kib * 1024))
                .data_block_compression_policy(CompressionPolicy::all(compression))
                // Pages are ranges: a filter would never be asked.
                .filter_policy(FilterPolicy::disabled())
        })?;
        let heads = db.keyspace("heads", || KeyspaceCreateOptions::default().max_memtable_size(memtable))?;
        let persist = match settings.sync {
            Sync::Buffer => PersistMode::Buffer,
            Sync::Data => PersistMode::SyncData,
            Sync::All => PersistMode::SyncAll,
        };
        Ok(Self { db, messages, heads, persist })
    }
}

impl Store for FjallStore {
    fn commit(&self, batch: &Batch) -> Result<()> {
        let mut write = self.db.batch().durability(Some(self.persist));
        for (key, value) in &batch.rows {
            write.insert(&self.messages, key.as_slice(), value.as_slice());
        }
        for (key, value) in &batch.heads {
            write.insert(&self.heads, key.as_slice(), value.as_slice());
        }
        Ok(write.commit()?)
    }

    fn page(&self, first: &RowKey, last: &RowKey) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for guard in self.messages.range(first.as_slice()..=last.as_slice()) {
            let (key, value) = guard.into_inner()?;
            rows.push((key.to_vec(), value.to_vec()));
        }
        Ok(rows)
    }

    fn head(&self, key: &HeadKey) -> Result<Option<Vec<u8>>> {
        Ok(self.heads.get(key)?.map(|value| value.to_vec()))
    }

    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        for guard in self.messages.iter() {
            let (key, value) = guard.into_inner()?;
            each(&key, &value)?;
        }
        Ok(())
    }

    fn settle(&self) -> Result<()> {
        self.messages.rotate_memtable_and_wait()?;
        self.heads.rotate_memtable_and_wait()?;
        let mut quiet = 0;
        let mut done = self.db.compactions_completed();
        while quiet < 30 {
            std::thread::sleep(Duration::from_millis(100));
            let now = self.db.compactions_completed();
            let idle = self.db.active_compactions() == 0 && self.db.outstanding_flushes() == 0 && now == done;
            quiet = if idle { quiet + 1 } else { 0 };
            done = now;
        }
        Ok(())
    }
}
