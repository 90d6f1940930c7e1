//! A full disk: nothing is stored, everybody is told, and reading goes on.

use serde_json::json;

use crate::support::socket::Socket;
use crate::support::{Settings, World, direct, send};

#[tokio::test]
async fn what_a_full_disk_refuses_is_stored_once_and_in_order_when_there_is_room() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    Socket::open(&world, &ada).await.say(1, talk, "one").await;
    let folder = world.stop().await;

    let world = World::start_in(folder, Settings { reserve_bytes: u64::MAX, ..Settings::default() }).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    for (tag, text) in [(2, "two"), (3, "three")] {
        at_ada.send(send(tag, talk, text)).await;
    }
    for tag in [2, 3] {
        let error = at_ada.expect("error").await;
        assert_eq!(error["tag"], tag);
        assert!(error["retry_after"].as_u64().is_some(), "it is to be sent again: {error}");
        if tag == 2 {
            assert_eq!(error["code"], "storage_full");
        }
    }
    assert_eq!(world.events(&bob, talk).await.len(), 1, "reading goes on");
    // The first message has its answer all the same: it was stored before.
    at_ada.send(send(1, talk, "one")).await;
    assert_eq!(at_ada.expect("sent").await["seq"], 1);
    let folder = world.stop().await;

    let world = World::start_in(folder, Settings::default()).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    for (tag, text) in [(2, "two"), (3, "three")] {
        assert_eq!(at_ada.say(tag, talk, text).await["seq"], tag);
    }
    let texts: Vec<_> = world.events(&bob, talk).await.into_iter().map(|event| event["content"]["text"].clone()).collect();
    assert_eq!(json!(texts), json!(["one", "two", "three"]));
}
