//! Which gateways in the registry are dead.

use std::collections::BTreeSet;

use crate::cluster::{Member, NodeIncarnation, living};

/// Gateways that are in the registry and not among the members. One that has just joined may be heard of in the registry first,
/// so only who is missing twice in a row is dead.
#[derive(Debug, Default)]
pub struct Suspects(BTreeSet<NodeIncarnation>);

impl Suspects {
    /// Those of `nodes` ([`super::Sessions::nodes`]) whose entries are to be swept. To be asked every few seconds, and only while this
    /// node's own lease is held: else the members are of an earlier time, and are not to be relied on.
    pub fn dead(&mut self, nodes: &[NodeIncarnation], members: &[Member]) -> Vec<NodeIncarnation> {
        let missing: BTreeSet<NodeIncarnation> = nodes.iter().copied().filter(|node| living(members, *node).is_none()).collect();
        let dead = missing.intersection(&self.0).copied().collect();
        self.0 = missing;
        dead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Condition, NodeProfile, Roles};

    fn member(number: u16, incarnation: u64) -> Member {
        let profile = NodeProfile {
            roles: Roles::all(),
            client_url: String::new(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        };
        Member { node: NodeIncarnation { number, incarnation }, profile, condition: Condition::default() }
    }

    #[test]
    fn who_is_missing_twice_is_dead() {
        let node = |number, incarnation| NodeIncarnation { number, incarnation };
        let mut suspects = Suspects::default();
        let nodes = [node(1, 10), node(2, 20), node(3, 30), node(3, 31)];
        let members = [member(1, 10), member(3, 31)];
        assert_eq!(suspects.dead(&nodes, &members), [], "node 2 may have joined a moment ago");
        assert_eq!(
            suspects.dead(&nodes, &[member(1, 10), member(2, 20), member(3, 31)]),
            [node(3, 30)],
            "a life before the present"
        );
        assert_eq!(suspects.dead(&nodes, &members), [node(3, 30)], "node 2 was there in between");
        assert_eq!(suspects.dead(&nodes, &members), [node(2, 20), node(3, 30)]);
        assert_eq!(suspects.dead(&[node(1, 10)], &members), []);
    }
}
