//! `banter export`, `banter import` and `banter migrate`: moving an installation (`docs/export-format.md`).

mod fleet;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use banter_fleet::zookeeper::StoppedError;
use banter_moving::tally::Tallies;
use banter_moving::{FolderIdentity, Installation, MoveError, News, Queue};
use banter_store::data_folder::{DataFolder, DataFolderError};
use banter_store::directory::DirectoryError;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions, OpenError};
use clap::{Args, Subcommand};
use parking_lot::Mutex;

use crate::clock::now;
use crate::config::ConfigError;
use crate::serve::{EMBEDDED_PARTITIONS, ServeError};

/// How often it is told how far a move has come.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// The commands that move an installation. No server may be running on it.
#[derive(Subcommand)]
pub enum Moving {
    /// Writes everything of an installation into one file: people, messages, the secret key. Killed, it goes on when it is run again.
    Export(Export),
    /// Fills an empty installation from such a file. Killed, it goes on when it is run again.
    Import(Import),
    /// Moves everything of one installation into another, empty one. Killed, it goes on when it is run again.
    Migrate(Migrate),
}

/// `banter export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    place: Place,
    /// The file to be written, which does not exist yet.
    file: PathBuf,
}

/// `banter import`.
#[derive(Args)]
pub struct Import {
    #[command(flatten)]
    place: Place,
    /// The file that `banter export` wrote.
    file: PathBuf,
}

/// `banter migrate`.
#[derive(Args)]
pub struct Migrate {
    /// Where it is: a data folder, or the configuration of a fleet (a file that ends in `.toml`).
    #[arg(long, value_name = "PLACE")]
    from: PathBuf,
    /// Where it goes: a data folder, made if it is missing, or the configuration of a fleet (a file that ends in `.toml`).
    #[arg(long, value_name = "PLACE")]
    to: PathBuf,
}

/// An installation on the command line.
#[derive(Args)]
struct Place {
    /// The data folder.
    #[arg(long, env = "BANTER_DATA", default_value = "banter-data")]
    data: PathBuf,
    /// The configuration of a fleet, instead.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Place {
    fn path(&self) -> At<'_> {
        self.config.as_deref().map_or(At::Folder(&self.data), At::Fleet)
    }
}

/// Where an installation is.
enum At<'a> {
    /// In a data folder.
    Folder(&'a Path),
    /// In the engines that a configuration names.
    Fleet(&'a Path),
}

impl<'a> At<'a> {
    fn of(path: &'a Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "toml" => At::Fleet(path),
            _ => At::Folder(path),
        }
    }
}

/// Why a command of these failed.
#[derive(Debug, thiserror::Error)]
pub enum MovingError {
    /// The move.
    #[error(transparent)]
    Move(#[from] MoveError),
    /// A data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// Its history.
    #[error(transparent)]
    History(#[from] OpenError),
    /// Its directory.
    #[error("the directory: {0}")]
    Directory(#[from] DirectoryError),
    /// There is nothing to be moved.
    #[error("{} is no data folder in which a server has run", .0.display())]
    NoSource(PathBuf),
    /// The configuration of a fleet.
    #[error("the configuration: {0}")]
    Config(#[from] ConfigError),
    /// It is none of a fleet.
    #[error("{} names no engines of a fleet", .0.display())]
    NoFleet(PathBuf),
    /// An engine of a fleet.
    #[error(transparent)]
    Engine(#[from] ServeError),
    /// The nodes of a fleet.
    #[error(transparent)]
    Nodes(#[from] StoppedError),
    /// A fleet was stopped too early.
    #[error(
        "the workers have applied partition {partition} up to {applied}, and its queue is at {queued}: start the workers, let them \
         apply all of it, and stop them again"
    )]
    NotApplied {
        /// The partition.
        partition: usize,
        /// Position of the last command that is stored.
        applied: u64,
        /// Position of the last command in the queue.
        queued: u64,
    },
}

impl Moving {
    /// Runs the command, and says on standard error how far it is.
    ///
    /// # Errors
    /// When the move did not come to its end: the same command goes on with it.
    pub async fn run(self) -> Result<(), MovingError> {
        let told = Told::default();
        let tell = |news: News<'_>| told.tell(news);
        let moved = match self {
            Moving::Export(Export { place, file }) => {
                let from = Opened::source(place.path()).await?;
                let moved = banter_moving::export(&from.installation, &file, now(), &tell).await;
                from.close().await;
                moved?
            }
            Moving::Import(Import { place, file }) => {
                let to = Opened::target(place.path()).await?;
                let moved = banter_moving::import(&file, &to.installation, &tell).await;
                to.close().await;
                moved?
            }
            Moving::Migrate(Migrate { from, to }) => {
                let from = Opened::source(At::of(&from)).await?;
                let to = Opened::target(At::of(&to)).await?;
                let moved = banter_moving::migrate(&from.installation, &to.installation, &tell).await;
                to.close().await;
                from.close().await;
                moved?
            }
        };
        say(&format!("Done, and compared: {}.", summary(&moved)));
        Ok(())
    }
}

/// An installation whose stores are open.
struct Opened {
    installation: Installation,
    closing: Box<dyn Close>,
}

/// Closes stores. Everything that counts is on the disk already: a failure would be told as one of the move, which it is not.
#[async_trait]
trait Close: Send {
    async fn close(self: Box<Self>);
}

struct Folder {
    history: Arc<EmbeddedHistory>,
    directory: Arc<SqlDirectory>,
}

#[async_trait]
impl Close for Folder {
    async fn close(self: Box<Self>) {
        if let Err(error) = self.history.close().await {
            tracing::warn!(%error, "closing the history");
        }
        self.directory.close().await;
    }
}

impl Opened {
    /// One in which a server has run, and runs no longer.
    async fn source(at: At<'_>) -> Result<Opened, MovingError> {
        match at {
            At::Folder(path) => {
                let failed = |source| DataFolderError::Failed { path: path.to_owned(), source };
                if !DataFolder::is_complete(path).map_err(failed)? {
                    return Err(MovingError::NoSource(path.to_owned()));
                }
                Opened::folder(path, EmbeddedHistory::open).await
            }
            At::Fleet(config) => fleet::source(config).await,
        }
    }

    /// One that is empty, or that a move has begun to fill.
    async fn target(at: At<'_>) -> Result<Opened, MovingError> {
        match at {
            At::Folder(path) => Opened::folder(path, EmbeddedHistory::open_to_move).await,
            At::Fleet(config) => fleet::target(config).await,
        }
    }

    async fn folder(
        path: &Path,
        open: fn(Arc<DataFolder>, HistoryOptions) -> Result<EmbeddedHistory, OpenError>,
    ) -> Result<Opened, MovingError> {
        let data = Arc::new(DataFolder::open(path)?);
        let opening = {
            let data = data.clone();
            tokio::task::spawn_blocking(move || open(data, HistoryOptions::default()))
        };
        let history = Arc::new(opening.await.map_err(|error| OpenError::Engine(error.to_string()))??);
        let directory = Arc::new(SqlDirectory::open_sqlite(&data.directory()).await?);
        let installation = Installation {
            directory: directory.clone(),
            history: history.clone(),
            identity: Arc::new(FolderIdentity::new(data)),
            queue: Queue::AfterHistory { partitions: EMBEDDED_PARTITIONS },
        };
        Ok(Opened { installation, closing: Box::new(Folder { history, directory }) })
    }

    async fn close(self) {
        self.closing.close().await;
    }
}

/// What was told last, and when.
#[derive(Default)]
struct Told(Mutex<Option<Instant>>);

impl Told {
    fn tell(&self, news: News<'_>) {
        let (what, tallies) = match news {
            News::Said(sentence) => return say(&sentence),
            News::Moved(tallies) => ("moved", tallies),
            News::Compared(tallies) => ("compared", tallies),
        };
        let mut last = self.0.lock();
        if last.is_none_or(|last| last.elapsed() >= TOLD_EVERY) {
            *last = Some(Instant::now());
            say(&format!("{what}: {}", summary(tallies)));
        }
    }
}

fn summary(tallies: &Tallies) -> String {
    let kinds: Vec<String> = tallies.kinds().map(|(kind, tally)| format!("{} {kind}", tally.count)).collect();
    kinds.join(", ")
}

fn say(sentence: &str) {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{sentence}");
}
