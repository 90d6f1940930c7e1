//! Pages of one origin, and gateways of others.

use std::net::SocketAddr;

use banter_server::web_app;
use banter_store::cluster::Role;
use serde_json::json;

use crate::nodes::{Fleet, GATEWAY, Node, Wish};
use crate::support::http::{self, Answer};

const PAGE: &str = "https://chat.example.org";
const FOREIGN: &str = "https://evil.example";

/// A request of a page's; what follows the path are further headers and the body.
async fn ask(at: SocketAddr, method: &str, path: &str, origin: &str, rest: &str) -> Answer {
    let rest = if rest.is_empty() { "\r\n" } else { rest };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: one.example.org\r\nConnection: close\r\nOrigin: {origin}\r\n{rest}");
    http::exchange(at, request.as_bytes()).await.remove(0)
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// A gateway that answers the page, and one that lists no origins.
async fn gateways(fleet: &mut Fleet) -> (Node, Node) {
    let listing = Wish { client_url: "https://one.example.org", web_origins: &[PAGE], ..Wish::of(GATEWAY) };
    (fleet.start(listing).await, fleet.start(Wish::of(GATEWAY)).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn browsers_are_told_which_pages_may_ask() {
    let mut fleet = Fleet::new().await;
    let nodes = gateways(&mut fleet).await;
    let (gateway, other) = (nodes.0.address, nodes.1.address);
    let question = "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n\r\n";
    for path in ["/v1/sessions", "/v1/sessions/x/frames", "/health"] {
        let answer = ask(gateway, "OPTIONS", path, PAGE, question).await;
        assert_eq!((answer.status, header(&answer, "access-control-allow-origin")), (204, Some(PAGE)), "{}", answer.head);
        assert_eq!(header(&answer, "access-control-allow-methods"), Some("get, post, put, patch, delete"));
        assert!(header(&answer, "access-control-allow-headers").unwrap().contains("content-type"), "{}", answer.head);
        assert_eq!((header(&answer, "access-control-allow-credentials"), header(&answer, "vary")), (None, Some("origin")));
        let refused = ask(gateway, "OPTIONS", path, FOREIGN, question).await;
        assert_eq!(refused.refusal(), (403, "foreign_origin"));
        assert_eq!(header(&refused, "access-control-allow-origin"), None);
        // Where nothing is listed, no page of another origin may ask.
        let answer = ask(other, "OPTIONS", path, PAGE, question).await;
        assert_eq!((answer.status, header(&answer, "access-control-allow-origin")), (405, None), "{}", answer.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_readable_for_pages_of_the_installation() {
    let mut fleet = Fleet::new().await;
    let nodes = gateways(&mut fleet).await;
    let gateway = nodes.0.address;
    let ada = fleet.person("ada").await;
    let hello = json!({"type": "hello", "token": ada.token}).to_string();
    let body = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{hello}", hello.len());
    let opened = ask(gateway, "POST", "/v1/sessions", PAGE, &body).await;
    assert_eq!((opened.status, header(&opened, "access-control-allow-origin")), (201, Some(PAGE)), "{}", opened.text);
    // A cursor that was never given is refused at once, where a poll would wait.
    let frames = format!("/v1/sessions/{}/frames?after=9", opened.json["session"].as_str().unwrap());
    for (origin, readable) in [(PAGE, Some(PAGE)), (FOREIGN, None), ("null", None)] {
        // Refusals too: the page has to know why.
        for path in [frames.as_str(), "/v1/sessions/unknown/frames?after=0", "/health"] {
            let answer = ask(gateway, "GET", path, origin, "").await;
            assert_eq!(header(&answer, "access-control-allow-origin"), readable, "{path}: {}", answer.head);
            assert_eq!(header(&answer, "vary"), Some("origin"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_foreign_pages_are_refused() {
    let mut fleet = Fleet::new().await;
    let nodes = gateways(&mut fleet).await;
    let (gateway, other) = (nodes.0.address, nodes.1.address);
    let upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let open = async |at: SocketAddr, origin: &str| {
        let request =
            format!("GET /v1/socket HTTP/1.1\r\nHost: one.example.org\r\nConnection: upgrade\r\nOrigin: {origin}\r\n{upgrade}");
        http::status_of(at, request.as_bytes()).await
    };
    for origin in [PAGE, "https://one.example.org"] {
        assert_eq!(open(gateway, origin).await, 101, "{origin}");
    }
    for origin in [FOREIGN, "null"] {
        assert_eq!(open(gateway, origin).await, 403, "{origin}");
    }
    assert_eq!(open(other, FOREIGN).await, 101, "nothing is listed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_may_connect_to_the_gateways_that_there_are() {
    let mut fleet = Fleet::new().await;
    let api = fleet.start(Wish::of(&[Role::Api])).await;
    let before = api.call(None, "GET", "/", None).await;
    if !web_app::is_built() {
        assert!(before.text.contains("scripts/run"), "{}", before.text);
        return;
    }
    let policy = |answer: &Answer| header(answer, "content-security-policy").unwrap().to_owned();
    assert!(policy(&before).contains("connect-src 'self';"), "{}", before.head);
    let gateway = fleet.start(Wish { client_url: "https://one.example.org/chat", ..Wish::of(GATEWAY) }).await;
    let after = api.call(None, "GET", "/", None).await;
    let wanted = "connect-src 'self' https://one.example.org wss://one.example.org;";
    assert!(policy(&after).contains(wanted), "{}", after.head);
    // Browsers keep the policy of what they have when they are told that it did not change.
    assert_ne!(header(&before, "etag"), header(&after, "etag"));
    let ada = fleet.person("ada").await;
    let servers = api.api(&ada, "GET", "/v1/servers", None).await;
    assert_eq!(servers["servers"], json!([{"url": "https://one.example.org/chat"}]));
    gateway.die().await;
    let gone = api.call(None, "GET", "/", None).await;
    assert_eq!((policy(&gone), header(&gone, "etag")), (policy(&before), header(&before, "etag")));
}
