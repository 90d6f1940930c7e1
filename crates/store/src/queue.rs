//! The command queue: between the gateways and the workers, one ordered queue for each partition.

use std::time::Duration;

use async_trait::async_trait;
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
}

/// The reading end of one partition.
#[async_trait]
pub trait PartitionReader: Send + 'static {
    /// Which partition.
    fn partition(&self) -> u32;

    /// Waits for commands, then takes what is there, at most `limit`, in order, each with its position (see
    /// [`banter_model::position`]). Positions grow, from the one that the reader was started after. `None` when the queue is
    /// closed and empty, or the partition is another reader's now.
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
