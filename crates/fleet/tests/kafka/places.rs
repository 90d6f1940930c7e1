//! Where readers begin, and what they find there.

use banter_fleet::kafka::{KafkaConfig, KafkaReaders, TopicEpoch, last_positions};
use banter_model::encoding::Stored;
use banter_model::position;
use banter_store::behaviour::assignment::{self, conversations, read, readers};
use banter_store::behaviour::queue::envelope;
use banter_store::queue::{CommandQueue, PartitionAssignment, PartitionReader, QueueError};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use super::{Topic, in_time, leave, topic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_reads_all() {
    for partitions in [1, 16] {
        let Some(topic) = topic("all", partitions, false).await else { return };
        in_time(assignment::one_reads_all(topic.queue(), topic.member(), topic.seed)).await;
        topic.gone().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_member_goes_on() {
    let Some(topic) = topic("again", 8, false).await else { return };
    in_time(assignment::another_goes_on(topic.queue(), topic.member(), async || topic.member(), topic.seed)).await;
    topic.gone().await;
}

/// Starts the reader of the one partition after `position`, reads, and gives the error that comes.
async fn error_after(mut member: KafkaReaders, position: u64) -> QueueError {
    let assigned = member.next().await.unwrap().unwrap();
    let error = match assigned.start(position) {
        Err(error) => error,
        Ok(mut reader) => {
            assert_eq!(reader.next_batch(10).await, None);
            assert_eq!(reader.next_batch(10).await, None, "it stays so");
            drop(reader);
            member.next().await.err().unwrap()
        }
    };
    leave(member).await;
    error
}

async fn ten_commands(topic: &Topic) {
    let id = conversations(1, topic.seed)[0];
    let queue = topic.queue();
    for number in 1..=10 {
        queue.push(envelope(id, number)).await.unwrap();
    }
    assert_eq!(queue.drain(std::time::Duration::from_secs(60)).await, 0);
}

#[tokio::test]
async fn a_log_that_was_trimmed_is_not_read() {
    let Some(topic) = topic("trimmed", 1, false).await else { return };
    in_time(async {
        ten_commands(&topic).await;
        topic.delete_before(0, 5).await;
        assert_eq!(error_after(topic.member(), 4).await, QueueError::Trimmed { partition: 0, wanted: 4, first: 5 });
        assert_eq!(error_after(topic.member(), 0).await, QueueError::Trimmed { partition: 0, wanted: 0, first: 5 });
        let mut member = topic.member();
        let mut readers = readers(&mut member, 1, |_| 5).await;
        assert_eq!(read(readers.get_mut(&0).unwrap(), 5).await[0].0, 6);
        drop(readers);
        leave(member).await;
    })
    .await;
    topic.gone().await;
}

#[tokio::test]
async fn a_history_that_is_ahead_is_told() {
    let Some(topic) = topic("ahead", 1, false).await else { return };
    in_time(async {
        ten_commands(&topic).await;
        assert_eq!(error_after(topic.member(), 11).await, QueueError::Ahead { partition: 0, position: 11 });
        let later = position::pack(1, 3).unwrap();
        assert_eq!(error_after(topic.member(), later).await, QueueError::Ahead { partition: 0, position: later });
    })
    .await;
    topic.gone().await;
}

#[tokio::test]
async fn a_topic_made_anew_is_read_from_its_start_in_the_next_epoch() {
    let Some(topic) = topic("epoch", 1, false).await else { return };
    in_time(async {
        ten_commands(&topic).await;
        let config = KafkaConfig { epoch: TopicEpoch(7), ..topic.config.clone() };
        let before = position::pack(6, 123_456).unwrap();
        let mut member = KafkaReaders::open(&config).unwrap();
        let mut first = readers(&mut member, 1, |_| before).await;
        let commands = read(first.get_mut(&0).unwrap(), 10).await;
        let positions: Vec<u64> = commands.iter().map(|(position, _)| *position).collect();
        assert_eq!(positions, (0..10).map(|offset| position::pack(7, offset).unwrap()).collect::<Vec<_>>());
        assert!(positions[0] > before);
        drop(first);
        leave(member).await;
        let mut member = KafkaReaders::open(&config).unwrap();
        let mut second = readers(&mut member, 1, |_| positions[6]).await;
        assert_eq!(read(second.get_mut(&0).unwrap(), 3).await, commands[7..]);
        drop(second);
        leave(member).await;
    })
    .await;
    topic.gone().await;
}

/// Right after a topic was made its brokers do not know yet who leads what; a move into an empty fleet looks at that moment.
#[tokio::test]
async fn a_topic_that_was_just_made_has_its_first_positions() {
    for _ in 0..3 {
        let Some(topic) = topic("new", 32, false).await else { return };
        let first = position::pack(topic.config.epoch.0, 0).unwrap() - 1;
        assert_eq!(last_positions(&topic.config).await.unwrap(), vec![first; 32]);
        topic.gone().await;
    }
}

/// What somebody else wrote into the topic is passed over by every worker alike; what a newer banter wrote is not.
#[tokio::test]
async fn foreign_and_newer_records() {
    let Some(topic) = topic("foreign", 1, false).await else { return };
    in_time(async {
        let id = conversations(1, topic.seed)[0];
        let producer: BaseProducer =
            rdkafka::ClientConfig::new().set("bootstrap.servers", topic.config.brokers.join(",")).create().unwrap();
        let known = envelope(id, 1).encode();
        let mut newer = known.clone();
        newer[0] += 1;
        for payload in [b"".as_slice(), b"\x01rubbish", &known, &newer, &known] {
            producer.send(BaseRecord::<(), [u8]>::to(&topic.config.topic).partition(0).payload(payload)).unwrap();
        }
        producer.flush(std::time::Duration::from_secs(60)).unwrap();
        let mut member = topic.member();
        let mut readers = readers(&mut member, 1, |_| 0).await;
        assert_eq!(read(readers.get_mut(&0).unwrap(), 1).await, [(3, envelope(id, 1))]);
        assert_eq!(readers.get_mut(&0).unwrap().next_batch(10).await, None);
        drop(readers);
        let error = member.next().await.err().unwrap();
        assert_eq!(error, QueueError::Newer { partition: 0, offset: 3, version: known[0] + 1 });
        leave(member).await;
    })
    .await;
    topic.gone().await;
}
