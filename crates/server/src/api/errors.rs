//! Everything that an API answer can be besides a success.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use banter_model::Refusal;
use banter_model::name::InvalidName;
use banter_model::snowflake::Unavailable;
use banter_protocol::{ErrorBody, ErrorCode};
use banter_store::StoreError;
use banter_store::directory::DirectoryError;

use crate::auth::passwords::PasswordError;
use crate::conversations::ReadingError;
use crate::conversations::error::retry_after;
use crate::rate_limit::Limited;
use crate::worker::Failure;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: u16,
    body: ErrorBody,
}

/// The code of an answer, for the layer that counts: an extension of the response.
#[derive(Debug, Clone)]
pub(super) struct RefusedWith(pub String);

impl ApiError {
    /// An error with `code` and a sentence for people.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let body = ErrorBody { code: code.code().to_owned(), message: message.into(), retry_after: retry_after(code) };
        ApiError { status: code.status(), body }
    }

    /// What the client is told.
    pub fn body(&self) -> &ErrorBody {
        &self.body
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let json = serde_json::to_vec(&self.body).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, "application/json")], json).into_response();
        if let Some(seconds) = self.body.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(RefusedWith(self.body.code));
        response
    }
}

impl From<ReadingError> for ApiError {
    fn from(error: ReadingError) -> Self {
        ApiError { status: error.status(), body: error.body() }
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        ReadingError::Refused(refusal).into()
    }
}

impl From<InvalidName> for ApiError {
    fn from(invalid: InvalidName) -> Self {
        Refusal::Name(invalid).into()
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        ReadingError::Directory(error).into()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        ReadingError::History(error).into()
    }
}

impl From<Failure> for ApiError {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Unavailable(code) => ApiError::new(code, message),
        }
    }
}

impl From<Limited> for ApiError {
    fn from(limited: Limited) -> Self {
        let mut error = ApiError::new(ErrorCode::RateLimited, limited.to_string());
        error.body.retry_after = Some(limited.retry_after);
        error
    }
}

impl From<PasswordError> for ApiError {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => ApiError::new(ErrorCode::Busy, error.to_string()),
            PasswordError::Failed(_) => {
                tracing::error!(%error, "passwords");
                ApiError::new(ErrorCode::Internal, "the server could not check the password; its log says why")
            }
        }
    }
}

impl From<Unavailable> for ApiError {
    fn from(unavailable: Unavailable) -> Self {
        tracing::error!(%unavailable, "no ids");
        ApiError::new(ErrorCode::ClockBehind, "the server's clock stepped back; try again when it has caught up")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_said_in_header_and_body() {
        let error = ApiError::from(Limited { retry_after: 17 });
        assert_eq!(error.body().retry_after, Some(17));
        let response = error.into_response();
        assert_eq!((response.status().as_u16(), response.headers()["retry-after"].as_bytes()), (429, &b"17"[..]));
        assert_eq!(response.extensions().get::<RefusedWith>().unwrap().0, "rate_limited");
    }

    #[test]
    fn the_names_of_the_model_have_the_codes_of_the_wire() {
        for (invalid, code) in [
            (InvalidName::Handle, ErrorCode::InvalidHandle),
            (InvalidName::DisplayName, ErrorCode::InvalidDisplayName),
            (InvalidName::About, ErrorCode::InvalidAbout),
            (InvalidName::Password, ErrorCode::InvalidPassword),
        ] {
            let error = ApiError::from(invalid);
            assert_eq!((error.body.code.as_str(), error.status), (code.code(), code.status()));
        }
    }

    #[test]
    fn engines_do_not_tell_strangers_why_they_failed() {
        let error = ApiError::from(DirectoryError::Failed("password of the database is wrong".into()));
        assert_eq!(error.status, 500);
        assert!(!error.body.message.contains("password"));
        assert_eq!(error.body.retry_after, None, "it would fail again");
        assert_eq!(ApiError::from(StoreError::Full).status, 507);
        assert!(ApiError::from(StoreError::Full).body.retry_after.is_some());
        assert_eq!(ApiError::from(StoreError::ReadOnly("x".into())).status, 503);
    }
}
