//! A member of the group of workers, and what its readers share.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use banter_model::position;
use banter_store::queue::{Assigned, PartitionAssignment, PartitionReader, QueueError};
use rdkafka::consumer::Consumer;
use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::sync::Notify;

use super::KafkaConfig;
use super::counters::KafkaCounters;
use super::membership::{Group, Lease, Member, Membership, News, member};
use super::reader::KafkaReader;

/// How long the member's thread waits for what its group says.
const POLL: Duration = Duration::from_millis(100);
/// The same while it waits for readers to end.
const POLL_WAITING: Duration = Duration::from_millis(5);

/// The partitions that Kafka gives to this process, as a member of the group of workers.
///
/// Dropping it leaves the group, as [`PartitionAssignment::close`] does. A process that dies leaves it after the session timeout.
pub struct KafkaReaders {
    partitions: Arc<Partitions>,
    epoch: u16,
}

/// What the readers share.
pub(super) struct Partitions {
    pub topic: String,
    pub member: Arc<Member>,
    pub membership: Arc<Membership>,
    pub counters: Arc<KafkaCounters>,
    /// One for each partition, made when it is first read, and kept: a second one for the same partition would take the first
    /// one's callback away.
    fetched: Vec<OnceLock<Option<Fetched>>>,
}

/// What was fetched of a partition.
pub(super) struct Fetched {
    pub queue: PartitionQueue<Group>,
    /// Whenever something comes where there was nothing.
    pub arrived: Arc<Notify>,
}

impl KafkaReaders {
    /// Joins the group that `config` names. Kafka is connected to in the background.
    ///
    /// # Errors
    /// The configuration is not one that Kafka's client understands, or there is no thread for it.
    pub fn open(config: &KafkaConfig) -> Result<KafkaReaders, QueueError> {
        let membership = Arc::new(Membership::new(config.topic.clone(), config.partitions, config.handover));
        let counters = Arc::<KafkaCounters>::default();
        let mut client = config.consumer();
        client.set("statistics.interval.ms", config.figures_every.as_millis().to_string());
        let group = Group::new(Arc::clone(&membership), Arc::clone(&counters));
        let member = Arc::new(member(&client, group)?);
        member.subscribe(&[&config.topic]).map_err(|error| QueueError::Failed(error.to_string()))?;
        let partitions = Arc::new(Partitions {
            topic: config.topic.clone(),
            member,
            membership,
            counters,
            fetched: (0..config.partitions).map(|_| OnceLock::new()).collect(),
        });
        let polled = Arc::clone(&partitions);
        std::thread::Builder::new()
            .name("kafka-member".to_owned())
            .spawn(move || polled.run())
            .map_err(|error| QueueError::Failed(error.to_string()))?;
        Ok(KafkaReaders { partitions, epoch: config.epoch.0 })
    }

    /// What it asked of Kafka so far.
    pub fn counters(&self) -> &Arc<KafkaCounters> {
        &self.partitions.counters
    }

    fn assigned(&self, partition: u32, lease: Arc<Lease>) -> Assigned {
        let (partitions, epoch) = (Arc::clone(&self.partitions), self.epoch);
        Assigned::new(partition, move |position| {
            let next = first_offset(partition, epoch, position)?;
            // Before anything is fetched: what comes would go to the member's own queue else.
            if partitions.fetched(partition).is_none() {
                return Err(QueueError::Failed(format!("there is no partition {partition}")));
            }
            partitions.membership.fetch(&partitions.member, partition, &lease, next.cast_signed())?;
            let reader: Box<dyn PartitionReader> =
                Box::new(KafkaReader { partition, epoch, next, lease, partitions, over: false, trouble: None });
            Ok(reader)
        })
    }
}

/// Offset of the first command after `position`. A topic that was made anew is read from its start.
fn first_offset(partition: u32, epoch: u16, position: u64) -> Result<u64, QueueError> {
    let (of, next) = position::unpack(position);
    match of.cmp(&epoch) {
        std::cmp::Ordering::Less => Ok(0),
        std::cmp::Ordering::Equal => Ok(next),
        std::cmp::Ordering::Greater => Err(QueueError::Ahead { partition, position }),
    }
}

impl Partitions {
    /// The queue of what is fetched of `partition`; `None` if there is no such partition.
    pub fn fetched(&self, partition: u32) -> Option<&Fetched> {
        let made = self.fetched.get(partition as usize)?.get_or_init(|| {
            let mut queue = self.member.split_partition_queue(&self.topic, partition as i32)?;
            let arrived = Arc::new(Notify::new());
            queue.set_nonempty_callback({
                let arrived = Arc::clone(&arrived);
                move || arrived.notify_one()
            });
            Some(Fetched { queue, arrived })
        });
        made.as_ref()
    }

    /// Serves the group until the member is to leave. Runs on a thread of its own.
    fn run(self: Arc<Self>) {
        while !self.membership.is_to_leave() {
            let pause = if self.membership.is_waiting() { POLL_WAITING } else { POLL };
            match self.member.poll(pause) {
                None => {}
                Some(Ok(message)) => {
                    let error = "a command came outside of its partition's queue";
                    tracing::error!(partition = rdkafka::Message::partition(&message), error);
                }
                Some(Err(error)) => self.note(error),
            }
            self.membership.give_up_what_is_free(&self.member);
        }
        match self.member.close_queue() {
            Ok(()) => {
                while !self.member.closed() {
                    let _ = self.member.poll(POLL);
                }
            }
            Err(error) => tracing::warn!(%error, "leaving the group"),
        }
        self.membership.left();
    }

    fn note(&self, error: KafkaError) {
        // Others are logged by the client, which tries again.
        if is_final(&error) {
            self.membership.failed(QueueError::Failed(error.to_string()));
        }
    }
}

/// Is it an error that does not pass by itself?
pub(super) fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode::{
        GroupAuthorizationFailed, TopicAuthorizationFailed, UnknownTopic, UnknownTopicOrPartition, UnsupportedSASLMechanism,
    };
    match error {
        KafkaError::MessageConsumptionFatal(_) => true,
        KafkaError::MessageConsumption(code) => matches!(
            code,
            GroupAuthorizationFailed
                | TopicAuthorizationFailed
                | UnknownTopic
                | UnknownTopicOrPartition
                | UnsupportedSASLMechanism
        ),
        _ => false,
    }
}

#[async_trait]
impl PartitionAssignment for KafkaReaders {
    async fn next(&mut self) -> Result<Option<Assigned>, QueueError> {
        loop {
            match self.partitions.membership.news() {
                Some(News::Assigned(partition, lease)) => return Ok(Some(self.assigned(partition, lease))),
                Some(News::Failed(error)) => return Err(error),
                Some(News::Left) => return Ok(None),
                // It keeps a notice that comes while nobody waits.
                None => self.partitions.membership.changed.notified().await,
            }
        }
    }

    fn close(&mut self) {
        self.partitions.membership.close();
    }
}

impl Drop for KafkaReaders {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_begins_after_the_position() {
        let after = |epoch, offset| position::pack(epoch, offset).unwrap();
        assert_eq!(first_offset(0, 0, 0), Ok(0));
        assert_eq!(first_offset(0, 3, after(3, 41)), Ok(42));
        assert_eq!(first_offset(0, 4, after(3, 41)), Ok(0), "the topic was made anew");
        assert_eq!(first_offset(9, 2, after(3, 41)), Err(QueueError::Ahead { partition: 9, position: after(3, 41) }));
    }
}
