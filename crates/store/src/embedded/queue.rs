//! The command queue in memory: one channel for each partition, bounded by what the commands weigh.
//!
//! It loses nothing that was promised: a command is answered only after the history has synced it, and a device resends
//! what was not answered.

use std::collections::VecDeque;
use std::sync::Arc;

use async_trait::async_trait;
use banter_model::partition::partition_of;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use crate::queue::{Assigned, CommandQueue, Envelope, PartitionAssignment, PartitionReader, PushError, QueueError};

/// The writing end of all partitions.
pub struct EmbeddedQueue {
    partitions: Vec<Partition>,
    capacity: u32,
    closed: Arc<watch::Sender<bool>>,
}

struct Partition {
    /// Unbounded by itself: every command in it holds its share of `room`.
    sender: mpsc::UnboundedSender<Queued>,
    room: Arc<Semaphore>,
}

/// A command, and the room it takes until it is taken out.
struct Queued {
    envelope: Envelope,
    _room: OwnedSemaphorePermit,
}

/// All partitions, for the one process that there is.
pub struct EmbeddedAssignment {
    /// Those that were not given out yet.
    readers: VecDeque<EmbeddedReader>,
    closed: Arc<watch::Sender<bool>>,
    /// Closed when the last reader is gone.
    last_reader: mpsc::Receiver<()>,
}

/// The reading end of one partition.
pub struct EmbeddedReader {
    partition: u32,
    position: u64,
    receiver: mpsc::UnboundedReceiver<Queued>,
    /// Kept while it is empty, so that a batch costs no allocation of its own.
    taken: Vec<Queued>,
    closed: watch::Receiver<bool>,
    /// The assignment waits until none is left.
    _alive: Option<mpsc::Sender<()>>,
}

impl EmbeddedQueue {
    /// A queue of `partitions`, each of which holds commands that weigh at most `capacity` together, and who reads them: this
    /// process, all of them.
    ///
    /// # Panics
    /// When `partitions` or `capacity` is 0: nothing could be queued then.
    pub fn assigned(partitions: u32, capacity: u32) -> (EmbeddedQueue, EmbeddedAssignment) {
        let (queue, mut readers) = EmbeddedQueue::new(partitions, capacity, &vec![0; partitions as usize]);
        let (alive, last_reader) = mpsc::channel(1);
        readers.iter_mut().for_each(|reader| reader._alive = Some(alive.clone()));
        let assignment = EmbeddedAssignment { readers: readers.into(), closed: Arc::clone(&queue.closed), last_reader };
        (queue, assignment)
    }

    /// A queue of `partitions`, each of which holds commands that weigh at most `capacity` together, and the readers in order
    /// of the partitions. The first command of partition `n` gets the position after `start_positions[n]`.
    ///
    /// # Panics
    /// When `partitions` or `capacity` is 0, or `start_positions` has another length: nothing could be queued then.
    pub fn new(partitions: u32, capacity: u32, start_positions: &[u64]) -> (EmbeddedQueue, Vec<EmbeddedReader>) {
        assert!(partitions > 0 && capacity > 0, "a queue has at least one partition and room for one command");
        assert_eq!(start_positions.len(), partitions as usize, "each partition starts after one position");
        let (closed, is_closed) = watch::channel(false);
        let closed = Arc::new(closed);
        let (partitions, readers) = (0..partitions)
            .zip(start_positions)
            .map(|(partition, position)| {
                let (sender, receiver) = mpsc::unbounded_channel();
                let reader = EmbeddedReader {
                    partition,
                    position: *position,
                    receiver,
                    taken: Vec::new(),
                    closed: is_closed.clone(),
                    _alive: None,
                };
                (Partition { sender, room: Arc::new(Semaphore::new(capacity as usize)) }, reader)
            })
            .unzip();
        (EmbeddedQueue { partitions, capacity, closed }, readers)
    }

    /// Takes no more commands: pushing answers [`PushError::Closed`], also to those that wait for room. The readers get
    /// what is queued, then `None`.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// What the commands that wait in `partition` weigh; 0 if there is no such partition.
    pub fn waiting(&self, partition: u32) -> u32 {
        let free = self.partitions.get(partition as usize).map_or(self.capacity as usize, |found| found.room.available_permits());
        self.capacity.saturating_sub(free as u32)
    }

    fn partition(&self, envelope: &Envelope) -> &Partition {
        // `partition_of` is below the number of partitions.
        &self.partitions[partition_of(envelope.command.conversation, self.partitions()) as usize]
    }

    /// The room that a command takes; one that weighs more than there is takes all of it.
    fn room_for(&self, envelope: &Envelope) -> u32 {
        envelope.command.action.weight().min(self.capacity)
    }
}

impl Partition {
    fn add(&self, envelope: Envelope, room: OwnedSemaphorePermit) -> Result<(), PushError> {
        self.sender.send(Queued { envelope, _room: room }).map_err(|_| PushError::Closed)
    }
}

#[async_trait]
impl CommandQueue for EmbeddedQueue {
    fn partitions(&self) -> u32 {
        // There are as many as `new` was told.
        self.partitions.len() as u32
    }

    fn try_push(&self, envelope: Envelope) -> Result<(), PushError> {
        if *self.closed.borrow() {
            return Err(PushError::Closed);
        }
        let partition = self.partition(&envelope);
        match Arc::clone(&partition.room).try_acquire_many_owned(self.room_for(&envelope)) {
            Ok(room) => partition.add(envelope, room),
            Err(_) => Err(PushError::Full(Box::new(envelope))),
        }
    }

    async fn push(&self, envelope: Envelope) -> Result<(), PushError> {
        let envelope = match self.try_push(envelope) {
            Err(PushError::Full(envelope)) => *envelope,
            done => return done,
        };
        let mut closed = self.closed.subscribe();
        let partition = self.partition(&envelope);
        tokio::select! {
            biased;
            _ = closed.wait_for(|closed| *closed) => Err(PushError::Closed),
            // The semaphore is never closed.
            room = Arc::clone(&partition.room).acquire_many_owned(self.room_for(&envelope)) => {
                room.map_err(|_| PushError::Closed).and_then(|room| partition.add(envelope, room))
            }
        }
    }
}

#[async_trait]
impl PartitionAssignment for EmbeddedAssignment {
    async fn next(&mut self) -> Result<Option<Assigned>, QueueError> {
        if *self.closed.borrow() {
            self.readers.clear();
        }
        if let Some(mut reader) = self.readers.pop_front() {
            return Ok(Some(Assigned::new(reader.partition, |position| {
                reader.position = position;
                Ok(Box::new(reader))
            })));
        }
        // Nothing is ever sent: it ends when the last reader is gone, and they end when the queue is closed and empty.
        let _ = self.last_reader.recv().await;
        Ok(None)
    }

    fn close(&mut self) {
        self.closed.send_replace(true);
    }
}

#[async_trait]
impl PartitionReader for EmbeddedReader {
    fn partition(&self) -> u32 {
        self.partition
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
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
                count = self.receiver.recv_many(&mut self.taken, limit.max(1)) => {
                    if count == 0 {
                        return None;
                    }
                    let first = self.position + 1;
                    self.position += count as u64;
                    return Some((first..).zip(self.taken.drain(..).map(|queued| queued.envelope)).collect());
                }
            }
        }
    }
}
