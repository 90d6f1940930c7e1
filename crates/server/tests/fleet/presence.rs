//! Who is online, over nodes.

use std::time::Duration;

use banter_store::cluster::Role;
use serde_json::json;

use crate::nodes::{Fleet, GATEWAY, Wish};
use crate::support::socket::Socket;
use crate::support::soon;

#[tokio::test(flavor = "multi_thread")]
async fn friends_on_other_nodes_are_told() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    fleet.acquaint(&ada, &bob).await;
    let mut at_ada = Socket::open_at(one.address, &ada).await;
    let at_bob = Socket::open_at(other.address, &bob).await;
    assert_eq!(at_ada.presence().await, json!({"user": bob.user, "state": "online"}));
    let asked = one.api(&ada, "GET", &format!("/v1/presence?ids={}", bob.user), None).await;
    assert_eq!(asked["users"][0]["state"], "online");
    // One more on the node of the friend, and then the first is gone: still online.
    let desk = fleet.another_device(&bob).await;
    let at_desk = Socket::open_at(one.address, &desk).await;
    drop(at_bob);
    soon("the end of the session", async {
        while other.metric("sessions").await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    at_ada.send(json!({"type": "presence", "users": [bob.user]})).await;
    loop {
        // He may have been told of as online again, but never as offline.
        assert_eq!(at_ada.presence().await, json!({"user": bob.user, "state": "online"}));
        at_ada.send(json!({"type": "ping"})).await;
        if at_ada.text().await["type"] == "pong" {
            break;
        }
    }
    drop(at_desk);
    let gone = soon("offline", async {
        loop {
            let presence = at_ada.presence().await;
            if presence["state"] == "offline" {
                return presence;
            }
        }
    });
    assert!(gone.await["last_seen"].as_u64().is_some_and(|at| at > 1_700_000_000_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_on_a_gateway_that_dies_is_offline_unless_they_come_back() {
    let mut fleet = Fleet::new().await;
    let one = fleet.start(Wish::of(&Role::ALL)).await;
    let other = fleet.start(Wish { grace: Duration::from_secs(600), ..Wish::of(GATEWAY) }).await;
    let [ada, bob, eve] = fleet.people(["ada", "bob", "eve"]).await;
    fleet.acquaint(&ada, &bob).await;
    fleet.acquaint(&ada, &eve).await;
    let mut at_ada = Socket::open_at(one.address, &ada).await;
    let _at_bob = Socket::open_at(other.address, &bob).await;
    assert_eq!(at_ada.presence().await["user"], json!(bob.user));
    let _at_eve = Socket::open_at(other.address, &eve).await;
    assert_eq!(at_ada.presence().await["user"], json!(eve.user));
    let _eve_again = Socket::open_at(one.address, &eve).await;
    other.die().await;
    let gone = soon("offline", async {
        loop {
            let presence = at_ada.presence().await;
            if presence["state"] == "offline" {
                return presence;
            }
        }
    });
    assert_eq!(gone.await["user"], json!(bob.user));
    let asked = one.api(&ada, "GET", &format!("/v1/presence?ids={}", eve.user), None).await;
    assert_eq!(asked["users"][0]["state"], "online");
}
