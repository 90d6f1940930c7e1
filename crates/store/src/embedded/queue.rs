//! The command queue in memory: one bounded channel for each partition.
//!
//! It loses nothing that was promised: a command is answered only after the history has synced it, and a device resends
//! what was not answered.

use async_trait::async_trait;
use banter_model::partition::partition_of;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

use crate::queue::{CommandQueue, Envelope, PartitionReader, PushError};

/// The writing end of all partitions.
pub struct EmbeddedQueue {
    senders: Vec<mpsc::Sender<Envelope>>,
    closed: watch::Sender<bool>,
}

/// The reading end of one partition.
pub struct EmbeddedReader {
    partition: u32,
    position: u64,
    receiver: mpsc::Receiver<Envelope>,
    closed: watch::Receiver<bool>,
}

impl EmbeddedQueue {
    /// A queue of `partitions`, each of which holds at most `capacity` commands, and the readers in order of the
    /// partitions. The first command of partition `n` gets the position after `start_positions[n]`.
    ///
    /// # Panics
    /// When `partitions` or `capacity` is 0, or `start_positions` has another length: nothing could be queued then.
    pub fn new(partitions: u32, capacity: usize, start_positions: &[u64]) -> (EmbeddedQueue, Vec<EmbeddedReader>) {
        assert!(partitions > 0 && capacity > 0, "a queue has at least one partition and room for one command");
        assert_eq!(start_positions.len(), partitions as usize, "each partition starts after one position");
        let (closed, is_closed) = watch::channel(false);
        let (senders, readers) = (0..partitions)
            .zip(start_positions)
            .map(|(partition, position)| {
                let (sender, receiver) = mpsc::channel(capacity);
                (sender, EmbeddedReader { partition, position: *position, receiver, closed: is_closed.clone() })
            })
            .unzip();
        (EmbeddedQueue { senders, closed }, readers)
    }

    /// Takes no more commands: pushing answers [`PushError::Closed`], also to those that wait for room. The readers get
    /// what is queued, then `None`.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Commands that wait in `partition`; 0 if there is no such partition.
    pub fn waiting(&self, partition: u32) -> usize {
        self.senders.get(partition as usize).map_or(0, |sender| sender.max_capacity() - sender.capacity())
    }

    fn sender(&self, envelope: &Envelope) -> &mpsc::Sender<Envelope> {
        // `partition_of` is below the number of partitions.
        &self.senders[partition_of(envelope.command.conversation, self.partitions()) as usize]
    }
}

#[async_trait]
impl CommandQueue for EmbeddedQueue {
    fn partitions(&self) -> u32 {
        // There are as many as `new` was told.
        self.senders.len() as u32
    }

    fn try_push(&self, envelope: Envelope) -> Result<(), PushError> {
        if *self.closed.borrow() {
            return Err(PushError::Closed);
        }
        self.sender(&envelope).try_send(envelope).map_err(|error| match error {
            TrySendError::Full(envelope) => PushError::Full(Box::new(envelope)),
            TrySendError::Closed(_) => PushError::Closed,
        })
    }

    async fn push(&self, envelope: Envelope) -> Result<(), PushError> {
        let envelope = match self.try_push(envelope) {
            Err(PushError::Full(envelope)) => *envelope,
            done => return done,
        };
        let mut closed = self.closed.subscribe();
        let sender = self.sender(&envelope);
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(PushError::Closed),
            sent = sender.send(envelope) => sent.map_err(|_| PushError::Closed),
        }
    }
}

#[async_trait]
impl PartitionReader for EmbeddedReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        let mut taken = Vec::with_capacity(limit.clamp(1, self.receiver.len().max(1)));
        let closed = &mut self.closed;
        // The queue closes by its flag, or by being dropped.
        let mut closing = std::pin::pin!(async { closed.wait_for(|closed| *closed).await.is_ok() });
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                flagged = &mut closing, if !told => {
                    told = true;
                    if flagged {
                        // What was pushed before this is still received, what comes after is refused.
                        self.receiver.close();
                    }
                }
                count = self.receiver.recv_many(&mut taken, limit.max(1)) => {
                    if count == 0 {
                        return None;
                    }
                    let first = self.position + 1;
                    self.position += count as u64;
                    return Some((first..).zip(taken).collect());
                }
            }
        }
    }
}
