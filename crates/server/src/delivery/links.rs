//! One stream to every other node with sessions or requests.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use banter_store::Cluster;
use banter_store::cluster::{Member, Role};
use parking_lot::Mutex;

use super::link::Link;
use super::{NodeKey, NodeTls};
use crate::metrics::Metrics;

/// Does the node hold sessions or requests, for which others have something?
pub(super) fn takes_parcels(member: &Member) -> bool {
    let roles = member.profile.roles;
    roles.has(Role::Gateway) || roles.has(Role::Api)
}

/// The streams to all other nodes that hold sessions or requests.
pub struct Links {
    cluster: Arc<dyn Cluster>,
    key: NodeKey,
    tls: Option<NodeTls>,
    metrics: Arc<Metrics>,
    links: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    links: HashMap<u16, Arc<Link>>,
    /// Something was sent to anybody: a node that is found from now on may have missed it.
    sent: bool,
    ended: bool,
}

impl Links {
    /// No links yet: [`Links::run`] makes them, over TLS if there is `tls`.
    pub fn new(cluster: Arc<dyn Cluster>, key: NodeKey, tls: Option<NodeTls>, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Links { cluster, key, tls, metrics, links: Mutex::default() })
    }

    /// Follows the members of the cluster for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        let mut members = self.cluster.members();
        loop {
            let now = members.borrow_and_update().clone();
            self.follow(&now);
            if members.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Makes links to the members that have none, and drops those to nodes that are no members any more.
    pub fn follow(self: &Arc<Self>, members: &[Member]) {
        let own = self.cluster.number();
        let wanted = |member: &&Member| member.node.number != own && takes_parcels(member);
        let mut known = self.links.lock();
        if known.ended {
            return;
        }
        let wanted: Vec<&Member> = members.iter().filter(wanted).collect();
        known.links.retain(|_, link| {
            let stays = wanted.iter().any(|member| link.is_to(member));
            if !stays {
                link.abort();
            }
            stays
        });
        for member in wanted {
            if !known.links.contains_key(&member.node.number) {
                let link = self.link(member, known.sent);
                known.links.insert(member.node.number, link);
            }
        }
    }

    fn link(self: &Arc<Self>, member: &Member, missed: bool) -> Arc<Link> {
        let link = Link::new(member, missed, self.metrics.clone());
        link.start(self.cluster.clone(), self.key.clone(), self.tls.clone());
        link
    }

    /// The links there are, for something that is about to be sent to some of them. Those of nodes that are found later begin
    /// by saying that something was missed.
    pub fn for_sending(&self) -> Vec<Arc<Link>> {
        let mut known = self.links.lock();
        known.sent = true;
        known.links.values().cloned().collect()
    }

    /// Is there a node besides this one? The same promise as [`Links::for_sending`].
    pub fn any_for_sending(&self) -> bool {
        let mut known = self.links.lock();
        known.sent = true;
        !known.links.is_empty()
    }

    /// Something was dropped before it was known for whom it is.
    pub fn all_missed(&self) {
        for link in self.for_sending() {
            link.missed();
        }
    }

    /// Nothing more is sent: each node is told that it has everything, within `patience`.
    pub async fn end(&self, patience: Duration) {
        let links: Vec<Arc<Link>> = {
            let mut known = self.links.lock();
            known.ended = true;
            known.links.drain().map(|(_, link)| link).collect()
        };
        links.iter().for_each(|link| link.end());
        let deadline = tokio::time::Instant::now() + patience;
        for link in links {
            link.ended(deadline).await;
        }
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        self.links.lock().links.values().for_each(|link| link.abort());
    }
}

#[cfg(test)]
mod tests {
    use banter_store::behaviour::cluster::profile;
    use banter_store::cluster::{NodeProfile, Roles};
    use banter_store::embedded::cluster::EmbeddedCluster;

    use super::*;

    #[tokio::test]
    async fn links_follow_the_members() {
        let cluster = EmbeddedCluster::new();
        // Nobody listens there.
        let profile = |role| NodeProfile { roles: Roles::from_iter([role]), ..profile("127.0.0.1:1") };
        let own: Arc<dyn Cluster> = Arc::new(cluster.join(profile(Role::Gateway)).unwrap());
        let _worker = cluster.join(profile(Role::Worker)).unwrap();
        let gateway = cluster.join(profile(Role::Gateway)).unwrap();
        let links = Links::new(own.clone(), NodeKey::new(&[1; 32]), None, Arc::new(Metrics::default()));
        let follow = || {
            let members = own.members().borrow().clone();
            links.follow(&members);
            let mut numbers: Vec<u16> = links.links.lock().links.keys().copied().collect();
            numbers.sort_unstable();
            numbers
        };
        assert_eq!(follow(), [2], "itself and those without sessions or requests have none");
        assert!(links.any_for_sending());
        let api = cluster.join(profile(Role::Api)).unwrap();
        assert_eq!(follow(), [2, 3]);
        let missed = |number: u16| links.links.lock().links[&number].has_missed();
        assert!(missed(3) && !missed(2), "who is found after something was sent may have missed it");
        drop((gateway, api));
        assert!(follow().is_empty());
        links.end(Duration::ZERO).await;
    }
}
