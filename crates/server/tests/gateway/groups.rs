//! Groups, changed over the API and seen live.

use serde_json::{Value, json};

use crate::support::socket::Socket;
use crate::support::{World, direct, send};

async fn content(socket: &mut Socket) -> Value {
    socket.expect("event").await["event"]["content"].clone()
}

#[tokio::test]
async fn comings_and_goings_arrive_live() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let mut at_bob = Socket::open(&world, &bob).await;
    let mut at_eve = Socket::open(&world, &eve).await;
    let group = world.group(&ada, &[&bob], false).await;
    let path = format!("/v1/groups/{}", group.to_string().trim_start_matches("g."));
    let created = json!({"kind": "group_created", "title": "Sailing", "members": [bob.user], "earlier_history": false});
    assert_eq!(content(&mut at_ada).await, created, "the creator's own sessions too: the API did it, not one of them");
    assert_eq!(content(&mut at_bob).await, created);

    world.api(&ada, "POST", &format!("{path}/members"), Some(json!({"members": [eve.user]}))).await;
    for socket in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(content(socket).await, json!({"kind": "members_added", "members": [eve.user]}));
    }
    at_eve.say(1, group, "ahoy").await;
    assert_eq!(content(&mut at_ada).await["text"], "ahoy");
    assert_eq!(content(&mut at_bob).await["text"], "ahoy");

    world.api(&ada, "PUT", &format!("{path}/members/{}/role", bob.user), Some(json!({"role": "admin"}))).await;
    for socket in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(content(socket).await, json!({"kind": "role_changed", "member": bob.user, "role": "admin"}));
    }
    world.api(&bob, "PATCH", &path, Some(json!({"title": "Rowing"}))).await;
    for socket in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(content(socket).await, json!({"kind": "title_changed", "title": "Rowing"}));
    }

    // The one who is put out is told, and nothing after it.
    world.api(&bob, "DELETE", &format!("{path}/members/{}", eve.user), None).await;
    for socket in [&mut at_ada, &mut at_bob, &mut at_eve] {
        assert_eq!(content(socket).await, json!({"kind": "member_removed", "member": eve.user}));
    }
    at_ada.say(1, group, "without eve").await;
    assert_eq!(content(&mut at_bob).await["text"], "without eve");
    at_eve.quiet().await;
    at_eve.send(send(2, group, "let me in")).await;
    assert_eq!(at_eve.refused().await, "not_a_member");
    let summary = world.api(&eve, "GET", &format!("/v1/conversations/{group}"), None).await;
    assert_eq!((&summary["member"], &summary["head_seq"]), (&json!(false), &json!(6)));

    // The owner goes: somebody follows.
    world.api(&ada, "POST", &format!("{path}/leave"), None).await;
    for socket in [&mut at_ada, &mut at_bob] {
        assert_eq!(content(socket).await, json!({"kind": "member_left", "successor": bob.user}));
    }
    at_bob.say(1, group, "alone").await;
    at_ada.quiet().await;
    at_eve.quiet().await;
}

#[tokio::test]
async fn newcomers_see_earlier_history_only_where_it_is_set() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    for (tag, earlier_history) in [(1, false), (1, true)] {
        let group = world.group(&ada, &[&bob], earlier_history).await;
        let path = format!("/v1/groups/{}/members", group.to_string().trim_start_matches("g."));
        at_ada.expect("event").await;
        at_ada.say(tag, group, "before eve").await;
        world.api(&ada, "POST", &path, Some(json!({"members": [eve.user]}))).await;
        at_ada.expect("event").await;
        let seen: Vec<u64> = world.events(&eve, group).await.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
        assert_eq!(seen, if earlier_history { vec![1, 2, 3] } else { vec![3] });
        // What one does not see, one does not answer or put emoji on.
        let mut at_eve = Socket::open(&world, &eve).await;
        at_eve.send(json!({"type": "react", "tag": 1, "conversation": group, "target": 2, "emoji": "👍", "add": true})).await;
        if earlier_history {
            at_eve.expect("sent").await;
            at_ada.expect("event").await;
        } else {
            assert_eq!(at_eve.refused().await, "unknown_message");
            at_eve.send(json!({"type": "send", "tag": 2, "conversation": group, "text": "x", "reply_to": 2})).await;
            assert_eq!(at_eve.refused().await, "unknown_message");
            at_ada.quiet().await;
        }
    }
}

#[tokio::test]
async fn strangers_neither_write_nor_read() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let group = world.group(&ada, &[&bob], true).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let mut at_eve = Socket::open(&world, &eve).await;
    for conversation in [group, direct(&ada, &bob)] {
        at_eve.send(send(1, conversation, "hello")).await;
        assert_eq!(at_eve.refused().await, "not_a_member");
        at_eve.send(json!({"type": "typing", "conversation": conversation})).await;
        at_eve.quiet().await;
    }
    at_ada.quiet().await;
    assert_eq!(world.head(&ada, group).await, 1);
}
