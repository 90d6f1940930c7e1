//! What is in no log, between nodes.

use banter_protocol::close_code;
use serde_json::json;

use crate::nodes::Fleet;
use crate::support::socket::{Incoming, Socket};
use crate::support::{direct, send, soon};

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_read_markers_cross() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open_at(one.address, &ada).await, Socket::open_at(other.address, &bob).await);
    let desk = fleet.another_device(&bob).await;
    let mut at_desk = Socket::open_at(one.address, &desk).await;
    at_ada.send(json!({"type": "typing", "conversation": talk})).await;
    assert_eq!(at_bob.expect("typing").await, json!({"type": "typing", "conversation": talk, "user": ada.user}));
    at_desk.expect("typing").await;
    at_ada.say(1, talk, "one").await;
    at_bob.expect("event").await;
    at_desk.expect("event").await;
    at_bob.send(json!({"type": "read", "conversation": talk, "seq": 1})).await;
    for at in [&mut at_ada, &mut at_desk] {
        let read = at.expect("read").await;
        assert_eq!((&read["user"], &read["seq"]), (&json!(bob.user), &json!(1)));
    }
    at_bob.send(json!({"type": "delivered", "conversation": talk, "seq": 1})).await;
    assert_eq!(at_ada.expect("delivered").await["seq"], 1);
    // The session that did it is told nothing of it.
    at_bob.quiet().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_is_signed_out_elsewhere_is_out_here() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let bob = fleet.person("bob").await;
    let desk = fleet.another_device(&bob).await;
    let (mut at_phone, mut at_desk) = (Socket::open_at(other.address, &bob).await, Socket::open_at(other.address, &desk).await);
    one.api(&bob, "DELETE", &format!("/v1/devices/{}", desk.device), None).await;
    assert_eq!(at_desk.closed().await, close_code::SIGNED_OUT);
    match at_phone.next().await {
        Incoming::Text(frame) => assert_eq!(frame, json!({"type": "account", "changed": "devices"})),
        other => panic!("{other:?}"),
    }
    // Nor does it come in again.
    let mut again = Socket::connect(other.address).await;
    again.send(json!({"type": "hello", "token": desk.token})).await;
    assert_eq!(again.closed().await, close_code::SIGNED_OUT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_counts_on_every_node() {
    let mut fleet = Fleet::new().await;
    let (one, other) = fleet.pair().await;
    let [ada, bob] = fleet.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_bob = Socket::open_at(other.address, &bob).await;
    at_bob.say(1, talk, "one").await;
    one.api(&ada, "PUT", &format!("/v1/blocks/{}", bob.user), None).await;
    // What the other node remembers is forgotten as soon as it hears of it.
    soon("a refusal", async {
        for tag in 2.. {
            at_bob.send(send(tag, talk, "more")).await;
            let answer = at_bob.text().await;
            if answer["type"] == "error" {
                assert_eq!(answer["code"], "may_not_write");
                return;
            }
        }
    })
    .await;
}
