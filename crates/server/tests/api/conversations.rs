//! Summaries, markers and receipts.

use banter_model::{Action, Mention};
use banter_server::conversations::receipts;
use banter_store::History;
use serde_json::{Value, json};

use crate::support::{Answer, Person, World, direct, frames};

async fn summary(world: &World, who: &Person, conversation: impl ToString) -> Value {
    world.get(who, &format!("/v1/conversations/{}", conversation.to_string())).await.ok().clone()
}

async fn mark_read(world: &World, who: &Person, conversation: impl ToString, seq: u64) -> Answer {
    let path = format!("/v1/conversations/{}/read", conversation.to_string());
    world.call("PUT", &path, Some(&who.token), Some(json!({"seq": seq}))).await
}

async fn hide_reading(world: &World, who: &Person) {
    let body = Some(json!({"read_receipts": false}));
    assert_eq!(world.call("PATCH", "/v1/settings", Some(&who.token), body).await.status, 200);
}

#[tokio::test]
async fn a_direct_conversation_as_each_sees_it() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let talk = direct(&ada, &bob);
    let path = format!("/v1/conversations/{talk}");
    assert_eq!(world.get(&ada, &path).await.refusal(), (404, "not_a_member"), "it has not begun");
    world.say_with_tag(&ada, talk, 1, "one").await;
    world.say_with_tag(&ada, talk, 2, &"two ".repeat(100)).await;
    assert_eq!(world.get(&eve, &path).await.refusal(), (404, "not_a_member"));

    let mine = summary(&world, &ada, talk).await;
    assert_eq!(mine["read"], json!({"seq": 2, "ordinal": 2}), "what one writes counts as read");
    assert_eq!((&mine["unread"], &mine["mentions"], &mine["member"]), (&json!(0), &json!(0), &json!(true)));
    assert_eq!(mine["peer"], json!({"read": 0, "delivered": 0}));
    assert_eq!((&mine["head_seq"], &mine["head_ordinal"], &mine["first_seq"]), (&json!(2), &json!(2), &json!(1)));
    assert_eq!(mine["preview"]["text"], "two ".repeat(50));
    assert_eq!(mine["preview"]["sender"], json!(ada.user));
    assert!(mine.get("group").is_none());
    let theirs = summary(&world, &bob, talk).await;
    assert_eq!((&theirs["unread"], &theirs["read"]), (&json!(2), &json!({"seq": 0, "ordinal": 0})));
    assert_eq!(theirs["peer"], json!({"read": 2, "delivered": 0}));

    world.run(&ada, talk, Action::Redact { target: 2 }).await;
    let theirs = summary(&world, &bob, talk).await;
    assert_eq!((&theirs["preview"]["text"], &theirs["preview"]["redacted"]), (&json!(""), &json!(true)));
    assert_eq!((&theirs["head_seq"], &theirs["head_ordinal"], &theirs["unread"]), (&json!(3), &json!(2), &json!(2)));
}

#[tokio::test]
async fn read_markers_grow_and_are_told() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let bob_desk = world.log_in("bob").await;
    let talk = direct(&ada, &bob);
    for text in ["one", "two", "three"] {
        world.say(&ada, talk, text).await;
    }
    let sessions = [world.session(&ada), world.session(&bob), world.session(&bob_desk)];
    let all = || sessions.each_ref().map(|session| frames(session));
    all();
    let answer = mark_read(&world, &bob, talk, 2).await;
    assert_eq!(answer.json, json!({"read": {"seq": 2, "ordinal": 2}, "unread": 1}));
    let frame = json!({"type": "read", "conversation": talk, "user": bob.user, "seq": 2, "ordinal": 2});
    assert_eq!(all(), [vec![frame.clone()], vec![frame.clone()], vec![frame]]);

    assert_eq!(mark_read(&world, &bob, talk, 1).await.json, json!({"read": {"seq": 2, "ordinal": 2}, "unread": 1}));
    assert_eq!(all(), [const { Vec::<Value>::new() }; 3], "it did not grow");
    let answer = mark_read(&world, &bob, talk, 9_007_199_254_740_991).await;
    assert_eq!(answer.json, json!({"read": {"seq": 3, "ordinal": 3}, "unread": 0}), "no further than the last event");
    assert_eq!(all().map(|frames| frames.len()), [1, 1, 1]);
    assert_eq!(mark_read(&world, &ada, "d.1.2", 1).await.refusal(), (404, "not_a_member"));
    let path = format!("/v1/conversations/{talk}/read");
    let wrong = world.call("PUT", &path, Some(&bob.token), Some(json!({"seq": -1}))).await;
    assert_eq!(wrong.refusal(), (400, "invalid_json"));

    // From a session: all of one's sessions but that one.
    world.say(&ada, talk, "four").await;
    all();
    receipts::read(&world.node, bob.user, talk, 4, Some(sessions[1].number)).await.unwrap();
    assert_eq!(all().map(|frames| frames.len()), [1, 0, 1]);
    assert_eq!(receipts::read(&world.node, ada.user, "g.5".parse().unwrap(), 4, None).await.unwrap_err().code, "not_a_member");
}

#[tokio::test]
async fn who_keeps_reading_to_themself_does_not_learn_it_either() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let talk = direct(&ada, &bob);
    world.say_with_tag(&ada, talk, 1, "one").await;
    hide_reading(&world, &bob).await;
    let (ada_session, bob_session) = (world.session(&ada), world.session(&bob));
    mark_read(&world, &bob, talk, 1).await;
    assert!(frames(&ada_session).is_empty(), "bob keeps it to himself");
    assert_eq!(frames(&bob_session).len(), 1, "his own devices know");
    assert_eq!(summary(&world, &ada, talk).await["peer"], json!({"delivered": 0}));
    assert_eq!(summary(&world, &bob, talk).await["peer"], json!({"delivered": 0}), "nor does he learn of ada");
    world.say(&bob, talk, "two").await;
    mark_read(&world, &ada, talk, 2).await;
    assert!(frames(&bob_session).iter().all(|frame| frame["type"] != "read"));
    let markers = world.get(&ada, &format!("/v1/conversations/{talk}/markers")).await;
    let expected = json!({"members": [{"user": ada.user, "read": 2, "delivered": 0}, {"user": bob.user, "delivered": 0}]});
    assert_eq!(markers.json, expected);
}

#[tokio::test]
async fn delivered_is_told_to_the_other_of_two() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let talk = direct(&ada, &bob);
    world.say(&ada, talk, "one").await;
    world.say(&ada, talk, "two").await;
    let (ada_session, bob_session) = (world.session(&ada), world.session(&bob));
    receipts::delivered(&world.node, bob.user, talk, 50).await.unwrap();
    receipts::delivered(&world.node, bob.user, talk, 1).await.unwrap();
    assert_eq!(frames(&ada_session), [json!({"type": "delivered", "conversation": talk, "user": bob.user, "seq": 2})]);
    assert!(frames(&bob_session).is_empty());
    assert_eq!(summary(&world, &ada, talk).await["peer"], json!({"read": 0, "delivered": 2}));
    let stranger = world.sign_up("eve").await;
    let refused = receipts::delivered(&world.node, stranger.user, talk, 1).await.unwrap_err();
    assert_eq!(refused.code, "not_a_member");
}

#[tokio::test]
async fn a_group_as_each_sees_it() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[&bob], false).await;
    world.say_with_tag(&ada, group, 1, "before eve").await;
    world.run(&ada, group, Action::AddMembers { members: vec![eve.user] }).await;
    let newcomer = summary(&world, &eve, group).await;
    assert_eq!((&newcomer["first_seq"], &newcomer["head_seq"], &newcomer["unread"]), (&json!(3), &json!(3), &json!(0)));
    assert_eq!(newcomer["read"], json!({"seq": 2, "ordinal": 1}), "what was said before counts as read");
    assert!(newcomer.get("preview").is_none(), "and is not shown");
    assert!(newcomer.get("peer").is_none());

    let mention = Mention { user: eve.user, start: 0, length: 4 };
    for _ in 0..2 {
        let action = Action::Send { text: "@eve hello".into(), reply_to: None, mentions: vec![mention.clone()] };
        world.run(&ada, group, action).await;
    }
    let of_eve = summary(&world, &eve, group).await;
    assert_eq!((&of_eve["unread"], &of_eve["mentions"]), (&json!(2), &json!(2)));
    assert_eq!(mark_read(&world, &eve, group, 4).await.json["unread"], 1);
    assert_eq!(summary(&world, &eve, group).await["mentions"], 1);
    assert_eq!(summary(&world, &bob, group).await["mentions"], 0);

    let (ada_session, bob_session) = (world.session(&ada), world.session(&bob));
    hide_reading(&world, &bob).await;
    frames(&bob_session);
    mark_read(&world, &eve, group, 5).await;
    let read = json!({"type": "read", "conversation": group, "user": eve.user, "seq": 5, "ordinal": 3});
    assert_eq!(frames(&ada_session), [read]);
    assert!(frames(&bob_session).is_empty(), "who hides it does not learn it");
    let markers = world.get(&ada, &format!("/v1/conversations/{group}/markers")).await;
    let expected = json!({"members": [
        {"user": ada.user, "read": 2, "delivered": 0},
        {"user": bob.user, "delivered": 0},
        {"user": eve.user, "read": 5, "delivered": 0},
    ]});
    assert_eq!(markers.json, expected);
}

#[tokio::test]
async fn who_went_out_sees_it_as_it_was() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let group = world.group(&ada, &[&bob], false).await;
    world.say(&ada, group, "with bob").await;
    world.run(&ada, group, Action::RemoveMember { member: bob.user }).await;
    world.say(&ada, group, "without bob").await;
    world.say(&ada, group, "still without bob").await;
    let of_bob = summary(&world, &bob, group).await;
    assert_eq!((&of_bob["member"], &of_bob["head_seq"], &of_bob["head_ordinal"]), (&json!(false), &json!(3), &json!(1)));
    assert_eq!(of_bob["preview"]["text"], "with bob");
    assert_eq!(of_bob["unread"], 1);
    assert_eq!(of_bob["group"]["members"], json!([]));
    let last = world.history.event(group, 3).await.unwrap().unwrap();
    assert_eq!(of_bob["at"], json!(last.at));
    assert_eq!(mark_read(&world, &bob, group, 100).await.json, json!({"read": {"seq": 3, "ordinal": 1}, "unread": 0}));
    let markers = world.get(&bob, &format!("/v1/conversations/{group}/markers")).await;
    assert_eq!(markers.refusal(), (404, "not_a_member"));
}
