//! The cluster within one process: a single server, which is its only member; or several nodes that are tried together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use banter_model::Millis;
use banter_model::snowflake::NODES;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::id_floor::RESERVED_MS;
use crate::cluster::{Cluster, Condition, IdFloor, JoinError, Lease, Member, NodeIncarnation, NodeProfile, Standing};

/// A cluster whose nodes all live in this process. Clones are the same cluster.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedCluster(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    members: watch::Sender<Arc<[Member]>>,
    numbers: Mutex<BTreeMap<u16, Number>>,
}

/// What stays of a number when its node is gone.
#[derive(Debug, Default, Clone)]
struct Number {
    incarnation: u64,
    until: Arc<AtomicU64>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared { members: watch::Sender::new(Arc::new([])), numbers: Mutex::default() }
    }
}

impl EmbeddedCluster {
    /// A cluster without members.
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins with the lowest number that is free.
    ///
    /// # Errors
    /// When all numbers are taken.
    pub fn join(&self, profile: NodeProfile) -> Result<EmbeddedMember, JoinError> {
        let mut numbers = self.0.numbers.lock();
        let taken = self.0.members.borrow().clone();
        let free = |number: &u16| taken.iter().all(|member| member.node.number != *number);
        let number = (0..NODES).find(free).ok_or(JoinError::NoNumber)?;
        let kept = numbers.entry(number).or_default();
        kept.incarnation = (kept.incarnation + 1).max(now());
        let node = NodeIncarnation { number, incarnation: kept.incarnation };
        let floor = MemoryFloor { after: kept.until.load(Ordering::Acquire), until: kept.until.clone() };
        Ok(self.enter(node, profile, Arc::new(floor)))
    }

    fn enter(&self, node: NodeIncarnation, profile: NodeProfile, floor: Arc<dyn IdFloor>) -> EmbeddedMember {
        let member = Member { node, profile, condition: Condition::default() };
        self.0.members.send_modify(|members| {
            let mut all = members.to_vec();
            all.push(member);
            all.sort_unstable_by_key(|member| member.node.number);
            *members = all.into();
        });
        let standing = watch::Sender::new(Standing { incarnation: node.incarnation, lease: Lease::Held });
        let floor = Arc::new(WhileMember { floor, ended: AtomicBool::new(false) });
        EmbeddedMember { cluster: self.clone(), node, floor, standing }
    }
}

/// A node of an [`EmbeddedCluster`].
#[derive(Debug)]
pub struct EmbeddedMember {
    cluster: EmbeddedCluster,
    node: NodeIncarnation,
    floor: Arc<WhileMember>,
    standing: watch::Sender<Standing>,
}

/// A floor that gives out nothing more when its node has left.
#[derive(Debug)]
struct WhileMember {
    floor: Arc<dyn IdFloor>,
    ended: AtomicBool,
}

impl IdFloor for WhileMember {
    fn after(&self) -> Millis {
        self.floor.after()
    }

    fn until(&self, now: Millis) -> Millis {
        if self.ended.load(Ordering::Acquire) { 0 } else { self.floor.until(now) }
    }
}

/// How far the ids of a number went, for as long as the process lives.
#[derive(Debug)]
struct MemoryFloor {
    after: Millis,
    until: Arc<AtomicU64>,
}

impl IdFloor for MemoryFloor {
    fn after(&self) -> Millis {
        self.after
    }

    fn until(&self, now: Millis) -> Millis {
        let until = self.until.load(Ordering::Acquire);
        if now <= until { until } else { (now + RESERVED_MS).max(self.until.fetch_max(now + RESERVED_MS, Ordering::AcqRel)) }
    }
}

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The cluster of a single server: its number is leased by the lock of its data folder, and `floor` is kept there.
pub fn alone(number: u16, profile: NodeProfile, floor: Arc<dyn IdFloor>) -> EmbeddedMember {
    EmbeddedCluster::new().enter(NodeIncarnation { number, incarnation: now() }, profile, floor)
}

impl EmbeddedMember {
    fn vanish(&self) {
        self.floor.ended.store(true, Ordering::Release);
        self.cluster.0.members.send_if_modified(|members| {
            let left: Vec<Member> = members.iter().filter(|member| member.node != self.node).cloned().collect();
            let modified = left.len() < members.len();
            if modified {
                *members = left.into();
            }
            modified
        });
    }
}

#[async_trait]
impl Cluster for EmbeddedMember {
    fn number(&self) -> u16 {
        self.node.number
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    fn members(&self) -> watch::Receiver<Arc<[Member]>> {
        self.cluster.0.members.subscribe()
    }

    fn update(&self, change: &dyn Fn(&mut Condition)) {
        self.cluster.0.members.send_if_modified(|members| {
            let Some(place) = members.iter().position(|member| member.node == self.node) else { return false };
            let mut condition = members[place].condition;
            change(&mut condition);
            let modified = condition != members[place].condition;
            if modified {
                let mut all = members.to_vec();
                all[place].condition = condition;
                *members = all.into();
            }
            modified
        });
    }

    fn id_floor(&self) -> Arc<dyn IdFloor> {
        self.floor.clone()
    }

    async fn leave(&self) {
        self.vanish();
        self.standing.send_modify(|standing| standing.lease = Lease::Ended);
    }
}

impl Drop for EmbeddedMember {
    fn drop(&mut self) {
        self.vanish();
    }
}
