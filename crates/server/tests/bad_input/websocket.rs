//! What is no WebSocket, or no way to begin a session.

use banter_model::limits::FRAME_BYTES;
use serde_json::json;

use crate::scene::Scene;
use crate::support::http;
use crate::support::socket::{HANDSHAKE, Incoming, Socket, TEXT, frame};

#[tokio::test]
async fn frames_that_rfc_6455_forbids() {
    let mut scene = Scene::set().await;
    let ping = br#"{"type":"ping"}"#;
    let unmasked = [&[TEXT, ping.len() as u8][..], ping].concat();
    scene.closes(&unmasked, 1002).await;
    for reserved_bit in [0x40, 0x20, 0x10, 0x70] {
        scene.closes(&frame(TEXT | reserved_bit, ping), 1002).await;
    }
    for opcode in [0x3, 0x4, 0x5, 0x6, 0x7, 0xb, 0xc, 0xd, 0xe, 0xf] {
        scene.closes(&frame(0x80 | opcode, ping), 1002).await;
    }
    scene.closes(&frame(0x80, ping), 1002).await;
    scene.closes(&[frame(0x01, b"{"), frame(TEXT, ping)].concat(), 1002).await;
    scene.closes(&frame(0x09, b"fragmented ping"), 1002).await;
    scene.closes(&frame(0x89, &[0; 126]), 1002).await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn binary_messages() {
    let mut scene = Scene::set().await;
    scene.closes(&frame(0x82, br#"{"type":"ping"}"#), 1003).await;
    scene.closes(&frame(0x02, b"{"), 1003).await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn texts_that_are_not_utf_8() {
    let mut scene = Scene::set().await;
    for bytes in [&[0xff][..], b"{\"type\":\"ping\xc3\"}", &[0xed, 0xa0, 0x80], &[0xc0, 0x80], &[0xf5, 0x80, 0x80, 0x80]] {
        scene.closes(&frame(TEXT, bytes), 1007).await;
    }
    scene.closes(&[frame(0x01, b"{\"type\":\""), frame(0x80, &[0xf0, 0x9f])].concat(), 1007).await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn oversized_messages() {
    let mut scene = Scene::set().await;
    let header = |length: u64| [&[TEXT, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    // Known from the header: nothing of it is waited for.
    for length in [FRAME_BYTES as u64 + 1, 1 << 32, u64::MAX >> 1, u64::MAX] {
        scene.closes(&header(length), 1009).await;
    }
    let half = vec![b'a'; FRAME_BYTES / 2 + 1];
    scene.closes(&[frame(0x01, &half), frame(0x00, &half)].concat(), 1009).await;
    let crumbs: Vec<u8> = std::iter::repeat_n(frame(0x00, &[b'a'; 1_000]), FRAME_BYTES / 1_000 + 1).flatten().collect();
    scene.closes(&[frame(0x01, b"a"), crumbs].concat(), 1009).await;
    // The largest that is allowed is read, and is no JSON.
    scene.refuses(&scene.ada, &"a".repeat(FRAME_BYTES), "invalid_frame").await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn a_first_frame_that_is_not_hello() {
    let mut scene = Scene::set().await;
    let token = &scene.ada.token;
    let frames = [
        json!({"type": "ping"}).to_string(),
        json!({"type": "send", "tag": 2, "conversation": scene.talk, "text": "bad"}).to_string(),
        json!({"type": "hello"}).to_string(),
        json!({"type": "hello", "token": token, "admin": true}).to_string(),
        json!({"type": "hello", "token": 5}).to_string(),
        json!([{"type": "hello", "token": token}]).to_string(),
        String::new(),
        "{".to_owned(),
    ];
    for (count, text) in frames.iter().enumerate() {
        let mut socket = Socket::connect(scene.world.address).await;
        socket.send_text(text).await;
        assert_eq!(socket.closed().await, 4000, "{text}");
        assert_eq!(scene.closed(4000).await, count as u64 + 1);
        if !text.is_empty() {
            let opened = http::call(scene.world.address, "POST", "/v1/sessions", None, Some(text.clone())).await;
            assert_eq!(opened.refusal(), (400, "invalid_frame"), "{text}");
        }
    }
    for (bytes, code) in [
        (frame(0x82, b"hello"), 1003),
        (frame(TEXT, &[0xff]), 1007),
        (vec![TEXT, 2, b'{', b'}'], 1002),
        // Before a session stands, much less memory is lent.
        (frame(TEXT, &[b' '; (64 << 10) + 1]), 1009),
        (
            std::iter::repeat_n(frame(0x01, b""), 1)
                .chain(std::iter::repeat_n(frame(0x00, &[b' '; 1_000]), 66))
                .flatten()
                .collect(),
            1009,
        ),
        (std::iter::repeat_n(frame(0x89, &[0; 125]), 1_000).flatten().collect(), 1009),
    ] {
        let before = scene.closed(code).await;
        let mut socket = Socket::connect(scene.world.address).await;
        socket.send_raw(&bytes).await;
        assert_eq!(socket.closed().await, code);
        assert_eq!(scene.closed(code).await, before + 1);
    }
    // One that closes before it began is let go.
    let mut socket = Socket::connect(scene.world.address).await;
    socket.send_raw(&frame(0x88, &[])).await;
    assert_eq!(socket.next().await, Incoming::Gone);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn handshakes_that_are_none() {
    let mut scene = Scene::set().await;
    let without = |line: &str| HANDSHAKE.replace(line, "").replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    let wrong = [
        without("Upgrade: websocket\r\n"),
        without("Sec-WebSocket-Version: 13\r\n"),
        without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"),
        without("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
            .replace("websocket\r\n", "websocket\r\nSec-WebSocket-Key: short\r\n"),
        without("nothing").replace("Version: 13", "Version: 8"),
        without("nothing").replace("Upgrade: websocket", "Upgrade: h2c"),
        http::request("GET", "/v1/socket", None, None),
    ];
    for request in &wrong {
        let answers = http::exchange(scene.world.address, request.as_bytes()).await;
        assert_eq!(answers.len(), 1, "{request}");
        assert_eq!(answers[0].refusal(), (400, "invalid_parameter"), "{request}");
    }
    assert_eq!(scene.refused("invalid_parameter").await, wrong.len() as u64);
    let post = without("nothing").replace("GET", "POST");
    let answer = http::exchange(scene.world.address, post.as_bytes()).await.remove(0);
    assert_eq!(answer.refusal(), (405, "method_not_allowed"));
    scene.is_as_it_was().await;
}
