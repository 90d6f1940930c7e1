//! Liveness, readiness and counters.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::node::Node;
use crate::readiness::{Engine, RETRY_AFTER};

/// Liveness: answers as long as the process takes requests.
#[utoipa::path(get, path = "/health", tag = "operation", security(()), responses((status = 200, body = String)))]
pub(super) async fn health() -> &'static str {
    "ok"
}

/// Readiness: does the node take new clients?
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ready {
    /// It does, if this is true.
    ready: bool,
    /// It is about to stop.
    draining: bool,
    /// Engines that it needs and that did not answer: `directory`, `history`, `queue`, `cluster`.
    away: Vec<&'static str>,
}

/// Readiness: 200 while the node takes new clients. 503, with `Retry-After`, while it is about to stop, or an engine that it needs is away
/// (known some seconds late: nothing is asked for this).
#[utoipa::path(
    get,
    path = "/ready",
    tag = "operation",
    security(()),
    responses((status = 200, body = Ready), (status = 503, description = "Not now: see the body", body = Ready))
)]
pub(super) async fn ready(State(node): State<Arc<Node>>) -> Response {
    let draining = node.readiness.is_draining();
    let away: Vec<&str> = node.readiness.away().into_iter().map(Engine::name).collect();
    let ready = Ready { ready: !draining && away.is_empty(), draining, away };
    match ready.ready {
        true => Json(ready).into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY_AFTER.to_string())], Json(ready)).into_response(),
    }
}

/// All counters as text.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()), responses((status = 200, body = String)))]
pub(super) async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], node.metrics.render())
}
