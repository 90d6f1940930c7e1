//! Installations to move between.

use std::path::Path;
use std::sync::Arc;

use banter_moving::record::Record;
use banter_moving::{FolderIdentity, Identity, Installation, News, Queue};
use banter_store::data_folder::DataFolder;
use banter_store::directory::movable::MovableDirectory;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::history::movable::MovableHistory;
use sqlx::{Connection, Executor, PgConnection};
use tempfile::TempDir;

/// Partitions of an embedded server.
pub const PARTITIONS: u32 = 8;

/// An installation in a folder of its own.
pub struct Place {
    pub folder: TempDir,
    pub installation: Installation,
    pub history: Arc<EmbeddedHistory>,
}

fn options() -> HistoryOptions {
    HistoryOptions { cache_bytes: 4 << 20, memtable_bytes: 256 << 10, ..HistoryOptions::default() }
}

fn place(folder: TempDir, data: Arc<DataFolder>, directory: Arc<dyn MovableDirectory>) -> Place {
    let history = Arc::new(EmbeddedHistory::open_to_move(data.clone(), options()).unwrap());
    let identity: Arc<dyn Identity> = Arc::new(FolderIdentity::new(data));
    let queue = Queue::AfterHistory { partitions: PARTITIONS };
    Place { folder, installation: Installation { directory, history: history.clone(), identity, queue }, history }
}

/// An empty one, as an embedded server has it.
pub async fn embedded() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let data = Arc::new(DataFolder::open(folder.path()).unwrap());
    let directory = Arc::new(SqlDirectory::open_sqlite(&data.directory()).await.unwrap());
    place(folder, data, directory)
}

/// An empty one with its people in PostgreSQL, in a schema of their own; `None` where no database is named.
pub async fn with_postgres() -> Option<Place> {
    let Ok(url) = std::env::var("BANTER_TEST_POSTGRES") else {
        eprintln!("not run: BANTER_TEST_POSTGRES is not set");
        return None;
    };
    let schema = format!("moving_{}", banter_store::behaviour::Random::new(banter_store::behaviour::seed()).bits());
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await.unwrap();
    let joined = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joined}options=-c%20search_path%3D{schema}");
    let folder = tempfile::tempdir().unwrap();
    let data = Arc::new(DataFolder::open(folder.path()).unwrap());
    // A folder without its own database is never complete: what a fleet keeps elsewhere is not looked for here.
    std::fs::write(data.directory(), "").unwrap();
    Some(place(folder, data, Arc::new(SqlDirectory::connect(&url).await.unwrap())))
}

/// Puts records into an empty installation, as if a server had made them.
pub async fn fill(to: &Installation, records: &[Record]) {
    for part in records.chunks(1_000) {
        let (mut people, mut logs) = (Vec::new(), Vec::new());
        for record in part.iter().cloned() {
            match record {
                Record::Installation(record) => {
                    to.identity.take_secret_key(&record.secret_key).await.unwrap();
                    to.identity.take_ids_until(record.ids_until).await.unwrap();
                }
                Record::Directory(record) => people.push(record),
                Record::History(record) => logs.push(record),
            }
        }
        to.directory.restore(&people).await.unwrap();
        to.history.restore(logs).await.unwrap();
    }
    to.identity.complete().await.unwrap();
}

/// Says nothing.
pub fn quiet(_: News<'_>) {}

/// The lines of an export, without the first, which holds the time.
pub async fn lines(of: &Installation, folder: &Path, name: &str) -> Vec<String> {
    let path = folder.join(name);
    banter_moving::export(of, &path, 7, &quiet).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    text.lines().skip(1).map(str::to_owned).collect()
}

/// Is a move into it under way?
pub async fn is_half_moved(history: &impl MovableHistory) -> bool {
    history.move_note().await.unwrap().is_some()
}
