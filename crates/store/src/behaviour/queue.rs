//! What every [`CommandQueue`] and its [`PartitionReader`]s do.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use banter_model::partition::partition_of;
use banter_model::{Action, Command, ConversationId, DeviceId, EventId, GroupId, Tag, UserId};

use super::Random;
use crate::queue::{CommandQueue, Envelope, Origin, PartitionReader, PushError};

/// A command of `conversation` that can be told from others by its `number`.
pub fn envelope(conversation: ConversationId, number: u64) -> Envelope {
    Envelope {
        command: Command {
            conversation,
            sender: UserId(7),
            device: DeviceId(70),
            tag: Tag::new(number).ok(),
            id: EventId(number),
            action: Action::Send { text: format!("text {number}"), reply_to: None, mentions: Vec::new() },
        },
        origin: Origin { gateway: 3, session: number },
        objection: None,
    }
}

/// A conversation of `partition`, of `partitions`.
pub fn conversation_in(partition: u32, partitions: u32, random: &mut Random) -> ConversationId {
    loop {
        let id = ConversationId::Group(GroupId(random.id()));
        if partition_of(id, partitions) == partition {
            return id;
        }
    }
}

/// Many push at once, each to conversations of all partitions: every partition gives its commands once, each sender's in the
/// order pushed, with positions that grow from the start.
///
/// The readers are those of an empty queue, in any order; `starts` has the position that each partition was started after.
pub async fn order_and_positions<Q: CommandQueue, R: PartitionReader>(queue: Q, readers: Vec<R>, starts: &[u64], seed: u64) {
    eprintln!("queue behaviour, BANTER_SEED={seed}");
    const SENDERS: u64 = 4;
    const EACH: u64 = 500;
    let queue = Arc::new(queue);
    let partitions = queue.partitions();
    assert_eq!(partitions as usize, readers.len());
    let mut random = Random::new(seed);
    let ids: Vec<_> = (0..partitions).map(|partition| conversation_in(partition, partitions, &mut random)).collect();
    let mut expected: BTreeMap<u32, usize> = (0..partitions).map(|partition| (partition, 0)).collect();
    let mut senders = Vec::new();
    for sender in 0..SENDERS {
        let plan: Vec<u32> = (0..EACH).map(|_| random.below(u64::from(partitions)) as u32).collect();
        plan.iter().for_each(|partition| *expected.entry(*partition).or_default() += 1);
        let (queue, ids) = (Arc::clone(&queue), ids.clone());
        senders.push(tokio::spawn(async move {
            for (number, partition) in (1..).zip(plan) {
                let envelope = Envelope {
                    origin: Origin { gateway: sender as u16, session: number },
                    ..envelope(ids[partition as usize], number)
                };
                match queue.try_push(envelope) {
                    Ok(()) => {}
                    Err(PushError::Full(envelope)) => queue.push(*envelope).await.unwrap(),
                    Err(PushError::Closed) => panic!("the queue is closed"),
                }
            }
        }));
    }
    for mut reader in readers {
        let partition = reader.partition();
        let mut position = starts[partition as usize];
        let mut last = [0; SENDERS as usize];
        let mut left = expected.remove(&partition).unwrap();
        let limit = 1 + random.below(64) as usize;
        // One after the other: those read later are full meanwhile, and their senders wait. So all are read at once.
        senders.push(tokio::spawn(async move {
            while left > 0 {
                let batch = reader.next_batch(limit).await.unwrap();
                assert!(!batch.is_empty() && batch.len() <= limit, "{} commands, at most {limit} asked for", batch.len());
                for (at, envelope) in batch {
                    assert!(at > position, "position {at} of partition {partition} after {position}");
                    position = at;
                    assert_eq!(partition_of(envelope.command.conversation, partitions), partition);
                    let Origin { gateway, session } = envelope.origin;
                    assert!(session > last[gateway as usize], "{session} after {}", last[gateway as usize]);
                    last[gateway as usize] = session;
                    left -= 1;
                }
            }
        }));
    }
    for task in senders {
        task.await.unwrap();
    }
}

/// A partition with room for `capacity` commands refuses the next and gives it back; who waits gets in when there is room;
/// other partitions are not concerned. At least two partitions, in order, of an empty queue from which nothing goes out before
/// `flow` is done: reading is what makes room in memory, a log has to take them first.
pub async fn bounded<Q, R>(queue: Q, mut readers: Vec<R>, capacity: u64, flow: impl Future<Output = ()>)
where
    Q: CommandQueue,
    R: PartitionReader,
{
    let queue = Arc::new(queue);
    let mut random = Random::new(1);
    let [one, other] = [0, 1].map(|partition| conversation_in(partition, queue.partitions(), &mut random));
    for number in 1..=capacity {
        assert_eq!(queue.try_push(envelope(one, number)), Ok(()));
    }
    let next = envelope(one, capacity + 1);
    assert_eq!(queue.try_push(next.clone()), Err(PushError::Full(Box::new(next.clone()))));
    assert_eq!(queue.try_push(envelope(other, 1)), Ok(()));
    let waiting = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.push(next).await }
    });
    flow.await;
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < capacity + 1 {
        let batch = readers[0].next_batch(2).await.unwrap();
        numbers.extend(batch.into_iter().map(|(_, envelope)| envelope.origin.session));
    }
    assert_eq!(waiting.await.unwrap(), Ok(()));
    assert_eq!(numbers, (1..=capacity + 1).collect::<Vec<_>>());
    queue.push(envelope(one, 1)).await.unwrap();
}

/// After `close` pushing is refused, also to those that wait, and what was taken is read. Of a queue with room for
/// `capacity` commands in a partition, from which nothing goes out before `flow` is done, as for [`bounded`].
pub async fn closing_refuses<Q, R>(
    queue: Q,
    mut readers: Vec<R>,
    capacity: u64,
    close: impl Fn(&Q),
    flow: impl Future<Output = ()>,
) -> (Arc<Q>, Vec<R>)
where
    Q: CommandQueue,
    R: PartitionReader,
{
    let queue = Arc::new(queue);
    let mut random = Random::new(2);
    let one = conversation_in(0, queue.partitions(), &mut random);
    for number in 1..=capacity {
        queue.try_push(envelope(one, number)).unwrap();
    }
    let mut waiting = tokio::spawn({
        let (queue, next) = (Arc::clone(&queue), envelope(one, capacity + 1));
        async move { queue.push(next).await }
    });
    // So that it has begun to wait.
    tokio::select! {
        biased;
        pushed = &mut waiting => panic!("there was no room: {pushed:?}"),
        () = tokio::task::yield_now() => {}
    }
    close(&queue);
    assert_eq!(waiting.await.unwrap(), Err(PushError::Closed));
    assert_eq!(queue.try_push(envelope(one, 1)), Err(PushError::Closed));
    assert_eq!(queue.push(envelope(one, 1)).await, Err(PushError::Closed));
    flow.await;
    let mut numbers = Vec::new();
    while (numbers.len() as u64) < capacity {
        let batch = readers[0].next_batch(3).await.unwrap();
        numbers.extend(batch.into_iter().map(|(_, envelope)| envelope.origin.session));
    }
    assert_eq!(numbers, (1..=capacity).collect::<Vec<_>>());
    (queue, readers)
}

/// Readers of a queue that is closed and empty end, and stay so.
pub async fn closed_and_empty_ends(readers: Vec<impl PartitionReader>) {
    for mut reader in readers {
        assert_eq!(reader.next_batch(3).await, None);
        assert_eq!(reader.next_batch(3).await, None, "it stays closed");
    }
}
