//! Who may write to whom, as blocks, settings and friendships change.

use serde_json::json;

use crate::support::socket::Socket;
use crate::support::{World, direct, send};

#[tokio::test]
async fn a_blocked_user_is_refused_until_unblocked() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    at_ada.say(1, talk, "one").await;
    at_bob.expect("event").await;
    let block = format!("/v1/blocks/{}", ada.user);
    world.api(&bob, "PUT", &block, None).await;
    at_ada.send(send(2, talk, "two")).await;
    let error = at_ada.expect("error").await;
    assert_eq!((&error["code"], &error["tag"], &error["conversation"]), (&json!("may_not_write"), &json!(2), &json!(talk)));
    for frame in [
        json!({"type": "edit", "tag": 3, "conversation": talk, "target": 1, "text": "x"}),
        json!({"type": "react", "tag": 4, "conversation": talk, "target": 1, "emoji": "👍", "add": true}),
    ] {
        at_ada.send(frame).await;
        assert_eq!(at_ada.refused().await, "may_not_write");
    }
    at_bob.quiet().await;
    assert_eq!(world.head(&bob, talk).await, 1);
    // One's own words can be taken back all the same.
    at_ada.send(json!({"type": "redact", "tag": 5, "conversation": talk, "target": 1})).await;
    at_ada.expect("sent").await;
    at_bob.expect("event").await;
    world.api(&bob, "DELETE", &block, None).await;
    assert_eq!(at_ada.say(6, talk, "three").await["seq"], 3);
}

#[tokio::test]
async fn a_message_stored_before_the_block_gets_its_first_answer_again() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open(&world, &ada).await;
    let first = at_ada.say(1, talk, "one").await;
    world.api(&bob, "PUT", &format!("/v1/blocks/{}", ada.user), None).await;
    // The answer may have been lost on its way, and the device asks again.
    at_ada.send(send(1, talk, "one")).await;
    assert_eq!(at_ada.expect("sent").await, first);
    at_ada.send(send(2, talk, "two")).await;
    assert_eq!(at_ada.refused().await, "may_not_write");
    assert_eq!(world.head(&bob, talk).await, 1);
}

#[tokio::test]
async fn friends_only_means_friends_only() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open(&world, &ada).await;
    world.api(&bob, "PATCH", "/v1/settings", Some(json!({"writers": "friends"}))).await;
    at_ada.send(send(1, talk, "hello")).await;
    assert_eq!(at_ada.refused().await, "may_not_write");
    assert_eq!(world.head(&bob, talk).await, 0);
    world.befriend(&ada, &bob).await;
    assert_eq!(at_ada.say(1, talk, "hello").await["seq"], 1);
    world.api(&bob, "DELETE", &format!("/v1/friends/{}", ada.user), None).await;
    at_ada.send(send(2, talk, "hello?")).await;
    assert_eq!(at_ada.refused().await, "may_not_write");
    assert_eq!(world.head(&bob, talk).await, 1);
}

#[tokio::test]
async fn nobody_and_oneself_take_no_messages() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let nobody = banter_model::ConversationId::direct(ada.user, banter_model::UserId(987_654_321)).unwrap();
    at_ada.send(send(1, nobody, "hello")).await;
    assert_eq!(at_ada.refused().await, "unknown_user");
    at_ada.send_text(&format!(r#"{{"type":"send","tag":1,"conversation":"d.{0}.{0}","text":"me"}}"#, ada.user)).await;
    assert_eq!(at_ada.refused().await, "invalid_frame");
}
