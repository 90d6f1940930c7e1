//! `banter serve`: puts the parts together, runs them, and takes them down in order.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use banter_store::data_folder::{DataFolder, DataFolderError};
use banter_store::directory::DirectoryError;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions, OpenError};
use banter_store::embedded::queue::{EmbeddedQueue, EmbeddedReader};
use banter_store::{History, StoreError};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::auth::passwords::Passwords;
use crate::auth::refresh_tokens::RefreshTokens;
use crate::auth::removed_devices::RemovedDevices;
use crate::auth::tokens::AccessTokens;
use crate::clock::{self, Ids};
use crate::commands::Commands;
use crate::conversations::listing::LISTINGS_AT_ONCE;
use crate::conversations::recent::Recent;
use crate::conversations::relations::Relations;
use crate::discovery::Discovery;
use crate::gateway::hub::Hub;
use crate::gateway::shards::{self, Shards};
use crate::gateway::{FrameRate, Gateway};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::presence::{GRACE, Presence};
use crate::rate_limit::{RateLimitConfig, RateLimits};
use crate::worker::Worker;
use crate::{api, descriptors, listener, secret_key, web_app};

/// Partitions of an embedded server. Part of the format of its data folder: sync points and positions name them.
pub const EMBEDDED_PARTITIONS: u32 = 8;
/// What the commands that wait in one partition may weigh (a long text counts for one more with each 4 KiB, so 16 MiB of text at
/// most); beyond it sessions wait to be read from.
const QUEUED_COMMANDS: u32 = 4_096;
/// In the data folder: how far ids went.
pub const IDS_FILE: &str = "ids";
/// The longest that sessions are given to take their last frames when the server goes down.
const FAREWELL: Duration = Duration::from_secs(5);

/// What `banter serve` is told.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Limits on what can be guessed or flooded.
    pub rate_limits: RateLimitConfig,
    /// How fast one session may send frames.
    pub frame_rate: FrameRate,
    /// The time after which a lost connection counts.
    pub presence_grace: Duration,
    /// Most sessions at once; as many as descriptors can be opened without shards when absent.
    pub sessions: Option<usize>,
    /// Threads that hold the sessions; as many as the descriptors of so many sessions need when absent.
    pub shards: Option<usize>,
    /// How the history uses memory and disk.
    pub history: HistoryOptions,
}

impl ServeOptions {
    /// The defaults for a data folder and an address.
    pub fn new(data: PathBuf, listen: SocketAddr) -> Self {
        ServeOptions {
            data,
            listen,
            rate_limits: RateLimitConfig::default(),
            frame_rate: FrameRate::default(),
            presence_grace: GRACE,
            sessions: None,
            shards: None,
            history: HistoryOptions::default(),
        }
    }
}

/// The server cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The history.
    #[error(transparent)]
    History(#[from] OpenError),
    /// Reading the history.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The directory.
    #[error("the directory: {0}")]
    Directory(#[from] DirectoryError),
    /// The secret key.
    #[error("the secret key: {0}")]
    SecretKey(std::io::Error),
    /// The file that remembers how far ids went.
    #[error("ids: {0}")]
    Ids(std::io::Error),
    /// The threads that hold sessions.
    #[error("threads for sessions: {0}")]
    Shards(std::io::Error),
    /// The address.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A worker died: its partition would stand still, so the server stops.
    #[error("a worker stopped, and the server with it: {0}")]
    Worker(String),
}

/// A server that is ready: everything is open, and it listens.
pub struct Server {
    node: Arc<Node>,
    gateway: Arc<Gateway>,
    history: Arc<EmbeddedHistory>,
    directory: Arc<SqlDirectory>,
    queue: Arc<EmbeddedQueue>,
    readers: Vec<EmbeddedReader>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the data folder and listens.
    pub async fn open(options: ServeOptions) -> Result<Server, ServeError> {
        let descriptors = descriptors::limit();
        let capacity = options.sessions.unwrap_or_else(|| shards::main_room(descriptors));
        let count = options.shards.unwrap_or_else(|| shards::needed(capacity, descriptors));
        let shards = Shards::start(count, descriptors).map_err(ServeError::Shards)?;
        let folder = Arc::new(DataFolder::open(&options.data)?);
        let number = folder.node();
        let key = secret_key::load(&folder.secret_key()).map_err(ServeError::SecretKey)?;
        // The journals are read on a thread of their own: it may take a while, and the directory opens meanwhile.
        let opening = {
            let (folder, history) = (folder.clone(), options.history.clone());
            tokio::task::spawn_blocking(move || EmbeddedHistory::open(folder, history))
        };
        let directory = Arc::new(SqlDirectory::open_sqlite(&folder.directory()).await?);
        let history = opening.await.map_err(|error| OpenError::Engine(error.to_string()))??;
        let history = Arc::new(history);
        let mut positions = Vec::new();
        for partition in 0..EMBEDDED_PARTITIONS {
            positions.push(history.position(partition).await?);
        }
        let (queue, readers) = EmbeddedQueue::new(EMBEDDED_PARTITIONS, QUEUED_COMMANDS, &positions);
        let queue = Arc::new(queue);

        let metrics = Arc::new(Metrics::of(history.clone()));
        let ids = Ids::open(number, &folder.path().join(IDS_FILE)).map_err(ServeError::Ids)?;
        let ids = Arc::new(ids);
        folder.mark_complete()?;
        let hub = Arc::new(Hub::new(metrics.clone()));
        let relations = Arc::new(Relations::new(directory.clone()));
        let presence = Presence::new(directory.clone(), relations.clone(), hub.clone(), options.presence_grace);
        let node = Arc::new(Node {
            number,
            directory: directory.clone(),
            history: history.clone(),
            queue: queue.clone(),
            commands: Arc::new(Commands::new(queue.clone(), ids.clone(), number)),
            ids,
            hub,
            presence: Arc::new(presence),
            tokens: AccessTokens::new(&key),
            refresh_tokens: RefreshTokens::new(&key),
            passwords: Passwords::new(available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            removed_devices: RemovedDevices::load(&*directory, clock::now()).await?,
            relations,
            listings: Semaphore::new(LISTINGS_AT_ONCE),
            recent: Recent::new(&positions, clock::now()),
            discovery: Discovery::default(),
            rate_limits: RateLimits::new(&options.rate_limits),
            metrics,
        });
        let gateway = Gateway::new(node.clone(), options.frame_rate, shards, capacity);
        let listen = |source| ServeError::Listen { address: options.listen, source };
        let listener = listener::bind(options.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Server { node, gateway, history, directory, queue, readers, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then takes everything down in order: no new sessions, devices told, the queue drained, all
    /// of it on disk.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { node, gateway, history, directory, queue, readers, listener, .. } = self;
        let mut workers = JoinSet::new();
        for reader in readers {
            let worker = Worker::new(Box::new(reader), history.clone(), gateway.clone(), node.metrics.clone());
            workers.spawn(worker.run());
        }
        let app = api::finish(&node, api::routes(&node).merge(gateway.routes()).merge(web_app::routes()));
        let mut background = JoinSet::new();
        background.spawn(listener::serve(listener, app, node.metrics.clone(), shards::http_room(descriptors::limit())));
        background.spawn(gateway.clone().sweep());
        background.spawn(node.presence.clone().run());
        let failed = tokio::select! {
            () = stop => None,
            Some(ended) = workers.join_next() => Some(ended.err().map_or("its queue closed".to_owned(), |error| error.to_string())),
        };
        // The listener goes first: nobody comes in while the others are told to go.
        background.shutdown().await;
        node.presence.finish().await;
        gateway.end_all();
        let gone = async {
            while !gateway.is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let _ = tokio::time::timeout(FAREWELL, gone).await;
        gateway.stop().await;
        queue.close();
        while workers.join_next().await.is_some() {}
        let closed = history.close().await;
        directory.close().await;
        match failed {
            Some(reason) => Err(ServeError::Worker(reason)),
            None => Ok(closed?),
        }
    }
}
