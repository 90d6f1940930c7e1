//! The command queue on a real Kafka, which `BANTER_TEST_KAFKA` names (`host:port`).

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

#[path = "kafka/feed.rs"]
mod feed;
#[path = "kafka/members.rs"]
mod members;
#[path = "kafka/places.rs"]
mod places;
#[path = "kafka/writing.rs"]
mod writing;

use std::sync::Arc;
use std::time::Duration;

use banter_fleet::kafka::{
    KafkaConfig, KafkaQueue, KafkaReaders, TopicEpoch, TopicFinding, TopicPlan, Unsent, create_topic, examine_topic,
    last_positions,
};
use banter_store::behaviour::{self, Random};
use banter_store::queue::{Envelope, PartitionAssignment};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::net::{TcpListener, TcpStream};

/// A topic of its own, which goes when this is dropped.
pub struct Topic {
    /// How it is reached.
    pub config: KafkaConfig,
    /// What the ids of the test are drawn from.
    pub seed: u64,
    admin: AdminClient<DefaultClientContext>,
    /// Where its queues look for the broker.
    broker: String,
    /// Taken when what comes there is let through.
    door: Mutex<Option<TcpListener>>,
}

/// Makes a topic on the one broker that there is; its queues do not reach the broker until [`Topic::flow`], if `blocked`. `None`, and why,
/// without a Kafka.
pub async fn topic(name: &str, partitions: u32, blocked: bool) -> Option<Topic> {
    let Ok(broker) = std::env::var("BANTER_TEST_KAFKA") else {
        eprintln!("not run: BANTER_TEST_KAFKA is not set");
        return None;
    };
    let seed = behaviour::seed();
    let name = format!("test-{name}-{:x}", Random::new(seed).bits());
    let mut config = KafkaConfig::new(vec![broker.clone()], partitions);
    config.topic.clone_from(&name);
    config.group.clone_from(&name);
    let plan = TopicPlan { replicas: 1, in_sync: 1, ..TopicPlan::safe(&name, partitions) };
    assert!(create_topic(&config, &plan).await.unwrap());
    assert!(!create_topic(&config, &plan).await.unwrap(), "it is there already");
    let admin = ClientConfig::new().set("bootstrap.servers", &broker).create().unwrap();
    let door = match blocked {
        true => Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
        false => None,
    };
    let address = door.as_ref().map(|door| door.local_addr().unwrap().to_string());
    Some(Topic { config, seed, admin, broker: address.unwrap_or_else(|| broker.clone()), door: Mutex::new(door) })
}

struct NothingFails;

impl Unsent for NothingFails {
    fn failed(&self, command: Envelope, reason: &str) {
        panic!("{command:?} failed: {reason}");
    }

    fn holds_back(&self, _: &Envelope) -> bool {
        false
    }

    fn held_back(&self, command: Envelope) {
        panic!("{command:?} was held back");
    }
}

/// What was not sent, in order.
#[derive(Default)]
pub struct Noted {
    /// What failed.
    pub failed: Mutex<Vec<Envelope>>,
    /// Commands with greater numbers than this one are held back.
    pub up_to: Mutex<Option<u64>>,
    /// What was held back.
    pub held_back: Mutex<Vec<Envelope>>,
}

impl Unsent for Noted {
    fn failed(&self, command: Envelope, _: &str) {
        self.failed.lock().push(command);
    }

    fn holds_back(&self, command: &Envelope) -> bool {
        self.up_to.lock().is_some_and(|up_to| command.origin.session > up_to)
    }

    fn held_back(&self, command: Envelope) {
        self.held_back.lock().push(command);
    }
}

impl Topic {
    /// A queue whose commands do not fail.
    pub fn queue(&self) -> KafkaQueue {
        self.queue_with(&self.config)
    }

    /// The same, with other limits.
    pub fn queue_with(&self, config: &KafkaConfig) -> KafkaQueue {
        let config = KafkaConfig { brokers: vec![self.broker.clone()], ..config.clone() };
        KafkaQueue::open(&config, Arc::new(NothingFails)).unwrap()
    }

    /// A queue that notes what fails.
    pub fn failing_queue(&self, config: &KafkaConfig) -> (KafkaQueue, Arc<Noted>) {
        let config = KafkaConfig { brokers: vec![self.broker.clone()], ..config.clone() };
        let noted = Arc::<Noted>::default();
        (KafkaQueue::open(&config, noted.clone()).unwrap(), noted)
    }

    /// One more member of the group.
    pub fn member(&self) -> KafkaReaders {
        KafkaReaders::open(&self.config).unwrap()
    }

    /// Lets the queues through to the broker, which tells them its real address.
    pub async fn flow(&self) {
        let door = self.door.lock().take().unwrap();
        let broker = self.config.brokers[0].clone();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = door.accept().await {
                let mut server = TcpStream::connect(&broker).await.unwrap();
                tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
            }
        });
    }

    /// Removes what is before `offset`, as retention does.
    pub async fn delete_before(&self, partition: u32, offset: i64) {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition_offset(&self.config.topic, partition as i32, rdkafka::Offset::Offset(offset)).unwrap();
        self.admin.delete_records(&list, &AdminOptions::new()).await.unwrap();
    }

    /// Deletes it.
    pub async fn gone(self) {
        self.admin.delete_topics(&[&self.config.topic], &AdminOptions::new()).await.unwrap();
    }
}

/// Leaves the group, and waits until that is done.
pub async fn leave(mut member: impl PartitionAssignment) {
    member.close();
    while member.next().await.unwrap().is_some() {}
}

/// So that a test that waits for what never comes ends.
pub async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(300), work).await.expect("nothing came for five minutes")
}

#[tokio::test]
async fn what_is_unsafe_about_a_topic_is_said() {
    let Some(topic) = topic("unsafe", 4, false).await else { return };
    assert_eq!(
        examine_topic(&topic.config).await.unwrap(),
        [TopicFinding::Replicas(1), TopicFinding::InSync(1)],
        "made with one replica, safe otherwise"
    );
    let other = KafkaConfig { partitions: 5, ..topic.config.clone() };
    let findings = examine_topic(&other).await.unwrap();
    assert_eq!(findings[0], TopicFinding::Partitions { found: 4, wanted: 5 });
    assert!(findings[0].is_fatal() && !findings[1].is_fatal());
    let missing = KafkaConfig { topic: "no-such-topic".into(), ..topic.config.clone() };
    assert_eq!(examine_topic(&missing).await.unwrap(), [TopicFinding::Missing("no-such-topic".into())]);
    topic.gone().await;
}

#[tokio::test]
async fn how_far_a_topic_is_can_be_asked() {
    let Some(mut topic) = topic("reached", 3, false).await else { return };
    assert_eq!(last_positions(&topic.config).await.unwrap(), [0, 0, 0]);
    let producer: rdkafka::producer::FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &topic.broker).create().unwrap();
    for _ in 0..2 {
        let record = rdkafka::producer::FutureRecord::<(), _>::to(&topic.config.topic).partition(1).payload("any");
        producer.send(record, Duration::from_secs(60)).await.unwrap();
    }
    assert_eq!(last_positions(&topic.config).await.unwrap(), [0, 2, 0]);
    // What was removed was there all the same.
    topic.delete_before(1, 2).await;
    topic.config.epoch = TopicEpoch(3);
    assert_eq!(last_positions(&topic.config).await.unwrap(), [3 << 48, 3 << 48 | 2, 3 << 48]);
    let missing = KafkaConfig { topic: "no-such-topic".into(), ..topic.config.clone() };
    assert!(last_positions(&missing).await.unwrap().is_empty());
    topic.gone().await;
}
