//! Everything in one data folder.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use banter_store::StoreError;
use banter_store::cluster::NodeProfile;
use banter_store::data_folder::DataFolder;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::cluster::alone;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions, OpenError};
use banter_store::embedded::id_floor::FileFloor;
use banter_store::embedded::queue::EmbeddedQueue;

use super::unqueued::Unqueued;
use super::{Closing, Stores};
use crate::metrics::HistoryCollector;
use crate::secret_key;
use crate::serve::ServeError;

/// Partitions of an embedded server. Part of the format of its data folder: sync points and positions name them.
pub const EMBEDDED_PARTITIONS: u32 = 8;
/// What the commands that wait in one partition may weigh (a long text counts for one more with each 4 KiB, so 16 MiB of text at
/// most); beyond it sessions wait to be read from.
const QUEUED_COMMANDS: u32 = 4_096;
/// In the data folder: how far ids went.
pub const IDS_FILE: &str = "ids";

impl Stores {
    /// Opens the data folder, which is made if it is missing.
    ///
    /// # Errors
    /// When it is in use, or something in it cannot be opened.
    pub async fn embedded(data: PathBuf, history: HistoryOptions, profile: NodeProfile) -> Result<Stores, ServeError> {
        let folder = Arc::new(DataFolder::open(&data)?);
        let key = secret_key::load(&folder.secret_key()).map_err(ServeError::SecretKey)?;
        // The journals are read on a thread of their own: it may take a while, and the directory opens meanwhile.
        let opening = {
            let folder = folder.clone();
            tokio::task::spawn_blocking(move || EmbeddedHistory::open(folder, history))
        };
        let directory = Arc::new(SqlDirectory::open_sqlite(&folder.directory()).await?);
        let history = Arc::new(opening.await.map_err(|error| OpenError::Engine(error.to_string()))??);
        let (queue, assignment) = EmbeddedQueue::assigned(EMBEDDED_PARTITIONS, QUEUED_COMMANDS);
        let queue = Arc::new(queue);
        let floor = FileFloor::open(&folder.path().join(IDS_FILE)).map_err(ServeError::Ids)?;
        folder.mark_complete()?;
        let closing = ClosingEmbedded { history: history.clone(), queue: queue.clone(), directory: directory.clone() };
        Ok(Stores {
            history: history.clone(),
            queue,
            unqueued: Arc::new(Unqueued::default()),
            assignment: Some(Box::new(assignment)),
            // The history writes it, where there is a reader.
            feed: None,
            directory,
            cluster: Arc::new(alone(folder.node(), profile, Arc::new(floor))),
            sessions: None,
            key,
            collector: Some(Box::new(HistoryCollector(history))),
            closing: Box::new(closing),
        })
    }
}

struct ClosingEmbedded {
    history: Arc<EmbeddedHistory>,
    queue: Arc<EmbeddedQueue>,
    directory: Arc<SqlDirectory>,
}

#[async_trait]
impl Closing for ClosingEmbedded {
    async fn close_queue(&self) {
        self.queue.close();
    }

    async fn close(&self) -> Result<(), StoreError> {
        let closed = self.history.close().await;
        self.directory.close().await;
        closed
    }
}
