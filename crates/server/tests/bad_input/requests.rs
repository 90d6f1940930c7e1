//! Requests that are no HTTP, or that two readers could take for different ones.

use crate::scene::Scene;
use crate::support::http::{Answer, exchange};

/// What a smuggler hopes to have served as a request of its own.
const SMUGGLED: &str = "GET /v1/openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// The answers to `bytes`, none of which may be to the smuggled request.
async fn answers(scene: &Scene, bytes: &[u8]) -> Vec<Answer> {
    let answers = exchange(scene.world.address, bytes).await;
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
    assert!(answers.iter().all(|answer| answer.status != 200 && answer.json.get("openapi").is_none()), "{shown}\n{answers:?}");
    assert!(answers.len() <= 1, "{shown}\n{answers:?}");
    answers
}

fn login(headers: &str, rest: &str) -> String {
    format!("POST /v1/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{headers}\r\n{rest}")
}

/// Refused while the head is read: 400, the connection closed, and counted.
async fn broken(scene: &Scene, request: &str, statuses: &[u16]) {
    let before = scene.world.metric("broken_connections_total").await;
    let answers = answers(scene, request.as_bytes()).await;
    let shown: String = request.chars().take(300).collect();
    assert!(answers.len() == 1 && statuses.contains(&answers[0].status), "{shown}\n{answers:?}");
    scene.world.metric_becomes("broken_connections_total", before + 1).await;
}

#[tokio::test]
async fn two_opinions_on_where_a_body_ends() {
    let mut scene = Scene::set().await;
    let chunked_empty = format!("0\r\n\r\n{SMUGGLED}");
    // A length beside `chunked`: the body is what `chunked` says, and the connection ends with the one answer.
    for headers in ["Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 6\r\n"]
    {
        let answers = answers(&scene, login(headers, &chunked_empty).as_bytes()).await;
        assert_eq!(answers[0].refusal(), (400, "invalid_json"), "{headers}");
    }
    // `chunked` twice, or behind another coding.
    let before = scene.refused("invalid_request").await;
    let twice = [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked, chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ];
    for headers in twice {
        let answers = answers(&scene, login(headers, &chunked_empty).as_bytes()).await;
        assert_eq!(answers[0].refusal(), (400, "invalid_request"), "{headers}");
        assert!(answers[0].head.contains("connection: close"));
    }
    assert_eq!(scene.refused("invalid_request").await, before + twice.len() as u64);
    for headers in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 3\r\nContent-Length: 2\r\n",
        "Content-Length: 2, 3\r\n",
        "Content-Length: 2, 2\r\n",
        "Content-Length: +2\r\n",
        "Content-Length: -2\r\n",
        "Content-Length: 0x2\r\n",
        "Content-Length: 2 2\r\n",
        "Content-Length: \r\n",
        "Content-Length: 99999999999999999999999\r\n",
        "Content-Length : 2\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding:\r\n chunked\r\n",
        "X: y\r\n folded: z\r\n",
        "X: y\r\n\tContent-Length: 2\r\n",
        " Content-Length: 2\r\n",
    ] {
        broken(&scene, &login(headers, &format!("{{}}{SMUGGLED}")), &[400]).await;
    }
    let old =
        login("Transfer-Encoding: chunked\r\n", &chunked_empty).replace("HTTP/1.1\r\nHost: x\r\nC", "HTTP/1.0\r\nHost: x\r\nC");
    broken(&scene, &old, &[400]).await;
    // The same length said twice is no contradiction: one body, and then the next request.
    let said_twice =
        login("Content-Length: 2\r\nContent-Length: 2\r\n", &format!("{{}}{}", SMUGGLED.replace("openapi.json", "nowhere")));
    let both = exchange(scene.world.address, said_twice.as_bytes()).await;
    let codes: Vec<_> = both.iter().map(Answer::refusal).collect();
    assert_eq!(codes, [(400, "invalid_json"), (404, "not_found")]);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn chunks_that_do_not_add_up() {
    let mut scene = Scene::set().await;
    let before = scene.refused("invalid_json").await;
    let bodies = [
        "FFFFFFFFFFFFFFFFF\r\n{}",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
        "2\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}XX0\r\n\r\n",
        "2;\n{}\r\n0\r\n\r\n",
    ];
    for body in bodies {
        let answers = answers(&scene, login("Transfer-Encoding: chunked\r\n", &format!("{body}{SMUGGLED}")).as_bytes()).await;
        assert_eq!(answers[0].refusal(), (400, "invalid_json"), "{body:?}");
    }
    // Without end: extensions of chunks, and trailers, have a bound as well.
    let extension = format!("2;{}", "x".repeat(200_000));
    let trailers = format!("2\r\n{{}}\r\n0\r\n{}", "X: y\r\n".repeat(20_000));
    for body in [&extension, &trailers] {
        let answers = answers(&scene, login("Transfer-Encoding: chunked\r\n", body).as_bytes()).await;
        assert_eq!(answers[0].refusal(), (400, "invalid_json"));
    }
    assert_eq!(scene.refused("invalid_json").await, before + bodies.len() as u64 + 2);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn heads_that_are_none_or_too_large() {
    let mut scene = Scene::set().await;
    let get = |target: &str, headers: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n{SMUGGLED}");
    for request in [
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(),
        "GET\r\n\r\n".to_owned(),
        "GET /health\r\n\r\n".to_owned(),
        "GET /health HTTP/9.9\r\n\r\n".to_owned(),
        "GET  /health HTTP/1.1\r\n\r\n".to_owned(),
        "G@T /health HTTP/1.1\r\n\r\n".to_owned(),
        "GET /hea\0lth HTTP/1.1\r\n\r\n".to_owned(),
        "{\"type\":\"ping\"}\r\n\r\n".to_owned(),
        get("/health", "X: a\0b\r\n"),
        get("/health", "X: a\rb\r\n"),
        get("/health", "no colon\r\n"),
        get("/health", ": no name\r\n"),
        get("/health", "X Y: z\r\n"),
    ] {
        broken(&scene, &request, &[400]).await;
    }
    // Somebody who speaks HTTP/2 at once would not understand an answer of ours.
    let before = scene.world.metric("broken_connections_total").await;
    assert!(answers(&scene, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.is_empty());
    scene.world.metric_becomes("broken_connections_total", before + 1).await;
    broken(&scene, &get("/health", &format!("X: {}\r\n", "x".repeat(70_000))), &[431]).await;
    broken(&scene, &get("/health", &"X: y\r\n".repeat(200)), &[431]).await;
    broken(&scene, &get(&format!("/{}", "x".repeat(70_000)), ""), &[414, 431]).await;
    scene.is_as_it_was().await;
}

/// Odd, and of one meaning: read as what they are.
#[tokio::test]
async fn odd_requests_of_one_meaning() {
    let scene = Scene::set().await;
    let close = "Connection: close\r\n\r\n";
    for request in [
        format!("GET http://elsewhere.example/health HTTP/1.1\r\nHost: x\r\n{close}"),
        format!("\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n{close}"),
        format!("GET /health HTTP/1.1\nHost: x\n{}", close.replace('\r', "")),
        "GET /health HTTP/1.0\r\n\r\n".to_owned(),
        format!("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n{close}hello"),
    ] {
        let answers = exchange(scene.world.address, request.as_bytes()).await;
        assert_eq!(answers.len(), 1, "{request}");
        assert_eq!((answers[0].status, answers[0].text.as_str()), (200, "ok"), "{request}");
    }
    for request in [
        "OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        "CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ] {
        let answers = exchange(scene.world.address, request.as_bytes()).await;
        assert!(answers.len() == 1 && matches!(answers[0].status, 404 | 405), "{request}: {answers:?}");
    }
}
