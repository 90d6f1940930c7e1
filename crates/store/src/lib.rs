//! Storage and queue: what banter asks of an engine, and the embedded engines that answer.
//!
//! Each trait has one set of behaviour tests in [`behaviour`], run against every implementation, here and in the fleet.

pub mod behaviour;
pub mod cluster;
pub mod data_folder;
pub mod directory;
pub mod embedded;
pub mod error;
pub mod history;
pub mod page;
pub mod queue;
pub mod sessions;

pub use cluster::Cluster;
pub use directory::Directory;
pub use error::StoreError;
pub use history::{History, HistoryBatch};
pub use queue::{Assigned, CommandQueue, Envelope, Origin, PartitionAssignment, PartitionReader, QueueError};
pub use sessions::Sessions;
