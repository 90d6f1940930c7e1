//! The reading end of one partition.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::encoding::{DecodeError, Stored};
use banter_model::position;
use banter_store::queue::{Envelope, PartitionReader, QueueError};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;

use super::counters::KafkaCounters;
use super::membership::Lease;
use super::readers::Partitions;

/// Bytes of commands in one batch, at most, besides the first command.
const BATCH_BYTES: usize = 4 << 20;
/// The longest that it is asked for where a partition begins, when a reader does not find its place there.
const BOUNDS_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads one partition for as long as its lease lasts.
pub(super) struct KafkaReader {
    pub partition: u32,
    pub epoch: u16,
    /// Offset of the next command.
    pub next: u64,
    pub lease: Arc<Lease>,
    pub partitions: Arc<Partitions>,
    /// Nothing comes any more: there was an error.
    pub over: bool,
    /// Why nothing comes any more, until it is told.
    pub trouble: Option<Trouble>,
}

/// Why a partition cannot be read on.
pub(super) enum Trouble {
    /// The offset that comes next is not there. Why has to be asked for.
    OutOfRange,
    /// Anything else.
    Failed(QueueError),
}

impl KafkaReader {
    /// Takes what was fetched, without waiting; nothing when the lease is over or there is [`KafkaReader::trouble`].
    fn take(&mut self, limit: usize) -> Vec<(u64, Envelope)> {
        let (lease, partitions) = (Arc::clone(&self.lease), Arc::clone(&self.partitions));
        let mut batch = Vec::new();
        // Kept while reading: what the next reader of this partition is to find is not taken by this one.
        let over = lease.over();
        let Some(fetched) = partitions.fetched(self.partition).filter(|_| !*over && !self.over) else { return batch };
        let mut bytes = 0;
        while batch.len() < limit.max(1) && bytes < BATCH_BYTES {
            let trouble = match fetched.queue.poll(Duration::ZERO) {
                None => break,
                Some(Ok(message)) => {
                    let payload = message.payload().unwrap_or_default();
                    match self.accept(message.offset(), payload) {
                        Ok(None) => continue,
                        Ok(Some(command)) => {
                            bytes += payload.len();
                            batch.push(command);
                            continue;
                        }
                        Err(error) => Trouble::Failed(error),
                    }
                }
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => Trouble::OutOfRange,
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    Trouble::Failed(QueueError::Failed(format!("partition {}: {code}", self.partition)))
                }
                // The client tries again by itself.
                Some(Err(error)) => {
                    tracing::warn!(partition = self.partition, %error, "reading commands");
                    continue;
                }
            };
            // What came before it is handed out first.
            self.trouble = Some(trouble);
            self.over = true;
            break;
        }
        KafkaCounters::add(&partitions.counters.records, batch.len() as u64);
        batch
    }

    /// Has nothing more to give?
    fn is_over(&self) -> bool {
        self.over || *self.lease.over()
    }

    /// The command at `offset`; `None` if it was there before, or is none.
    fn accept(&mut self, offset: i64, payload: &[u8]) -> Result<Option<(u64, Envelope)>, QueueError> {
        let partition = self.partition;
        // Offsets of messages are not negative.
        let offset = offset.unsigned_abs();
        if offset < self.next {
            return Ok(None);
        }
        if offset > self.next {
            return Err(QueueError::Gap { partition, wanted: self.next, found: offset });
        }
        let at = position::pack(self.epoch, offset)
            .ok_or_else(|| QueueError::Failed(format!("offset {offset} of partition {partition} is beyond all positions")))?;
        let command = match Envelope::decode(payload) {
            Ok(envelope) => Some((at, envelope)),
            Err(DecodeError::NewerVersion { found }) => {
                return Err(QueueError::Newer { partition, offset, version: found });
            }
            // Kafka's checksum is right, so it was written so, by somebody else. Every worker passes over it.
            Err(error) => {
                tracing::error!(partition, offset, %error, "what stands in the topic of commands is no command");
                None
            }
        };
        self.next = offset + 1;
        Ok(command)
    }

    /// Tells why the partition cannot be read on.
    async fn tell(&self, trouble: &Trouble) {
        let error = match trouble {
            Trouble::Failed(error) => error.clone(),
            Trouble::OutOfRange => self.why_out_of_range().await,
        };
        self.partitions.membership.failed(error);
    }

    /// Why the next offset is not there.
    async fn why_out_of_range(&self) -> QueueError {
        let (partition, wanted, epoch) = (self.partition, self.next, self.epoch);
        let partitions = Arc::clone(&self.partitions);
        let ask = move || partitions.member.fetch_watermarks(&partitions.topic, partition as i32, BOUNDS_TIMEOUT);
        match tokio::task::spawn_blocking(ask).await {
            Ok(Ok((first, _))) if wanted < first.unsigned_abs() => {
                QueueError::Trimmed { partition, wanted, first: first.unsigned_abs() }
            }
            // It is not 0, which is not beyond any end.
            Ok(Ok(_)) => QueueError::Ahead { partition, position: position::pack(epoch, wanted.saturating_sub(1)).unwrap_or(0) },
            Ok(Err(error)) => QueueError::Failed(format!("partition {partition} has no offset {wanted}: {error}")),
            Err(error) => QueueError::Failed(error.to_string()),
        }
    }
}

#[async_trait]
impl PartitionReader for KafkaReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        loop {
            let batch = self.take(limit);
            if !batch.is_empty() {
                return Some(batch);
            }
            if let Some(trouble) = &self.trouble {
                self.tell(trouble).await;
                self.trouble = None;
            }
            if self.is_over() {
                return None;
            }
            let partitions = Arc::clone(&self.partitions);
            let fetched = partitions.fetched(self.partition)?;
            // Both keep a notice that comes while nobody waits. The end first: whoever reads here next waits for the same arrivals, and one that
            // this reader is told of and does not take passes on to them.
            tokio::select! {
                biased;
                () = self.lease.ended.notified() => {}
                () = fetched.arrived.notified() => {}
            }
        }
    }

    fn replays(&self) -> bool {
        true
    }

    async fn wait(&mut self, pause: Duration) -> bool {
        if !self.is_over() {
            // Either way it is looked at again.
            let _ = tokio::time::timeout(pause, self.lease.ended.notified()).await;
        }
        !self.is_over()
    }
}
