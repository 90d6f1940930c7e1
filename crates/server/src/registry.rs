//! The registry of sessions as this node reads it: where users are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::{Member, NodeIncarnation, living};
use banter_store::sessions::{SessionsError, USERS_AT_ONCE};
use banter_store::{Cluster, Sessions};

use crate::delivery::routing::{Numbers, Places};

/// The longest that delivery waits for the registry; after it everything goes everywhere.
const PATIENCE: Duration = Duration::from_millis(50);

/// The registry of sessions, with the members that its entries are about.
pub struct Registry {
    /// The engine itself.
    pub sessions: Arc<dyn Sessions>,
    /// The cluster whose members the gateways are.
    pub cluster: Arc<dyn Cluster>,
}

impl Registry {
    /// Where `users` have sessions, for delivery.
    pub async fn places(&self, users: &[UserId]) -> Places {
        let members = self.cluster.members().borrow().clone();
        let unlisted = members.iter().filter(|member| member.condition.unlisted).map(|member| member.node.number).collect();
        if users.is_empty() {
            return Places { of: Some(HashMap::new()), unlisted };
        }
        let of = match tokio::time::timeout(PATIENCE, self.living(users, &members)).await {
            Ok(Ok(of)) => Some(of),
            Ok(Err(error)) => {
                tracing::debug!(%error, "sent to all gateways");
                None
            }
            Err(_) => None,
        };
        Places { of, unlisted }
    }

    /// The gateways where each of `users` has sessions, this one included.
    ///
    /// # Errors
    /// When the registry does not answer.
    pub async fn gateways(&self, users: &[UserId]) -> Result<HashMap<UserId, Numbers>, SessionsError> {
        let members = self.cluster.members().borrow().clone();
        self.living(users, &members).await
    }

    /// This node in its present life.
    pub fn node(&self) -> NodeIncarnation {
        self.cluster.node()
    }

    async fn living(&self, users: &[UserId], members: &[Member]) -> Result<HashMap<UserId, Numbers>, SessionsError> {
        let mut gateways: HashMap<UserId, Numbers> = HashMap::new();
        for part in users.chunks(USERS_AT_ONCE) {
            for (user, node) in self.sessions.gateways(part).await? {
                let numbers = gateways.entry(user).or_default();
                if living(members, node).is_some() && !numbers.contains(&node.number) {
                    numbers.push(node.number);
                }
            }
        }
        gateways.retain(|_, numbers| !numbers.is_empty());
        Ok(gateways)
    }
}

#[cfg(test)]
mod tests {
    use banter_store::cluster::{NodeProfile, Roles};
    use banter_store::embedded::cluster::EmbeddedCluster;
    use banter_store::embedded::sessions::EmbeddedSessions;

    use super::*;

    const ADA: UserId = UserId(1);

    fn profile() -> NodeProfile {
        NodeProfile {
            roles: Roles::all(),
            client_url: String::new(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        }
    }

    #[tokio::test]
    async fn only_living_gateways_count() {
        let cluster = EmbeddedCluster::new();
        let (here, there) = (Arc::new(cluster.join(profile()).unwrap()), cluster.join(profile()).unwrap());
        let sessions = Arc::new(EmbeddedSessions::new());
        let registry = Registry { sessions: sessions.clone(), cluster: here.clone() };
        sessions.update(here.node(), &[ADA], &[]).await.unwrap();
        sessions.update(there.node(), &[ADA, UserId(2)], &[]).await.unwrap();
        let found = registry.gateways(&[ADA, UserId(2), UserId(3)]).await.unwrap();
        assert_eq!((found.len(), found[&ADA].len(), &found[&UserId(2)][..]), (2, 2, &[1][..]));
        there.update(&|condition| condition.unlisted = true);
        assert_eq!(registry.places(&[ADA]).await.unlisted[..], [1]);
        drop(there);
        let places = registry.places(&[ADA, UserId(2)]).await;
        assert_eq!(places.of.unwrap().into_iter().collect::<Vec<_>>(), [(ADA, Numbers::from_slice(&[0]))]);
        assert!(places.unlisted.is_empty());
    }
}
