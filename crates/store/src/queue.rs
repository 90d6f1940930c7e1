//! The command queue: between the gateways and the workers, one ordered queue for each partition.

use std::time::Duration;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::{Command, Objection};
use serde::{Deserialize, Serialize};

/// A command and who waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The command.
    pub command: Command,
    /// Where the answer goes.
    pub origin: Origin,
    /// What the gateway found against it, to be judged when it is known whether it was stored before.
    pub objection: Option<Objection>,
}

impl Stored for Envelope {}

/// Where an answer goes: a session of a gateway. If it is gone by then, the device asks again with the same tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Origin {
    /// Node number of the gateway.
    pub gateway: u16,
    /// Session of that gateway.
    pub session: u64,
}

/// The queue does not take the command.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// It is full. The command comes back, to be pushed when there is room ([`CommandQueue::push`]).
    #[error("the queue is full")]
    Full(Box<Envelope>),
    /// The server is going down.
    #[error("the queue is closed")]
    Closed,
}

/// The writing end.
#[async_trait]
pub trait CommandQueue: Send + Sync + 'static {
    /// How many partitions there are; fixed at installation.
    fn partitions(&self) -> u32;

    /// Adds a command to its conversation's partition if there is room. Room is counted by [`banter_model::Action::weight`].
    fn try_push(&self, envelope: Envelope) -> Result<(), PushError>;

    /// Adds a command to its conversation's partition, waiting for room.
    async fn push(&self, envelope: Envelope) -> Result<(), PushError>;

    /// Is the engine known to be away? Asks nothing: an engine that tells of it by itself, and others never, are not.
    fn is_away(&self) -> bool {
        false
    }
}

/// The reading end of one partition.
#[async_trait]
pub trait PartitionReader: Send + 'static {
    /// Which partition.
    fn partition(&self) -> u32;

    /// Waits for commands, then takes what is there, at most `limit`, in order, each with its position (see
    /// [`banter_model::position`]). Positions grow, from the one that the reader was started after. `None` when the queue is
    /// closed and empty, and when the partition is another reader's now: what was handed out before that is to be finished, and
    /// nothing more comes. Where the queue [replays](PartitionReader::replays) the future may be dropped and asked for again.
    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>>;

    /// Does the queue keep its commands, so that after the death of a worker the next one gets them again from the position that
    /// is stored? Then the log decides what becomes of each: a worker tries again until it is stored, and never answers that it
    /// cannot and goes on. With `false` a command that was handed out and not stored is gone, and its sender is told.
    fn replays(&self) -> bool {
        false
    }

    /// Waits for `pause`, or less when the partition is taken away or the queue closed meanwhile. Is it worth trying again? `false`
    /// when the partition is another reader's now, or the server is going down.
    async fn wait(&mut self, pause: Duration) -> bool {
        tokio::time::sleep(pause).await;
        true
    }
}

#[async_trait]
impl<R: PartitionReader + ?Sized> PartitionReader for Box<R> {
    fn partition(&self) -> u32 {
        (**self).partition()
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        (**self).next_batch(limit).await
    }

    fn replays(&self) -> bool {
        (**self).replays()
    }

    async fn wait(&mut self, pause: Duration) -> bool {
        (**self).wait(pause).await
    }
}

/// Says which partitions this process reads: all of them where there is one process, and those that its group gave to it in a
/// fleet.
#[async_trait]
pub trait PartitionAssignment: Send + 'static {
    /// Waits for the next partition that this process is to read. `None` after [`PartitionAssignment::close`], when all readers
    /// are gone. The future may be dropped and asked for again.
    ///
    /// # Errors
    /// A partition cannot be read, or no longer ([`QueueError`]); its reader ends. Others go on, and this may be called again.
    async fn next(&mut self) -> Result<Option<Assigned>, QueueError>;

    /// Gives all partitions up: every reader ends. To be called after the last command was pushed.
    fn close(&mut self);
}

/// A partition that this process is to read. Dropping it is refusing it, until it is assigned anew.
pub struct Assigned {
    partition: u32,
    start: Box<StartReader>,
}

/// Starts the reader of a partition after a position.
type StartReader = dyn FnOnce(u64) -> Result<Box<dyn PartitionReader>, QueueError> + Send;

impl Assigned {
    /// `partition`, read by what `start` makes of the position.
    pub fn new(
        partition: u32,
        start: impl FnOnce(u64) -> Result<Box<dyn PartitionReader>, QueueError> + Send + 'static,
    ) -> Assigned {
        Assigned { partition, start: Box::new(start) }
    }

    /// Which partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The reader of the commands after `position`, which is that of the last one that is stored
    /// ([`crate::History::position`]). If the partition was taken away meanwhile, the reader ends at once.
    ///
    /// # Errors
    /// The queue cannot give the commands after `position`.
    pub fn start(self, position: u64) -> Result<Box<dyn PartitionReader>, QueueError> {
        (self.start)(position)
    }
}

/// A partition cannot be read from where it has to be. Nothing is skipped in silence: somebody has to look at it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The queue has thrown commands away that were never stored.
    #[error(
        "the queue of partition {partition} begins after offset {first}, and the history ends at offset {wanted}: commands were \
         removed before they were stored. Give the topic a longer retention"
    )]
    Trimmed {
        /// The partition.
        partition: u32,
        /// Offset of the next command to be stored.
        wanted: u64,
        /// Offset of the first command that is there.
        first: u64,
    },
    /// The history is ahead of the queue: the queue lost its end, or was made anew.
    #[error(
        "the history has partition {partition} up to position {position:#x}, which is beyond the end of the queue: the queue lost \
         commands, or was made anew without a new epoch"
    )]
    Ahead {
        /// The partition.
        partition: u32,
        /// The position in the history.
        position: u64,
    },
    /// Commands are missing in the middle.
    #[error("the queue of partition {partition} goes from offset {wanted} on with offset {found}: commands are missing")]
    Gap {
        /// The partition.
        partition: u32,
        /// The offset that comes next.
        wanted: u64,
        /// The offset found.
        found: u64,
    },
    /// A newer banter wrote a command.
    #[error("offset {offset} of partition {partition} was written by a newer banter (version {version}): run that one")]
    Newer {
        /// The partition.
        partition: u32,
        /// Offset of the command.
        offset: u64,
        /// The version of its encoding.
        version: u8,
    },
    /// The engine failed.
    #[error("the queue failed: {0}")]
    Failed(String),
}
