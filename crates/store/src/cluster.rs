//! The cluster: which nodes there are, what each is for, and who has which number.
//!
//! A node joins under a number that nobody else has. It is a member for as long as it keeps in touch with the engine, and
//! everybody sees it come and go.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use banter_model::Millis;
use banter_model::discovery::Coordinates;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::sync::watch;

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Role {
    /// Answers the HTTP API.
    Api,
    /// Holds the connections of devices: the chat server.
    Gateway,
    /// Applies the queue to the logs.
    Worker,
    /// Clears up after dead gateways and tells friends.
    Presence,
}

impl Role {
    /// All of them.
    pub const ALL: [Role; 4] = [Role::Api, Role::Gateway, Role::Worker, Role::Presence];

    /// Its name in configuration, and between nodes.
    pub fn name(self) -> &'static str {
        match self {
            Role::Api => "api",
            Role::Gateway => "gateway",
            Role::Worker => "worker",
            Role::Presence => "presence",
        }
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The roles of one node.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Roles(u8);

impl Roles {
    /// Every role.
    pub fn all() -> Roles {
        Role::ALL.into_iter().collect()
    }

    /// Is `role` among them?
    pub fn has(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }

    /// Is there none?
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.has(*role))
    }
}

impl FromIterator<Role> for Roles {
    fn from_iter<I: IntoIterator<Item = Role>>(roles: I) -> Self {
        Roles(roles.into_iter().fold(0, |bits, role| bits | 1 << role as u8))
    }
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for Roles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Role::name))
    }
}

impl<'de> Deserialize<'de> for Roles {
    /// A role that this version does not know is left out: a newer node has it.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(names.iter().filter_map(|name| Role::named(name)).collect())
    }
}

/// A node in one of its lives. Numbers are used again, and what was noted of a node before it died must not count for the one
/// that has its number now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeIncarnation {
    /// The leased number, below [`banter_model::snowflake::NODES`].
    pub number: u16,
    /// Greater with each life that has the number. A time in milliseconds since the Unix epoch, or a little later, so that it
    /// also grows when the engine has lost everything.
    pub incarnation: u64,
}

/// What a node says of itself when it joins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeProfile {
    /// What it does.
    pub roles: Roles,
    /// Where clients reach it (`https://chat-7.example.org`); empty for "where they asked".
    pub client_url: String,
    /// Where other nodes reach it (`host:port`).
    pub internal_address: String,
    /// The region that it is in, as the operator names it; empty if there is but one.
    #[serde(default)]
    pub region: String,
    /// Where it is.
    #[serde(default)]
    pub coordinates: Option<Coordinates>,
    /// Most sessions that it holds.
    pub capacity: u32,
}

/// What changes about a node while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Condition {
    /// Sessions that it holds, roughly: others hear of small changes late or not at all.
    #[serde(default)]
    pub load: u32,
    /// It is about to stop: nobody new is sent to it.
    #[serde(default)]
    pub draining: bool,
    /// Not all of its users are in the registry ([`crate::Sessions`]), because it cannot be written: workers send it everything.
    #[serde(default)]
    pub unlisted: bool,
}

/// A node as others see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// Which node, in which of its lives.
    #[serde(flatten)]
    pub node: NodeIncarnation,
    /// What it said when it joined.
    #[serde(flatten)]
    pub profile: NodeProfile,
    /// How it is.
    #[serde(flatten)]
    pub condition: Condition,
}

/// The member whose life `node` is, or the life before: who is just joining again under its own number is heard of in the
/// registry before it is heard of here. `members` is as [`Cluster::members`] gives it.
pub fn living(members: &[Member], node: NodeIncarnation) -> Option<&Member> {
    let found = members.binary_search_by_key(&node.number, |member| member.node.number).ok()?;
    Some(&members[found]).filter(|member| member.node.incarnation <= node.incarnation)
}

/// Does this node have its number?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// It is a member.
    Held,
    /// It is out of touch with the engine, and others may soon take it for dead. It goes on serving what needs no new ids;
    /// ids stop before the number can be given to another. It joins again under the same number by itself, in a new life.
    InDoubt,
    /// It left, or another node has its number: this process will never be a member again, and should end.
    Ended,
}

/// How a node stands with the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The life that others see or have last seen. It changes when the node was taken for dead and has joined again: what was
    /// noted under the life before is swept, so the sessions are to be registered anew.
    pub incarnation: u64,
    /// Whether the number is its own.
    pub lease: Lease,
}

/// A node cannot join.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The engine is not reached, or does not answer in time.
    #[error("the cluster is not reached: {0}")]
    Unreachable(String),
    /// All numbers are taken.
    #[error("all {} node numbers are taken", banter_model::snowflake::NODES)]
    NoNumber,
    /// The engine refuses (credentials, permissions), or holds what this version cannot read.
    #[error("the cluster refuses: {0}")]
    Refused(String),
}

/// The cluster as one of its nodes sees it. Dropping it without [`Cluster::leave`] is a death: others see it when the engine
/// notices.
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// The leased number of this node. It stays the same for as long as the process lives.
    fn number(&self) -> u16;

    /// How this node stands, now and whenever it changes.
    fn standing(&self) -> watch::Receiver<Standing>;

    /// All members, this one included, in order of their numbers; now and whenever they change. While the engine is away it
    /// stays what was last known.
    fn members(&self) -> watch::Receiver<Arc<[Member]>>;

    /// Changes what others know of this node's condition. Returns at once; it is told to the others soon, draining and unlisted
    /// at once, a load when it differs enough to matter, and after the engine was away what is true then.
    fn update(&self, change: &dyn Fn(&mut Condition));

    /// How far ids with this node's number may go.
    fn id_floor(&self) -> Arc<dyn IdFloor>;

    /// Ends the membership: others see it at once. Ids stop. Done (or given up after a bounded time) when it returns.
    async fn leave(&self);

    /// This node in its present life.
    fn node(&self) -> NodeIncarnation {
        NodeIncarnation { number: self.number(), incarnation: self.standing().borrow().incarnation }
    }
}

/// How far ids of a leased number may go, so that none is given out twice, whoever has the number and whatever the clocks do.
///
/// The floor is kept where it outlives the node, and is raised ahead of time: never a write for each id.
pub trait IdFloor: Send + Sync + fmt::Debug + 'static {
    /// Ids must be of a later time: up to this one the number may have been used before.
    fn after(&self) -> Millis;

    /// Up to when ids may be given out; `now` is the time by the clock. If that is before `now`, none may be given out at
    /// present. Waits for nothing longer than a small write to a local file.
    fn until(&self, now: Millis) -> Millis;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(number: u16, incarnation: u64) -> Member {
        let profile = NodeProfile {
            roles: [Role::Gateway, Role::Api].into_iter().collect(),
            client_url: String::new(),
            internal_address: "10.0.0.1:7000".to_owned(),
            region: String::new(),
            coordinates: None,
            capacity: 10,
        };
        Member { node: NodeIncarnation { number, incarnation }, profile, condition: Condition::default() }
    }

    #[test]
    fn only_the_present_life_or_the_next_counts() {
        let members = [member(3, 50), member(7, 60)];
        let number =
            |number, incarnation| living(&members, NodeIncarnation { number, incarnation }).map(|found| found.node.number);
        assert_eq!([number(3, 50), number(7, 60), number(7, 61)], [Some(3), Some(7), Some(7)]);
        assert_eq!([number(3, 49), number(4, 50), number(8, 99)], [None; 3]);
    }

    #[test]
    fn roles_are_names_and_unknown_ones_are_left_out() {
        let roles: Roles = [Role::Worker, Role::Api].into_iter().collect();
        assert!(roles.has(Role::Api) && !roles.has(Role::Gateway) && !roles.is_empty());
        assert_eq!(roles.iter().map(Role::name).collect::<Vec<_>>(), ["api", "worker"]);
        assert_eq!(Roles::all().iter().count(), Role::ALL.len());
        assert!(Role::ALL.into_iter().all(|role| Role::named(role.name()) == Some(role)));
    }
}
