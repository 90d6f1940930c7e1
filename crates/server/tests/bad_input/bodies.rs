//! Bodies, parameters, paths and methods that are wrong, in requests that are whole.

use serde_json::json;

use crate::scene::Scene;
use crate::support::http::{self, Answer};
use crate::support::polling::Polling;

/// Any bytes as the body of a request.
async fn post(scene: &Scene, path: &str, content_type: &str, body: &[u8]) -> Answer {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n{content_type}Content-Length: {}\r\n\r\n",
        scene.ada.token,
        body.len()
    );
    let mut answers = http::exchange(scene.world.address, &[head.as_bytes(), body].concat()).await;
    assert_eq!(answers.len(), 1);
    answers.remove(0)
}

const JSON: &str = "Content-Type: application/json\r\n";

#[tokio::test]
async fn bodies_that_are_not_what_they_should_be() {
    let mut scene = Scene::set().await;
    let before = scene.refused("invalid_json").await;
    let deep = "[".repeat(60_000);
    let bodies: [&[u8]; 12] = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b"{\"title\":\"x\",\"members\":[],\"key\":\"k\",\"colour\":1}",
        b"{\"title\":\"\xc3\",\"members\":[],\"key\":\"k\"}",
        b"{\"title\":\"\\ud800\",\"members\":[],\"key\":\"k\"}",
        b"{\"title\":1,\"members\":[],\"key\":\"k\"}",
        b"{\"title\":\"x\",\"members\":[1],\"key\":\"k\"}",
        deep.as_bytes(),
    ];
    for body in bodies {
        let answer = post(&scene, "/v1/groups", JSON, body).await;
        assert_eq!(answer.refusal(), (400, "invalid_json"), "{}", String::from_utf8_lossy(&body[..body.len().min(80)]));
    }
    assert_eq!(scene.refused("invalid_json").await, before + bodies.len() as u64);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn wrong_content_type() {
    let mut scene = Scene::set().await;
    let body = json!({"title": "bad", "members": [], "key": "k"}).to_string();
    let types = [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: application/jsonx\r\n",
    ];
    for content_type in types {
        let answer = post(&scene, "/v1/groups", content_type, body.as_bytes()).await;
        assert_eq!(answer.refusal(), (415, "unsupported_media_type"), "{content_type}");
    }
    assert_eq!(scene.refused("unsupported_media_type").await, types.len() as u64);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn bodies_over_the_limit() {
    let mut scene = Scene::set().await;
    let answer = post(&scene, "/v1/groups", JSON, &vec![b' '; 64 * 1_024 + 1]).await;
    assert_eq!(answer.refusal(), (413, "too_large"));
    let polling = Polling::open(&scene.world, &scene.ada).await;
    let frames = format!("/v1/sessions/{}/frames", polling.name);
    for (path, bytes) in
        [("/v1/sessions", banter_model::limits::FRAME_BYTES + 1), (&frames, 2 * banter_model::limits::FRAME_BYTES + 1)]
    {
        let answer = post(&scene, path, JSON, &vec![b' '; bytes]).await;
        assert_eq!(answer.refusal(), (413, "too_large"), "{path}");
    }
    assert_eq!(scene.refused("too_large").await, 3);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn wrong_methods_and_paths() {
    let mut scene = Scene::set().await;
    let token = Some(scene.ada.token.as_str());
    for (method, path) in [
        ("DELETE", "/v1/login"),
        ("GET", "/v1/login"),
        ("PUT", "/v1/profile"),
        ("TRACE", "/v1/profile"),
        ("GET", "/v1/sessions"),
        ("BREW", "/health"),
        ("POST", "/metrics"),
    ] {
        let answer = scene.world.call(method, path, token, None).await;
        assert_eq!(answer.refusal(), (405, "method_not_allowed"), "{method} {path}");
        assert!(answer.head.contains("\r\nallow: "), "{}", answer.head);
    }
    assert_eq!(scene.refused("method_not_allowed").await, 7);
    let paths = [
        "/v1",
        "/v1/",
        "/v2/profile",
        "/v1/profile/",
        "/v1/../v1/profile",
        "//v1/profile",
        "/v1/%70rofile/x",
        "/etc/passwd",
        "/v1/socket/x",
    ];
    for path in paths {
        assert_eq!(scene.world.call("GET", path, token, None).await.refusal(), (404, "not_found"), "{path}");
    }
    assert_eq!(scene.refused("not_found").await, paths.len() as u64);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn wrong_parameters() {
    let mut scene = Scene::set().await;
    let token = Some(scene.ada.token.as_str());
    let events = format!("/v1/conversations/{}/events", scene.talk);
    let many = vec!["7"; 201].join(",");
    let polling = Polling::open(&scene.world, &scene.ada).await;
    let frames = format!("/v1/sessions/{}/frames", polling.name);
    let before = scene.refused("invalid_parameter").await;
    let paths = [
        format!("{events}?after=1&before=2"),
        format!("{events}?after=-1"),
        format!("{events}?after=x"),
        format!("{events}?limit=0"),
        format!("{events}?limit=201"),
        format!("{events}?colour=red"),
        "/v1/conversations/x/events".to_owned(),
        "/v1/conversations/d.9.3".to_owned(),
        "/v1/conversations/%ff".to_owned(),
        "/v1/conversations?more=x".to_owned(),
        "/v1/users?ids=".to_owned(),
        "/v1/users?ids=x".to_owned(),
        "/v1/users".to_owned(),
        format!("/v1/users?ids={many}"),
        format!("/v1/presence?ids={many}"),
        frames.clone(),
        format!("{frames}?after=x"),
        format!("{frames}?after=0&more=1"),
    ];
    for path in &paths {
        assert_eq!(scene.world.call("GET", path, token, None).await.refusal(), (400, "invalid_parameter"), "{path}");
    }
    assert_eq!(scene.refused("invalid_parameter").await, before + paths.len() as u64);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn posts_that_are_no_arrays_of_frames() {
    let mut scene = Scene::set().await;
    let mut polling = Polling::open(&scene.world, &scene.ada).await;
    let path = format!("/v1/sessions/{}/frames", polling.name);
    let before = scene.refused("invalid_json").await;
    let bodies: [&[u8]; 6] =
        [b"", b"{}", b"{\"type\":\"ping\"}", b"[{\"type\":\"ping\"}", b"[{\"type\":\"ping\"},]", b"[\"\xff\"]"];
    for body in bodies {
        assert_eq!(post(&scene, &path, JSON, body).await.refusal(), (400, "invalid_json"));
    }
    assert_eq!(scene.refused("invalid_json").await, before + 6);
    // One wrong frame among good ones is refused alone.
    polling.send(json!([{"type": "ping"}, {"type": "shout"}, 5, {"type": "ping"}])).await;
    for kind in ["pong", "error", "error", "pong"] {
        polling.expect(kind).await;
    }
    scene.is_as_it_was().await;
}
