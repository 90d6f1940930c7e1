//! The writing end.

use std::time::Duration;

use banter_fleet::kafka::{KafkaConfig, KafkaQueue};
use banter_store::behaviour::assignment::{conversations, read, readers};
use banter_store::behaviour::{self, queue::envelope};
use banter_store::queue::{CommandQueue, PartitionReader, PushError};

use super::{in_time, leave, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_and_positions() {
    for (partitions, room) in [(1, 1), (8, 7), (8, 1_000)] {
        let Some(topic) = topic("order", partitions, false).await else { return };
        in_time(async {
            let mut member = topic.member();
            let readers = readers(&mut member, partitions as usize, |_| 0).await.into_values().collect();
            let queue = topic.queue_with(&KafkaConfig { unacknowledged: room, ..topic.config.clone() });
            behaviour::queue::order_and_positions(queue, readers, &vec![0; partitions as usize], topic.seed).await;
            leave(member).await;
        })
        .await;
        topic.gone().await;
    }
}

#[tokio::test]
async fn bounded_and_patient() {
    for room in [1, 5] {
        let Some(topic) = topic("bounded", 2, true).await else { return };
        in_time(async {
            let mut member = topic.member();
            let readers = readers(&mut member, 2, |_| 0).await.into_values().collect();
            let queue = topic.queue_with(&KafkaConfig { unacknowledged: room, ..topic.config.clone() });
            behaviour::queue::bounded(queue, readers, u64::from(room), topic.flow()).await;
            leave(member).await;
        })
        .await;
        topic.gone().await;
    }
}

#[tokio::test]
async fn bounded_by_bytes_of_all_partitions() {
    let Some(topic) = topic("bytes", 2, true).await else { return };
    in_time(async {
        let config = KafkaConfig { unacknowledged_bytes: 16 << 10, unacknowledged: 1_000, ..topic.config.clone() };
        let queue = topic.queue_with(&config);
        let conversations = conversations(2, topic.seed);
        let mut taken = 0;
        let refused = loop {
            match queue.try_push(envelope(conversations[0], taken + 1)) {
                Ok(()) => taken += 1,
                Err(refused) => break refused,
            }
        };
        assert!(taken > 10 && taken < 999, "{taken} were taken");
        let PushError::Full(next) = refused else { panic!("{refused}") };
        assert_eq!(*next, envelope(conversations[0], taken + 1));
        assert_eq!(queue.waiting(0), taken as u32, "what was refused takes no room");
        let (pushed, ()) = tokio::join!(queue.push(*next), topic.flow());
        pushed.unwrap();
        assert_eq!(queue.drain(Duration::from_secs(60)).await, 0);
        assert_eq!(queue.figures().acknowledged, taken + 1);
        assert_eq!(queue.waiting(0), 0);
    })
    .await;
    topic.gone().await;
}

#[tokio::test]
async fn closing_refuses_and_sends_what_was_taken() {
    let Some(topic) = topic("closing", 2, true).await else { return };
    in_time(async {
        let mut member = topic.member();
        let readers = readers(&mut member, 2, |_| 0).await.into_values().collect();
        let queue = topic.queue_with(&KafkaConfig { unacknowledged: 10, ..topic.config.clone() });
        behaviour::queue::closing_refuses(queue, readers, 10, KafkaQueue::close, topic.flow()).await;
        leave(member).await;
    })
    .await;
    topic.gone().await;
}

/// What fails for good comes back whole and makes room, whether for its age or because the process ends.
#[tokio::test]
async fn what_fails_comes_back() {
    let Some(topic) = topic("failing", 1, true).await else { return };
    in_time(async {
        let id = conversations(1, topic.seed)[0];
        let all: Vec<_> = (1..=5).map(|number| envelope(id, number)).collect();
        let config = KafkaConfig { unacknowledged: 5, ..topic.config.clone() };
        let impatient = KafkaConfig { give_up_after: Some(Duration::from_millis(1_500)), ..config.clone() };
        let (queue, failed) = topic.failing_queue(&impatient);
        for envelope in &all {
            queue.try_push(envelope.clone()).unwrap();
        }
        assert!(matches!(queue.try_push(all[0].clone()), Err(PushError::Full(_))));
        // It waits for room, which those that fail make.
        queue.push(all[0].clone()).await.unwrap();
        let early = failed.lock().clone();
        assert_eq!(early, all[..early.len()]);
        queue.drain(Duration::from_millis(1)).await;
        assert_eq!(failed.lock().len(), 6, "{:?}, {} wait", queue.figures(), queue.waiting(0));
        assert_eq!(queue.figures().failed, 6);

        let (queue, failed) = topic.failing_queue(&config);
        for envelope in &all {
            queue.try_push(envelope.clone()).unwrap();
        }
        assert_eq!(queue.drain(Duration::from_millis(100)).await, 5);
        assert_eq!(*failed.lock(), all);
        assert_eq!(queue.waiting(0), 0);
        assert_eq!(queue.try_push(all[0].clone()), Err(PushError::Closed));
    })
    .await;
    topic.gone().await;
}

/// A command that is larger than any may be fails at once, and others go on.
#[tokio::test]
async fn what_is_too_large_fails_alone() {
    let Some(topic) = topic("large", 1, false).await else { return };
    in_time(async {
        let id = conversations(1, topic.seed)[0];
        let (queue, failed) = topic.failing_queue(&topic.config);
        let text = |length| banter_model::Action::Send { text: "x".repeat(length), reply_to: None, mentions: Vec::new() };
        let mut large = envelope(id, 1);
        large.command.action = text(1_000_001);
        queue.push(large.clone()).await.unwrap();
        assert_eq!(*failed.lock(), [large]);
        // The largest that there is.
        let mut largest = envelope(id, 2);
        largest.command.action = text(400_000);
        queue.push(largest.clone()).await.unwrap();
        queue.push(envelope(id, 3)).await.unwrap();
        let mut member = topic.member();
        let mut readers = readers(&mut member, 1, |_| 0).await;
        let commands = read(readers.get_mut(&0).unwrap(), 2).await;
        assert_eq!(commands, [(1, largest), (2, envelope(id, 3))]);
        assert!(readers[&0].replays());
        drop(readers);
        leave(member).await;
        assert_eq!(failed.lock().len(), 1);
    })
    .await;
    topic.gone().await;
}
