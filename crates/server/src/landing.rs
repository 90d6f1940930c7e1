//! `GET /`: what somebody sees who opens the server's address in a browser.

use axum::Router;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use http::header;

const PAGE: &str = include_str!("landing.html");

/// The route of the page.
pub fn routes() -> Router {
    Router::new().route("/", get(page))
}

async fn page() -> impl IntoResponse {
    // Nothing is loaded and nothing runs, whatever somebody may manage to put into the page.
    let headers = [(header::CONTENT_SECURITY_POLICY, "default-src 'none'"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    (headers, Html(PAGE))
}
