//! Pages of history: every place is covered once, whatever the user saw of the log.

use banter_model::{Action, ConversationId};
use serde_json::{Value, json};

use crate::support::{Person, World, direct};

async fn page(world: &World, who: &Person, conversation: ConversationId, query: &str) -> Value {
    world.get(who, &format!("/v1/conversations/{conversation}/events?{query}")).await.ok().clone()
}

fn seqs(page: &Value) -> Vec<u64> {
    page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

fn range(page: &Value) -> (u64, u64) {
    (page["from"].as_u64().unwrap(), page["to"].as_u64().unwrap())
}

async fn talk_of(messages: usize) -> (World, Person, ConversationId) {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let talk = direct(&ada, &bob);
    for number in 0..messages {
        world.say(&ada, talk, &number.to_string()).await;
    }
    (world, bob, talk)
}

#[tokio::test]
async fn each_way_of_asking() {
    let (world, bob, talk) = talk_of(10).await;
    for (query, seqs_expected, range_expected) in [
        ("", vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10], (1, 10)),
        ("limit=3", vec![8, 9, 10], (8, 10)),
        ("after=0&limit=3", vec![1, 2, 3], (1, 3)),
        ("after=8&limit=3", vec![9, 10], (9, 10)),
        ("after=10", vec![], (11, 10)),
        ("after=99", vec![], (11, 10)),
        ("before=4&limit=2", vec![2, 3], (2, 3)),
        ("before=3", vec![1, 2], (1, 2)),
        ("before=1", vec![], (1, 0)),
        ("before=0", vec![], (1, 0)),
        ("before=99&limit=2", vec![9, 10], (9, 10)),
        ("around=5&limit=4", vec![3, 4, 5, 6], (3, 6)),
        ("around=5&limit=1", vec![5], (5, 5)),
        ("around=1&limit=4", vec![1, 2, 3, 4], (1, 4)),
        ("around=10&limit=4", vec![7, 8, 9, 10], (7, 10)),
        ("around=0&limit=4", vec![1, 2, 3, 4], (1, 4)),
        ("around=2&limit=5", vec![1, 2, 3, 4, 5], (1, 5)),
        ("around=99&limit=4", vec![7, 8, 9, 10], (7, 10)),
    ] {
        let page = page(&world, &bob, talk, query).await;
        assert_eq!(seqs(&page), seqs_expected, "{query}");
        assert_eq!(range(&page), range_expected, "{query}");
        assert_eq!((&page["head_seq"], &page["first_seq"]), (&json!(10), &json!(1)), "{query}");
    }
}

#[tokio::test]
async fn events_look_as_the_protocol_says() {
    let (world, bob, talk) = talk_of(1).await;
    world.run(&bob, talk, Action::React { target: 1, emoji: "👍".into(), add: true }).await;
    let page = page(&world, &bob, talk, "").await;
    let message = &page["events"][0];
    assert_eq!((&message["content"]["kind"], &message["content"]["text"]), (&json!("message"), &json!("0")));
    assert_eq!(message["content"]["reactions"], json!([{"emoji": "👍", "users": [bob.user]}]));
    assert_eq!(message["content"]["amended_up_to"], 2);
    assert_eq!(page["events"][1]["content"], json!({"kind": "reaction", "target": 1, "emoji": "👍", "added": true}));
    assert!(message["id"].is_string() && message["sender"].is_string() && message["at"].is_u64());
}

#[tokio::test]
async fn a_megabyte_of_text_at_most() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let talk = direct(&ada, &bob);
    // 400,000 bytes each: two fit into 1 MiB.
    for _ in 0..5 {
        world.say(&ada, talk, &"😀".repeat(100_000)).await;
    }
    let newest = page(&world, &bob, talk, "").await;
    assert_eq!((seqs(&newest), range(&newest)), (vec![4, 5], (4, 5)));
    let oldest = page(&world, &bob, talk, "after=0").await;
    assert_eq!((seqs(&oldest), range(&oldest)), (vec![1, 2], (1, 2)));
    let around = page(&world, &bob, talk, "around=3").await;
    assert_eq!((seqs(&around), range(&around)), (vec![2, 3], (2, 3)));
    let first = page(&world, &bob, talk, "around=1").await;
    assert_eq!((seqs(&first), range(&first)), (vec![1, 2], (1, 2)));
}

/// A group in which eve was a member from 3 to 6 and again from 10 on; her pages skip what she did not see.
async fn group_with_a_gap() -> (World, Person, Person, ConversationId) {
    let world = World::start().await;
    let (ada, eve) = (world.sign_up("ada").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[], false).await;
    world.say(&ada, group, "2").await;
    world.run(&ada, group, Action::AddMembers { members: vec![eve.user] }).await;
    world.say(&ada, group, "4").await;
    world.say(&ada, group, "5").await;
    world.run(&ada, group, Action::RemoveMember { member: eve.user }).await;
    for number in 7..=9 {
        world.say(&ada, group, &number.to_string()).await;
    }
    (world, ada, eve, group)
}

#[tokio::test]
async fn stretches_that_were_not_seen_are_skipped() {
    let (world, ada, eve, group) = group_with_a_gap().await;
    let gone = page(&world, &eve, group, "").await;
    assert_eq!((seqs(&gone), range(&gone)), (vec![3, 4, 5, 6], (1, 6)));
    assert_eq!((&gone["head_seq"], &gone["first_seq"]), (&json!(6), &json!(3)));
    world.run(&ada, group, Action::AddMembers { members: vec![eve.user] }).await;
    world.say(&ada, group, "11").await;
    for (query, seqs_expected, range_expected) in [
        ("", vec![3, 4, 5, 6, 10, 11], (1, 11)),
        ("limit=3", vec![6, 10, 11], (6, 11)),
        ("limit=2", vec![10, 11], (10, 11)),
        ("before=10&limit=2", vec![5, 6], (5, 9)),
        ("before=3", vec![], (1, 2)),
        ("after=0&limit=2", vec![3, 4], (1, 4)),
        ("after=5&limit=2", vec![6, 10], (6, 10)),
        ("after=6&limit=1", vec![10], (7, 10)),
        ("around=8&limit=2", vec![6, 10], (6, 10)),
        ("around=8&limit=4", vec![5, 6, 10, 11], (5, 11)),
    ] {
        let page = page(&world, &eve, group, query).await;
        assert_eq!((seqs(&page), range(&page)), (seqs_expected, range_expected), "{query}");
        assert_eq!(page["head_seq"], 11, "{query}");
    }
}

/// Whatever the limit, going forwards or backwards page by page covers each place once, and gives what is seen once.
#[tokio::test]
async fn pages_join_without_gap_or_overlap() {
    let (world, ada, eve, group) = group_with_a_gap().await;
    world.run(&ada, group, Action::AddMembers { members: vec![eve.user] }).await;
    for number in 11..=15 {
        world.say(&ada, group, &number.to_string()).await;
    }
    let expected = [3, 4, 5, 6, 10, 11, 12, 13, 14, 15];
    for limit in 1..=11 {
        let (mut forwards, mut covered) = (Vec::new(), 0);
        while covered < 15 {
            let page = page(&world, &eve, group, &format!("after={covered}&limit={limit}")).await;
            let (from, to) = range(&page);
            assert!(from == covered + 1 && to >= from, "limit {limit}: {from} to {to} after {covered}");
            assert!(seqs(&page).len() <= limit);
            forwards.extend(seqs(&page));
            covered = to;
        }
        assert_eq!(forwards, expected, "limit {limit}");
        let (mut backwards, mut covered) = (Vec::new(), 16);
        while covered > 1 {
            let page = page(&world, &eve, group, &format!("before={covered}&limit={limit}")).await;
            let (from, to) = range(&page);
            assert!(to == covered - 1 && from <= to, "limit {limit}: {from} to {to} before {covered}");
            assert!(seqs(&page).len() <= limit);
            backwards.extend(seqs(&page).into_iter().rev());
            covered = from;
        }
        backwards.reverse();
        assert_eq!(backwards, expected, "limit {limit}");
    }
}

#[tokio::test]
async fn strangers_get_no_page() {
    let (world, _, talk) = talk_of(1).await;
    let eve = world.sign_up("eve").await;
    for conversation in [talk.to_string(), "g.77".into(), "d.1.2".into()] {
        let answer = world.get(&eve, &format!("/v1/conversations/{conversation}/events")).await;
        assert_eq!(answer.refusal(), (404, "not_a_member"), "{conversation}");
    }
}

#[tokio::test]
async fn who_went_out_does_not_see_what_was_made_of_a_message_later() {
    let world = World::start().await;
    let (ada, eve) = (world.sign_up("ada").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[&eve], false).await;
    let (edited, liked) = (world.say(&ada, group, "one").await, world.say(&ada, group, "two").await);
    world.run(&ada, group, Action::RemoveMember { member: eve.user }).await;
    world.run(&ada, group, Action::React { target: liked, emoji: "👍".into(), add: true }).await;
    world.run(&ada, group, Action::Edit { target: edited, text: "secret".into(), mentions: vec![] }).await;

    let seen = page(&world, &eve, group, "").await;
    let message = |page: &Value, seq: u64| page["events"][seq as usize - 1]["content"].clone();
    assert_eq!((&message(&seen, edited)["text"], &message(&seen, edited)["redacted"]), (&json!(""), &json!(true)));
    assert_eq!(message(&seen, liked)["text"], "two");
    assert!(!seen.to_string().contains("secret") && !seen.to_string().contains("👍"), "{seen}");
    let seen = page(&world, &ada, group, "").await;
    assert_eq!(message(&seen, edited)["text"], "secret");
    assert_eq!(message(&seen, liked)["reactions"][0]["emoji"], "👍");

    // The last message that she saw is what her list shows.
    world.run(&ada, group, Action::Edit { target: liked, text: "secret too".into(), mentions: vec![] }).await;
    let summary = world.get(&eve, &format!("/v1/conversations/{group}")).await.ok().clone();
    assert_eq!((&summary["preview"]["text"], &summary["preview"]["redacted"]), (&json!(""), &json!(true)), "{summary}");
}
