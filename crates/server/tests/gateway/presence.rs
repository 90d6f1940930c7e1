//! Who is online, and who is told.

use std::time::Duration;

use serde_json::json;

use crate::support::socket::Socket;
use crate::support::{Settings, World};

#[tokio::test]
async fn friends_are_told_of_coming_and_going() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    world.acquaint(&ada, &bob).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let mut at_eve = Socket::open(&world, &eve).await;
    let phone = Socket::open(&world, &bob).await;
    assert_eq!(at_ada.presence().await, json!({"user": bob.user, "state": "online"}));
    // A second session changes nothing, nor does the end of one of two.
    let desk = Socket::open(&world, &bob).await;
    drop(phone);
    world.metric_becomes("sessions", 3).await;
    drop(desk);
    let gone = at_ada.presence().await;
    assert_eq!((&gone["user"], &gone["state"]), (&json!(bob.user), &json!("offline")));
    assert!(gone["last_seen"].as_u64().is_some_and(|at| at > 1_700_000_000_000));
    // Strangers are told nothing by themselves, and may ask.
    at_eve.quiet().await;
    at_eve.send(json!({"type": "presence", "users": [bob.user, ada.user, eve.user, "987654321"]})).await;
    let answer = loop {
        let crate::support::socket::Incoming::Text(frame) = at_eve.next().await else { panic!() };
        if frame["type"] == "presence" {
            break frame["users"].as_array().unwrap().clone();
        }
    };
    assert_eq!(answer.len(), 3, "one for each user that exists");
    let state = |user| answer.iter().find(|entry| entry["user"] == json!(user)).unwrap()["state"].clone();
    assert_eq!((state(bob.user), state(ada.user), state(eve.user)), (json!("offline"), json!("online"), json!("online")));
}

#[tokio::test]
async fn a_connection_that_comes_back_in_the_grace_time_does_not_flicker() {
    let world = World::start_with(Settings { grace: Duration::from_secs(600), ..Settings::default() }).await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    world.acquaint(&ada, &bob).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let at_bob = Socket::open(&world, &bob).await;
    assert_eq!(at_ada.presence().await["state"], "online");
    drop(at_bob);
    world.metric_becomes("sessions", 1).await;
    at_ada.send(json!({"type": "presence", "users": [bob.user]})).await;
    assert_eq!(at_ada.presence().await["state"], "online", "the answer to the question, and no change before it");
    let _at_bob = Socket::open(&world, &bob).await;
    at_ada.send(json!({"type": "presence", "users": [ada.user]})).await;
    assert_eq!(at_ada.presence().await["user"], json!(ada.user), "no change before the answer");
}

#[tokio::test]
async fn settings_hide_it_from_those_they_name() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    world.acquaint(&ada, &bob).await;
    let (mut at_ada, mut at_eve) = (Socket::open(&world, &ada).await, Socket::open(&world, &eve).await);
    let _at_bob = Socket::open(&world, &bob).await;
    assert_eq!(at_ada.presence().await["state"], "online");
    for (audience, to_ada, to_eve) in
        [("friends", "online", "hidden"), ("nobody", "hidden", "hidden"), ("everyone", "online", "online")]
    {
        world.api(&bob, "PATCH", "/v1/settings", Some(json!({"presence": audience}))).await;
        // Told live to the friend ...
        assert_eq!(at_ada.presence().await, json!({"user": bob.user, "state": to_ada}), "{audience}");
        // ... and to whoever asks, in a frame or over the API.
        at_eve.send(json!({"type": "presence", "users": [bob.user]})).await;
        assert_eq!(at_eve.presence().await, json!({"user": bob.user, "state": to_eve}), "{audience}");
        let asked = world.api(&eve, "GET", &format!("/v1/presence?ids={}", bob.user), None).await;
        assert_eq!(asked["users"], json!([{"user": bob.user, "state": to_eve}]), "{audience}");
    }
    world.api(&bob, "PUT", &format!("/v1/blocks/{}", eve.user), None).await;
    at_eve.send(json!({"type": "presence", "users": [bob.user]})).await;
    assert_eq!(at_eve.presence().await["state"], "hidden");
}
