//! What this node has for the others: taken in without waiting, looked up and sent in the background, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

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

/// How often it is looked whether all that waits is sent.
const LOOK: Duration = Duration::from_millis(5);

/// Takes in rounds and notices for the other nodes.
pub struct Outgoing {
    links: Arc<Links>,
    /// Rounds and notices that are not handed to the links yet.
    unsent: Arc<AtomicUsize>,
    lanes: Vec<mpsc::Sender<Applied>>,
    notices: mpsc::Sender<Notice>,
}

/// The other ends, for [`Waiting::run`].
pub struct Waiting {
    links: Arc<Links>,
    unsent: Arc<AtomicUsize>,
    registry: Arc<Registry>,
    lanes: Vec<mpsc::Receiver<Applied>>,
    notices: mpsc::Receiver<Notice>,
}

impl Outgoing {
    /// A way in, and what waits behind it.
    pub fn new(links: Arc<Links>, registry: Arc<Registry>) -> (Arc<Outgoing>, Waiting) {
        let (lanes, waiting) = (0..LANES).map(|_| mpsc::channel(WAITING_ROUNDS)).unzip();
        let (notices, waiting_notices) = mpsc::channel(WAITING_NOTICES);
        let unsent = Arc::new(AtomicUsize::new(0));
        let waiting =
            Waiting { links: links.clone(), unsent: unsent.clone(), registry, lanes: waiting, notices: waiting_notices };
        (Arc::new(Outgoing { links, unsent, lanes, notices }), waiting)
    }

    /// Waits until the links have everything that was taken in, at most as long as `patience`. Says whether they have.
    pub async fn all_sent(&self, patience: Duration) -> bool {
        let sent = async {
            while self.unsent.load(Ordering::Acquire) > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(patience, sent).await.is_ok()
    }

    /// Hands on a round to the nodes that need something of it.
    pub fn round(&self, round: Applied) {
        if !self.links.any_for_sending() {
            return;
        }
        self.unsent.fetch_add(1, Ordering::AcqRel);
        if self.lanes[round.partition as usize % LANES].try_send(round).is_err() {
            self.unsent.fetch_sub(1, Ordering::AcqRel);
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
        self.unsent.fetch_add(1, Ordering::AcqRel);
        if self.notices.try_send(notice).is_err() {
            self.unsent.fetch_sub(1, Ordering::AcqRel);
            self.links.all_missed();
        }
    }
}

impl Waiting {
    /// Looks up and sends until [`Outgoing`] is dropped and all is sent.
    pub async fn run(self) {
        let Waiting { links, unsent, registry, lanes, mut notices } = self;
        let mut tasks = JoinSet::new();
        for mut lane in lanes {
            let (links, unsent, registry) = (links.clone(), unsent.clone(), registry.clone());
            tasks.spawn(async move {
                let mut rounds = Vec::new();
                while lane.recv_many(&mut rounds, ROUNDS_AT_ONCE).await > 0 {
                    let places = registry.places(&routing::concerned(&rounds)).await;
                    for round in rounds.drain(..) {
                        send_round(&links.for_sending(), &round, &places);
                        unsent.fetch_sub(1, Ordering::AcqRel);
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
                    unsent.fetch_sub(1, Ordering::AcqRel);
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

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use banter_model::{ConversationId, GroupId, Refusal};
    use banter_store::behaviour::cluster::profile;
    use banter_store::cluster::{NodeIncarnation, NodeProfile, Role, Roles};
    use banter_store::embedded::cluster::EmbeddedCluster;
    use banter_store::embedded::sessions::EmbeddedSessions;
    use banter_store::sessions::{SessionsError, ShardCount};
    use banter_store::{Cluster, Origin, Sessions};

    use super::*;
    use crate::delivery::NodeKey;
    use crate::metrics::Metrics;
    use crate::worker::delivery::Outcome;

    /// A registry that takes its time.
    struct Slow(EmbeddedSessions);

    #[async_trait]
    impl Sessions for Slow {
        async fn announce(&self, at: NodeIncarnation) -> Result<(), SessionsError> {
            self.0.announce(at).await
        }

        async fn update(&self, at: NodeIncarnation, here: &[UserId], gone: &[UserId]) -> Result<Vec<ShardCount>, SessionsError> {
            self.0.update(at, here, gone).await
        }

        async fn gateways(&self, users: &[UserId]) -> Result<Vec<(UserId, NodeIncarnation)>, SessionsError> {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.0.gateways(users).await
        }

        async fn counts(&self, at: NodeIncarnation) -> Result<Vec<ShardCount>, SessionsError> {
            self.0.counts(at).await
        }

        async fn registered(&self, at: NodeIncarnation, shard: u32) -> Result<Vec<UserId>, SessionsError> {
            self.0.registered(at, shard).await
        }

        async fn nodes(&self) -> Result<Vec<NodeIncarnation>, SessionsError> {
            self.0.nodes().await
        }

        async fn sweep(&self, dead: NodeIncarnation, limit: usize) -> Result<Vec<UserId>, SessionsError> {
            self.0.sweep(dead, limit).await
        }
    }

    #[tokio::test]
    async fn a_node_that_stops_waits_until_all_is_looked_up() {
        let cluster = EmbeddedCluster::new();
        // Nobody listens there.
        let profile = |role| NodeProfile { roles: Roles::from_iter([role]), ..profile("127.0.0.1:1") };
        let own: Arc<dyn Cluster> = Arc::new(cluster.join(profile(Role::Worker)).unwrap());
        let gateway = cluster.join(profile(Role::Gateway)).unwrap();
        let links = Links::new(own.clone(), NodeKey::new(&[1; 32]), None, Arc::new(Metrics::default()));
        links.follow(&own.members().borrow().clone());
        let registry = Arc::new(Registry { sessions: Arc::new(Slow(EmbeddedSessions::new())), cluster: own });
        let (outgoing, waiting) = Outgoing::new(links.clone(), registry);
        // An answer for a session there.
        let outcome = |session| Outcome {
            origin: Origin { gateway: gateway.node().number, session },
            sender: UserId(1),
            conversation: ConversationId::Group(GroupId(7)),
            tag: None,
            weight: 1,
            answer: Err(Refusal::NotAMember.into()),
            news: None,
        };
        let sending = tokio::spawn(waiting.run());
        for number in 0..100 {
            outgoing.round(Applied { partition: 3, stored_up_to: None, outcomes: vec![outcome(number)] });
        }
        assert!(!outgoing.all_sent(Duration::ZERO).await);
        assert!(outgoing.all_sent(Duration::from_secs(60)).await);
        assert_eq!(links.for_sending()[0].parcels_waiting(), 100);
        sending.abort();
    }
}
