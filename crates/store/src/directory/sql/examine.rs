//! Looking for damage, without writing.

use std::path::Path;

use sqlx::migrate::Migrate;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection, query, query_scalar};

use super::{DirectoryError, MIGRATIONS};

/// What is wrong with the SQLite database at `path`, in sentences; empty if nothing is. Writes nothing, and may run beside a
/// server. An error means that the database cannot be read at all.
pub async fn examine_sqlite(path: &Path) -> Result<Vec<String>, DirectoryError> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // Without a write-ahead log nobody has the database open, and it can be read from a medium that takes no writes.
    let nobody_writes = !Path::new(&log).exists();
    let options = SqliteConnectOptions::new().filename(path).read_only(true).immutable(nobody_writes);
    let mut connection = options.connect().await?;
    let mut problems: Vec<String> = query_scalar("PRAGMA quick_check").fetch_all(&mut connection).await?;
    problems.retain(|line| line != "ok");
    let dangling = query("PRAGMA foreign_key_check").fetch_all(&mut connection).await?.len();
    if dangling > 0 {
        problems.push(format!("{dangling} rows name users that do not exist"));
    }
    problems.extend(examine_schema(&mut connection).await);
    connection.close().await?;
    Ok(problems)
}

async fn examine_schema(connection: &mut SqliteConnection) -> Vec<String> {
    let applied = match connection.list_applied_migrations(&MIGRATIONS.table_name).await {
        Ok(applied) => applied,
        Err(error) => return vec![format!("the schema has no version: {error}")],
    };
    let mut problems = Vec::new();
    for known in MIGRATIONS.iter() {
        let version = known.version;
        match applied.iter().find(|applied| applied.version == version) {
            None => problems.push(format!("migration {version} is missing: start the server to apply it")),
            Some(applied) if applied.checksum != known.checksum => {
                problems.push(format!("migration {version} is not the one that this program has"));
            }
            Some(_) => {}
        }
    }
    let unknown = applied.iter().filter(|applied| !MIGRATIONS.version_exists(applied.version));
    problems.extend(unknown.map(|applied| format!("migration {} is of a newer banter", applied.version)));
    problems
}
