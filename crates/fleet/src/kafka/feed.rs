//! The feed in a topic, `events`, with the partitions of the installation.
//!
//! Workers write it behind what they store ([`super::feed_writer`]), so that the position that the history has of a partition is never beyond what
//! the topic has of it: whatever dies in between, the next worker gets the commands again, and writes again what they made. A
//! name that reads is a consumer group; its place is the offsets that it committed. Committed offsets are right here: facts may come
//! twice, and who reads them knows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use banter_store::StoreError;
use banter_store::feed::{Feed, FeedError, FeedReader, FeedWriter, check_name};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::FutureProducer;
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaConfig;
use super::counters::{Counting, KafkaCounters};
use super::feed_reader::KafkaFeedReader;
use super::feed_writer::{KafkaFeedWriter, Written};
use super::topic::settled;

/// How long Kafka may take to answer a question about a group.
pub(super) const TIMEOUT: Duration = Duration::from_secs(15);
/// Pause before a question is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(100);
/// After how long a record that is not acknowledged is sent anew.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The topic of the feed and its limits.
#[derive(Debug, Clone)]
pub struct KafkaFeedConfig {
    /// The topic. [`super::create_topic`] makes it, with as many partitions as that of the commands has.
    pub topic: String,
    /// What the names of the readers' groups begin with.
    pub groups: String,
    /// Facts of a partition that Kafka has not acknowledged, at most, and one round more. Then the partition's worker waits
    /// before it stores the next round.
    pub unkept: usize,
}

impl Default for KafkaFeedConfig {
    fn default() -> Self {
        KafkaFeedConfig { topic: "events".to_owned(), groups: "feed-".to_owned(), unkept: 8_192 }
    }
}

/// The feed of a fleet.
pub struct KafkaFeed {
    config: KafkaConfig,
    feed: KafkaFeedConfig,
    producer: FutureProducer<Counting>,
    counters: Arc<KafkaCounters>,
    facts: Arc<AtomicU64>,
}

impl KafkaFeed {
    /// The feed that `feed` names, on the brokers and with the partitions of `config`. Kafka is connected to in the background.
    ///
    /// # Errors
    /// The configuration is not one that Kafka's client understands.
    pub fn open(config: &KafkaConfig, feed: &KafkaFeedConfig) -> Result<KafkaFeed, FeedError> {
        let mut producer = config.producer();
        producer
            // A record may come twice, and of a partition one is on its way at a time: there is no order to be kept. And it
            // never fails for good.
            .set("enable.idempotence", "false")
            .set("linger.ms", "0")
            .set("message.timeout.ms", SEND_TIMEOUT.as_millis().to_string());
        let counters = Arc::<KafkaCounters>::default();
        let context = Counting::new(Arc::clone(&counters), "the feed");
        let producer = producer.create_with_context(context).map_err(failed)?;
        Ok(KafkaFeed { config: config.clone(), feed: feed.clone(), producer, counters, facts: Arc::default() })
    }

    /// What its writers asked of Kafka so far; a record has the facts of some rounds of one partition.
    pub fn counters(&self) -> &Arc<KafkaCounters> {
        &self.counters
    }

    /// Facts that its writers have written so far.
    pub fn facts_written(&self) -> u64 {
        self.facts.load(Ordering::Relaxed)
    }

    fn group(&self, name: &str) -> String {
        format!("{}{name}", self.feed.groups)
    }

    /// A client of the group of `name`.
    fn client(&self, name: &str) -> ClientConfig {
        let mut client = self.config.consumer();
        client
            .set("group.id", self.group(name))
            // What is before the start of the log is gone: the reader is told, and goes on.
            .set("auto.offset.reset", "earliest");
        client
    }

    /// Asks something of the group of `name`, as no member of it.
    async fn ask<T: Send + 'static>(
        &self,
        name: &str,
        question: impl Fn(&BaseConsumer, &str, u32) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, FeedError> {
        let (client, topic, partitions) = (self.client(name), self.feed.topic.clone(), self.config.partitions);
        let ask = move || {
            let consumer: BaseConsumer = client.create()?;
            let until = Instant::now() + TIMEOUT;
            loop {
                match question(&consumer, &topic, partitions) {
                    Err(error) if is_finding_coordinator(&error) && Instant::now() < until => std::thread::sleep(RETRY_AFTER),
                    answer => return answer,
                }
            }
        };
        blocking(ask).await
    }
}

/// Does Kafka only not know yet who answers for the group?
fn is_finding_coordinator(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator, WaitingForCoordinator};
    matches!(
        error.rdkafka_error_code(),
        Some(CoordinatorLoadInProgress | CoordinatorNotAvailable | NotCoordinator | WaitingForCoordinator)
    )
}

/// Runs what blocks on a thread for that.
pub(super) async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, FeedError> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer.map_err(failed),
        Err(error) => Err(StoreError::Failed(error.to_string()).into()),
    }
}

pub(super) fn failed(error: KafkaError) -> FeedError {
    StoreError::Failed(format!("the feed: {error}")).into()
}

/// The partitions in which the group has no place.
fn without_place(consumer: &BaseConsumer, topic: &str, partitions: u32) -> Result<Vec<i32>, KafkaError> {
    let mut list = TopicPartitionList::with_capacity(partitions as usize);
    for partition in 0..partitions {
        list.add_partition(topic, partition as i32);
    }
    let committed = consumer.committed_offsets(list, TIMEOUT)?;
    let without = |offset| !matches!(offset, Offset::Offset(_));
    Ok(committed.elements().iter().filter(|element| without(element.offset())).map(|element| element.partition()).collect())
}

/// Gives the group a place, at the end, in each partition in which it has none.
fn register(consumer: &BaseConsumer, topic: &str, partitions: u32) -> Result<(), KafkaError> {
    let missing = without_place(consumer, topic, partitions)?;
    if missing.is_empty() {
        return Ok(());
    }
    let mut list = TopicPartitionList::with_capacity(missing.len());
    for partition in missing {
        let (_, end) = settled(|| consumer.fetch_watermarks(topic, partition, TIMEOUT))?;
        list.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    match consumer.commit(&list, CommitMode::Sync) {
        // Another process did so at the same time, and reads already: only members may commit then.
        Err(_) if without_place(consumer, topic, partitions)?.is_empty() => Ok(()),
        done => done,
    }
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn register(&self, name: &str) -> Result<(), FeedError> {
        check_name(name)?;
        self.ask(name, register).await
    }

    async fn unregister(&self, name: &str) -> Result<(), FeedError> {
        check_name(name)?;
        let admin: AdminClient<DefaultClientContext> = self.config.client().create().map_err(failed)?;
        let options = AdminOptions::new().request_timeout(Some(TIMEOUT));
        let group = self.group(name);
        let until = tokio::time::Instant::now() + TIMEOUT;
        loop {
            match admin.delete_groups(&[&group], &options).await.map_err(failed)?.into_iter().next() {
                Some(Err((_, RDKafkaErrorCode::GroupIdNotFound))) | Some(Ok(_)) | None => return Ok(()),
                // A reader that was dropped is about to leave.
                Some(Err((_, RDKafkaErrorCode::NonEmptyGroup))) if tokio::time::Instant::now() < until => {
                    tokio::time::sleep(RETRY_AFTER).await;
                }
                Some(Err((group, code))) => return Err(StoreError::Failed(format!("the group {group}: {code}")).into()),
            }
        }
    }

    async fn reader(&self, name: &str) -> Result<Box<dyn FeedReader>, FeedError> {
        check_name(name)?;
        if !self.ask(name, without_place).await?.is_empty() {
            return Err(FeedError::Unregistered(name.to_owned()));
        }
        let reader = KafkaFeedReader::open(&self.client(name), &self.feed.topic, name).map_err(failed)?;
        Ok(Box::new(reader))
    }

    /// To be called on a Tokio runtime.
    fn writer(&self, partition: u32, position: u64) -> Option<Box<dyn FeedWriter>> {
        let written = Written {
            producer: self.producer.clone(),
            topic: self.feed.topic.clone(),
            partition,
            counters: Arc::clone(&self.counters),
            facts: Arc::clone(&self.facts),
        };
        Some(Box::new(KafkaFeedWriter::start(written, position, self.feed.unkept)))
    }
}
