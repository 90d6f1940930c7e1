//! What every [`Sessions`] does.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use banter_model::UserId;

use super::Random;
use crate::cluster::NodeIncarnation;
use crate::sessions::{SHARDS, Sessions, ShardCount, USERS_AT_ONCE, shard_of};

fn users(random: &mut Random, count: usize) -> Vec<UserId> {
    let users: BTreeSet<UserId> = (0..count).map(|_| UserId(random.id())).collect();
    users.into_iter().collect()
}

fn node(number: u16, incarnation: u64) -> NodeIncarnation {
    NodeIncarnation { number, incarnation }
}

async fn total(sessions: &dyn Sessions, at: NodeIncarnation) -> u64 {
    let counts = sessions.counts(at).await.unwrap();
    assert!(counts.iter().map(|count| count.shard).eq(0..SHARDS), "every shard in order");
    counts.iter().map(|count| count.users).sum()
}

/// Users are where they were registered last, on each gateway for itself; saying anything twice changes nothing.
pub async fn users_come_and_go(sessions: &dyn Sessions, seed: u64) {
    eprintln!("sessions behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let [one, two] = [node(1, 100), node(2, 100)];
    let all = users(&mut random, 60);
    let (here, both) = (&all[..40], &all[20..60]);
    assert_eq!(sessions.gateways(&all).await.unwrap(), []);
    for _ in 0..2 {
        let counts = sessions.update(one, here, &[]).await.unwrap();
        let shards: BTreeSet<u32> = here.iter().map(|user| shard_of(*user)).collect();
        assert_eq!(counts.iter().map(|count| count.shard).collect::<BTreeSet<_>>(), shards, "the shards that were touched");
        assert_eq!(counts.iter().map(|count| count.users).sum::<u64>(), 40);
        sessions.update(two, both, &[]).await.unwrap();
    }
    let found = sessions.gateways(&all).await.unwrap();
    for (place, user) in all.iter().enumerate() {
        let mut at: Vec<_> = found.iter().filter(|(found, _)| found == user).map(|(_, at)| *at).collect();
        at.sort_unstable();
        let expected: &[NodeIncarnation] = match place {
            0..20 => &[one],
            20..40 => &[one, two],
            _ => &[two],
        };
        assert_eq!(at, expected);
    }
    assert!(found.iter().map(|(user, _)| user).is_sorted(), "in the order of the question, which is sorted here");
    assert_eq!((total(sessions, one).await, total(sessions, two).await), (40, 40));

    // Some go and others come, in one call.
    let new = users(&mut random, 10);
    for _ in 0..2 {
        sessions.update(one, &new, &all[10..30]).await.unwrap();
    }
    assert_eq!(sessions.gateways(&[all[15], new[0], all[25]]).await.unwrap(), [(new[0], one), (all[25], two)]);
    assert_eq!(total(sessions, one).await, 30);
    sessions.update(two, &[], &all).await.unwrap();
    assert_eq!((total(sessions, one).await, total(sessions, two).await), (30, 0));
    assert_eq!(sessions.gateways(&all[30..]).await.unwrap().len(), 10);
    let shard = shard_of(new[3]);
    let registered: BTreeSet<UserId> = sessions.registered(one, shard).await.unwrap().into_iter().collect();
    let expected = all[..10].iter().chain(&all[30..40]).chain(&new).copied().filter(|user| shard_of(*user) == shard);
    assert_eq!(registered, expected.collect());
    sessions.update(one, &[], &[all, new].concat()).await.unwrap();
    assert_eq!(total(sessions, one).await, 0);
}

/// What an earlier life of a gateway left neither counts for the next nor stands in its way.
pub async fn lives_are_told_apart(sessions: &dyn Sessions, seed: u64) {
    eprintln!("sessions behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let (before, after, other) = (node(7, 100), node(7, 200), node(8, 100));
    let all = users(&mut random, 30);
    sessions.announce(before).await.unwrap();
    sessions.announce(other).await.unwrap();
    sessions.update(before, &all, &[]).await.unwrap();
    sessions.update(other, &all[..5], &[]).await.unwrap();
    sessions.announce(after).await.unwrap();
    sessions.update(after, &all[..10], &[]).await.unwrap();
    let nodes = sessions.nodes().await.unwrap();
    assert!([before, after, other].iter().all(|node| nodes.contains(node)), "{nodes:?}");
    assert_eq!((total(sessions, before).await, total(sessions, after).await), (30, 10));
    let found = sessions.gateways(&all[9..11]).await.unwrap();
    assert!(found.contains(&(all[9], after)) && found.contains(&(all[10], before)), "{found:?}");

    // Swept in steps, each user once; what others registered stays.
    let mut swept = Vec::new();
    loop {
        let some = sessions.sweep(before, 7).await.unwrap();
        if some.is_empty() {
            break;
        }
        assert!(some.len() <= 7, "{} users in a step of 7", some.len());
        swept.extend(some);
    }
    swept.sort_unstable();
    assert_eq!(swept, all);
    assert_eq!(total(sessions, before).await, 0);
    let nodes = sessions.nodes().await.unwrap();
    assert!(!nodes.contains(&before) && nodes.contains(&after) && nodes.contains(&other), "{nodes:?}");
    let mut left = sessions.gateways(&all).await.unwrap();
    left.sort_unstable();
    let mut expected: Vec<_> = all[..10].iter().map(|user| (*user, after)).collect();
    expected.extend(all[..5].iter().map(|user| (*user, other)));
    expected.sort_unstable();
    assert_eq!(left, expected);
    for node in [after, other] {
        while !sessions.sweep(node, 1_000).await.unwrap().is_empty() {}
    }
    assert_eq!(sessions.gateways(&all).await.unwrap(), []);
}

/// As many users at once as may be.
pub async fn many_at_once(sessions: &dyn Sessions, seed: u64) {
    eprintln!("sessions behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let at = node(900, 5);
    let all = users(&mut random, USERS_AT_ONCE);
    let counts: Vec<ShardCount> = sessions.update(at, &all, &[]).await.unwrap();
    assert_eq!(counts.iter().map(|count| count.users).sum::<u64>(), all.len() as u64);
    let found = sessions.gateways(&all).await.unwrap();
    assert!(found.iter().map(|(user, _)| *user).eq(all.iter().copied()));
    assert_eq!(total(sessions, at).await, all.len() as u64);
    sessions.update(at, &[], &all).await.unwrap();
    assert_eq!(sessions.gateways(&all).await.unwrap(), []);
}

/// The shards share the users evenly, and a user's shard never changes.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_even_and_fixed() {
        let mut random = Random::new(1);
        let mut count = vec![0_u32; SHARDS as usize];
        // As ids are: most differ in the time, few in the counter.
        (0..100 * u64::from(SHARDS)).for_each(|step| count[shard_of(UserId((step * 40 + random.below(3)) << 22)) as usize] += 1);
        assert!(count.iter().all(|count| (50..200).contains(count)), "{count:?}");
        assert_eq!([shard_of(UserId(1)), shard_of(UserId(2)), shard_of(UserId(u64::MAX))], [632, 241, 391]);
    }
}
