//! What a device remembers: one SQLite file, or the same in memory.
//!
//! Everything that one round of the engine changes is one transaction. A commit survives the death of the process; one with a new entry
//! of the outbox also survives the death of the machine (it is synced), since a tag that was sent must be known afterwards. The rest may be
//! lost with the machine's power: it comes again from the server, and what is sent again is told apart by its tag.

mod account;
mod apply;
mod folder;
mod handles;
mod read;

pub use account::Account;
pub use folder::FolderLock;

use std::path::Path;
use std::time::Duration;

use banter_model::ConversationId;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::Error;

/// What `PRAGMA user_version` says of files of this layout.
const VERSION: i64 = 1;
/// How long to wait for another connection's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// The store of one device. Clones share it.
#[derive(Debug, Clone)]
pub struct Store {
    /// One connection, so that transactions never wait for each other inside SQLite.
    writer: SqlitePool,
    reader: SqlitePool,
    in_memory: bool,
}

impl Store {
    /// Opens the store in `file`, which is made (readable by its owner alone) if it is not there.
    pub async fn open(file: &Path) -> Result<Self, Error> {
        folder::make_private(file)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY);
        let writer = SqlitePoolOptions::new().max_connections(1).connect_with(options.clone()).await?;
        prepare(&writer).await?;
        let reader = SqlitePoolOptions::new().max_connections(2).connect_lazy_with(options.read_only(true));
        Ok(Store { writer, reader, in_memory: false })
    }

    /// A store that ends with the process: for load generators.
    pub async fn in_memory() -> Result<Self, Error> {
        let options = SqliteConnectOptions::new().in_memory(true).journal_mode(SqliteJournalMode::Memory);
        // A database in memory is its connection: it must never be closed or be two.
        let pool = SqlitePoolOptions::new()
            .min_connections(1)
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        prepare(&pool).await?;
        Ok(Store { writer: pool.clone(), reader: pool, in_memory: true })
    }

    /// Closes the files. Clones work no more.
    pub async fn close(&self) {
        self.reader.close().await;
        self.writer.close().await;
    }
}

async fn prepare(pool: &SqlitePool) -> Result<(), Error> {
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(pool).await?;
    if version > VERSION {
        let message = format!("the local store has layout {version}, this program knows {VERSION}: use a newer program");
        return Err(Error::new(Error::STORAGE, message));
    }
    sqlx::raw_sql(include_str!("schema.sql")).execute(pool).await?;
    sqlx::raw_sql("PRAGMA user_version = 1").execute(pool).await?;
    Ok(())
}

fn key(conversation: ConversationId) -> Vec<u8> {
    conversation.to_bytes().to_vec()
}

fn conversation_of(key: &[u8]) -> Result<ConversationId, Error> {
    let bytes = key.try_into().map_err(|_| corrupt("a conversation's name"))?;
    ConversationId::from_bytes(bytes).map_err(|_| corrupt("a conversation's name"))
}

fn corrupt(what: impl std::fmt::Display) -> Error {
    Error::new(Error::STORAGE, format!("the local store is damaged: {what}"))
}

fn encode(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(corrupt)
}

fn decode<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(corrupt)
}

#[cfg(test)]
mod tests;
