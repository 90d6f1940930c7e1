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
    /// The next command is not there.
    pub out_of_range: bool,
}

/// What comes instead of commands.
enum Instead {
    /// Nothing yet.
    Wait,
    /// Nothing more.
    End,
    /// The offset that comes next is not there.
    OutOfRange,
}

impl KafkaReader {
    /// Takes what was fetched, without waiting.
    fn take(&mut self, limit: usize) -> Result<Vec<(u64, Envelope)>, Instead> {
        let lease = Arc::clone(&self.lease);
        // Kept while reading: what the next reader of this partition is to find is not taken by this one.
        let over = lease.over();
        if *over || self.over {
            return Err(Instead::End);
        }
        if self.out_of_range {
            return Err(Instead::OutOfRange);
        }
        let partitions = Arc::clone(&self.partitions);
        let Some(fetched) = partitions.fetched(self.partition) else { return Err(Instead::End) };
        let mut batch = Vec::new();
        let mut bytes = 0;
        let instead = loop {
            if batch.len() >= limit.max(1) || bytes >= BATCH_BYTES {
                break Instead::Wait;
            }
            match fetched.queue.poll(Duration::ZERO) {
                None => break Instead::Wait,
                Some(Ok(message)) => {
                    let payload = message.payload().unwrap_or_default();
                    bytes += payload.len();
                    match self.accept(message.offset(), payload) {
                        Ok(command) => batch.extend(command),
                        Err(error) => {
                            partitions.membership.failed(error);
                            self.over = true;
                            break Instead::End;
                        }
                    }
                }
                Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) => {
                    self.out_of_range = true;
                    break Instead::OutOfRange;
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    partitions.membership.failed(QueueError::Failed(format!("partition {}: {code}", self.partition)));
                    self.over = true;
                    break Instead::End;
                }
                // The client tries again by itself.
                Some(Err(error)) => tracing::warn!(partition = self.partition, %error, "reading commands"),
            }
        };
        // What came before an end is handed out first.
        if batch.is_empty() { Err(instead) } else { Ok(batch) }
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

    /// Tells why the next offset is not there.
    async fn tell_out_of_range(&self) {
        let (partition, wanted, epoch) = (self.partition, self.next, self.epoch);
        let partitions = Arc::clone(&self.partitions);
        let ask = move || partitions.member.fetch_watermarks(&partitions.topic, partition as i32, BOUNDS_TIMEOUT);
        let error = match tokio::task::spawn_blocking(ask).await {
            Ok(Ok((first, _))) if wanted < first.unsigned_abs() => {
                QueueError::Trimmed { partition, wanted, first: first.unsigned_abs() }
            }
            // Only what was packed is asked for.
            Ok(Ok(_)) => QueueError::Ahead { partition, position: u64::from(epoch) << 48 | wanted },
            Ok(Err(error)) => QueueError::Failed(format!("partition {partition} has no offset {wanted}: {error}")),
            Err(error) => QueueError::Failed(error.to_string()),
        };
        self.partitions.membership.failed(error);
    }
}

#[async_trait]
impl PartitionReader for KafkaReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        loop {
            match self.take(limit) {
                Ok(batch) => return Some(batch),
                Err(Instead::End) => return None,
                Err(Instead::OutOfRange) => {
                    self.tell_out_of_range().await;
                    self.over = true;
                    return None;
                }
                Err(Instead::Wait) => {}
            }
            let partitions = Arc::clone(&self.partitions);
            let Some(fetched) = partitions.fetched(self.partition) else { return None };
            // Both keep a notice that comes while nobody waits.
            tokio::select! {
                () = fetched.arrived.notified() => {}
                () = self.lease.ended.notified() => {}
            }
        }
    }

    fn replays(&self) -> bool {
        true
    }

    async fn wait(&mut self, pause: Duration) -> bool {
        let over = *self.lease.over();
        if !over {
            // Either way it is looked at again.
            let _ = tokio::time::timeout(pause, self.lease.ended.notified()).await;
        }
        !*self.lease.over() && !self.over
    }
}
