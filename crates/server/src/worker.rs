//! The worker: applies the queue to the logs.

mod answers;
mod apply;
pub mod delivery;
mod feeding;
pub mod following;
mod kept;
mod loading;
mod round;
mod run;

use banter_model::Refusal;
use banter_protocol::ErrorCode;
use banter_store::StoreError;

pub use run::Worker;

/// Why a command made no event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The state of the conversation, or what is asked for, forbids it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The server could not.
    #[error("{}", sentence(*.0))]
    Unavailable(ErrorCode),
}

impl Failure {
    /// What a failed read or write of the history means to the one who asked. The details go to the log.
    pub fn from_store(error: StoreError) -> Self {
        let code = match error {
            StoreError::Full => ErrorCode::StorageFull,
            StoreError::ReadOnly(_) | StoreError::Failed(_) => ErrorCode::StorageUnavailable,
            StoreError::Damaged(_) => ErrorCode::Internal,
        };
        if code != ErrorCode::StorageFull {
            tracing::error!(%error, "history");
        }
        Failure::Unavailable(code)
    }

    /// The code on the wire.
    pub fn code(&self) -> &'static str {
        match self {
            Failure::Refused(refusal) => refusal.code(),
            Failure::Unavailable(code) => code.code(),
        }
    }

    /// Seconds to wait before the same command may be stored; `None` when waiting does not help.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Failure::Refused(_) => None,
            Failure::Unavailable(code) => match code {
                ErrorCode::Busy | ErrorCode::RateLimited | ErrorCode::ClockBehind | ErrorCode::ShuttingDown => Some(1),
                ErrorCode::StorageUnavailable | ErrorCode::Internal => Some(5),
                ErrorCode::StorageFull => Some(15),
                _ => None,
            },
        }
    }
}

/// The sentence that goes with a code.
fn sentence(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Busy => "the server has more to do than it can queue; send it again",
        ErrorCode::StorageFull => "the server's disk is full; nothing was stored, and reading goes on",
        ErrorCode::StorageUnavailable => "the server cannot store at the moment; nothing was stored, and reading goes on",
        ErrorCode::ClockBehind => "the server's clock stepped back; send it again when it has caught up",
        ErrorCode::ShuttingDown => "the server is going down; connect again and send it again",
        _ => "a fault of the server's; its log has more",
    }
}
