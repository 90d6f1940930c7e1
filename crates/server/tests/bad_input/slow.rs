//! Those who dawdle: each is given 10 s, and all of them in this test at the same time.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::scene::Scene;
use crate::support::http::{self, Answer};
use crate::support::polling::Polling;
use crate::support::socket::{HANDSHAKE, Socket, TEXT, frame};

/// Sends `begin` and then `drip` again and again, until the server has closed: its answers.
async fn dawdle(scene: &Scene, begin: &str, drip: &'static [u8]) -> Vec<Answer> {
    let mut stream = TcpStream::connect(scene.world.address).await.unwrap();
    stream.write_all(begin.as_bytes()).await.unwrap();
    let (mut reading, mut writing) = stream.into_split();
    let dripping = tokio::spawn(async move {
        while writing.write_all(drip).await.is_ok() && !drip.is_empty() {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        // Dropped, it would be shut down: the server would see a device that closes, not one that waits.
        writing
    });
    let mut all = Vec::new();
    let _ =
        crate::support::soon("the end of one who dawdles", tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut all)).await;
    dripping.abort();
    http::answers(&all)
}

#[tokio::test]
async fn what_never_finishes_is_given_up() {
    let mut scene = Scene::set().await;
    let polling = Polling::open(&scene.world, &scene.ada).await;
    let unfinished = &HANDSHAKE[..HANDSHAKE.len() - 4];
    let head = "GET /health HTTP/1.1\r\nHost: x\r\n";
    let body = |path: &str| {
        let token = &scene.ada.token;
        format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n"
        )
    };
    let chunked = body("/v1/groups").replace("Content-Length: 60000", "Transfer-Encoding: chunked");
    let post = body(&format!("/v1/sessions/{}/frames", polling.name));
    let (api, opening) = (body("/v1/groups"), body("/v1/sessions"));
    let bodies = async {
        let answers = tokio::join!(
            dawdle(&scene, &api, b" "),
            dawdle(&scene, &chunked, b"1\r\n \r\n"),
            dawdle(&scene, &opening, b" "),
            dawdle(&scene, &post, b" "),
        );
        [answers.0, answers.1, answers.2, answers.3]
    };
    let hello = async |drip: Vec<u8>| {
        let mut socket = Socket::connect(scene.world.address).await;
        for _ in 0..10 {
            socket.send_raw(&drip).await;
        }
        socket.closed().await
    };
    let (handshake, head_loris, silent, bodies, no_hello, half_hello, pings) = tokio::join!(
        dawdle(&scene, unfinished, b""),
        dawdle(&scene, head, b"X: y\r\n"),
        dawdle(&scene, "", b""),
        bodies,
        hello(Vec::new()),
        hello(frame(TEXT, json!({"type": "hello"}).to_string().as_bytes())[..1].to_vec()),
        hello(frame(0x89, b"")),
    );
    for answers in [handshake, head_loris, silent] {
        assert!(answers.iter().all(|answer| answer.status == 408), "{answers:?}");
    }
    for answers in bodies {
        assert_eq!(answers.len(), 1);
        assert_eq!(answers[0].refusal(), (408, "request_timeout"));
    }
    assert_eq!([no_hello, half_hello, pings], [4000; 3]);
    assert_eq!(scene.closed(4000).await, 3);
    assert_eq!(scene.refused("request_timeout").await, 4);
    scene.world.metric_becomes("broken_connections_total", 3).await;
    let _: Value = scene.world.api(&scene.ada, "GET", "/v1/profile", None).await;
    scene.is_as_it_was().await;
}
