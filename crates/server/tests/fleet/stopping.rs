//! A node goes, and others take over.

use std::time::Duration;

use banter_protocol::close_code;
use banter_store::Cluster;
use banter_store::cluster::Role;
use serde_json::json;

use crate::nodes::{Fleet, GATEWAY, Wish};
use crate::support::socket::Socket;
use crate::support::{direct, soon};

#[tokio::test(flavor = "multi_thread")]
async fn sessions_move_before_a_gateway_stops() {
    let mut fleet = Fleet::new().await;
    let one = fleet.start(Wish::of(&Role::ALL)).await;
    let other = fleet.start(Wish { drain: Duration::from_secs(20), ..Wish::of(GATEWAY) }).await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open_at(one.address, &ada).await;
    let mut at_bob = Socket::open_at(other.address, &bob).await;
    at_ada.say(1, talk, "one").await;
    at_bob.expect("event").await;
    let members = one.member.members();
    let (address, number) = (other.address, other.member.number());
    let stopping = tokio::spawn(other.stop());
    assert_eq!(at_bob.closed().await, close_code::GOING_AWAY);
    let draining = |number| members.borrow().iter().any(|member| member.node.number == number && member.condition.draining);
    assert!(draining(number) || tokio::net::TcpStream::connect(address).await.is_err());
    // Elsewhere he is at once.
    let mut at_bob = Socket::open_at(one.address, &bob).await;
    at_ada.say(2, talk, "two").await;
    assert_eq!(at_bob.expect("event").await["event"]["seq"], 2);
    stopping.await.unwrap();
    assert!(members.borrow().iter().all(|member| member.node.number != number), "it has left");
    at_ada.send(json!({"type": "ping"})).await;
    at_ada.expect("pong").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_farewell_has_delivered_everything() {
    let mut fleet = Fleet::new().await;
    let gateway = fleet.start(Wish::of(GATEWAY)).await;
    let api = fleet.start(Wish::of(&[Role::Api])).await;
    let bob = fleet.person("bob").await;
    let mut at_bob = Socket::open_at(gateway.address, &bob).await;
    // So that it has a stream: what is told of another session's account.
    api.api(&bob, "PATCH", "/v1/profile", Some(json!({"display_name": "Bob"}))).await;
    assert!(matches!(at_bob.next().await, crate::support::socket::Incoming::Text(frame) if frame["type"] == "account"));
    api.stop().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    // No resync: nothing can be missing.
    at_bob.quiet().await;
}

/// Whoever asks often does not make it ask the engine: it knows within some seconds.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_misses_an_engine_takes_no_new_clients() {
    let mut fleet = Fleet::new().await;
    let node = fleet.start(Wish::of(&Role::ALL)).await;
    let ready = node.call(None, "GET", "/ready", None).await;
    assert_eq!((ready.status, ready.json), (200, json!({"ready": true, "draining": false, "away": []})));
    fleet.directory.close().await;
    let missed = soon("the engine to be missed", async {
        loop {
            let answer = node.call(None, "GET", "/ready", None).await;
            if answer.status != 200 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let missed = missed.await;
    assert_eq!((missed.status, missed.json), (503, json!({"ready": false, "draining": false, "away": ["directory"]})));
    assert!(missed.head.contains("retry-after: 2\r\n"), "{}", missed.head);
    assert_eq!(node.call(None, "GET", "/health", None).await.text, "ok", "it lives");
}
