//! The writing end.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use banter_fleet::kafka::{KafkaConfig, KafkaQueue, KafkaReaders};
use banter_model::Objection;
use banter_store::Envelope;
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
        let early = failed.failed.lock().clone();
        assert_eq!(early, all[..early.len()]);
        queue.drain(Duration::from_millis(1)).await;
        assert_eq!(failed.failed.lock().len(), 6, "{:?}, {} wait", queue.figures(), queue.waiting(0));
        assert_eq!(queue.figures().failed, 6);

        let (queue, failed) = topic.failing_queue(&config);
        for envelope in &all {
            queue.try_push(envelope.clone()).unwrap();
        }
        assert_eq!(queue.drain(Duration::from_millis(100)).await, 5);
        assert_eq!(*failed.failed.lock(), all);
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
        assert_eq!(*failed.failed.lock(), [large]);
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
        assert_eq!(failed.failed.lock().len(), 1);
    })
    .await;
    topic.gone().await;
}

/// Requests are fewer than commands when these come faster than requests are answered; both ends count what they did.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted() {
    const COMMANDS: u64 = 500;
    let Some(topic) = topic("counted", 2, false).await else { return };
    in_time(async {
        let config = KafkaConfig { figures_every: Duration::from_millis(100), ..topic.config.clone() };
        let mut member = KafkaReaders::open(&config).unwrap();
        let mut readers = readers(&mut member, 2, |_| 0).await;
        let queue = topic.queue_with(&config);
        let conversations = conversations(2, topic.seed);
        for number in 1..=COMMANDS {
            queue.push(envelope(conversations[0], number)).await.unwrap();
        }
        let reader: &mut Box<dyn PartitionReader> = readers.get_mut(&0).unwrap();
        assert_eq!(read(reader, COMMANDS as usize).await.len(), COMMANDS as usize);
        let (written, fetched) = (queue.counters().clone(), member.counters().clone());
        assert_eq!(fetched.records.load(Relaxed), COMMANDS);
        // The figures of the clients come a little later.
        while written.produce_requests.load(Relaxed) == 0 || fetched.fetch_requests.load(Relaxed) == 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(written.records.load(Relaxed), COMMANDS);
        assert!(written.produce_requests.load(Relaxed) < COMMANDS, "each command was a request: {written:?}");
        assert_eq!(written.fetch_requests.load(Relaxed), 0);
        assert_eq!(fetched.produce_requests.load(Relaxed), 0);
        assert!(!written.is_away() && !fetched.is_away());
        drop(readers);
        leave(member).await;
    })
    .await;
    topic.gone().await;
}

/// What has to come after one that failed is not sent, whether there is room at once or it waits for some; and goes when it may.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_held_back_is_not_sent() {
    let Some(topic) = topic("held", 1, true).await else { return };
    in_time(async {
        let id = conversations(1, topic.seed)[0];
        let config = KafkaConfig { unacknowledged: 1, ..topic.config.clone() };
        let (queue, noted) = topic.failing_queue(&config);
        queue.push(envelope(id, 1)).await.unwrap();
        // It waits for the room that the first one takes, and is decided about when it has it.
        let waiting = queue.push(envelope(id, 3));
        *noted.up_to.lock() = Some(2);
        let (pushed, ()) = tokio::join!(waiting, topic.flow());
        pushed.unwrap();
        queue.push(envelope(id, 2)).await.unwrap();
        queue.push(envelope(id, 4)).await.unwrap();
        assert_eq!(*noted.held_back.lock(), [envelope(id, 3), envelope(id, 4)]);
        *noted.up_to.lock() = None;
        queue.push(envelope(id, 3)).await.unwrap();
        let mut member = topic.member();
        let mut readers = readers(&mut member, 1, |_| 0).await;
        let read = read(readers.get_mut(&0).unwrap(), 3).await;
        assert_eq!(read.into_iter().map(|(_, command)| command.origin.session).collect::<Vec<_>>(), [1, 2, 3]);
        drop(readers);
        leave(member).await;
    })
    .await;
    topic.gone().await;
}

/// What a gateway could not check fails before it is sent: behind it in the topic, what the device wrote next would be applied first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_checked_is_not_sent() {
    let Some(topic) = topic("unchecked", 1, true).await else { return };
    in_time(async {
        let id = conversations(1, topic.seed)[0];
        let (queue, noted) = topic.failing_queue(&topic.config);
        topic.flow().await;
        let objected = |number, objection| Envelope { objection: Some(objection), ..envelope(id, number) };
        queue.push(objected(1, Objection::Unchecked)).await.unwrap();
        queue.push(objected(2, Objection::MayNotWrite)).await.unwrap();
        assert_eq!(*noted.failed.lock(), [objected(1, Objection::Unchecked)]);
        let mut member = topic.member();
        let mut readers = readers(&mut member, 1, |_| 0).await;
        let read = read(readers.get_mut(&0).unwrap(), 1).await;
        assert_eq!(read[0].1, objected(2, Objection::MayNotWrite), "a refusal is the worker's");
        drop(readers);
        leave(member).await;
    })
    .await;
    topic.gone().await;
}
