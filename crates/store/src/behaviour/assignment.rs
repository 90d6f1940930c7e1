//! What every [`PartitionAssignment`] does.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use banter_model::ConversationId;

use super::Random;
use super::queue::{conversation_in, envelope};
use crate::queue::{CommandQueue, Envelope, PartitionAssignment, PartitionReader};

/// A conversation of each partition.
pub fn conversations(partitions: u32, seed: u64) -> Vec<ConversationId> {
    let mut random = Random::new(seed);
    (0..partitions).map(|partition| conversation_in(partition, partitions, &mut random)).collect()
}

/// Starts readers until there are as many as `count`, each after the position that `start` says.
pub async fn readers(
    assignment: &mut impl PartitionAssignment,
    count: usize,
    start: impl Fn(u32) -> u64,
) -> BTreeMap<u32, Box<dyn PartitionReader>> {
    let mut readers = BTreeMap::new();
    while readers.len() < count {
        let assigned = assignment.next().await.unwrap().unwrap();
        let partition = assigned.partition();
        let reader = assigned.start(start(partition)).unwrap();
        assert_eq!(reader.partition(), partition);
        assert!(readers.insert(partition, reader).is_none(), "partition {partition} was assigned twice");
    }
    readers
}

/// Reads `count` commands.
pub async fn read(reader: &mut Box<dyn PartitionReader>, count: usize) -> Vec<(u64, Envelope)> {
    let mut commands = Vec::new();
    while commands.len() < count {
        commands.extend(reader.next_batch(count - commands.len()).await.unwrap());
    }
    commands
}

/// One process alone is given every partition once; each reader begins after the position that it was started with; after
/// closing all of them end, and then the assignment. An empty queue.
pub async fn one_reads_all(queue: impl CommandQueue, mut assignment: impl PartitionAssignment, seed: u64) {
    eprintln!("assignment behaviour, BANTER_SEED={seed}");
    let queue = Arc::new(queue);
    let conversations = conversations(queue.partitions(), seed);
    // Before anybody reads.
    for id in &conversations {
        queue.push(envelope(*id, 1)).await.unwrap();
    }
    let mut readers = readers(&mut assignment, conversations.len(), |_| 0).await;
    for id in &conversations {
        queue.push(envelope(*id, 2)).await.unwrap();
    }
    for (partition, reader) in &mut readers {
        let commands = read(reader, 2).await;
        let expected = [1, 2].map(|number| envelope(conversations[*partition as usize], number));
        assert_eq!(commands.iter().map(|(_, envelope)| envelope.clone()).collect::<Vec<_>>(), expected);
        assert!(0 < commands[0].0 && commands[0].0 < commands[1].0, "positions {} and {}", commands[0].0, commands[1].0);
    }
    assignment.close();
    for reader in readers.values_mut() {
        assert_eq!(reader.next_batch(10).await, None);
        assert_eq!(reader.next_batch(10).await, None, "it stays closed");
    }
    drop(readers);
    assert!(assignment.next().await.unwrap().is_none());
}

/// A reader that is started after a position gives what comes after it, and what is told of a position is the same each time: after
/// a first process read, another (which `again` makes, once the first is gone) begins in the middle. Of a queue that keeps its commands.
pub async fn another_goes_on<A: PartitionAssignment>(
    queue: impl CommandQueue,
    mut first: A,
    again: impl AsyncFnOnce() -> A,
    seed: u64,
) {
    eprintln!("assignment behaviour, BANTER_SEED={seed}");
    const EACH: usize = 20;
    let conversations = conversations(queue.partitions(), seed);
    for number in 1..=EACH as u64 {
        for id in &conversations {
            queue.push(envelope(*id, number)).await.unwrap();
        }
    }
    let mut seen = BTreeMap::new();
    for (partition, reader) in &mut readers(&mut first, conversations.len(), |_| 0).await {
        seen.insert(*partition, read(reader, EACH).await);
    }
    first.close();
    while first.next().await.unwrap().is_some() {}
    drop(first);
    let mut second = again().await;
    let mut random = Random::new(seed);
    let after: Vec<usize> = conversations.iter().map(|_| random.below(EACH as u64) as usize).collect();
    let start = |partition: u32| seen[&partition][after[partition as usize]].0;
    for id in &conversations {
        queue.push(envelope(*id, EACH as u64 + 1)).await.unwrap();
    }
    for (partition, reader) in &mut readers(&mut second, conversations.len(), start).await {
        let skipped = after[*partition as usize] + 1;
        let commands = read(reader, EACH + 1 - skipped).await;
        assert_eq!(commands[..EACH - skipped], seen[partition][skipped..], "partition {partition}");
        let (position, last) = commands.last().unwrap();
        assert!(*position > seen[partition][EACH - 1].0);
        assert_eq!(last.origin.session, EACH as u64 + 1);
    }
    second.close();
    while second.next().await.unwrap().is_some() {}
}
