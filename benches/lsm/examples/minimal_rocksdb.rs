//! The smallest program that stores something in RocksDB: for compile time and binary size.

use rocksdb::{DB, Options, WriteBatch, WriteOptions};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "minimal-rocksdb.db".into());
    let mut options = Options::default();
    options.create_if_missing(true);
    let db = DB::open(&options, path)?;
    let mut batch = WriteBatch::default();
    batch.put(b"key", b"value");
    let mut write = WriteOptions::default();
    write.set_sync(true);
    db.write_opt(batch, &write)?;
    anyhow::ensure!(db.get(b"key")?.as_deref() == Some(b"value".as_slice()));
    Ok(())
}
