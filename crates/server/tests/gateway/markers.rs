//! Read, delivered, typing: what grows or passes, and is never an event.

use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{World, direct};

async fn set_receipts(world: &World, who: &crate::support::Person, on: bool) {
    world.api(who, "PATCH", "/v1/settings", Some(json!({"read_receipts": on}))).await;
}

#[tokio::test]
async fn reading_is_told_to_the_own_devices_and_the_other() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let desk = world.another_device(&bob).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open(&world, &ada).await;
    let (mut at_phone, mut at_desk) = (Socket::open(&world, &bob).await, Socket::open(&world, &desk).await);
    for tag in 1..=3 {
        at_ada.say(tag, talk, "x").await;
        at_phone.expect("event").await;
        at_desk.expect("event").await;
    }
    at_phone.send(json!({"type": "read", "conversation": talk, "seq": 2})).await;
    let marker = json!({"type": "read", "conversation": talk, "user": bob.user, "seq": 2, "ordinal": 2});
    assert_eq!(at_desk.expect("read").await, marker);
    assert_eq!(at_ada.expect("read").await, marker);
    at_phone.quiet().await;

    // It only grows: below it, nothing is told.
    at_phone.send(json!({"type": "read", "conversation": talk, "seq": 1})).await;
    at_phone.quiet().await;
    at_desk.quiet().await;
    at_ada.quiet().await;
    let summary = world.api(&bob, "GET", &format!("/v1/conversations/{talk}"), None).await;
    assert_eq!((&summary["read"], &summary["unread"]), (&json!({"seq": 2, "ordinal": 2}), &json!(1)));
    let summary = world.api(&ada, "GET", &format!("/v1/conversations/{talk}"), None).await;
    assert_eq!((&summary["peer"]["read"], &summary["unread"]), (&json!(2), &json!(0)), "one has read what one wrote");
}

#[tokio::test]
async fn delivery_is_told_to_the_other() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    at_ada.say(1, talk, "x").await;
    at_bob.expect("event").await;
    at_bob.send(json!({"type": "delivered", "conversation": talk, "seq": 1})).await;
    let frame = json!({"type": "delivered", "conversation": talk, "user": bob.user, "seq": 1});
    assert_eq!(at_ada.expect("delivered").await, frame);
    at_bob.send(json!({"type": "delivered", "conversation": talk, "seq": 1})).await;
    at_bob.quiet().await;
    at_ada.quiet().await;
    let summary = world.api(&ada, "GET", &format!("/v1/conversations/{talk}"), None).await;
    assert_eq!(summary["peer"]["delivered"], 1);
}

/// Whoever keeps it to themself does not learn it of others either; their own devices know.
#[tokio::test]
async fn read_receipts_off_on_either_side() {
    let world = World::start().await;
    for (number, (reader_on, writer_on)) in [(true, true), (false, true), (true, false), (false, false)].into_iter().enumerate() {
        let [writer, reader] = world.people([&format!("writer{number}"), &format!("reader{number}")]).await;
        let desk = world.another_device(&reader).await;
        set_receipts(&world, &reader, reader_on).await;
        set_receipts(&world, &writer, writer_on).await;
        let talk = direct(&writer, &reader);
        let mut at_writer = Socket::open(&world, &writer).await;
        let (mut at_reader, mut at_desk) = (Socket::open(&world, &reader).await, Socket::open(&world, &desk).await);
        at_writer.say(1, talk, "x").await;
        at_reader.expect("event").await;
        at_desk.expect("event").await;
        at_reader.send(json!({"type": "read", "conversation": talk, "seq": 1})).await;
        at_desk.expect("read").await;
        at_reader.quiet().await;
        let shown = reader_on && writer_on;
        if shown {
            at_writer.expect("read").await;
        }
        at_writer.quiet().await;
        let summary = world.api(&writer, "GET", &format!("/v1/conversations/{talk}"), None).await;
        assert_eq!(summary["peer"].get("read"), shown.then_some(&json!(1)), "{reader_on} {writer_on}");
        let markers = world.api(&writer, "GET", &format!("/v1/conversations/{talk}/markers"), None).await;
        let marker =
            |user: Value| markers["members"].as_array().unwrap().iter().find(|entry| entry["user"] == user).cloned().unwrap();
        assert_eq!(marker(json!(reader.user)).get("read"), shown.then_some(&json!(1)), "{reader_on} {writer_on}");
    }
}

#[tokio::test]
async fn in_a_group_all_members_see_reading_and_nobody_is_told_of_delivery() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    set_receipts(&world, &eve, false).await;
    let group = world.group(&ada, &[&bob, &eve], false).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let (mut at_bob, mut at_eve) = (Socket::open(&world, &bob).await, Socket::open(&world, &eve).await);
    at_ada.say(1, group, "x").await;
    at_bob.expect("event").await;
    at_eve.expect("event").await;
    at_bob.send(json!({"type": "delivered", "conversation": group, "seq": 2})).await;
    at_bob.send(json!({"type": "read", "conversation": group, "seq": 2})).await;
    at_bob.quiet().await;
    assert_eq!(at_ada.expect("read").await["user"], json!(bob.user));
    at_eve.quiet().await;
    at_eve.send(json!({"type": "read", "conversation": group, "seq": 2})).await;
    at_eve.quiet().await;
    at_ada.quiet().await;
    at_bob.quiet().await;
    let markers = world.api(&ada, "GET", &format!("/v1/conversations/{group}/markers"), None).await;
    let of = |who: &crate::support::Person| {
        let found = markers["members"].as_array().unwrap().iter().find(|entry| entry["user"] == json!(who.user)).cloned();
        found.unwrap()
    };
    assert_eq!((&of(&bob)["delivered"], &of(&bob)["read"]), (&json!(2), &json!(2)));
    assert_eq!(of(&eve).get("read"), None);
}

#[tokio::test]
async fn typing_passes_and_is_not_stored() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let desk = world.another_device(&ada).await;
    let group = world.group(&ada, &[&bob], false).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_desk) = (Socket::open(&world, &ada).await, Socket::open(&world, &desk).await);
    let (mut at_bob, mut at_eve) = (Socket::open(&world, &bob).await, Socket::open(&world, &eve).await);
    for conversation in [talk, group] {
        at_ada.send(json!({"type": "typing", "conversation": conversation})).await;
        assert_eq!(at_bob.expect("typing").await, json!({"type": "typing", "conversation": conversation, "user": ada.user}));
    }
    at_ada.quiet().await;
    at_desk.quiet().await;
    at_eve.quiet().await;
    assert_eq!((world.head(&ada, talk).await, world.head(&ada, group).await), (0, 1));
    // To somebody who blocks one it does not pass, in silence.
    world.api(&bob, "PUT", &format!("/v1/blocks/{}", ada.user), None).await;
    at_ada.send(json!({"type": "typing", "conversation": talk})).await;
    at_ada.quiet().await;
    at_bob.quiet().await;
}
