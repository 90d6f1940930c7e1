//! Reading the feed, as a member of the group of a name.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use banter_model::encoding::{DecodeError, Stored};
use banter_store::StoreError;
use banter_store::feed::{Fact, Facts, FeedError, FeedReader};
use parking_lot::Mutex;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, Rebalance, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::feed::{TIMEOUT, blocking, failed};
use super::readers::is_final;

/// A reader of some name. Dropping it leaves the group.
pub(super) struct KafkaFeedReader {
    name: String,
    topic: String,
    /// `None` when it is dropped.
    consumer: Option<Arc<Consumes>>,
    /// What of the record that was read last is not handed out.
    waiting: VecDeque<Fact>,
    /// Where that record is, until all of it is handed out.
    record: Option<(i32, i64)>,
    /// A newer banter wrote what comes next, in this version of the encoding.
    newer: Option<u8>,
    /// By partition: the offset that is to come next.
    next: HashMap<i32, i64>,
    /// By partition: the offset after what is handed out and not confirmed.
    handed_out: HashMap<i32, i64>,
}

type Consumes = StreamConsumer<Moves>;

/// Notes which partitions came or went.
#[derive(Default)]
pub(super) struct Moves(Mutex<Vec<i32>>);

impl ClientContext for Moves {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "a reader of the feed");
    }
}

impl ConsumerContext for Moves {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) | Rebalance::Revoke(list) = rebalance {
            let mut moved = self.0.lock();
            for element in list.elements() {
                // There are no more than partitions.
                if !moved.contains(&element.partition()) {
                    moved.push(element.partition());
                }
            }
        }
    }
}

impl KafkaFeedReader {
    /// Joins the group of `client`.
    pub fn open(client: &ClientConfig, topic: &str, name: &str) -> Result<KafkaFeedReader, KafkaError> {
        let consumer: Consumes = client.create_with_context(Moves::default())?;
        consumer.subscribe(&[topic])?;
        Ok(KafkaFeedReader {
            name: name.to_owned(),
            topic: topic.to_owned(),
            consumer: Some(Arc::new(consumer)),
            waiting: VecDeque::new(),
            record: None,
            newer: None,
            next: HashMap::new(),
            handed_out: HashMap::new(),
        })
    }

    fn consumer(&self) -> Result<&Arc<Consumes>, FeedError> {
        // It is there until the drop.
        self.consumer.as_ref().ok_or_else(|| StoreError::Failed("the reader is closed".to_owned()).into())
    }

    /// Forgets what it knew of partitions that came or went.
    fn note_moves(&mut self) -> Result<(), FeedError> {
        let moved = std::mem::take(&mut *self.consumer()?.context().0.lock());
        for partition in moved {
            self.next.remove(&partition);
            // Whoever has it now begins at what is confirmed.
            self.handed_out.remove(&partition);
        }
        Ok(())
    }

    /// Waits for a record, and takes it.
    async fn read_on(&mut self) -> Result<(), FeedError> {
        let consumer = Arc::clone(self.consumer()?);
        let (partition, offset, facts) = match consumer.recv().await {
            Ok(message) => {
                let facts = Facts::decode(message.payload().unwrap_or_default());
                (message.partition(), message.offset(), facts)
            }
            Err(error) if is_final(&error) => return Err(failed(error)),
            Err(error) => {
                tracing::warn!(%error, name = self.name, "reading the feed");
                return Ok(());
            }
        };
        self.note_moves()?;
        let facts = match facts {
            Ok(Facts(facts)) => facts,
            // Not passed over: it is not confirmed, and comes again to one that can read it.
            Err(DecodeError::NewerVersion { found }) => {
                self.newer = Some(found);
                return Ok(());
            }
            // Somebody else wrote it.
            Err(error) => {
                tracing::error!(partition, offset, %error, "what stands in the topic of the feed are no facts");
                Vec::new()
            }
        };
        self.waiting = facts.into();
        self.record = Some((partition, offset));
        if self.waiting.is_empty() {
            self.done_with_record();
        }
        let expected = match self.next.insert(partition, offset + 1) {
            Some(expected) => expected,
            None => self.committed(partition).await?.unwrap_or(offset),
        };
        match u64::try_from(offset - expected) {
            Ok(missing @ 1..) => Err(FeedError::Lost { name: self.name.clone(), facts: missing }),
            _ => Ok(()),
        }
    }

    /// The place that is kept of a partition.
    async fn committed(&self, partition: i32) -> Result<Option<i64>, FeedError> {
        let (consumer, topic) = (Arc::clone(self.consumer()?), self.topic.clone());
        blocking(move || {
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(&topic, partition);
            let committed = consumer.committed_offsets(list, TIMEOUT)?;
            Ok(committed.elements().first().and_then(|element| element.offset().to_raw()).filter(|offset| *offset >= 0))
        })
        .await
    }

    fn done_with_record(&mut self) {
        if let Some((partition, offset)) = self.record.take() {
            self.handed_out.insert(partition, offset + 1);
        }
    }
}

/// Was a place not kept only because the group shares its partitions out anew?
fn is_moving(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{IllegalGeneration, RebalanceInProgress, UnknownMemberId};
    matches!(error.rdkafka_error_code(), Some(IllegalGeneration | RebalanceInProgress | UnknownMemberId))
}

#[async_trait]
impl FeedReader for KafkaFeedReader {
    async fn next(&mut self, limit: usize) -> Result<Option<Vec<Fact>>, FeedError> {
        while self.waiting.is_empty() {
            if let Some(found) = self.newer {
                return Err(StoreError::Damaged(DecodeError::NewerVersion { found }).into());
            }
            self.read_on().await?;
        }
        let facts: Vec<Fact> = self.waiting.drain(..limit.max(1).min(self.waiting.len())).collect();
        if self.waiting.is_empty() {
            self.done_with_record();
        }
        Ok(Some(facts))
    }

    async fn confirm(&mut self) -> Result<(), FeedError> {
        self.note_moves()?;
        if self.handed_out.is_empty() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(self.handed_out.len());
        for (partition, offset) in &self.handed_out {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset)).map_err(failed)?;
        }
        let consumer = Arc::clone(self.consumer()?);
        let kept = blocking(move || match consumer.commit(&list, CommitMode::Sync) {
            Ok(()) => Ok(true),
            // Partitions are moving. Those that stay are confirmed the next time, and the others come again to whoever has them.
            Err(error) if is_moving(&error) => Ok(false),
            Err(error) => Err(error),
        });
        if kept.await? {
            self.handed_out.clear();
        }
        Ok(())
    }
}

impl Drop for KafkaFeedReader {
    fn drop(&mut self) {
        if let Some(consumer) = self.consumer.take() {
            // Leaving the group waits for an answer.
            let leaving = std::thread::Builder::new().name("feed-reader".to_owned()).spawn(move || drop(consumer));
            if let Err(error) = leaving {
                tracing::warn!(%error, "no thread to leave the group of a reader");
            }
        }
    }
}
