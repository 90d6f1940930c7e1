//! What a browser gets from a whole server: the app where it was built into the binary, else a page that says how to build it.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod support;

use banter_server::web_app;
use support::{World, http};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The files that a document names, as paths.
fn references(document: &str) -> Vec<String> {
    let values = ["src=\"", "href=\""].into_iter().flat_map(|attribute| document.split(attribute).skip(1));
    let values = values.filter_map(|rest| rest.split_once('"')).map(|(value, _)| value);
    values.map(|value| format!("/{}", value.trim_start_matches("./").trim_start_matches('/'))).collect()
}

#[tokio::test]
async fn the_address_of_a_server_opens_into_the_app() {
    let world = World::start().await;
    let page = world.call("GET", "/", None, None).await;
    assert_eq!(page.status, 200, "{}", page.text);
    assert!(page.head.contains("content-type: text/html; charset=utf-8"), "{}", page.head);
    for header in
        ["content-security-policy: default-src 'none';", "x-content-type-options: nosniff", "referrer-policy: no-referrer"]
    {
        assert!(page.head.contains(header), "{}", page.head);
    }
    let found = references(&page.text);
    if !web_app::is_built() {
        assert!(page.text.contains("scripts/run"), "{}", page.text);
        return;
    }
    assert!(found.iter().any(|path| path.starts_with("/assets/") && path.ends_with(".js")), "{}", page.text);
    for path in found {
        let mut stream = TcpStream::connect(world.address).await.unwrap();
        stream.write_all(http::request("HEAD", &path, None, None).as_bytes()).await.unwrap();
        let head = String::from_utf8(http::read_to_end(&mut stream).await).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{path}: {head}");
        let lifetime = if path.starts_with("/assets/") { "immutable" } else { "cache-control: no-cache" };
        assert!(head.contains(lifetime) && head.contains("etag: "), "{path}: {head}");
    }
    world.stop().await;
}

#[tokio::test]
async fn unknown_paths_keep_the_answers_of_the_api() {
    let world = World::start().await;
    for path in ["/v1/nothing", "/assets/nothing.js", "/index.php", "/people"] {
        assert_eq!(world.call("GET", path, None, None).await.refusal(), (404, "not_found"), "{path}");
    }
    assert_eq!(world.call("POST", "/", None, None).await.refusal(), (405, "method_not_allowed"));
    world.stop().await;
}
