//! Errors on the wire: one stable code and a sentence that helps.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The body of every HTTP answer that is not a success, and the heart of an `error` frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ErrorBody {
    /// A stable code: what programs look at. See [`ErrorCode`] and `banter_model::Refusal::code`.
    #[schema(example = "rate_limited")]
    pub code: String,
    /// What was wrong and what is allowed, for people.
    pub message: String,
    /// Seconds to wait before trying again, where waiting helps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
}

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal;)*) => {
        /// Codes that are not refusals of the conversation log (those are in `banter_model::Refusal`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [ErrorCode] = &[$(ErrorCode::$name,)*];

            /// The code on the wire. It never changes once released.
            pub fn code(self) -> &'static str {
                match self { $(ErrorCode::$name => $code,)* }
            }

            /// The HTTP status it comes with.
            pub fn status(self) -> u16 {
                match self { $(ErrorCode::$name => $status,)* }
            }
        }
    };
}

error_codes! {
    /// The head of the request leaves open where its body ends.
    InvalidRequest = "invalid_request", 400;
    /// The JSON is malformed, lacks a field, has an unknown one, or one of the wrong type.
    InvalidJson = "invalid_json", 400;
    /// The frame is not a JSON object with a known `type` and just its fields.
    InvalidFrame = "invalid_frame", 400;
    /// A parameter of the path or query is wrong.
    InvalidParameter = "invalid_parameter", 400;
    /// The handle is not one.
    InvalidHandle = "invalid_handle", 422;
    /// The display name is not one.
    InvalidDisplayName = "invalid_display_name", 422;
    /// The about line is too long or has control characters.
    InvalidAbout = "invalid_about", 422;
    /// The new password is too short or too long.
    InvalidPassword = "invalid_password", 422;
    /// Tag 0, or beyond 2^53 - 1.
    InvalidTag = "invalid_tag", 422;
    /// The body is larger than allowed.
    TooLarge = "too_large", 413;
    /// The body is not `application/json`.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// No such path.
    NotFound = "not_found", 404;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// No token, or one that is malformed, forged or of a device that was signed out.
    Unauthenticated = "unauthenticated", 401;
    /// The access token was good once: refresh it.
    TokenExpired = "token_expired", 401;
    /// The refresh token is wrong, or was used before (then all tokens of its device are revoked).
    InvalidRefreshToken = "invalid_refresh_token", 401;
    /// Handle or password is wrong; which of them is not told.
    WrongCredentials = "wrong_credentials", 401;
    /// The handle belongs to somebody.
    HandleTaken = "handle_taken", 409;
    /// No such user.
    UnknownUser = "unknown_user", 404;
    /// No such device of this user.
    UnknownDevice = "unknown_device", 404;
    /// No friend request from that user.
    NoFriendRequest = "no_friend_request", 404;
    /// That needs another user than oneself.
    NotYourself = "not_yourself", 422;
    /// The receiver takes no messages or requests from the sender: blocked, or friends only.
    MayNotWrite = "may_not_write", 403;
    /// The page comes from an origin that is none of this installation's.
    ForeignOrigin = "foreign_origin", 403;
    /// Too many of these; wait as `Retry-After` says.
    RateLimited = "rate_limited", 429;
    /// The server has more to do than it can queue; try again as `Retry-After` says.
    Busy = "busy", 503;
    /// The server's disk is full: nothing was stored. Reading goes on.
    StorageFull = "storage_full", 507;
    /// The server cannot store at the moment: nothing was acknowledged. Reading goes on.
    StorageUnavailable = "storage_unavailable", 503;
    /// The server's clock stepped back; it waits until ids are safe again.
    ClockBehind = "clock_behind", 503;
    /// The server is going down.
    ShuttingDown = "shutting_down", 503;
    /// The request took too long to arrive.
    RequestTimeout = "request_timeout", 408;
    /// No such long-polling session, or it has ended: open another.
    UnknownSession = "unknown_session", 404;
    /// A fault of the server's; its log has more.
    Internal = "internal", 500;
}

/// The HTTP status for a refusal's code.
pub fn status_of_refusal(refusal: &banter_model::Refusal) -> u16 {
    use banter_model::Refusal;
    match refusal {
        Refusal::NotAMember | Refusal::UnknownMember | Refusal::UnknownMessage { .. } | Refusal::UnknownUser => 404,
        Refusal::NotPermitted { .. } | Refusal::NotYourMessage | Refusal::MayNotWrite => 403,
        Refusal::GroupExists | Refusal::StaleTag | Refusal::MessageRedacted => 409,
        _ => 422,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let codes: std::collections::HashSet<_> = ErrorCode::ALL.iter().map(|code| code.code()).collect();
        assert_eq!(codes.len(), ErrorCode::ALL.len());
    }
}
