//! Exactly once, by tags.

use serde_json::json;

use crate::support::socket::Socket;
use crate::support::{World, direct, send};

#[tokio::test]
async fn a_resend_gets_the_first_answer_and_makes_no_second_event() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut first, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let sent = first.say(1, talk, "once").await;
    assert_eq!(first.say(1, talk, "once").await, sent, "on the same session");
    drop(first);
    let mut second = Socket::open(&world, &ada).await;
    assert_eq!(second.say(1, talk, "once").await, sent, "on another");
    assert_eq!(second.say(1, talk, "something else").await, sent, "whatever it holds");
    second.send(json!({"type": "redact", "tag": 1, "conversation": talk, "target": 1})).await;
    assert_eq!(second.expect("sent").await, sent, "whatever it wants");
    at_bob.expect("event").await;
    at_bob.quiet().await;
    assert_eq!(world.events(&bob, talk).await.len(), 1);
    assert_eq!((world.metric("duplicates_total").await, world.metric("events_total").await), (4, 1));
}

#[tokio::test]
async fn many_resends_at_once_make_one_event_each() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut sockets = [Socket::open(&world, &ada).await, Socket::open(&world, &ada).await, Socket::open(&world, &ada).await];
    for tag in 1..=30 {
        for socket in &mut sockets {
            socket.send(send(tag, talk, &format!("number {tag}"))).await;
        }
    }
    for socket in &mut sockets {
        let (mut answered, mut tags) = (0, Vec::new());
        while answered < 30 {
            let frame = socket.text().await;
            if frame["type"] == "sent" {
                answered += 1;
                tags.push((frame["tag"].as_u64().unwrap(), frame["seq"].as_u64().unwrap()));
            }
        }
        tags.sort_unstable();
        let events = world.events(&ada, talk).await;
        let number = |event: &serde_json::Value, field: &str| event[field].as_u64().unwrap();
        let mut all: Vec<_> = events.iter().map(|event| (number(event, "tag"), number(event, "seq"))).collect();
        all.sort_unstable();
        assert_eq!(tags, all);
    }
    assert_eq!(world.head(&ada, talk).await, 30);
}

#[tokio::test]
async fn tags_count_by_device_and_by_conversation() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let desk = world.another_device(&ada).await;
    let (mut at_phone, mut at_desk) = (Socket::open(&world, &ada).await, Socket::open(&world, &desk).await);
    assert_eq!(at_phone.say(1, direct(&ada, &bob), "a").await["seq"], 1);
    assert_eq!(at_phone.say(1, direct(&ada, &eve), "a").await["seq"], 1);
    at_desk.expect("event").await;
    at_desk.expect("event").await;
    assert_eq!(at_desk.say(1, direct(&ada, &bob), "b").await["seq"], 2);
}

#[tokio::test]
async fn out_of_order_inside_the_window_and_stale_below_it() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &ada).await;
    for (seq, tag) in [(1, 5), (2, 3), (3, 4), (4, 1), (5, 100), (6, 37)] {
        assert_eq!(socket.say(tag, talk, "x").await["seq"], seq, "tag {tag}");
    }
    for tag in [36, 2, 5] {
        socket.send(send(tag, talk, "x")).await;
        let error = socket.expect("error").await;
        assert_eq!((&error["code"], &error["tag"], &error["conversation"]), (&json!("stale_tag"), &json!(tag), &json!(talk)));
        assert_eq!(error.get("retry_after"), None);
    }
    // What is below the window is found in the history instead.
    assert_eq!(world.events(&ada, talk).await.iter().filter(|event| event["tag"] == 5).count(), 1);
    assert_eq!(socket.say((1 << 53) - 1, talk, "the last tag there is").await["seq"], 7);
}

#[tokio::test]
async fn a_refusal_does_not_use_up_the_tag() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &ada).await;
    socket.send(send(1, talk, " ")).await;
    assert_eq!(socket.refused().await, "text_empty");
    assert_eq!(socket.say(1, talk, "now").await["seq"], 1);
}
