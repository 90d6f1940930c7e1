//! What the engines' errors mean.

use sqlx::error::{DatabaseError, ErrorKind};
use sqlx::migrate::MigrateError;

use super::DirectoryError;

impl From<sqlx::Error> for DirectoryError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => of_database(error.as_ref()),
            sqlx::Error::PoolTimedOut => DirectoryError::Failed("no connection to the database became free in time".into()),
            error => DirectoryError::Failed(error.to_string()),
        }
    }
}

/// Codes of four and fewer digits are SQLite's (the low byte is the kind of error), those of five are PostgreSQL's.
fn of_database(error: &dyn DatabaseError) -> DirectoryError {
    const SQLITE_READONLY: u32 = 8;
    const SQLITE_CORRUPT: u32 = 11;
    const SQLITE_FULL: u32 = 13;
    const SQLITE_NOTADB: u32 = 26;
    // All references are to users.
    if error.kind() == ErrorKind::ForeignKeyViolation {
        return DirectoryError::UnknownUser;
    }
    let code = error.code().unwrap_or_default();
    let sqlite = code.parse::<u32>().ok().filter(|_| code.len() < 5).map(|code| code & 0xff);
    match (sqlite, code.as_ref()) {
        (Some(SQLITE_FULL), _) | (_, "53100") => DirectoryError::Full,
        (Some(SQLITE_READONLY), _) | (_, "25006") => {
            DirectoryError::Failed(format!("the database of the directory takes no writes: {}", error.message()))
        }
        (Some(SQLITE_CORRUPT | SQLITE_NOTADB), _) => DirectoryError::Failed(format!(
            "the database of the directory is damaged ({}): restore the data folder from a backup",
            error.message()
        )),
        _ => DirectoryError::Failed(error.to_string()),
    }
}

/// Why the schema could not be brought up to date.
pub(super) fn migration_failed(error: MigrateError) -> DirectoryError {
    match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        MigrateError::VersionMissing(version) => DirectoryError::Failed(format!(
            "the database of the directory has migration {version}, which this program does not know: it was written by a newer banter"
        )),
        error => DirectoryError::Failed(format!("the schema of the directory cannot be brought up to date: {error}")),
    }
}
