//! What every [`Cluster`] does.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_model::discovery::Coordinates;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::cluster::{Cluster, Lease, Member, NodeProfile, Role, living};

/// The longest that is waited for something to be seen; what takes so long does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The profile of a node at this address.
pub fn profile(internal_address: &str) -> NodeProfile {
    NodeProfile {
        roles: [Role::Api, Role::Gateway].into_iter().collect(),
        client_url: format!("https://{internal_address}"),
        internal_address: internal_address.to_owned(),
        region: "eu".to_owned(),
        coordinates: Some(Coordinates { latitude: 50.11, longitude: 8.68 }),
        capacity: 1_000,
    }
}

/// Waits until the members are as `wanted`, and returns them.
pub async fn see(node: &dyn Cluster, what: &str, wanted: impl Fn(&[Member]) -> bool) -> Arc<[Member]> {
    let mut members = node.members();
    let seen = timeout(PATIENCE, members.wait_for(|members| wanted(members))).await.map(|seen| seen.unwrap().clone());
    seen.unwrap_or_else(|_| panic!("never seen: {what}; the members are {:?}", node.members().borrow()))
}

/// Waits until ids may be given out, and returns up to when.
pub async fn some_ids(node: &dyn Cluster) -> Millis {
    let floor = node.id_floor();
    let wait = async {
        loop {
            let now = now();
            let until = floor.until(now);
            if until >= now && now > floor.after() {
                return until;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, wait).await.expect("no ids")
}

fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as Millis
}

fn addresses(members: &[Member]) -> Vec<&str> {
    let mut addresses: Vec<&str> = members.iter().map(|member| member.profile.internal_address.as_str()).collect();
    addresses.sort_unstable();
    addresses
}

async fn ended(mut standing: watch::Receiver<crate::cluster::Standing>) {
    let ended = standing.wait_for(|standing| standing.lease == Lease::Ended);
    timeout(PATIENCE, ended).await.expect("the lease did not end").unwrap();
}

/// Nodes of an empty cluster see each other come, change, leave and die. `join` makes a node; `die` ends one without a farewell.
pub async fn members_come_and_go<C: Cluster>(join: impl AsyncFn(NodeProfile) -> C, die: impl AsyncFn(C)) {
    let one = join(profile("one:1")).await;
    assert_eq!(one.standing().borrow().lease, Lease::Held);
    let two = join(profile("two:1")).await;
    let three = join(profile("three:1")).await;
    for node in [&one, &two, &three] {
        let members = see(node, "all three", |members| members.len() == 3).await;
        assert_eq!(addresses(&members), ["one:1", "three:1", "two:1"]);
        assert!(members.is_sorted_by(|a, b| a.node.number < b.node.number));
        let own = living(&members, node.node()).unwrap();
        assert_eq!(own.node, node.node());
        assert_eq!(
            (own.node.number, &own.profile.client_url),
            (node.number(), &format!("https://{}", own.profile.internal_address))
        );
        assert_eq!(own.profile, profile(&own.profile.internal_address), "all that was said is told");
    }

    two.update(&|condition| (condition.draining, condition.load) = (true, 70));
    two.update(&|condition| condition.load = 800);
    let changed = |members: &[Member]| {
        let of_two = members.iter().find(|member| member.node == two.node()).map(|member| member.condition);
        of_two.is_some_and(|condition| condition.draining && condition.load == 800 && !condition.unlisted)
    };
    see(&one, "the condition of two", changed).await;
    see(&two, "its own condition", changed).await;

    let (standing, floor) = (two.standing(), two.id_floor());
    two.leave().await;
    ended(standing).await;
    assert_eq!(floor.until(now()), 0, "who has left gives out no ids");
    see(&one, "two is gone", |members| addresses(members) == ["one:1", "three:1"]).await;

    die(three).await;
    see(&one, "three is gone", |members| addresses(members) == ["one:1"]).await;
    assert_eq!(one.standing().borrow().lease, Lease::Held);
}

/// Life after life, and several at a time: nobody shares a number, a number's lives are told apart, and ids of a later one begin
/// after all that an earlier one may have given out.
pub async fn numbers_are_leased<C: Cluster>(join: impl AsyncFn(NodeProfile) -> C, die: impl AsyncFn(C), lives: usize) {
    // Of each number: the last life, and how far its ids went.
    let mut last: HashMap<u16, (u64, Millis)> = HashMap::new();
    let mut reused = 0;
    for life in 0..lives {
        let nodes = [join(profile("a:1")).await, join(profile("b:1")).await];
        assert_ne!(nodes[0].number(), nodes[1].number());
        for node in &nodes {
            let after = node.id_floor().after();
            let until = some_ids(node).await;
            assert!(until > after);
            let before = last.insert(node.number(), (node.node().incarnation, until));
            if let Some((incarnation, until)) = before {
                reused += 1;
                assert!(node.node().incarnation > incarnation, "a later life has a greater number");
                assert!(after >= until, "ids up to {until} may exist, and new ones begin after {after}");
            }
        }
        let [one, other] = nodes;
        one.leave().await;
        if life % 2 == 0 {
            die(other).await;
        } else {
            other.leave().await;
        }
    }
    assert!(reused > 0, "no number was used again in {lives} lives");
}

/// The floor rises with the clock, ahead of it, and never falls.
pub async fn floors_rise<C: Cluster>(join: impl AsyncFn(NodeProfile) -> C) {
    let node = join(profile("a:1")).await;
    let first = some_ids(&node).await;
    let mut highest = first;
    let rising = async {
        while highest <= first {
            sleep(Duration::from_millis(20)).await;
            let until = some_ids(&node).await;
            assert!(until >= highest, "the floor fell from {highest} to {until}");
            highest = until;
        }
    };
    timeout(PATIENCE, rising).await.expect("the floor does not rise");
    assert!(node.id_floor().until(now() - 3_600_000) >= highest, "a clock that steps back takes nothing back");
    node.leave().await;
}
