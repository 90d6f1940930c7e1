//! What a node of a fleet has besides what every server has.

use std::sync::Arc;
use std::time::Duration;

use banter_store::{Cluster, Sessions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::auth::removed_devices;
use crate::clock;
use crate::delivery::incoming::Incoming;
use crate::delivery::links::Links;
use crate::delivery::outgoing::{FleetDelivery, Outgoing, Waiting};
use crate::delivery::{NodeKey, NodeTls};
use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::node::Node;
use crate::readiness;
use crate::registry::Registry;
use crate::worker::delivery::Delivery;

/// How often the directory is asked which devices were removed: what notices lost.
const REMOVED_EVERY: Duration = Duration::from_secs(5);
/// How often others are told how many sessions are here.
const LOAD_EVERY: Duration = Duration::from_secs(2);

/// The parts of a node that know of other nodes.
pub(super) struct Fleet {
    pub(super) registry: Arc<Registry>,
    pub(super) outgoing: Arc<Outgoing>,
    links: Arc<Links>,
    waiting: Waiting,
    key: NodeKey,
    tls: Option<NodeTls>,
    listener: TcpListener,
}

impl Fleet {
    pub(super) fn new(
        sessions: Arc<dyn Sessions>,
        cluster: Arc<dyn Cluster>,
        key: &[u8; 32],
        metrics: Arc<Metrics>,
        listener: TcpListener,
        tls: Option<NodeTls>,
    ) -> Self {
        let key = NodeKey::new(key);
        let registry = Arc::new(Registry { sessions, cluster: cluster.clone() });
        let links = Links::new(cluster, key.clone(), tls.clone(), metrics);
        let (outgoing, waiting) = Outgoing::new(links.clone(), registry.clone());
        Fleet { registry, outgoing, links, waiting, key, tls, listener }
    }

    /// Delivery of workers: to `gateway` and to other nodes.
    pub(super) fn delivery(&self, gateway: Arc<Gateway>) -> Arc<dyn Delivery> {
        Arc::new(FleetDelivery::new(gateway, self.outgoing.clone()))
    }

    /// Begins everything that runs beside the roles. What is left at the end is for [`Ending`].
    pub(super) fn begin(self, node: &Arc<Node>, gateway: &Arc<Gateway>, background: &mut JoinSet<()>) -> Ending {
        let Fleet { outgoing, links, waiting, key, tls, listener, .. } = self;
        let incoming = Incoming::new(gateway.clone(), node.notices.clone(), node.cluster.clone());
        // Before anything is sent: the members that are known have their links.
        links.follow(&node.cluster.members().borrow().clone());
        background.spawn(links.clone().run());
        background.spawn(incoming.clone().serve(listener, key, tls));
        background.spawn(incoming.watch());
        background.spawn(node.presence.clone().register());
        background.spawn(read_removed_devices(node.clone()));
        background.spawn(tell_load(node.clone()));
        let watched = node.clone();
        background.spawn(async move { readiness::watch(&watched).await });
        let sending = tokio::spawn(waiting.run());
        Ending { outgoing, links, sending }
    }
}

/// What is to be ended when nothing more is to be sent.
pub(super) struct Ending {
    outgoing: Arc<Outgoing>,
    links: Arc<Links>,
    sending: tokio::task::JoinHandle<()>,
}

impl Ending {
    /// Waits until what waits is looked up, then says farewell to the other nodes; each within `patience`.
    pub(super) async fn finish(self, patience: Duration) {
        if !self.outgoing.all_sent(patience).await {
            // Else the farewell would say that they have everything.
            self.links.all_missed();
        }
        self.links.end(patience).await;
        self.sending.abort();
    }
}

/// Devices that were removed on other nodes, whose notices may be lost.
async fn read_removed_devices(node: Arc<Node>) {
    let mut interval = tokio::time::interval(REMOVED_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut since = clock::now();
    loop {
        interval.tick().await;
        let now = clock::now();
        // A little of it again: the times are those of other nodes' clocks, and rows become visible later than their times say.
        match node.directory.removed_devices(since.saturating_sub(removed_devices::CLOCKS_DIFFER_MS)).await {
            Ok(removed) => {
                since = now;
                for (device, user, at) in removed {
                    if !node.removed_devices.contains(device) {
                        node.removed_devices.insert(device, at);
                        node.hub.sign_out(user, device);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "removed devices are not read"),
        }
    }
}

/// Tells the other nodes how many sessions are here.
async fn tell_load(node: Arc<Node>) {
    let mut interval = tokio::time::interval(LOAD_EVERY);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        let load = u32::try_from(node.metrics.sessions.get()).unwrap_or(0);
        node.cluster.update(&move |condition| condition.load = load);
    }
}
