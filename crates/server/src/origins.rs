//! The origins of an installation: where its pages come from, and where its gateways are.
//!
//! A page may come from another origin than the gateway that it is sent to. Then browsers ask twice: the page's policy has to allow the
//! gateway ([`crate::web_app`]), and the gateway the page (here).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use banter_protocol::ErrorCode;
use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

use crate::api::errors::ApiError;
use crate::node::Node;

/// Most origins of pages that can be listed.
pub const MOST_ORIGINS: usize = 64;
/// Most bytes of an origin: a host has at most 253.
const ORIGIN_BYTES: usize = 270;

/// What pages of the installation use.
const METHODS: HeaderValue = HeaderValue::from_static("GET, POST, PUT, PATCH, DELETE");
const HEADERS: HeaderValue = HeaderValue::from_static("authorization, content-type, banter-place");
/// What they may read of an answer, besides what everybody may.
const EXPOSED: HeaderValue = HeaderValue::from_static("retry-after, x-request-id");
/// For how many seconds a browser need not ask again; none remembers it for longer.
const REMEMBERED: HeaderValue = HeaderValue::from_static("7200");

/// The origin of a URL as browsers write it: scheme, host and port, the port only where it is not the scheme's own. `None` for what is
/// no URL of HTTP, or has a user in it.
pub fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix(own_port).unwrap_or(&host);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]*".contains(&byte);
    let well_formed = !host.is_empty() && host.len() <= ORIGIN_BYTES && host.bytes().all(plain);
    well_formed.then(|| format!("{scheme}://{host}"))
}

/// Is it an origin, written as browsers do, and nothing more? With `any_label` it may begin with `*.` for all hosts of a domain.
pub fn is_origin(text: &str, any_label: bool) -> bool {
    let stars = text.matches('*').count();
    let starred = stars == 1 && text.contains("://*.");
    origin_of(text).as_deref() == Some(text) && (stars == 0 || (any_label && starred))
}

/// The pages that this node answers besides those that come from where it is itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WebOrigins {
    listed: Vec<HeaderValue>,
    own: Option<HeaderValue>,
}

impl WebOrigins {
    /// Answers the pages of the origins `listed`. `client_url` is where this node is for clients.
    pub fn new(listed: &[String], client_url: &str) -> Self {
        let value = |origin: &str| HeaderValue::from_str(origin).ok();
        WebOrigins {
            listed: listed.iter().filter_map(|origin| value(origin)).collect(),
            own: origin_of(client_url).as_deref().and_then(value),
        }
    }

    /// May a page with these headers open a WebSocket? Whoever is no browser says no origin, and may; and where no origin is listed, every
    /// page may: nothing that a browser sends by itself says who somebody is, so there is nothing to be had by it.
    pub fn may_connect(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else { return true };
        if self.listed.is_empty() || self.listed.contains(origin) || self.own.as_ref() == Some(origin) {
            return true;
        }
        let (Ok(origin), Some(host)) = (origin.to_str(), headers.get(header::HOST).and_then(|host| host.to_str().ok())) else {
            return false;
        };
        // The page came from here, whatever the scheme: a proxy may have taken TLS off.
        origin.split_once("://").is_some_and(|(_, from)| from.eq_ignore_ascii_case(host))
    }

    /// The origin that a request from another one names, if it is listed.
    fn allowed(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        headers.get(header::ORIGIN).filter(|origin| self.listed.contains(origin)).cloned()
    }
}

/// Is this a browser's question whether a page may ask something (a preflight)?
fn is_preflight(request: &Request) -> bool {
    let headers = request.headers();
    request.method() == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The layer: tells browsers which pages may read the answers. Never `*`, and never with cookies, for there are none.
pub async fn answer_pages(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    let origins = &node.web_origins;
    if origins.listed.is_empty() {
        return next.run(request).await;
    }
    let allowed = origins.allowed(request.headers());
    let mut response = if is_preflight(&request) {
        preflight(allowed.is_some())
    } else {
        let mut response = next.run(request).await;
        if allowed.is_some() {
            response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
        response
    };
    let headers = response.headers_mut();
    // What is kept on the way is kept for one origin.
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

fn preflight(allowed: bool) -> Response {
    if !allowed {
        return ApiError::new(ErrorCode::ForeignOrigin, "pages of this origin are none of this installation's").into_response();
    }
    let headers: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS),
        (header::ACCESS_CONTROL_MAX_AGE, REMEMBERED),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_as_browsers_write_them() {
        for (url, origin) in [
            ("https://Chat.example.org/", Some("https://chat.example.org")),
            ("https://chat.example.org:443/gateways/1", Some("https://chat.example.org")),
            ("http://chat.example.org:443", Some("http://chat.example.org:443")),
            ("http://[::1]:8480/x?y#z", Some("http://[::1]:8480")),
            ("http://", None),
            ("ftp://chat.example.org", None),
            ("https://ada@chat.example.org", None),
            ("https://chat.example.org; script-src *", None),
            ("chat.example.org", None),
        ] {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
        assert!(is_origin("https://chat.example.org", false) && is_origin("https://*.example.org", true));
        for other in ["https://chat.example.org/", "https://chat.example.org:443", "*", "https://*", "https://*.example.org"] {
            assert!(!is_origin(other, false), "{other}");
        }
        assert!(!is_origin("https://chat.*.org", true) && !is_origin("https://*", true));
    }

    #[test]
    fn sockets_of_pages_that_are_not_the_installations_are_refused() {
        let headers = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "gateway.internal:8480".parse().unwrap());
            if !origin.is_empty() {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            headers
        };
        let origins = WebOrigins::new(&["https://chat.example.org".to_owned()], "https://one.example.org/");
        for fine in ["", "https://chat.example.org", "https://one.example.org", "https://gateway.internal:8480"] {
            assert!(origins.may_connect(&headers(fine)), "{fine}");
        }
        for foreign in ["https://evil.example", "null", "http://chat.example.org", "https://chat.example.org:8443"] {
            assert!(!origins.may_connect(&headers(foreign)), "{foreign}");
        }
        assert!(WebOrigins::new(&[], "").may_connect(&headers("https://evil.example")), "nothing is listed");
    }
}
