//! Messages and what is done to them later: who gets what, and what pages show afterwards.

use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{World, direct, send};

#[tokio::test]
async fn sent_to_the_writer_and_event_to_everyone_else() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let desk = world.another_device(&ada).await;
    let mut at_phone = Socket::open(&world, &ada).await;
    let mut others = [Socket::open(&world, &desk).await, Socket::open(&world, &ada).await, Socket::open(&world, &bob).await];
    let mut at_eve = Socket::open(&world, &eve).await;
    let talk = direct(&ada, &bob);
    for seq in 1..=3_u64 {
        let text = format!("number {seq}");
        let sent = at_phone.say(seq, talk, &text).await;
        assert_eq!((&sent["seq"], &sent["ordinal"]), (&json!(seq), &json!(seq)));
        let wanted = json!({
            "type": "event",
            "conversation": talk,
            "event": {
                "seq": seq, "ordinal": seq, "id": sent["id"], "at": sent["at"], "sender": ada.user, "device": ada.device,
                "tag": seq, "content": {"kind": "message", "text": text},
            },
        });
        for other in &mut others {
            assert_eq!(other.expect("event").await, wanted);
        }
        assert_eq!(world.events(&bob, talk).await.last(), Some(&wanted["event"]));
    }
    at_phone.quiet().await;
    at_eve.quiet().await;
    for other in &mut others {
        other.quiet().await;
    }
    assert_eq!(world.call("GET", &format!("/v1/conversations/{talk}/events"), Some(&eve.token), None).await.status, 404);
}

#[tokio::test]
async fn both_write_in_one_order() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    for tag in 1..=20 {
        at_ada.send(send(tag, talk, "from ada")).await;
        at_bob.send(send(tag, talk, "from bob")).await;
    }
    let (mut seen_by_ada, mut seen_by_bob) = (Vec::new(), Vec::new());
    for _ in 0..40 {
        seen_by_ada.push(place(&at_ada.text().await));
        seen_by_bob.push(place(&at_bob.text().await));
    }
    let all: Vec<u64> = (1..=40).collect();
    assert_eq!(seen_by_ada, all);
    assert_eq!(seen_by_bob, all);
}

fn place(frame: &Value) -> u64 {
    frame["seq"].as_u64().or(frame["event"]["seq"].as_u64()).unwrap_or_else(|| panic!("{frame}"))
}

#[tokio::test]
async fn edit_react_redact() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    at_ada.say(1, talk, "helo").await;
    at_bob.expect("event").await;

    at_ada.send(json!({"type": "edit", "tag": 2, "conversation": talk, "target": 1, "text": "hello"})).await;
    let sent = at_ada.expect("sent").await;
    assert_eq!((&sent["seq"], &sent["ordinal"]), (&json!(2), &json!(1)), "an edit is no message");
    assert_eq!(at_bob.expect("event").await["event"]["content"], json!({"kind": "edit", "target": 1, "text": "hello"}));
    let edited = world.events(&bob, talk).await.remove(0);
    assert_eq!((&edited["content"]["text"], &edited["content"]["edited_at"]), (&json!("hello"), &sent["at"]));
    assert_eq!(edited["content"]["amended_up_to"], 2);

    at_bob.send(json!({"type": "react", "tag": 1, "conversation": talk, "target": 1, "emoji": "👍", "add": true})).await;
    at_bob.expect("sent").await;
    let content = json!({"kind": "reaction", "target": 1, "emoji": "👍", "added": true});
    assert_eq!(at_ada.expect("event").await["event"]["content"], content);
    let reacted = world.events(&ada, talk).await.remove(0);
    assert_eq!(reacted["content"]["reactions"], json!([{"emoji": "👍", "users": [bob.user]}]));
    at_bob.send(json!({"type": "react", "tag": 2, "conversation": talk, "target": 1, "emoji": "👍", "add": false})).await;
    at_bob.expect("sent").await;
    at_ada.expect("event").await;
    assert_eq!(world.events(&ada, talk).await[0]["content"].get("reactions"), None);

    at_bob.send(json!({"type": "edit", "tag": 3, "conversation": talk, "target": 1, "text": "mine"})).await;
    assert_eq!(at_bob.refused().await, "not_your_message");
    at_bob.send(json!({"type": "redact", "tag": 4, "conversation": talk, "target": 1})).await;
    assert_eq!(at_bob.refused().await, "not_your_message");

    at_ada.send(json!({"type": "redact", "tag": 3, "conversation": talk, "target": 1})).await;
    at_ada.expect("sent").await;
    assert_eq!(at_bob.expect("event").await["event"]["content"], json!({"kind": "redaction", "target": 1}));
    let events = world.events(&bob, talk).await;
    assert_eq!((&events[0]["content"]["text"], &events[0]["content"]["redacted"]), (&json!(""), &json!(true)));
    assert_eq!(events[1]["content"]["text"], "", "the edit held a copy");
    assert!(!events.iter().any(|event| event.to_string().contains("hello")));

    at_ada.send(json!({"type": "edit", "tag": 4, "conversation": talk, "target": 1, "text": "again"})).await;
    assert_eq!(at_ada.refused().await, "message_redacted");
    assert_eq!(world.head(&ada, talk).await, 5);
}

#[tokio::test]
async fn replies_name_what_is_there() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    at_ada.say(1, talk, "tea?").await;
    at_bob.expect("event").await;
    let reply = |tag: u64, to: u64| json!({"type": "send", "tag": tag, "conversation": talk, "text": "yes", "reply_to": to});
    at_bob.send(reply(1, 1)).await;
    at_bob.expect("sent").await;
    assert_eq!(at_ada.expect("event").await["event"]["content"]["reply_to"], 1);
    for nothing in [0, 3, 99] {
        at_bob.send(reply(2, nothing)).await;
        assert_eq!(at_bob.refused().await, "unknown_message", "{nothing}");
    }
    at_ada.quiet().await;
    assert_eq!(world.head(&ada, talk).await, 2);
}

#[tokio::test]
async fn members_are_found_in_a_text() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let group = world.group(&ada, &[&bob], false).await;
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let sent = at_ada.say(1, group, "é @bob, @eve and @nobody: a@bob is none").await;
    let mentions = json!([{"user": bob.user, "start": 2, "length": 4}]);
    assert_eq!(sent["mentions"], mentions);
    assert_eq!(at_bob.expect("event").await["event"]["content"]["mentions"], mentions);
    let summary = world.api(&bob, "GET", &format!("/v1/conversations/{group}"), None).await;
    assert_eq!((&summary["unread"], &summary["mentions"]), (&json!(1), &json!(1)));
    // An edit names others, and those who are named no longer are not.
    at_ada.send(json!({"type": "edit", "tag": 2, "conversation": group, "target": 2, "text": "nobody"})).await;
    at_ada.expect("sent").await;
    at_bob.expect("event").await;
    let summary = world.api(&bob, "GET", &format!("/v1/conversations/{group}"), None).await;
    assert_eq!(summary["mentions"], 0);
    let _ = eve;
}
