//! `banter serve`: puts the parts together, runs them, and takes them down in order.

mod fleet;
mod server;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use banter_model::discovery::Coordinates;
use banter_store::StoreError;
use banter_store::cluster::{JoinError, Roles};
use banter_store::data_folder::DataFolderError;
use banter_store::directory::DirectoryError;
use banter_store::embedded::history::{HistoryOptions, OpenError};

use crate::config::{Config, ConfigError};
use crate::delivery::NodeTls;
use crate::discovery::{AddressFileError, PlaceHeaders};
use crate::gateway::FrameRate;
use crate::presence::GRACE;
use crate::rate_limit::RateLimitConfig;

pub use crate::stores::{EMBEDDED_PARTITIONS, IDS_FILE};
pub use server::Server;

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
    /// What the node does.
    pub roles: Roles,
    /// Where the other nodes reach it; `None` when there are none.
    pub internal: Option<Internal>,
    /// Where clients reach it; empty for "where they asked".
    pub client_url: String,
    /// Origins of pages that may connect, besides those of the node itself.
    pub web_origins: Vec<String>,
    /// Origins that pages may connect to, besides those of known gateways.
    pub gateway_origins: Vec<String>,
    /// Where it is, as the operator names it.
    pub region: String,
    /// Where it is.
    pub coordinates: Option<Coordinates>,
    /// Headers of the load balancer that say where a client is.
    pub place_headers: PlaceHeaders,
    /// A file in MaxMind's format that says where addresses are.
    pub geoip: Option<PathBuf>,
    /// The longest that sessions are given to move to other gateways before this one stops.
    pub drain: Duration,
}

/// Where the other nodes reach a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Internal {
    /// Where it listens for them; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The address that they use (`host:port`); empty for the one that it listens on.
    pub address: String,
    /// Certificates by which nodes know each other; links in plain text without.
    pub tls: Option<NodeTls>,
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
            roles: Roles::all(),
            internal: None,
            client_url: String::new(),
            web_origins: Vec::new(),
            gateway_origins: Vec::new(),
            region: String::new(),
            coordinates: None,
            place_headers: PlaceHeaders::default(),
            geoip: None,
            drain: Duration::ZERO,
        }
    }

    /// What a configuration says of the node itself.
    ///
    /// # Errors
    /// When a value of it is none.
    pub fn of(config: &Config) -> Result<Self, ConfigError> {
        let node = &config.node;
        let mut options = ServeOptions::new(node.data.clone(), node.listen);
        if node.unlimited {
            options.rate_limits = RateLimitConfig::unlimited();
            options.frame_rate = FrameRate::UNLIMITED;
        }
        options.rate_limits.trusted_proxy = node.proxy_header()?;
        options.presence_grace = Duration::from_millis(node.presence_grace_ms);
        options.history.reserve_bytes = node.reserve_mib << 20;
        options.sessions = Some(node.sessions as usize).filter(|sessions| *sessions > 0);
        options.shards = node.shards.map(usize::from);
        options.roles = node.roles;
        options.client_url = node.client_url.clone();
        options.web_origins = node.web_origins.clone();
        options.gateway_origins = node.gateway_origins.clone();
        options.region = node.region.clone();
        options.place_headers = node.place_headers()?;
        options.geoip = Some(node.geoip.clone()).filter(|path| !path.as_os_str().is_empty());
        options.coordinates = node.coordinates.map(|[latitude, longitude]| Coordinates { latitude, longitude });
        if config.fleet()?.is_some() {
            options.internal =
                Some(Internal { listen: node.internal_listen, address: node.internal_address.clone(), tls: NodeTls::of(node)? });
            options.drain = Duration::from_secs(node.drain_seconds);
        }
        Ok(options)
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
    /// The cluster.
    #[error("the cluster: {0}")]
    Cluster(#[from] JoinError),
    /// An engine of the fleet.
    #[error("{engine}: {message}")]
    Engine {
        /// Which.
        engine: &'static str,
        /// What it said.
        message: String,
    },
    /// The cluster gave this node's number to another.
    #[error("another node has this one's number now: it was out of touch with the cluster for too long")]
    LeaseEnded,
    /// A node of a fleet has to be reached by the others.
    #[error("a node of a fleet needs an address for the others")]
    NoInternalAddress,
    /// The configuration.
    #[error("the configuration: {0}")]
    Config(#[from] ConfigError),
    /// The file that says where addresses are.
    #[error("where addresses are: {0}")]
    Addresses(#[from] AddressFileError),
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
