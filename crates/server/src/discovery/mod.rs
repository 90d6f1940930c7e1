//! Which chat servers a client is told of: the members of the cluster, ranked by how near they are and how much room they have.

mod addresses;
mod place;

use std::sync::Arc;

use banter_model::discovery::{Candidate, ClientPlace, rank};
use banter_protocol::api::ChatServer;
use banter_store::cluster::{Member, Role};
use tokio::sync::watch;

pub use addresses::{AddressFile, AddressFileError};
pub use place::{PLACE_HEADER, PlaceHeaders, Places};

/// Names chat servers. What it knows of them is what was last heard of the cluster, so it works while the cluster is away.
pub struct Discovery {
    members: watch::Receiver<Arc<[Member]>>,
    places: Places,
}

impl Discovery {
    /// Names servers among `members` ([`banter_store::Cluster::members`]) to clients whose places are found by `places`.
    pub fn new(members: watch::Receiver<Arc<[Member]>>, places: Places) -> Self {
        Discovery { members, places }
    }

    /// Where clients are.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// The members, as last heard of.
    pub fn members(&self) -> Arc<[Member]> {
        self.members.borrow().clone()
    }

    /// The chat servers for a client at `place`, best first: at least one, "where you asked" if no other is known. `random` spreads
    /// clients over servers that are equally good.
    pub fn servers(&self, place: &ClientPlace, random: u64) -> Vec<ChatServer> {
        let members = self.members.borrow().clone();
        let gateways: Vec<&Member> = members.iter().filter(|member| member.profile.roles.has(Role::Gateway)).collect();
        let candidates: Vec<Candidate<'_>> = gateways.iter().copied().map(candidate).collect();
        let mut servers: Vec<ChatServer> = Vec::new();
        for place in rank(&candidates, place, random) {
            let server = ChatServer { url: gateways[place].profile.client_url.clone() };
            // Several behind one balancer have one address.
            if !servers.contains(&server) {
                servers.push(server);
            }
        }
        if servers.is_empty() {
            servers.push(ChatServer { url: String::new() });
        }
        servers
    }
}

fn candidate(member: &Member) -> Candidate<'_> {
    let (profile, condition) = (&member.profile, &member.condition);
    Candidate {
        region: &profile.region,
        coordinates: profile.coordinates,
        capacity: profile.capacity,
        load: condition.load,
        draining: condition.draining,
    }
}

/// Knows of no other server: a client is told to stay where it asked.
impl Default for Discovery {
    fn default() -> Self {
        Discovery::new(watch::Sender::new(Arc::from([])).subscribe(), Places::default())
    }
}

#[cfg(test)]
mod tests {
    use banter_model::discovery::Coordinates;
    use banter_store::cluster::{Condition, NodeIncarnation, NodeProfile, Roles};

    use super::*;

    fn member(number: u16, url: &str, region: &str, role: Role) -> Member {
        let profile = NodeProfile {
            roles: Roles::from_iter([role]),
            client_url: url.to_owned(),
            internal_address: String::new(),
            region: region.to_owned(),
            coordinates: (region == "eu").then_some(Coordinates { latitude: 50.0, longitude: 8.0 }),
            capacity: 100,
        };
        Member { node: NodeIncarnation { number, incarnation: 1 }, profile, condition: Condition::default() }
    }

    fn urls(discovery: &Discovery, region: &str) -> Vec<String> {
        let place = ClientPlace { region: region.to_owned(), coordinates: None };
        discovery.servers(&place, 7).into_iter().map(|server| server.url).collect()
    }

    #[test]
    fn gateways_near_by_come_first_and_the_last_known_stay() {
        let eu = member(1, "https://eu", "eu", Role::Gateway);
        let mut members = vec![eu.clone(), member(2, "https://us", "us", Role::Gateway), member(3, "", "eu", Role::Worker)];
        let sender = watch::Sender::new(Arc::<[Member]>::from(members.clone()));
        let discovery = Discovery::new(sender.subscribe(), Places::default());
        assert_eq!(urls(&discovery, "eu"), ["https://eu", "https://us"]);
        assert_eq!(urls(&discovery, "us"), ["https://us", "https://eu"]);
        members[1].condition.draining = true;
        members.push(member(4, "https://eu", "eu", Role::Gateway));
        sender.send_replace(members.into());
        drop(sender);
        assert_eq!(urls(&discovery, "us"), ["https://eu"], "each address once, and no draining one");
    }

    #[test]
    fn a_single_server_names_itself() {
        assert_eq!(urls(&Discovery::default(), "eu"), [""]);
    }
}
