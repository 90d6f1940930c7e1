//! The engines under a server, behind the traits: all in one data folder, or those of a fleet.

mod embedded;
mod engine_metrics;
pub(crate) mod fleet;
pub mod forwarding;
pub mod unqueued;

use std::sync::Arc;

use async_trait::async_trait;
use banter_store::{Cluster, CommandQueue, Directory, Feed, History, PartitionAssignment, Sessions, StoreError};
use prometheus_client::collector::Collector;

use unqueued::Unqueued;

pub use embedded::{EMBEDDED_PARTITIONS, IDS_FILE};

/// What a server is built from.
pub struct Stores {
    /// Logs.
    pub history: Arc<dyn History>,
    /// The way to the workers.
    pub queue: Arc<dyn CommandQueue>,
    /// Who is told of commands that the queue took and could not keep.
    pub unqueued: Arc<Unqueued>,
    /// Which partitions are applied here; `None` for a node that applies none.
    pub assignment: Option<Box<dyn PartitionAssignment>>,
    /// Where workers write on to what they stored; `None` where the history does that itself, or nobody is to follow.
    pub feed: Option<Arc<dyn Feed>>,
    /// People.
    pub directory: Arc<dyn Directory>,
    /// Which nodes there are, this one among them.
    pub cluster: Arc<dyn Cluster>,
    /// Who has sessions where; `None` when this server is all there is.
    pub sessions: Option<Arc<dyn Sessions>>,
    /// The key that tokens are signed with.
    pub key: [u8; 32],
    /// What the engines count by themselves.
    pub collector: Option<Box<dyn Collector>>,
    /// How they are closed.
    pub closing: Box<dyn Closing>,
}

/// Takes the engines down.
#[async_trait]
pub trait Closing: Send + Sync {
    /// No more commands are taken from here. Those that were taken are on their way to the workers when this returns.
    async fn close_queue(&self);

    /// Closes everything. Called when the workers of this node have ended.
    ///
    /// # Errors
    /// When something that was to be stored is not.
    async fn close(&self) -> Result<(), StoreError>;
}
