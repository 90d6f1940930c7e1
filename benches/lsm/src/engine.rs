//! What the benches ask of an engine, and the settings that both understand.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// The key of a message: conversation id (16 bytes), then seq (8 bytes, big endian).
pub type RowKey = [u8; 24];
/// The key of a head row: conversation id.
pub type HeadKey = [u8; 16];
/// A row that was read: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The engines that compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// fjall, pure Rust.
    Fjall,
    /// RocksDB, through rust-rocksdb.
    Rocksdb,
}

/// How blocks are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// LZ4, which both have.
    Lz4,
    /// Zstandard, which only RocksDB has.
    Zstd,
}

/// How far a commit goes before it is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Into the page cache only: for loading.
    Buffer,
    /// `fdatasync`.
    Data,
    /// `fsync` (RocksDB does `fdatasync` here too, and preallocates its log).
    All,
}

/// Settings of a database. Those of the tables are fixed when it is created.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it lives.
    pub path: PathBuf,
    /// Block size of the message rows, in KiB.
    pub block_kib: u32,
    /// Compression of the message rows.
    pub compression: Compression,
    /// Block cache, in MiB.
    pub cache_mib: u64,
    /// Size of a memtable, in MiB.
    pub memtable_mib: u64,
    /// Most that the journals may take before memtables are flushed to free them, in MiB.
    pub journal_mib: u64,
    /// How far a commit goes.
    pub sync: Sync,
}

impl Settings {
    /// Modest settings at `path`: 16 KiB blocks, LZ4, 64 MiB of cache, 16 MiB memtables.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self {
            path: path.as_ref().to_path_buf(),
            block_kib: 16,
            compression: Compression::Lz4,
            cache_mib: 64,
            memtable_mib: 16,
            journal_mib: 128,
            sync: Sync::Data,
        }
    }
}

/// Rows that are stored together or not at all.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// New message rows.
    pub rows: Vec<(RowKey, Vec<u8>)>,
    /// Head rows, overwritten.
    pub heads: Vec<(HeadKey, Vec<u8>)>,
}

/// An open database with two keyspaces: `messages` and `heads`.
pub trait Store: Send + std::marker::Sync {
    /// Stores a batch atomically, and durably if the settings say so.
    fn commit(&self, batch: &Batch) -> Result<()>;
    /// Message rows from `first` to `last`, both included, in order.
    fn page(&self, first: &RowKey, last: &RowKey) -> Result<Vec<Row>>;
    /// The head row of a conversation.
    fn head(&self, key: &HeadKey) -> Result<Option<Vec<u8>>>;
    /// Calls `each` with every message row, in order.
    fn scan(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()>;
    /// Flushes the memtables and waits until compaction has nothing left to do.
    fn settle(&self) -> Result<()>;
}

/// Opens or creates a database.
pub fn open(engine: Engine, settings: &Settings) -> Result<Box<dyn Store>> {
    match engine {
        #[cfg(feature = "fjall")]
        Engine::Fjall => Ok(Box::new(crate::fjall_store::FjallStore::open(settings)?)),
        #[cfg(feature = "rocksdb")]
        Engine::Rocksdb => Ok(Box::new(crate::rocksdb_store::RocksdbStore::open(settings)?)),
        #[allow(unreachable_patterns)]
        other => bail!("{other:?} is not compiled in"),
    }
}
