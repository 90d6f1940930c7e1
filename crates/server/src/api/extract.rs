//! What handlers take out of a request. Each refuses with the API's own errors.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use banter_model::limits::USERS_PER_QUESTION;
use banter_model::{DeviceId, UserId};
use banter_protocol::ErrorCode;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::ApiError;
use crate::auth::tokens::InvalidToken;
use crate::clock::now;
use crate::node::Node;
use crate::rate_limit::ClientAddress;

/// Most bytes in the body of a request.
pub const BODY_BYTES: usize = 64 * 1_024;
/// The longest that a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(10);
/// Most characters of a parser's sentence that are handed on: it may quote what it was given.
const SENTENCE: usize = 300;

/// A JSON body, in a request or an answer.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Node>> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _node: &Arc<Node>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(ApiError::new(ErrorCode::UnsupportedMediaType, "the body has to be `application/json`"));
        }
        let bytes = read(body, BODY_BYTES).await?;
        serde_json::from_slice(&bytes).map(Json).map_err(|error| ApiError::new(ErrorCode::InvalidJson, cut(error.to_string())))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => (StatusCode::OK, [(header::CONTENT_TYPE, "application/json")], json).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer has no JSON");
                ApiError::new(ErrorCode::Internal, "a fault of the server's; its log has more").into_response()
            }
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    value.split(';').next().is_some_and(|media| media.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a body of at most `limit` bytes, which may take [`BODY_TIME`] to arrive.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let collected = tokio::time::timeout(BODY_TIME, Limited::new(body, limit).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::new(ErrorCode::TooLarge, format!("the body has at most {limit} bytes")))
        }
        Ok(Err(_)) => Err(ApiError::new(ErrorCode::InvalidJson, "the body broke off")),
        Err(_) => {
            let seconds = BODY_TIME.as_secs();
            Err(ApiError::new(ErrorCode::RequestTimeout, format!("the body did not arrive within {seconds} s")))
        }
    }
}

/// No more than the beginning of a parser's sentence.
pub(crate) fn cut(sentence: String) -> String {
    match sentence.char_indices().nth(SENTENCE) {
        Some((end, _)) => format!("{} ...", &sentence[..end]),
        None => sentence,
    }
}

/// Parameters of the path.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<Arc<Node>> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        let parsed = axum::extract::Path::from_request_parts(parts, node).await;
        let axum::extract::Path(value) =
            parsed.map_err(|rejection| ApiError::new(ErrorCode::InvalidParameter, cut(rejection.body_text())))?;
        Ok(Path(value))
    }
}

/// Parameters after the `?`.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Node>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _node: &Arc<Node>) -> Result<Self, ApiError> {
        let parsed = axum::extract::Query::try_from_uri(&parts.uri);
        let axum::extract::Query(value) =
            parsed.map_err(|rejection| ApiError::new(ErrorCode::InvalidParameter, cut(rejection.body_text())))?;
        Ok(Query(value))
    }
}

/// `?ids=1,2`: users in a question.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Ids {
    /// Ids with commas between them, at most 200.
    #[param(example = "48201,48333")]
    ids: String,
}

impl Ids {
    /// The ids, in the order given.
    pub fn parse(&self) -> Result<Vec<UserId>, ApiError> {
        let ids: Result<Vec<UserId>, _> = self.ids.split(',').take(USERS_PER_QUESTION + 1).map(str::parse).collect();
        let ids = ids.map_err(|error| ApiError::new(ErrorCode::InvalidParameter, format!("`ids`: {error}")))?;
        if ids.len() > USERS_PER_QUESTION {
            return Err(ApiError::new(ErrorCode::InvalidParameter, format!("`ids` has at most {USERS_PER_QUESTION} ids")));
        }
        Ok(ids)
    }
}

/// Who asks, by the bearer token. Counts against the user's limit of requests.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated {
    /// The user.
    pub user: UserId,
    /// The device whose token it is.
    pub device: DeviceId,
}

impl FromRequestParts<Arc<Node>> for Authenticated {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, ApiError> {
        let unauthenticated = |message: String| ApiError::new(ErrorCode::Unauthenticated, message);
        let token = bearer(&parts.headers)
            .ok_or_else(|| unauthenticated("`Authorization: Bearer` with an access token is needed".to_owned()))?;
        let now = now();
        let access = node.tokens.check(token, now).map_err(|invalid| match invalid {
            InvalidToken::Forged => unauthenticated(invalid.to_string()),
            InvalidToken::Expired => ApiError::new(ErrorCode::TokenExpired, invalid.to_string()),
        })?;
        if node.removed_devices.contains(access.device) {
            return Err(unauthenticated("this device was logged out".to_owned()));
        }
        node.rate_limits.request(access.user, now)?;
        Ok(Authenticated { user: access.user, device: access.device })
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Where the request comes from. The listener notes the peer as [`ConnectInfo`].
pub struct From(pub ClientAddress);

impl FromRequestParts<Arc<Node>> for From {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        let peer = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>().map(|ConnectInfo(peer)| *peer);
        Ok(From(ClientAddress::from_request(peer, &parts.headers, node.rate_limits.trusted_proxy())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_parameters_and_other_media_do_not_count() {
        let with = |value: &str| is_json(&HeaderMap::from_iter([(header::CONTENT_TYPE, value.parse().unwrap())]));
        assert!(with("application/json") && with("Application/JSON; charset=utf-8"));
        assert!(!with("text/plain") && !with("application/jsonp") && !is_json(&HeaderMap::new()));
    }

    #[test]
    fn ids_are_counted_and_checked() {
        let parse = |ids: &str| Ids { ids: ids.to_owned() }.parse();
        assert_eq!(parse("3,1,3").unwrap(), [UserId(3), UserId(1), UserId(3)]);
        assert!(parse("").is_err() && parse("1,").is_err() && parse("1, 2").is_err() && parse("01").is_err());
        assert_eq!(parse(&vec!["7"; 200].join(",")).unwrap().len(), 200);
        assert!(parse(&vec!["7"; 201].join(",")).is_err());
    }

    #[test]
    fn bearers() {
        let of =
            |value: &str| bearer(&HeaderMap::from_iter([(header::AUTHORIZATION, value.parse().unwrap())])).map(str::to_owned);
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc").as_deref(), Some("abc"));
        assert_eq!((of("Basic abc"), of("Bearer"), of("")), (None, None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(read(never, BODY_BYTES).await.unwrap_err().body().code, "request_timeout");
        let large = Body::from(vec![b' '; BODY_BYTES + 1]);
        assert_eq!(read(large, BODY_BYTES).await.unwrap_err().body().code, "too_large");
        assert_eq!(read(Body::from(vec![b' '; BODY_BYTES]), BODY_BYTES).await.unwrap().len(), BODY_BYTES);
        let broken = futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))]);
        assert_eq!(read(Body::from_stream(broken), BODY_BYTES).await.unwrap_err().body().code, "invalid_json");
    }
}
