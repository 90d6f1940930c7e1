//! Long polling: the same frames and guarantees, in arrays.

use std::time::Duration;

use serde_json::json;

use crate::support::polling::Polling;
use crate::support::socket::Socket;
use crate::support::{World, direct, http, send, soon};

#[tokio::test]
async fn a_conversation_over_polling() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Polling::open(&world, &ada).await, Polling::open(&world, &bob).await);
    at_ada.send(json!([send(1, talk, "one"), send(2, talk, "two"), {"type": "ping"}])).await;
    let mut places = Vec::new();
    while places.len() < 2 {
        let frame = at_ada.text().await;
        if frame["type"] == "sent" {
            places.push((frame["tag"].as_u64().unwrap(), frame["seq"].as_u64().unwrap()));
        }
    }
    assert_eq!(places, [(1, 1), (2, 2)]);
    for text in ["one", "two"] {
        assert_eq!(at_bob.expect("event").await["event"]["content"]["text"], text);
    }
    at_bob.send(json!([{"type": "read", "conversation": talk, "seq": 2}])).await;
    loop {
        let frame = at_ada.text().await;
        if frame["type"] == "read" {
            assert_eq!(frame["seq"], 2);
            break;
        }
        assert_eq!(frame["type"], "pong");
    }
    // The same tag again, on a socket: the same answer.
    let mut socket = Socket::open(&world, &ada).await;
    assert_eq!(socket.say(1, talk, "one").await["seq"], 1);
    assert_eq!(world.head(&ada, talk).await, 2);
}

#[tokio::test]
async fn resume_answers_with_sync() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    Socket::open(&world, &ada).await.say(1, direct(&ada, &bob), "hello").await;
    let (_, first) = Polling::begin(&world, json!({"type": "resume", "token": bob.token})).await;
    assert_eq!(first[0]["type"], "welcome");
    // The event itself may come before the answer, if it was still on its way when the session began.
    let sync = first.iter().find(|frame| frame["type"] != "welcome" && frame["type"] != "event").unwrap();
    assert_eq!((&sync["type"], &sync["conversations"][0]["unread"]), (&json!("sync"), &json!(1)));
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let polling = Polling::open(&world, &bob).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    at_ada.say(1, talk, "one").await;
    let first = polling.poll(0).await;
    assert_eq!(first.json["cursor"], 1);
    at_ada.say(2, talk, "two").await;
    for _ in 0..2 {
        assert_eq!(polling.poll(0).await.text, first.text, "the very same, however often");
    }
    let second = polling.poll(1).await;
    assert_eq!((&second.json["frames"][0]["event"]["seq"], &second.json["cursor"]), (&json!(2), &json!(2)));
    assert_eq!(polling.poll(1).await.text, second.text);
    // What was confirmed is gone, and what never was is not there.
    for wrong in [0, 3, u64::MAX] {
        assert_eq!(polling.poll(wrong).await.refusal(), (400, "invalid_parameter"), "{wrong}");
    }
}

/// Two polls at once: the earlier gives way at once, and the later one gets what comes. The wait is shorter than a poll's own, after
/// which everything would be handed out anyway.
#[tokio::test]
async fn an_earlier_poll_gives_way_to_a_later_one() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    for _ in 0..5 {
        let polling = Polling::open(&world, &ada).await;
        let request = http::request("GET", &format!("/v1/sessions/{}/frames?after=0", polling.name), None, None);
        let (address, bytes) = (world.address, request.into_bytes());
        let poll = || {
            let bytes = bytes.clone();
            tokio::spawn(async move { http::exchange(address, &bytes).await.remove(0) })
        };
        let (mut one, mut other) = (poll(), poll());
        let in_time = async {
            let (given_way, left) = tokio::select! {
                answer = &mut one => (answer.unwrap(), other),
                answer = &mut other => (answer.unwrap(), one),
            };
            assert_eq!((&given_way.json["frames"], &given_way.json["cursor"]), (&json!([]), &json!(0)));
            polling.send(json!([{"type": "ping"}])).await;
            let answer = left.await.unwrap();
            assert_eq!((&answer.json["frames"], &answer.json["cursor"]), (&json!([{"type": "pong"}]), &json!(1)));
        };
        tokio::time::timeout(Duration::from_secs(15), in_time).await.expect("the later poll is woken");
    }
}

#[tokio::test]
async fn a_session_that_is_closed_is_unknown() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let polling = Polling::open(&world, &ada).await;
    let path = format!("/v1/sessions/{}", polling.name);
    assert_eq!(polling.call("DELETE", &path, None).await.status, 204);
    world.metric_becomes("sessions", 0).await;
    assert_eq!(polling.call("DELETE", &path, None).await.refusal(), (404, "unknown_session"));
    assert_eq!(polling.poll(0).await.refusal(), (404, "unknown_session"));
    assert_eq!(polling.post(json!([{"type": "ping"}])).await.refusal(), (404, "unknown_session"));
    assert_eq!(
        polling.call("GET", "/v1/sessions/AAAAAAAAAAAAAAAAAAAAAA/frames?after=0", None).await.refusal(),
        (404, "unknown_session")
    );
    assert_eq!(world.metric("refused_total{code=\"unknown_session\"}").await, 4);
}

#[tokio::test]
async fn closing_answers_a_poll_that_waits() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let polling = Polling::open(&world, &ada).await;
    let request = http::request("GET", &format!("/v1/sessions/{}/frames?after=0", polling.name), None, None);
    let address = world.address;
    let waiting = tokio::spawn(async move { http::exchange(address, request.as_bytes()).await.remove(0) });
    assert_eq!(polling.call("DELETE", &format!("/v1/sessions/{}", polling.name), None).await.status, 204);
    // The poll may have come before the end or after it.
    let answer = crate::support::soon("the poll's answer", waiting).await.unwrap();
    assert!(answer.status == 404 || answer.json["frames"][0]["code"] == 1000, "{}", answer.text);
}

#[tokio::test]
async fn a_socket_and_a_poll_side_by_side_get_the_same_frames() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &bob).await;
    let mut polling = Polling::open(&world, &bob).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    at_ada.say(1, talk, "one \"quoted\" \\ line\nanother \u{1F600}").await;
    at_ada.send(json!({"type": "edit", "tag": 2, "conversation": talk, "target": 1, "text": "two"})).await;
    at_ada.expect("sent").await;
    at_ada.send(json!({"type": "react", "tag": 3, "conversation": talk, "target": 1, "emoji": "👍", "add": true})).await;
    at_ada.expect("sent").await;
    for _ in 0..3 {
        assert_eq!(socket.expect("event").await, polling.expect("event").await);
    }
    // Only events have an order among each other: what is passing may come before an event whose writer has its answer.
    at_ada.send(json!({"type": "typing", "conversation": talk})).await;
    at_ada.send(json!({"type": "delivered", "conversation": talk, "seq": 1})).await;
    for kind in ["typing", "delivered"] {
        assert_eq!(socket.expect(kind).await, polling.expect(kind).await);
    }
}

#[tokio::test]
async fn posts_are_bounded_and_taken_in_order() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut polling = Polling::open(&world, &ada).await;
    let frames: Vec<_> = (1..=200).map(|tag| send(tag, talk, &format!("number {tag}"))).collect();
    polling.send(json!(frames)).await;
    for tag in 1..=200 {
        let sent = polling.expect("sent").await;
        assert_eq!((&sent["tag"], &sent["seq"]), (&json!(tag), &json!(tag)));
    }
    let too_many: Vec<_> = (0..201).map(|_| json!({"type": "ping"})).collect();
    assert_eq!(polling.post(json!(too_many)).await.refusal(), (413, "too_large"));
    polling.send(json!([])).await;
    assert_eq!(world.metric("frames_taken_total").await, 200);
}

#[tokio::test]
async fn a_device_that_was_signed_out_cannot_go_on_writing() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let other = world.another_device(&ada).await;
    let talk = direct(&ada, &bob);
    let polling = Polling::open(&world, &other).await;
    polling.send(json!([send(1, talk, "one")])).await;
    soon("the message is stored", async {
        while world.head(&ada, talk).await < 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    world.api(&ada, "DELETE", &format!("/v1/devices/{}", other.device), None).await;
    assert_eq!(polling.post(json!([send(2, talk, "two")])).await.refusal(), (404, "unknown_session"));
    assert_eq!(world.head(&ada, talk).await, 1);
}
