//! What can go wrong in an engine.

use banter_model::encoding::DecodeError;

/// An engine could not do what was asked. Nothing of a failed write is visible.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or has less room left than is kept in reserve.
    #[error("the disk of the data folder is full: free some space there")]
    Full,
    /// Writing is not possible at the moment, and reading is.
    #[error("the store takes no writes: {0}")]
    ReadOnly(String),
    /// The engine failed.
    #[error("the store failed: {0}")]
    Failed(String),
    /// What is stored cannot be read.
    #[error(transparent)]
    Damaged(#[from] DecodeError),
}
