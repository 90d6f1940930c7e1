//! A server: put together from its stores, run, and taken down in order.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use banter_store::PartitionReader;
use banter_store::cluster::NodeProfile;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{ServeError, ServeOptions};
use crate::auth::passwords::Passwords;
use crate::auth::refresh_tokens::RefreshTokens;
use crate::auth::removed_devices::RemovedDevices;
use crate::auth::tokens::AccessTokens;
use crate::clock::{self, Ids};
use crate::commands::Commands;
use crate::conversations::listing::LISTINGS_AT_ONCE;
use crate::conversations::points::{Points, StoredPoints};
use crate::conversations::recent::Recent;
use crate::conversations::relations::Relations;
use crate::gateway::Gateway;
use crate::gateway::hub::Hub;
use crate::gateway::shards::{self, Shards};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::notices::Notices;
use crate::presence::Presence;
use crate::rate_limit::RateLimits;
use crate::stores::{Closing, Stores};
use crate::worker::Worker;
use crate::{api, descriptors, listener, web_app};

/// The longest that sessions are given to take their last frames when the server goes down.
const FAREWELL: Duration = Duration::from_secs(5);

/// A server that is ready: everything is open, and it listens.
pub struct Server {
    node: Arc<Node>,
    gateway: Arc<Gateway>,
    readers: Vec<Box<dyn PartitionReader>>,
    closing: Box<dyn Closing>,
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Opens the data folder and listens.
    pub async fn open(options: ServeOptions) -> Result<Server, ServeError> {
        let (data, history) = (options.data.clone(), options.history.clone());
        Server::over(options, |profile| Stores::embedded(data, history, profile)).await
    }

    /// Listens over the stores that `opening` makes for the node described.
    pub async fn over<F>(options: ServeOptions, opening: impl FnOnce(NodeProfile) -> F) -> Result<Server, ServeError>
    where
        F: Future<Output = Result<Stores, ServeError>>,
    {
        let descriptors = descriptors::limit();
        let capacity = options.sessions.unwrap_or_else(|| shards::main_room(descriptors));
        let count = options.shards.unwrap_or_else(|| shards::needed(capacity, descriptors));
        let shards = Shards::start(count, descriptors).map_err(ServeError::Shards)?;
        let profile = NodeProfile {
            roles: options.roles,
            client_url: options.client_url.clone(),
            internal_address: String::new(),
            region: options.region.clone(),
            coordinates: options.coordinates,
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        };
        let stores = opening(profile).await?;
        let Stores { history, queue, readers, directory, cluster, sessions, key, collector, closing } = stores;

        let number = cluster.number();
        let metrics = Arc::new(Metrics::with(collector));
        let ids = Arc::new(Ids::new(number, cluster.id_floor()));
        let hub = Arc::new(Hub::new(metrics.clone()));
        let relations = Arc::new(Relations::new(directory.clone()));
        let removed_devices = Arc::new(RemovedDevices::load(&*directory, clock::now()).await?);
        let notices = Notices::new(number, hub.clone(), relations.clone(), removed_devices.clone(), None);
        let notices = Arc::new(notices);
        let presence = Presence::new(directory.clone(), relations.clone(), hub.clone(), notices.clone(), options.presence_grace);
        let points = match sessions {
            None => Points::Applied(Recent::new(&history.positions(queue.partitions()).await?, clock::now())),
            Some(_) => Points::Stored(StoredPoints::new(history.clone(), queue.partitions())),
        };
        let node = Arc::new(Node {
            number,
            directory,
            history,
            queue: queue.clone(),
            commands: Arc::new(Commands::new(queue, ids.clone(), number)),
            ids,
            hub,
            presence: Arc::new(presence),
            notices,
            tokens: AccessTokens::new(&key),
            refresh_tokens: RefreshTokens::new(&key),
            passwords: Passwords::new(available_parallelism().unwrap_or(NonZeroUsize::MIN)),
            removed_devices,
            relations,
            listings: Semaphore::new(LISTINGS_AT_ONCE),
            points,
            cluster,
            rate_limits: RateLimits::new(&options.rate_limits),
            metrics,
        });
        let gateway = Gateway::new(node.clone(), options.frame_rate, shards, capacity);
        let listen = |source| ServeError::Listen { address: options.listen, source };
        let listener = listener::bind(options.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        Ok(Server { node, gateway, readers, closing, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then takes everything down in order: no new sessions, devices told, the queue drained, all
    /// of it on disk.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { node, gateway, readers, closing, listener, .. } = self;
        let mut workers = JoinSet::new();
        for reader in readers {
            let worker = Worker::new(reader, node.history.clone(), gateway.clone(), node.metrics.clone());
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
        closing.close_queue().await;
        while workers.join_next().await.is_some() {}
        node.cluster.leave().await;
        let closed = closing.close().await;
        match failed {
            Some(reason) => Err(ServeError::Worker(reason)),
            None => Ok(closed?),
        }
    }
}
