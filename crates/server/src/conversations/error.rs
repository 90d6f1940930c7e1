//! Why a question about conversations has no answer.

use banter_model::Refusal;
use banter_protocol::error::status_of_refusal;
use banter_protocol::{ErrorBody, ErrorCode};
use banter_store::StoreError;
use banter_store::directory::DirectoryError;

use crate::worker::Failure;

/// Why a question about conversations has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadingError {
    /// The asker may not, or asked for what is not there.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// A parameter is wrong.
    #[error("{0}")]
    InvalidParameter(String),
    /// The history failed.
    #[error(transparent)]
    History(#[from] StoreError),
    /// The directory failed.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl ReadingError {
    /// What the asker is told. Why an engine failed goes to the server's log instead.
    pub fn body(&self) -> ErrorBody {
        let code = match self.code() {
            Ok(code) => code,
            Err(refusal) => {
                return ErrorBody { code: refusal.code().to_owned(), message: refusal.to_string(), retry_after: None };
            }
        };
        let message = match self {
            ReadingError::History(StoreError::Failed(_) | StoreError::Damaged(_))
            | ReadingError::Directory(DirectoryError::Failed(_)) => {
                tracing::error!(error = %self, "an engine failed");
                "the server could not do what was asked; its log says why".to_owned()
            }
            ReadingError::History(StoreError::ReadOnly(_)) => {
                "the server stores nothing at the moment; reading goes on".to_owned()
            }
            _ => self.to_string(),
        };
        ErrorBody { code: code.code().to_owned(), message, retry_after: retry_after(code) }
    }

    /// The HTTP status that goes with [`ReadingError::body`].
    pub fn status(&self) -> u16 {
        self.code().map_or_else(status_of_refusal, ErrorCode::status)
    }

    fn code(&self) -> Result<ErrorCode, &Refusal> {
        Ok(match self {
            ReadingError::Refused(refusal) => return Err(refusal),
            ReadingError::InvalidParameter(_) => ErrorCode::InvalidParameter,
            ReadingError::History(StoreError::Full) | ReadingError::Directory(DirectoryError::Full) => ErrorCode::StorageFull,
            ReadingError::History(StoreError::ReadOnly(_)) => ErrorCode::StorageUnavailable,
            ReadingError::Directory(DirectoryError::HandleTaken) => ErrorCode::HandleTaken,
            ReadingError::Directory(DirectoryError::UnknownUser) => ErrorCode::UnknownUser,
            ReadingError::History(_) | ReadingError::Directory(_) => ErrorCode::Internal,
        })
    }
}

/// Seconds after which trying again makes sense, for the codes that come and go by themselves: as for commands, but that a
/// read which failed on damage fails again.
pub fn retry_after(code: ErrorCode) -> Option<u64> {
    match code {
        ErrorCode::Internal => None,
        code => Failure::Unavailable(code).retry_after(),
    }
}
