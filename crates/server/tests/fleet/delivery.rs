//! Messages between users on different nodes.

use banter_store::cluster::Role;
use serde_json::json;

use crate::nodes::{Fleet, GATEWAY, Wish};
use crate::proxy::Proxy;
use crate::support::socket::{Incoming, Socket};
use crate::support::{direct, soon};

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_answers_cross() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open_at(one.address, &ada).await, Socket::open_at(other.address, &bob).await);
    let bobs_desk = fleet.another_device(&bob).await;
    let mut at_desk = Socket::open_at(one.address, &bobs_desk).await;
    assert_eq!(at_ada.say(1, talk, "hello").await["seq"], 1);
    for at in [&mut at_bob, &mut at_desk] {
        let event = at.expect("event").await;
        assert_eq!((&event["event"]["seq"], &event["event"]["content"]["text"]), (&json!(1), &json!("hello")));
    }
    // The answer goes back to where the command came from.
    let sent = at_bob.say(1, talk, "hello @ada").await;
    assert_eq!((&sent["seq"], &sent["mentions"][0]["user"]), (&json!(2), &json!(ada.user)));
    assert_eq!(at_ada.expect("event").await["event"]["seq"], 2);
    assert_eq!(at_desk.expect("event").await["event"]["seq"], 2);
    at_bob.send(json!({"type": "edit", "tag": 2, "conversation": talk, "target": 1, "text": "mine"})).await;
    assert_eq!(at_bob.refused().await, "not_your_message");
    at_bob.quiet().await;
    at_ada.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_over_nodes_and_who_is_put_out() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let [ada, bob, eve] = fleet.people(["ada", "bob", "eve"]).await;
    let mut at_ada = Socket::open_at(one.address, &ada).await;
    let (mut at_bob, mut at_eve) = (Socket::open_at(other.address, &bob).await, Socket::open_at(other.address, &eve).await);
    let group = one.group(&ada, &[&bob, &eve], "k").await;
    for at in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(at.expect("event").await["event"]["seq"], 1);
    }
    at_bob.say(1, group, "one").await;
    for at in [&mut at_ada, &mut at_eve] {
        assert_eq!(at.expect("event").await["event"]["seq"], 2);
    }
    one.api(&ada, "DELETE", &format!("/v1/groups/{}/members/{}", group.to_string().trim_start_matches("g."), eve.user), None)
        .await;
    for at in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(at.expect("event").await["event"]["seq"], 3);
    }
    at_bob.say(2, group, "two").await;
    assert_eq!(at_ada.expect("event").await["event"]["seq"], 4);
    at_eve.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_the_api_alone_hears_what_became_of_its_commands() {
    let mut fleet = Fleet::new().await;
    let api = fleet.start(Wish::of(&[Role::Api])).await;
    let worker = fleet.start(Wish::of(&[Role::Worker])).await;
    let gateway = fleet.start(Wish::of(GATEWAY)).await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let mut at_bob = Socket::open_at(gateway.address, &bob).await;
    let group = api.group(&ada, &[&bob], "k").await;
    assert_eq!(at_bob.expect("event").await["conversation"], json!(group));
    // Each answers what its role is, and everybody how it is.
    assert_eq!(worker.call(Some(&ada), "GET", "/v1/conversations", None).await.status, 404);
    assert_eq!(api.call(None, "GET", "/v1/socket", None).await.status, 404);
    for node in [&api, &worker, &gateway] {
        assert_eq!(node.call(None, "GET", "/health", None).await.status, 200);
    }
    for node in [gateway, worker, api] {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_stream_makes_sessions_look_again() {
    let mut fleet = Fleet::new().await;
    let (proxy, internal) = Proxy::new().await;
    let one = fleet.start(Wish::of(&Role::ALL)).await;
    let other = fleet.start(Wish { internal, ..Wish::of(GATEWAY) }).await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open_at(one.address, &ada).await, Socket::open_at(other.address, &bob).await);
    at_ada.say(1, talk, "one").await;
    assert_eq!(at_bob.expect("event").await["event"]["seq"], 1);
    proxy.cut();
    at_bob.expect("resync").await;
    // Lost on the way, or waiting: a device that asks finds it.
    at_ada.say(2, talk, "two").await;
    at_bob.send(json!({"type": "sync"})).await;
    let sync = loop {
        let frame = at_bob.text().await;
        if frame["type"] == "sync" {
            break frame;
        }
        assert_eq!(frame["type"], "resync", "{frame}");
    };
    assert_eq!(sync["conversations"][0]["head_seq"], 2);
    proxy.mend();
    // Whatever was lost in between is told to be missing, and then things are as they were.
    let seen = soon("the end of the resyncs", async {
        let mut tag = 3;
        loop {
            at_ada.say(tag, talk, "again").await;
            let frame = tokio::time::timeout(std::time::Duration::from_millis(500), at_bob.next()).await;
            if let Ok(Incoming::Text(frame)) = frame
                && frame["type"] == "event"
            {
                return frame["event"]["seq"].as_u64().unwrap();
            }
            tag += 1;
        }
    });
    assert!(seen.await >= 2);
    assert!(one.metric("links_broken_total").await > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_hears_of_everything_after() {
    let mut fleet = Fleet::new().await;
    let one = fleet.start(Wish::of(&Role::ALL)).await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open_at(one.address, &ada).await;
    at_ada.say(1, talk, "one").await;
    // A gateway that starts while messages flow.
    let other = fleet.start(Wish::of(GATEWAY)).await;
    let (mut at_bob, mut last) = (Socket::open_at(other.address, &bob).await, 0);
    at_bob.send(json!({"type": "sync"})).await;
    for tag in 2..30 {
        at_ada.say(tag, talk, "more").await;
    }
    // What it is told of, together with what it asks for, is everything.
    while last < 29 {
        let frame = at_bob.text().await;
        match frame["type"].as_str().unwrap() {
            "sync" => last = last.max(frame["conversations"][0]["head_seq"].as_u64().unwrap_or(0)),
            "event" => last = last.max(frame["event"]["seq"].as_u64().unwrap()),
            "resync" => at_bob.send(json!({"type": "sync"})).await,
            other => panic!("{other}"),
        }
    }
}
