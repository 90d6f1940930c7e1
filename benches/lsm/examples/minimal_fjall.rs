//! The smallest program that stores something in fjall: for compile time and binary size.

use fjall::{Database, KeyspaceCreateOptions, PersistMode};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "minimal-fjall.db".into());
    let db = Database::builder(path).open()?;
    let rows = db.keyspace("rows", KeyspaceCreateOptions::default)?;
    let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
    batch.insert(&rows, b"key", b"value");
    batch.commit()?;
    anyhow::ensure!(rows.get(b"key")?.as_deref() == Some(b"value".as_slice()));
    Ok(())
}
