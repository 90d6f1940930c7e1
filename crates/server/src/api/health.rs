//! Liveness and counters.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use crate::node::Node;

/// Liveness: answers as long as the process takes requests.
#[utoipa::path(get, path = "/health", tag = "operation", security(()), responses((status = 200, body = String)))]
pub(super) async fn health() -> &'static str {
    "ok"
}

/// All counters as text.
#[utoipa::path(get, path = "/metrics", tag = "operation", security(()), responses((status = 200, body = String)))]
pub(super) async fn metrics(State(node): State<Arc<Node>>) -> impl IntoResponse {
    let media = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, media)], node.metrics.render())
}
