//! Opening the database.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyConnection, Connection, Executor};

use super::counted::{DirectoryCounters, Pool, count};
use super::error::migration_failed;
use super::{DirectoryError, MIGRATIONS, SqlDirectory};

/// Connections that read an embedded database at one time.
const SQLITE_READERS: u32 = 4;
/// Connections of one node to PostgreSQL.
const POSTGRES_CONNECTIONS: u32 = 16;
/// A connection to PostgreSQL that nobody used for so long is asked whether it is still there before it is used. One that was used a moment
/// ago answered then, and asking each time would double the round trips of every query.
const ASKED_AFTER: Duration = Duration::from_secs(1);
/// How long one waits for a connection, be it a free one or a new one.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// With a write-ahead log readers never wait for the writer; FULL syncs the log before a commit returns. The timeout is for
/// another process that looks at the file.
const WRITER_PRAGMAS: &str =
    "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
const READER_PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;";
/// No statement, and no wait for a row that another one holds, goes on for ever. In milliseconds.
const POSTGRES_SETTINGS: &str = "SET statement_timeout = 10000; SET lock_timeout = 5000;";

impl SqlDirectory {
    /// Opens the SQLite database at `path`, makes it if it does not exist, and brings its schema up to date. Its folder exists,
    /// and is locked by the caller: two that open a new file at the same time would both make its tables.
    pub async fn open_sqlite(path: &Path) -> Result<Self, DirectoryError> {
        try_sqlite(path).await?;
        let writer = sqlite_pool(1, WRITER_PRAGMAS).connect(&sqlite_url(path, "rwc")?).await?;
        MIGRATIONS.run(&writer).await.map_err(migration_failed)?;
        let readers = sqlite_pool(SQLITE_READERS, READER_PRAGMAS).connect(&sqlite_url(path, "rw")?).await?;
        let counters = Arc::<DirectoryCounters>::default();
        Ok(SqlDirectory { readers: Pool::new(readers, counters.clone()), writer: Pool::new(writer, counters) })
    }

    /// Connects to the PostgreSQL database that `url` names (`postgres://user:password@host/database`), and brings its schema
    /// up to date. Several nodes may do so at once.
    pub async fn connect(url: &str) -> Result<Self, DirectoryError> {
        check_url(url)?;
        install_default_drivers();
        // By a connection of its own: a migration may take longer than a query may.
        let mut connection = AnyConnection::connect(url).await?;
        MIGRATIONS.run(&mut connection).await.map_err(migration_failed)?;
        connection.close().await?;
        let counters = Arc::<DirectoryCounters>::default();
        let pool = postgres_pool(&counters).connect(url).await?;
        let pool = Pool::new(pool, counters);
        Ok(SqlDirectory { readers: pool.clone(), writer: pool })
    }

    /// What was asked of the database so far.
    pub fn counters(&self) -> &Arc<DirectoryCounters> {
        self.writer.counters()
    }

    /// Logs in at the PostgreSQL database that `url` names, and changes nothing.
    ///
    /// # Errors
    /// When it cannot be reached as the URL wants it (`sslmode` says how), or lets nobody in by that name.
    pub async fn reach(url: &str) -> Result<(), DirectoryError> {
        check_url(url)?;
        install_default_drivers();
        let mut connection = AnyConnection::connect(url).await?;
        connection.execute("SELECT 1").await?;
        connection.close().await?;
        Ok(())
    }

    /// Waits for what is under way and closes all connections. Later calls fail.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn check_url(url: &str) -> Result<(), DirectoryError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok(());
    }
    Err(DirectoryError::Failed("the URL of the directory begins with postgres://".into()))
}

/// Opens the database once, makes it if it does not exist, and reads its schema. A pool would try again and again to
/// connect to a file that is damaged, and then say that no connection became free.
async fn try_sqlite(path: &Path) -> Result<(), DirectoryError> {
    install_default_drivers();
    let mut connection = AnyConnection::connect(&sqlite_url(path, "rwc")?).await?;
    connection.execute(WRITER_PRAGMAS).await?;
    connection.execute("SELECT COUNT(*) FROM sqlite_schema").await?;
    connection.close().await?;
    Ok(())
}

/// A pool whose connections begin with `settings`.
fn pool(connections: u32, settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new().max_connections(connections).acquire_timeout(ACQUIRE_TIMEOUT).after_connect(move |connection, _| {
        Box::pin(async move {
            connection.execute(settings).await?;
            Ok(())
        })
    })
}

fn sqlite_pool(connections: u32, pragmas: &'static str) -> AnyPoolOptions {
    install_default_drivers();
    // A connection to a file does not go stale, and keeps its prepared statements.
    pool(connections, pragmas).idle_timeout(None).max_lifetime(None).test_before_acquire(false)
}

fn postgres_pool(counters: &Arc<DirectoryCounters>) -> AnyPoolOptions {
    let (taken, given_back) = (counters.clone(), counters.clone());
    pool(POSTGRES_CONNECTIONS, POSTGRES_SETTINGS)
        .test_before_acquire(false)
        .before_acquire(move |connection, used| {
            let counters = taken.clone();
            Box::pin(async move {
                if used.idle_for >= ASKED_AFTER {
                    count(&counters.pings);
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        // The pool asks each that is given back, when nobody waits for it any more.
        .after_release(move |_, _| {
            count(&given_back.pings);
            Box::pin(std::future::ready(Ok(true)))
        })
}

/// The URL of the file `path`, `mode` being `ro`, `rw`, `rwc`, with further parameters perhaps.
pub(super) fn sqlite_url(path: &Path, mode: &str) -> Result<String, DirectoryError> {
    let failed = |reason: &dyn std::fmt::Display| DirectoryError::Failed(format!("{}: {reason}", path.display()));
    // A URL drops dots and what they lead out of.
    let path = std::path::absolute(path).map_err(|error| failed(&error))?;
    let path = path.to_str().ok_or_else(|| failed(&"the path is not UTF-8"))?;
    let mut url = String::from("sqlite://");
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => url.push(char::from(byte)),
            // Writing to a string does not fail.
            _ => drop(write!(url, "%{byte:02X}")),
        }
    }
    Ok(format!("{url}?mode={mode}"))
}

#[cfg(test)]
mod tests {
    use sqlx::query_scalar;

    use super::*;

    async fn pragma(pool: &Pool, sql: &'static str) -> i64 {
        query_scalar(sql).fetch_one(pool.statement()).await.unwrap()
    }

    #[tokio::test]
    async fn commits_are_synced_and_readers_do_not_write() {
        let folder = tempfile::tempdir().unwrap();
        let directory = SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap();
        let mode: String = query_scalar("PRAGMA journal_mode").fetch_one(directory.writer.statement()).await.unwrap();
        assert_eq!(mode, "wal");
        assert_eq!(pragma(&directory.writer, "PRAGMA synchronous").await, 2, "FULL");
        assert_eq!(pragma(&directory.writer, "PRAGMA foreign_keys").await, 1);
        for pool in [&directory.writer, &directory.readers] {
            assert_eq!(pragma(pool, "PRAGMA busy_timeout").await, 5_000);
        }
        let error = directory.readers.statement().execute("DELETE FROM users").await.map_err(DirectoryError::from).unwrap_err();
        assert!(error.to_string().contains("takes no writes"), "{error}");
    }

    #[tokio::test]
    async fn damage_is_told_for_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("directory.db");
        SqlDirectory::open_sqlite(&path).await.unwrap().close().await;
        let whole = std::fs::read(&path).unwrap();
        // Its first bytes, which say what it is; and the schema, on the first page behind them.
        for damaged in [0..16, 100..4_096] {
            let mut bytes = whole.clone();
            bytes[damaged.clone()].fill(0xff);
            std::fs::write(&path, bytes).unwrap();
            let Err(error) = SqlDirectory::open_sqlite(&path).await else { panic!("opened with damage at {damaged:?}") };
            let text = error.to_string();
            assert!(text.contains("is damaged") && text.contains("backup"), "damage at {damaged:?}: {text}");
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_reading_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let directory = SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap();
        // A database that may not grow fails as on a disk that is full.
        directory.writer.statement().execute("PRAGMA max_page_count = 1").await.unwrap();
        let mut added = 0;
        let error = loop {
            let sql = "INSERT INTO users VALUES ($1, 'h' || CAST($1 AS TEXT), 'x', 'x', 'x', 0, 0, 0, 0)";
            match sqlx::query(sql).bind(added).execute(directory.writer.statement()).await {
                Ok(_) => added += 1,
                Err(error) => break DirectoryError::from(error),
            }
        };
        assert!(matches!(error, DirectoryError::Full), "{error}");
        assert_eq!(pragma(&directory.readers, "SELECT COUNT(*) FROM users").await, added);
    }
}
