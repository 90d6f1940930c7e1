//! Around every request: a number, a line in the log, a counter for refusals, headers, and panics that become answers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use banter_protocol::ErrorCode;

use super::errors::{ApiError, RefusedWith};
use crate::node::Node;

/// Names the request in the server's log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

static NEXT: AtomicU64 = AtomicU64::new(1);

/// The layer. Logs the route, never the path, the query or a body: they may hold names, tokens or texts.
pub(super) async fn observe(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let started = Instant::now();
    // A task of its own: a client that hangs up does not stop a handler half way, between a change and what has to follow it (a
    // device removed, its sessions not yet ended). A panic ends that task alone, and leaves no lock held.
    let answered = tokio::spawn(next.run(request)).await;
    let mut response = answered.unwrap_or_else(|error| {
        tracing::error!(number, %method, route = route.as_ref().map(MatchedPath::as_str), %error, "a handler panicked");
        ApiError::new(ErrorCode::Internal, "a fault of the server's; its log has more").into_response()
    });
    let code = response.extensions_mut().remove::<RefusedWith>().map(|RefusedWith(code)| code);
    if let Some(code) = &code {
        node.metrics.refused(code);
    }
    tracing::debug!(
        number,
        %method,
        route = route.as_ref().map(MatchedPath::as_str),
        status = response.status().as_u16(),
        code,
        micros = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from(number));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
