//! The worker: applies the queue to the logs.

use banter_model::Refusal;
use banter_protocol::ErrorCode;

/// Why a command made no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The state of the conversation, or what is asked for, forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server could not: [`ErrorCode::StorageFull`], [`ErrorCode::StorageUnavailable`], [`ErrorCode::Busy`] ...
    #[error("{}", .0.code())]
    Unavailable(ErrorCode),
}
