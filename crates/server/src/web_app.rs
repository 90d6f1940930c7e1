//! The web app, served from this binary: its document, its files, and the headers that keep a browser from running anything else.
//!
//! The app keeps the place that it shows in the part of its address that no server sees (`/#/c/d.1.2`), so `/` is the one path that
//! opens it, and every other path keeps the API's answers.

mod encoding;
mod files;
mod policy;

use std::sync::Arc;

use axum::Router;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use encoding::choose;
use files::{DOCUMENT, FILES, File};
use policy::Said;

pub use policy::Policy;

/// For the page that stands in for the app: nothing is loaded and nothing runs.
const PAGE_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
/// What of the device a chat of text needs: nothing but to copy.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), payment=(), serial=(), usb=(), xr-spatial-tracking=()",
);

/// Asked for again each time, and sent again only if it changed: the document and what has the same name in every version.
const ASK_FIRST: HeaderValue = HeaderValue::from_static("no-cache");
/// A year is what caches take for ever (RFC 9111 sets no limit; browsers do).
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

const NOT_BUILT: &str = include_str!("web_app/not_built.html");

/// Whether the web app is in this binary.
pub fn is_built() -> bool {
    !FILES.is_empty()
}

/// The routes of the app; or of a page that says how to build it, where it is not in this binary.
pub fn routes(policy: Policy) -> Router {
    if is_built() { app(FILES, policy) } else { Router::new().route("/", get(not_built)) }
}

fn app(files: &'static [File], policy: Policy) -> Router {
    let policy = Arc::new(policy);
    let mut router = Router::new();
    for file in files {
        router = router.route(file.path, answering(file, &policy));
    }
    // The build script takes no folder without a document for the app.
    if let Some(document) = files.iter().find(|file| file.path == DOCUMENT) {
        router = router.route("/", answering(document, &policy));
    }
    router
}

fn answering(file: &'static File, policy: &Arc<Policy>) -> MethodRouter {
    let policy = policy.clone();
    get(move |request: HeaderMap| async move { answer(file, &request, policy.said()) })
}

/// `file`, or that the browser has it already.
fn answer(file: &File, request: &HeaderMap, policy: Said) -> Response {
    let (encoding, bytes) = choose(file, request);
    // Each encoding is another sequence of bytes, and so has another tag.
    let encoding_name = encoding.name().unwrap_or("plain");
    let tag = match file.is_immutable() {
        true => format!("\"{}-{encoding_name}\"", file.tag),
        false => format!("\"{}-{}-{encoding_name}\"", file.tag, policy.tag),
    };
    let mut response = if has_already(request, &tag) { StatusCode::NOT_MODIFIED.into_response() } else { bytes.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, if file.is_immutable() { FOR_EVER } else { ASK_FIRST });
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::try_from(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type()));
    if let Some(name) = encoding.name() {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(name));
    }
    secure(headers, policy.header);
    response
}

/// Whether `If-None-Match` has the tag, compared weakly as RFC 9110 (13.1.2) wants it: proxies that compress make tags weak.
fn has_already(request: &HeaderMap, tag: &str) -> bool {
    let values = request.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

async fn not_built() -> Response {
    let mut response = Html(NOT_BUILT).into_response();
    secure(response.headers_mut(), PAGE_POLICY);
    response
}

fn secure(headers: &mut HeaderMap, policy: HeaderValue) {
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(HeaderName::from_static("permissions-policy"), PERMISSIONS);
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    // For browsers that do not know `frame-ancestors`.
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    static SOME: &[File] = &[
        File { path: "/assets/app-1a2b.js", tag: "a", plain: b"plain script", brotli: Some(b"br"), gzip: Some(b"gz") },
        File { path: "/icon.png", tag: "i", plain: b"\x89PNG", brotli: None, gzip: None },
        File { path: "/index.html", tag: "d", plain: b"<!doctype html>", brotli: Some(b"document"), gzip: None },
        File { path: "/service-worker.js", tag: "s", plain: b"worker", brotli: None, gzip: None },
    ];

    async fn ask(request: http::request::Builder) -> (StatusCode, HeaderMap, Vec<u8>) {
        let response = app(SOME, Policy::new(Vec::new(), None)).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        (parts.status, parts.headers, body.collect().await.unwrap().to_bytes().to_vec())
    }

    #[tokio::test]
    async fn the_address_opens_with_the_document_and_unknown_paths_are_left_to_the_api() {
        for path in ["/", "/index.html"] {
            let (status, headers, body) = ask(Request::get(path)).await;
            assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"<!doctype html>"[..]), "{path}");
            assert_eq!(headers["content-type"], "text/html; charset=utf-8");
            assert_eq!(headers["cache-control"], "no-cache");
            let policy = headers["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
        }
        for unknown in ["/v1/nothing", "/assets/gone.js", "/assets/", "/people", "/wp-login.php", "/index.html.br"] {
            assert_eq!(ask(Request::get(unknown)).await.0, StatusCode::NOT_FOUND, "{unknown}");
        }
        assert_eq!(ask(Request::post("/")).await.0, StatusCode::METHOD_NOT_ALLOWED);
    }

    #[tokio::test]
    async fn a_file_in_the_encodings_that_the_browser_takes() {
        let asset = || Request::get("/assets/app-1a2b.js");
        let mut tags = Vec::new();
        for (accept, encoding, body) in [("", None, "plain script"), ("gzip", Some("gzip"), "gz"), ("gzip, br", Some("br"), "br")]
        {
            let (status, headers, bytes) = ask(asset().header("accept-encoding", accept)).await;
            assert_eq!((status, bytes.as_slice()), (StatusCode::OK, body.as_bytes()));
            assert_eq!(headers.get("content-encoding").map(|value| value.to_str().unwrap()), encoding);
            assert_eq!(
                (&headers["vary"], &headers["content-type"]),
                (&"accept-encoding".parse().unwrap(), &"text/javascript; charset=utf-8".parse().unwrap())
            );
            assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
            tags.push(headers["etag"].clone());
        }
        tags.dedup();
        assert_eq!(tags.len(), 3, "each encoding has its own tag");
        let (status, headers, body) = ask(Request::head("/icon.png").header("accept-encoding", "br")).await;
        assert_eq!((status, body.len(), &headers["content-length"]), (StatusCode::OK, 0, &"4".parse().unwrap()));
        assert!(!headers.contains_key("content-encoding") && headers["content-type"] == "image/png");
    }

    #[tokio::test]
    async fn what_the_browser_has_is_not_sent_again() {
        let (_, headers, _) = ask(Request::get("/service-worker.js")).await;
        assert_eq!(headers["cache-control"], "no-cache");
        let tag = headers["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
            let (status, headers, body) = ask(Request::get("/service-worker.js").header("if-none-match", &known)).await;
            assert_eq!((status, body.len(), &headers["etag"]), (StatusCode::NOT_MODIFIED, 0, &tag.parse().unwrap()), "{known}");
            assert!(headers.contains_key("content-security-policy"));
        }
        let (status, _, body) = ask(Request::get("/service-worker.js").header("if-none-match", "\"s\"")).await;
        assert_eq!((status, body.as_slice()), (StatusCode::OK, &b"worker"[..]));
        let (_, headers, _) = ask(Request::get("/")).await;
        let plain = headers["etag"].to_str().unwrap().to_owned();
        assert_eq!(ask(Request::get("/").header("if-none-match", &plain)).await.0, StatusCode::NOT_MODIFIED);
        let brotli = Request::get("/").header("accept-encoding", "br").header("if-none-match", &plain);
        assert_eq!(ask(brotli).await.0, StatusCode::OK, "another encoding is not what the browser has");
    }
}
