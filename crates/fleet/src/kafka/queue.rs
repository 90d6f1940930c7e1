//! The writing end: a producer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use banter_model::Objection;
use banter_model::encoding::Stored;
use banter_model::partition::partition_of;
use banter_store::queue::{CommandQueue, Envelope, PushError, QueueError};
use parking_lot::RwLock;
use rdkafka::ClientContext;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig, ThreadedProducer};
use tokio::sync::{Notify, Semaphore, watch};

use super::KafkaConfig;
use super::config::MESSAGE_BYTES;
use super::counters::{KafkaCounters, Reported};

/// Told of commands that were taken and are not in the topic. Called on the producer's threads and by those who push: it must not block.
pub trait Unsent: Send + Sync + 'static {
    /// The command will not be in the topic, as far as is known, and why. The sender is to send it again, with its tag.
    fn failed(&self, command: Envelope, reason: &str);

    /// Is the command, which is about to be sent, to come after one that failed and was not sent again yet? Then it is given to
    /// [`Unsent::held_back`] instead, or the two would change places. May be asked about one command more than once.
    fn holds_back(&self, command: &Envelope) -> bool;

    /// The command was not sent: its sender is to send it again, after the earlier one.
    fn held_back(&self, command: Envelope);
}

/// The longest that it takes until everything that was purged is told of.
const PURGE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a sender waits before it tries again where the bytes of all partitions together are the limit, if nothing tells it before.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// The command queue of a fleet, as a gateway sees it.
///
/// A command is in the topic some time after it was taken; while Kafka does not acknowledge, commands stay in memory, in their
/// order, until there is no more room ([`PushError::Full`]).
pub struct KafkaQueue {
    topic: String,
    capacity: u32,
    config: KafkaConfig,
    /// Replaced when it has failed for good. Held for reading for the copying of a command into the producer's memory.
    producer: Arc<RwLock<Arc<ThreadedProducer<Deliveries>>>>,
    shared: Arc<Shared>,
    closed: watch::Sender<bool>,
}

/// What the queue did so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueFigures {
    /// Commands that all replicas in sync have.
    pub acknowledged: u64,
    /// Commands that failed for good.
    pub failed: u64,
    /// How often the producer was made anew because it had failed for good.
    pub producers_replaced: u64,
}

struct Shared {
    /// One for each partition, in units of weight.
    room: Vec<Semaphore>,
    /// Whenever something was acknowledged, or failed.
    freed: Notify,
    unsent: Arc<dyn Unsent>,
    replacing: AtomicBool,
    counters: Arc<KafkaCounters>,
    failures: AtomicU64,
    replaced: AtomicU64,
}

/// What becomes of what was sent. Called on the producer's thread.
struct Deliveries {
    shared: Arc<Shared>,
    reported: Reported,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the producer of commands");
    }

    fn stats_raw(&self, figures: &[u8]) {
        self.reported.take(figures);
    }
}

impl ProducerContext for Deliveries {
    /// What the command weighs.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, weight: usize) {
        let (message, error) = match result {
            Ok(message) => (message, None),
            Err((error, message)) => (message, Some(error)),
        };
        match error {
            None => KafkaCounters::add(&self.shared.counters.records, 1),
            // It is what `send` encoded.
            Some(error) => match message.payload().map(Envelope::decode) {
                Some(Ok(envelope)) => self.shared.fail(envelope, &error.to_string()),
                _ => tracing::error!(%error, "a command that failed cannot be read back"),
            },
        }
        if let Some(room) = usize::try_from(message.partition()).ok().and_then(|partition| self.shared.room.get(partition)) {
            room.add_permits(weight);
        }
        self.shared.freed.notify_waiters();
    }
}

impl Shared {
    fn fail(&self, envelope: Envelope, reason: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(conversation = %envelope.command.conversation, reason, "a command did not get into the queue");
        self.unsent.failed(envelope, reason);
    }
}

/// Why the producer did not take a command.
enum NotTaken {
    /// There is no room, or there will be a producer in a moment.
    Later,
    /// It never will.
    Never(String),
    /// It has to come after one that failed.
    HeldBack,
}

impl KafkaQueue {
    /// The queue that `config` names. Kafka is connected to in the background, and again whenever the connection breaks.
    ///
    /// # Errors
    /// The configuration is not one that Kafka's client understands.
    ///
    /// # Panics
    /// When there are no partitions or there is no room for a command: nothing could be queued then.
    pub fn open(config: &KafkaConfig, unsent: Arc<dyn Unsent>) -> Result<KafkaQueue, QueueError> {
        assert!(
            config.partitions > 0 && config.unacknowledged > 0,
            "a queue has at least one partition and room for one command"
        );
        let shared = Arc::new(Shared {
            room: (0..config.partitions).map(|_| Semaphore::new(config.unacknowledged as usize)).collect(),
            freed: Notify::new(),
            unsent,
            replacing: AtomicBool::new(false),
            counters: Arc::default(),
            failures: AtomicU64::new(0),
            replaced: AtomicU64::new(0),
        });
        let producer = Arc::new(RwLock::new(Arc::new(producer(config, &shared)?)));
        Ok(KafkaQueue {
            topic: config.topic.clone(),
            capacity: config.unacknowledged,
            config: config.clone(),
            producer,
            shared,
            closed: watch::Sender::new(false),
        })
    }

    /// Takes no more commands: pushing answers [`PushError::Closed`], also to those that wait for room. What was taken is sent.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Closes, and waits until everything taken is acknowledged. What is not after `wait` fails for good. Returns how many failed.
    pub async fn drain(&self, wait: Duration) -> u64 {
        self.close();
        let before = self.shared.failures.load(Ordering::Relaxed);
        let producer = Arc::clone(&self.producer.read());
        let flush = move || {
            if producer.flush(wait).is_err() {
                producer.purge(PurgeConfig::default().queue().inflight());
            }
        };
        // It ends by itself, and the runtime waits for it.
        let _ = tokio::task::spawn_blocking(flush).await;
        // The producer's threads tell of the last ones in a moment.
        let told = async {
            while (0..self.partitions()).any(|partition| self.waiting(partition) > 0) {
                let _ = tokio::time::timeout(RETRY_AFTER, self.shared.freed.notified()).await;
            }
        };
        if tokio::time::timeout(PURGE_TIMEOUT, told).await.is_err() {
            tracing::error!("not all commands that failed are told of");
        }
        self.shared.failures.load(Ordering::Relaxed) - before
    }

    /// What the commands of `partition` that are not acknowledged weigh; 0 if there is no such partition.
    pub fn waiting(&self, partition: u32) -> u32 {
        let free = self.shared.room.get(partition as usize).map_or(self.capacity as usize, Semaphore::available_permits);
        self.capacity.saturating_sub(free as u32)
    }

    /// What it did so far.
    pub fn figures(&self) -> QueueFigures {
        QueueFigures {
            acknowledged: self.shared.counters.records.load(Ordering::Relaxed),
            failed: self.shared.failures.load(Ordering::Relaxed),
            producers_replaced: self.shared.replaced.load(Ordering::Relaxed),
        }
    }

    /// What it asked of Kafka so far.
    pub fn counters(&self) -> &Arc<KafkaCounters> {
        &self.shared.counters
    }

    /// Partition and weight; a command that weighs more than there is room takes all of it.
    fn place(&self, envelope: &Envelope) -> (u32, u32) {
        let partition = partition_of(envelope.command.conversation, self.partitions());
        (partition, envelope.command.action.weight().min(self.capacity))
    }

    /// Hands a command, for which there is room, to the producer. It is copied, and sent by another thread.
    fn send(&self, partition: u32, weight: u32, envelope: &Envelope) -> Result<(), NotTaken> {
        let payload = envelope.encode();
        if payload.len() > MESSAGE_BYTES {
            return Err(NotTaken::Never(format!("it has {} bytes, and a command has at most {MESSAGE_BYTES}", payload.len())));
        }
        let record = BaseRecord::<(), [u8], usize>::with_opaque_to(&self.topic, weight as usize)
            // There are fewer than 2^31.
            .partition(partition as i32)
            .payload(&payload);
        let producer = self.producer.read();
        // With the producer in hand: one that takes the place of one that failed comes when all that failed with that is told.
        if self.shared.unsent.holds_back(envelope) {
            return Err(NotTaken::HeldBack);
        }
        // Its refusal would come from the worker, which goes on with what the device wrote after it: a worker of a queue that keeps its
        // commands may not hold up anything, since the next one would not know of it.
        if envelope.objection == Some(Objection::Unchecked) {
            return Err(NotTaken::Never("what it depends on could not be read".to_owned()));
        }
        match producer.send(record) {
            Ok(()) => Ok(()),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Err(NotTaken::Later),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::Fatal), _)) => {
                let failed = Arc::clone(&producer);
                drop(producer);
                self.replace(failed);
                Err(NotTaken::Later)
            }
            Err((error, _)) => Err(NotTaken::Never(error.to_string())),
        }
    }

    /// Puts a new producer in the place of one that has failed for good, on another thread: dropping the old one takes a moment.
    fn replace(&self, failed: Arc<ThreadedProducer<Deliveries>>) {
        if self.shared.replacing.swap(true, Ordering::AcqRel) {
            return;
        }
        let (place, shared, config) = (Arc::clone(&self.producer), Arc::clone(&self.shared), self.config.clone());
        let replacing = std::thread::Builder::new().name("kafka-producer".to_owned()).spawn(move || {
            let current = Arc::clone(&place.read());
            // Another may have done it before this one was asked to.
            if Arc::ptr_eq(&current, &failed) {
                // What it still has fails, and is told of before a later command can get into the topic by the new one.
                failed.purge(PurgeConfig::default().queue().inflight());
                if let Err(error) = failed.flush(PURGE_TIMEOUT) {
                    tracing::error!(%error, "not all commands that failed are told of");
                }
                match producer(&config, &shared) {
                    Ok(fresh) => {
                        shared.replaced.fetch_add(1, Ordering::Relaxed);
                        *place.write() = Arc::new(fresh);
                    }
                    Err(error) => tracing::error!(%error, "no new producer of commands"),
                }
            }
            drop(current);
            drop(failed);
            shared.replacing.store(false, Ordering::Release);
        });
        if let Err(error) = replacing {
            tracing::error!(%error, "no thread for a new producer of commands");
            self.shared.replacing.store(false, Ordering::Release);
        }
    }
}

fn producer(config: &KafkaConfig, shared: &Arc<Shared>) -> Result<ThreadedProducer<Deliveries>, QueueError> {
    let deliveries = Deliveries { shared: Arc::clone(shared), reported: Reported::new(Arc::clone(&shared.counters)) };
    ThreadedProducer::from_config_and_context(&config.producer(), deliveries)
        .map_err(|error| QueueError::Failed(error.to_string()))
}

#[async_trait]
impl CommandQueue for KafkaQueue {
    fn partitions(&self) -> u32 {
        self.config.partitions
    }

    fn is_away(&self) -> bool {
        self.shared.counters.is_away()
    }

    fn try_push(&self, envelope: Envelope) -> Result<(), PushError> {
        if *self.closed.borrow() {
            return Err(PushError::Closed);
        }
        let (partition, weight) = self.place(&envelope);
        let Ok(room) = self.shared.room[partition as usize].try_acquire_many(weight) else {
            return Err(PushError::Full(Box::new(envelope)));
        };
        match self.send(partition, weight, &envelope) {
            // Given back when it is acknowledged.
            Ok(()) => room.forget(),
            Err(NotTaken::Later) => return Err(PushError::Full(Box::new(envelope))),
            Err(NotTaken::Never(reason)) => self.shared.fail(envelope, &reason),
            Err(NotTaken::HeldBack) => self.shared.unsent.held_back(envelope),
        }
        Ok(())
    }

    async fn push(&self, envelope: Envelope) -> Result<(), PushError> {
        let envelope = match self.try_push(envelope) {
            Err(PushError::Full(envelope)) => *envelope,
            done => return done,
        };
        let mut closed = self.closed.subscribe();
        let (partition, weight) = self.place(&envelope);
        loop {
            let room = tokio::select! {
                biased;
                _ = closed.wait_for(|closed| *closed) => return Err(PushError::Closed),
                room = self.shared.room[partition as usize].acquire_many(weight) => room.map_err(|_| PushError::Closed)?,
            };
            let freed = self.shared.freed.notified();
            match self.send(partition, weight, &envelope) {
                Ok(()) => {
                    room.forget();
                    return Ok(());
                }
                Err(NotTaken::Later) => {
                    drop(room);
                    // Either way it is tried again.
                    let _ = tokio::time::timeout(RETRY_AFTER, freed).await;
                }
                Err(NotTaken::Never(reason)) => {
                    self.shared.fail(envelope, &reason);
                    return Ok(());
                }
                Err(NotTaken::HeldBack) => {
                    self.shared.unsent.held_back(envelope);
                    return Ok(());
                }
            }
        }
    }
}
