//! A server: put together from its stores, run, and taken down in order.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use axum::Router;
use banter_store::cluster::{Lease, NodeProfile, Role, Roles};
use banter_store::{CommandQueue, Feed, PartitionAssignment};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::fleet::Fleet;
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
use crate::delivery::incoming;
use crate::discovery::{AddressFile, Discovery, Places};
use crate::gateway::Gateway;
use crate::gateway::hub::Hub;
use crate::gateway::shards::{self, Shards};
use crate::metrics::Metrics;
use crate::node::Node;
use crate::notices::{Elsewhere, Notices};
use crate::origins::WebOrigins;
use crate::presence::Presence;
use crate::rate_limit::RateLimits;
use crate::readiness::Readiness;
use crate::stores::forwarding::ForwardedQueue;
use crate::stores::{Closing, Stores};
use crate::web_app::Policy;
use crate::worker::delivery::Delivery;
use crate::worker::following::Following;
use crate::{api, descriptors, listener, web_app};

/// The longest that sessions are given to take their last frames when the server goes down.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long a node of a fleet that stops listens at least: load balancers ask `/ready` every second or two.
const NOTICED_WITHIN: Duration = Duration::from_secs(3);

/// The longest that clients wait at the start for the registry of sessions.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// A server that is ready: everything is open, and it listens.
pub struct Server {
    node: Arc<Node>,
    gateway: Arc<Gateway>,
    assignment: Option<Box<dyn PartitionAssignment>>,
    feed: Option<Arc<dyn Feed>>,
    fleet: Option<Fleet>,
    roles: Roles,
    gateway_origins: Vec<String>,
    drain: Duration,
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
        let internal = options.internal.as_ref();
        let internal = internal.map(|internal| {
            let listen = |source| ServeError::Listen { address: internal.listen, source };
            incoming::listen(internal.listen, &internal.address).map_err(listen)
        });
        let (internal, internal_address) = internal.transpose()?.unzip();
        let addresses = options.geoip.as_deref().map(AddressFile::open).transpose()?;
        let profile = NodeProfile {
            roles: options.roles,
            client_url: options.client_url.clone(),
            internal_address: internal_address.unwrap_or_default(),
            region: options.region.clone(),
            coordinates: options.coordinates,
            capacity: u32::try_from(capacity).unwrap_or(u32::MAX),
        };
        let stores = opening(profile).await?;
        let Stores { history, queue, unqueued, assignment, feed, directory, cluster, sessions, key, collector, closing } = stores;

        let queue: Arc<dyn CommandQueue> = match sessions {
            Some(_) if count > 0 => Arc::new(ForwardedQueue::new(queue, unqueued.clone())),
            _ => queue,
        };
        let number = cluster.number();
        let metrics = Arc::new(Metrics::with(collector));
        let ids = Arc::new(Ids::new(number, cluster.id_floor()));
        let hub = Arc::new(Hub::new(metrics.clone()));
        let relations = Arc::new(Relations::new(directory.clone()));
        let removed_devices = Arc::new(RemovedDevices::load(&*directory, clock::now()).await?);
        let fleet = match (sessions, internal) {
            (Some(sessions), Some(listener)) => {
                let tls = options.internal.and_then(|internal| internal.tls);
                Some(Fleet::new(sessions, cluster.clone(), &key, metrics.clone(), listener, tls))
            }
            (None, _) => None,
            (Some(_), None) => return Err(ServeError::NoInternalAddress),
        };
        let elsewhere = fleet.as_ref().map(|fleet| -> Arc<dyn Elsewhere> { fleet.outgoing.clone() });
        let notices = Notices::new(number, hub.clone(), relations.clone(), removed_devices.clone(), elsewhere);
        let notices = Arc::new(notices);
        let registry = fleet.as_ref().map(|fleet| fleet.registry.clone());
        let presence =
            Presence::new(directory.clone(), relations.clone(), hub.clone(), notices.clone(), registry, options.presence_grace);
        let points = match fleet {
            None => {
                let partitions: Vec<u32> = (0..queue.partitions()).collect();
                Points::Applied(Recent::new(&history.positions(&partitions).await?, clock::now()))
            }
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
            discovery: Discovery::new(cluster.members(), Places::new(options.place_headers.clone(), addresses)),
            cluster,
            readiness: Readiness::default(),
            web_origins: WebOrigins::new(&options.web_origins, &options.client_url),
            rate_limits: RateLimits::new(&options.rate_limits),
            metrics,
        });
        let gateway = Gateway::new(node.clone(), options.frame_rate, shards, capacity);
        let here: Arc<dyn Delivery> = gateway.clone();
        unqueued.tell(Arc::downgrade(&here));
        gateway.tell_answers(unqueued);
        let listen = |source| ServeError::Listen { address: options.listen, source };
        let listener = listener::bind(options.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let (roles, drain, gateway_origins) = (options.roles, options.drain, options.gateway_origins);
        Ok(Server { node, gateway, assignment, feed, fleet, roles, gateway_origins, drain, closing, listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is done, then takes everything down in order: no new sessions, devices told, the queue drained, all
    /// of it on disk.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { node, gateway, assignment, feed, fleet, roles, gateway_origins, drain, closing, listener, .. } = self;
        let delivery = match &fleet {
            Some(fleet) => fleet.delivery(gateway.clone()),
            None => gateway.clone(),
        };
        let mut background = JoinSet::new();
        // Before the workers begin, so that nothing they have is for a node that is not known yet.
        let ending = fleet.map(|fleet| fleet.begin(&node, &gateway, &mut background));
        let (close, closes) = watch::channel(false);
        let mut workers = match assignment {
            Some(assignment) => {
                let (history, metrics) = (node.history.clone(), node.metrics.clone());
                tokio::spawn(Following::new(assignment, history, delivery, metrics).followed_by(feed).run(closes))
            }
            None => tokio::spawn(async move {
                let mut closes = closes;
                let _ = closes.wait_for(|closes| *closes).await;
                Ok(())
            }),
        };
        node.presence.ready(READY_WITHIN).await;
        let mut listening = JoinSet::new();
        let app = app(&node, &gateway, roles, gateway_origins);
        listening.spawn(listener::serve(listener, app, node.metrics.clone(), shards::http_room(descriptors::limit())));
        background.spawn(gateway.clone().sweep());
        background.spawn(node.presence.clone().run());
        if roles.has(Role::Presence) {
            background.spawn(node.presence.clone().sweep());
        }
        let mut standing = node.cluster.standing();
        let lease_ended = async {
            // A cluster that is no more says nothing.
            if standing.wait_for(|standing| standing.lease == Lease::Ended).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let failed = tokio::select! {
            () = stop => None,
            ended = &mut workers => Some(ServeError::Worker(match ended {
                Ok(Ok(())) => "its queue closed".to_owned(),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            })),
            // Another node has the number now, and would give out the same ids.
            () = lease_ended => Some(ServeError::LeaseEnded),
        };
        node.readiness.drain();
        if failed.is_none() && !drain.is_zero() {
            // Load balancers look first, or new clients would find nobody listening.
            tokio::join!(gateway.drain(drain), tokio::time::sleep(drain.min(NOTICED_WITHIN)));
        }
        // The listener goes first: nobody comes in while the others are told to go.
        listening.shutdown().await;
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
        // Whoever works may have ended before.
        let _ = close.send(true);
        if !workers.is_finished()
            && let Err(error) = workers.await
        {
            tracing::error!(%error, "workers");
        }
        if let Some(ending) = ending {
            ending.finish(FAREWELL).await;
        }
        background.shutdown().await;
        node.cluster.leave().await;
        let closed = closing.close().await;
        match failed {
            Some(error) => Err(error),
            None => Ok(closed?),
        }
    }
}

/// What clients are answered, by what the node does.
fn app(node: &Arc<Node>, gateway: &Arc<Gateway>, roles: Roles, gateway_origins: Vec<String>) -> Router {
    let mut routes = match roles.has(Role::Api) {
        true => api::routes(node).merge(web_app::routes(Policy::new(gateway_origins, Some(node.clone())))),
        false => api::operation_routes(node),
    };
    if roles.has(Role::Gateway) {
        routes = routes.merge(gateway.routes());
    }
    api::finish(node, routes)
}
