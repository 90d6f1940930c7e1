//! What this node has for the others: taken in without waiting, looked up and sent in the background, in order.

use std::sync::Arc;

use banter_model::UserId;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::link::Link;
use super::links::Links;
use super::routing::{self, Places};
use crate::notices::{Elsewhere, Notice};
use crate::registry::Registry;
use crate::worker::delivery::{Applied, Delivery};

/// Rounds of different partitions are looked up beside each other, on so many lanes; those of one partition stay in order.
const LANES: usize = 16;
/// Most rounds that wait on one lane.
const WAITING_ROUNDS: usize = 256;
/// Most rounds that are looked up with one question.
const ROUNDS_AT_ONCE: usize = 32;
/// Most notices that wait.
const WAITING_NOTICES: usize = 8_192;
/// Most notices that are looked up with one question.
const NOTICES_AT_ONCE: usize = 256;

/// Takes in rounds and notices for the other nodes.
pub struct Outgoing {
    links: Arc<Links>,
    lanes: Vec<mpsc::Sender<Applied>>,
    notices: mpsc::Sender<Notice>,
}

/// The other ends, for [`Waiting::run`].
pub struct Waiting {
    links: Arc<Links>,
    registry: Arc<Registry>,
    lanes: Vec<mpsc::Receiver<Applied>>,
    notices: mpsc::Receiver<Notice>,
}

impl Outgoing {
    /// A way in, and what waits behind it.
    pub fn new(links: Arc<Links>, registry: Arc<Registry>) -> (Arc<Outgoing>, Waiting) {
        let (lanes, waiting) = (0..LANES).map(|_| mpsc::channel(WAITING_ROUNDS)).unzip();
        let (notices, waiting_notices) = mpsc::channel(WAITING_NOTICES);
        let waiting = Waiting { links: links.clone(), registry, lanes: waiting, notices: waiting_notices };
        (Arc::new(Outgoing { links, lanes, notices }), waiting)
    }

    /// Hands on a round to the nodes that need something of it.
    pub fn round(&self, round: Applied) {
        if !self.links.any_for_sending() {
            return;
        }
        if self.lanes[round.partition as usize % LANES].try_send(round).is_err() {
            self.links.all_missed();
        }
    }
}

impl Elsewhere for Outgoing {
    fn notify(&self, notice: Notice) {
        if !self.links.any_for_sending() {
            return;
        }
        let ephemeral = matches!(notice, Notice::Frame { ephemeral: true, .. });
        if ephemeral && self.notices.capacity() < WAITING_NOTICES / 2 {
            return;
        }
        if self.notices.try_send(notice).is_err() {
            self.links.all_missed();
        }
    }
}

impl Waiting {
    /// Looks up and sends until [`Outgoing`] is dropped and all is sent.
    pub async fn run(self) {
        let Waiting { links, registry, lanes, mut notices } = self;
        let mut tasks = JoinSet::new();
        for mut lane in lanes {
            let (links, registry) = (links.clone(), registry.clone());
            tasks.spawn(async move {
                let mut rounds = Vec::new();
                while lane.recv_many(&mut rounds, ROUNDS_AT_ONCE).await > 0 {
                    let places = registry.places(&routing::concerned(&rounds)).await;
                    for round in rounds.drain(..) {
                        send_round(&links.for_sending(), &round, &places);
                    }
                }
            });
        }
        tasks.spawn(async move {
            let mut waiting = Vec::new();
            while notices.recv_many(&mut waiting, NOTICES_AT_ONCE).await > 0 {
                let places = registry.places(&told(&waiting)).await;
                for notice in waiting.drain(..) {
                    send_notice(&links.for_sending(), notice, &places);
                }
            }
        });
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "delivery to other nodes");
            }
        }
    }
}

/// Whom notices are for, each once.
fn told(notices: &[Notice]) -> Vec<UserId> {
    let users = notices.iter().filter_map(|notice| match notice {
        Notice::Frame { users, .. } => Some(users),
        _ => None,
    });
    let mut users: Vec<UserId> = users.flatten().copied().collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn send_round(links: &[Arc<Link>], round: &Applied, places: &Places) {
    let nodes: Vec<u16> = links.iter().map(|link| link.node.number).collect();
    for (node, parcels) in routing::rounds(round, places, &nodes) {
        if let Some(link) = links.iter().find(|link| link.node.number == node) {
            parcels.into_iter().for_each(|parcel| link.send(parcel));
        }
    }
}

fn send_notice(links: &[Arc<Link>], notice: Notice, places: &Places) {
    let ephemeral = matches!(notice, Notice::Frame { ephemeral: true, .. });
    let nodes: Vec<u16> = links.iter().map(|link| link.node.number).collect();
    for (node, parcel) in routing::notices(notice, places, &nodes) {
        match links.iter().find(|link| link.node.number == node) {
            Some(link) if ephemeral => link.send_ephemeral(parcel),
            Some(link) => link.send(parcel),
            None => {}
        }
    }
}

/// Delivery of a node in a fleet: to the sessions and requests of its own at once, and on to the others.
pub struct FleetDelivery {
    here: Arc<dyn Delivery>,
    outgoing: Arc<Outgoing>,
}

impl FleetDelivery {
    /// Delivers `here` and through `outgoing`.
    pub fn new(here: Arc<dyn Delivery>, outgoing: Arc<Outgoing>) -> Self {
        FleetDelivery { here, outgoing }
    }
}

impl Delivery for FleetDelivery {
    fn deliver(&self, round: Applied) {
        self.outgoing.round(round.clone());
        self.here.deliver(round);
    }
}
