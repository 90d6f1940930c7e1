//! The WebSocket itself: fragments, pings, large texts, frames cut anywhere.

use serde_json::json;

use crate::support::socket::{Incoming, Socket, TEXT, frame};
use crate::support::{World, direct, send};

#[tokio::test]
async fn a_text_of_100_000_characters_of_four_bytes() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let text = "😀".repeat(100_000);
    at_ada.say(1, talk, &text).await;
    assert_eq!(at_bob.expect("event").await["event"]["content"]["text"], text);
    // The same as JSON escapes, each character twelve bytes: the largest frame there is.
    let escaped = format!(r#"{{"type":"send","tag":2,"conversation":"{talk}","text":"{}"}}"#, r"\ud83d\ude00".repeat(100_000));
    at_ada.send_text(&escaped).await;
    at_ada.expect("sent").await;
    assert_eq!(at_bob.expect("event").await["event"]["content"]["text"], text);
    let events = world.events(&bob, talk).await;
    assert!(events.iter().all(|event| event["content"]["text"] == text) && events.len() == 2);
}

#[tokio::test]
async fn fragments_with_a_ping_between_them() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &ada).await;
    let text = send(1, talk, "éö 😀").to_string();
    let bytes = text.as_bytes();
    // Cut inside characters, too: only the whole has to be UTF-8.
    let cuts: Vec<&[u8]> = bytes.chunks(7).collect();
    let mut all = frame(0x01, cuts[0]);
    for cut in &cuts[1..cuts.len() - 1] {
        all.extend(frame(0x00, cut));
        all.extend(frame(0x89, b"still there?"));
    }
    all.extend(frame(0x80, cuts[cuts.len() - 1]));
    socket.send_raw(&all).await;
    for _ in &cuts[1..cuts.len() - 1] {
        assert_eq!(socket.next().await, Incoming::Pong(b"still there?".to_vec()));
    }
    assert_eq!(socket.expect("sent").await["seq"], 1);
    assert_eq!(world.events(&ada, talk).await[0]["content"]["text"], "éö 😀");
}

#[tokio::test]
async fn frames_that_arrive_byte_by_byte_or_all_at_once() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &ada).await;
    for byte in frame(TEXT, send(1, talk, "slowly").to_string().as_bytes()) {
        socket.send_raw(&[byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(socket.expect("sent").await["seq"], 1);
    let all: Vec<u8> = (2..=50).flat_map(|tag| frame(TEXT, send(tag, talk, "at once").to_string().as_bytes())).collect();
    socket.send_raw(&all).await;
    for seq in 2..=50 {
        assert_eq!(socket.expect("sent").await["seq"], seq);
    }
}

#[tokio::test]
async fn both_kinds_of_ping() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut socket = Socket::open(&world, &ada).await;
    for payload in [&b""[..], &[7; 125]] {
        socket.send_raw(&frame(0x89, payload)).await;
        assert_eq!(socket.next().await, Incoming::Pong(payload.to_vec()));
    }
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next().await, Incoming::Text(json!({"type": "pong"})));
    // A pong that nobody asked for is no answer to anything.
    socket.send_raw(&frame(0x8a, b"unasked")).await;
    socket.quiet().await;
}
