//! The one error type of the client.

use banter_model::Refusal;
use banter_protocol::ErrorBody;
use serde::Serialize;

use crate::sync::QueueError;

/// Why something did not work: the server's own words where it answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{message}")]
pub struct Error {
    /// The HTTP status, where there was an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A stable code: the server's, or one of the client's own (the constants of this type).
    pub code: String,
    /// What was wrong and what is allowed, for people.
    pub message: String,
    /// Seconds to wait before trying again, where waiting helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

impl Error {
    /// No answer: no network, no server, or it took too long. Whether anything was done is not known.
    pub const UNREACHABLE: &'static str = "unreachable";
    /// An answer that this client does not understand.
    pub const UNEXPECTED_ANSWER: &'static str = "unexpected_answer";
    /// The session ended.
    pub const CLOSED: &'static str = "closed";
    /// The device was logged out.
    pub const SIGNED_OUT: &'static str = "signed_out";
    /// Nobody is logged in here.
    pub const NOT_LOGGED_IN: &'static str = "not_logged_in";
    /// Somebody is logged in here, or something is not sent yet, that would be forgotten.
    pub const OCCUPIED: &'static str = "profile_occupied";
    /// Another process uses the folder.
    pub const IN_USE: &'static str = "profile_in_use";
    /// The local store does not work.
    pub const STORAGE: &'static str = "storage";
    /// Too much waits for an answer.
    pub const OUTBOX_FULL: &'static str = "outbox_full";
    /// What the caller gave makes no sense.
    pub const INVALID_ARGUMENT: &'static str = "invalid_argument";

    /// An error of the client's own.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Error { status: None, code: code.to_owned(), message: message.into(), retry_after: None }
    }

    /// An error that the server answered with.
    pub fn answered(status: Option<u16>, body: ErrorBody) -> Self {
        Error { status, code: body.code, message: body.message, retry_after: body.retry_after }
    }

    /// No answer came from the server at `base`.
    pub(crate) fn unreachable(base: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        Error::new(Error::UNREACHABLE, format!("no server answers at {base} ({})", reason_of(error)))
    }

    /// No answer, or only a part of one, came to a request.
    pub(crate) fn unanswered(error: reqwest::Error) -> Self {
        let base = error.url().map_or_else(|| "its address".to_owned(), |url| url.origin().ascii_serialization());
        Error::unreachable(&base, &error)
    }

    pub(crate) fn unexpected(what: impl std::fmt::Display) -> Self {
        Error::new(Error::UNEXPECTED_ANSWER, format!("the server's answer makes no sense: {what}"))
    }

    /// Can the same thing work later?
    pub fn is_transient(&self) -> bool {
        let server_side = self.status.is_some_and(|status| status >= 500 || status == 429 || status == 408);
        self.retry_after.is_some() || server_side || matches!(self.code.as_str(), Error::UNREACHABLE | Error::CLOSED)
    }

    /// Has the device lost its login?
    pub fn is_signed_out(&self) -> bool {
        matches!(self.code.as_str(), Error::SIGNED_OUT | Error::NOT_LOGGED_IN)
    }
}

/// What is at the bottom of `error`, for people.
fn reason_of(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    loop {
        let timed_out = cause.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_timeout);
        if timed_out || cause.is::<tokio::time::error::Elapsed>() {
            return "no answer in time".to_owned();
        }
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind == Some(std::io::ErrorKind::ConnectionRefused) {
            return "connection refused".to_owned();
        }
        match cause.source() {
            Some(source) => cause = source,
            None => return cause.to_string(),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Error::new(Error::STORAGE, format!("the local store: {error}"))
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Error::new(Error::STORAGE, format!("the local store: {error}"))
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::new(refusal.code(), refusal.to_string())
    }
}

impl From<QueueError> for Error {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Refused(refusal) => refusal.into(),
            QueueError::Full => Error::new(Error::OUTBOX_FULL, error.to_string()),
        }
    }
}
