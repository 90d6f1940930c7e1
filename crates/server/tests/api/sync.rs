//! Sync points and listings.

use std::collections::BTreeSet;
use std::time::Duration;

use banter_model::{Action, ConversationId, DeviceId, EventId, GroupId, UserId};
use banter_protocol::frame::SyncQuestion;
use banter_protocol::{ConversationSummary, ErrorBody, ServerFrame};
use banter_server::conversations::listing::LISTINGS_AT_ONCE;
use banter_server::conversations::sync;
use banter_server::conversations::sync_point::SyncPoint;
use banter_server::gateway::intake::Taken;
use banter_store::{Envelope, Origin};
use serde_json::json;

use crate::support::{Person, World, direct, frames};

struct Answer {
    conversations: Vec<ConversationSummary>,
    point: String,
    more: Option<String>,
}

async fn ask(world: &World, who: &Person, since: Option<&str>, more: Option<&str>) -> Result<Answer, ErrorBody> {
    let question = SyncQuestion { since: since.map(str::to_owned), more: more.map(str::to_owned) };
    match sync::answer(&world.node, who.user, &question).await? {
        ServerFrame::Sync { conversations, point, more } => Ok(Answer { conversations, point, more }),
        other => panic!("{other:?}"),
    }
}

async fn changed(world: &World, who: &Person, since: &str) -> Vec<ConversationId> {
    let answer = ask(world, who, Some(since), None).await.unwrap();
    assert!(answer.more.is_none());
    answer.conversations.into_iter().map(|summary| summary.conversation).collect()
}

/// A point whose time is a minute later: beyond the slack for clocks that differ, so that only what really changed counts.
fn a_minute_later(point: &str) -> String {
    let point = SyncPoint::decode(point).unwrap();
    SyncPoint { at: point.at + 60_000, ..point }.encode()
}

#[tokio::test]
async fn what_changed_and_nothing_else() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let first = ask(&world, &ada, None, None).await.unwrap();
    assert!(first.conversations.is_empty() && first.more.is_none());
    let (with_bob, with_eve) = (direct(&ada, &bob), direct(&ada, &eve));
    world.say(&bob, with_bob, "hello").await;
    world.say(&eve, with_eve, "hello").await;
    assert_eq!(changed(&world, &ada, &first.point).await.len(), 2);
    let all = ask(&world, &ada, None, None).await.unwrap();
    assert_eq!(all.conversations.len(), 2);
    assert!(all.conversations.iter().all(|summary| summary.unread == 1 && summary.peer.is_some()));

    let point = a_minute_later(&all.point);
    assert!(changed(&world, &ada, &point).await.is_empty());
    world.say(&eve, with_eve, "there?").await;
    assert_eq!(changed(&world, &ada, &point).await, [with_eve]);
    let group = world.group(&eve, &[&ada], false).await;
    let found: BTreeSet<_> = changed(&world, &ada, &point).await.into_iter().collect();
    assert_eq!(found, BTreeSet::from([group, with_eve]));
    let point = a_minute_later(&ask(&world, &ada, None, None).await.unwrap().point);
    world.run(&eve, group, Action::RemoveMember { member: ada.user }).await;
    let answer = ask(&world, &ada, Some(&point), None).await.unwrap();
    assert_eq!(answer.conversations.len(), 1);
    assert!(!answer.conversations[0].member, "one is told of being put out");
}

/// Members of a group are most of a summary: they come when a device may not know them.
#[tokio::test]
async fn members_come_when_they_changed() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[&bob], false).await;
    let told = async |who: &Person, since: &str| {
        let mut answer = ask(&world, who, Some(since), None).await.unwrap();
        assert_eq!(answer.conversations.len(), 1);
        let summary = answer.conversations.remove(0);
        summary.group.map(|group| (group.title, group.members.len()))
    };
    let first = ask(&world, &ada, None, None).await.unwrap();
    assert_eq!(first.conversations[0].group.as_ref().map(|group| group.members.len()), Some(2));
    world.say(&bob, group, "hello").await;
    assert_eq!(told(&ada, &first.point).await, None, "a message: nobody came or went");
    world.run(&ada, group, Action::SetTitle { title: "Rowing".into() }).await;
    world.say(&bob, group, "a good name").await;
    assert_eq!(told(&ada, &first.point).await, Some(("Rowing".to_owned(), 2)));
    let second = ask(&world, &ada, Some(&first.point), None).await.unwrap();
    world.say(&bob, group, "who else is coming?").await;
    assert_eq!(told(&ada, &second.point).await, None);
    world.run(&ada, group, Action::AddMembers { members: vec![eve.user] }).await;
    assert_eq!(told(&ada, &second.point).await, Some(("Rowing".to_owned(), 3)));
    assert_eq!(told(&eve, &second.point).await, Some(("Rowing".to_owned(), 3)), "a point of another's, who was not in it then");
    let third = ask(&world, &ada, Some(&second.point), None).await.unwrap();
    world.run(&ada, group, Action::RemoveMember { member: bob.user }).await;
    assert_eq!(told(&bob, &third.point).await, Some(("Rowing".to_owned(), 0)), "who is out is told no members");
}

#[tokio::test]
async fn markers_of_both_sides_count_as_changes() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let talk = direct(&ada, &bob);
    world.say(&bob, talk, "hello").await;
    world.say(&eve, direct(&ada, &eve), "hello").await;
    let point = ask(&world, &ada, None, None).await.unwrap().point;
    let read = format!("/v1/conversations/{talk}/read");
    // Beyond the slack nothing that was before counts; what comes now has the time of now, which is before the point's.
    assert!(changed(&world, &ada, &a_minute_later(&point)).await.is_empty());
    world.call("PUT", &read, Some(&ada.token), Some(json!({"seq": 1}))).await;
    assert_eq!(changed(&world, &ada, &point).await, [talk], "one's own");
    assert_eq!(changed(&world, &bob, &point).await, [talk], "the other's");
    assert!(changed(&world, &eve, &point).await.is_empty());
}

#[tokio::test]
async fn points_that_were_never_given() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    for wrong in ["", "x", "AQ", "ä"] {
        for (since, more) in [(Some(wrong), None), (None, Some(wrong))] {
            let refused = ask(&world, &ada, since, more).await.err().unwrap();
            assert_eq!(refused.code, "invalid_parameter", "{wrong}");
        }
    }
    let other_partitions = SyncPoint { at: 1, positions: vec![0; 3] }.encode();
    assert_eq!(ask(&world, &ada, Some(&other_partitions), None).await.err().unwrap().code, "invalid_parameter");
}

#[tokio::test]
async fn a_point_from_the_future_of_a_restored_history_asks_for_everything() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let talk = direct(&ada, &bob);
    world.say(&bob, talk, "hello").await;
    let ahead = SyncPoint { at: u64::MAX, positions: vec![1_000; 4] }.encode();
    assert_eq!(changed(&world, &ada, &ahead).await, [talk]);
}

/// While a question waits for its turn, the session is not read: its device is told that the answer comes, and is not taken for silent.
#[tokio::test]
async fn a_question_that_waits_for_its_turn_is_not_silence() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let session = world.session(&ada);
    let others = world.node.listings.acquire_many(LISTINGS_AT_ONCE as u32).await.unwrap();
    let Taken::Waiting(answer) = world.gateway.take(&session, br#"{"type":"sync"}"#) else { panic!("it was not asked") };
    let answer = tokio::spawn(answer);
    while !session.has_frames() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(frames(&session), [json!({"type": "working"})]);
    assert!(session.heard() > 0, "heard of last when it was made, at second 0");
    drop(others);
    answer.await.unwrap();
    assert_eq!(frames(&session).last().unwrap()["type"], "sync");
}

/// 1,100 conversations come in three parts, each once, over the API too; and the point is the one from before the first part.
#[tokio::test]
async fn many_conversations_come_in_parts() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let groups: BTreeSet<_> = (1..=1_100).map(|id| ConversationId::Group(GroupId(id))).collect();
    for group in &groups {
        let action = Action::CreateGroup { title: "x".into(), members: vec![], earlier_history: false };
        let id = EventId(world.node.ids.next().await.unwrap());
        let command =
            banter_model::Command { conversation: *group, sender: ada.user, device: DeviceId(1), tag: None, id, action };
        world.node.queue.push(Envelope { command, origin: Origin { gateway: 3, session: 0 }, objection: None }).await.unwrap();
    }
    // One more in each partition: when the last is answered, all before it are stored.
    for group in 2_000..2_064 {
        let action = Action::CreateGroup { title: "x".into(), members: vec![], earlier_history: false };
        let group = ConversationId::Group(GroupId(group));
        world.node.commands.run(UserId(7), DeviceId(7), group, action).await.unwrap();
    }
    let (mut found, mut parts, mut more, mut points) = (Vec::new(), 0, None::<String>, BTreeSet::new());
    loop {
        let answer = ask(&world, &ada, None, more.as_deref()).await.unwrap();
        parts += 1;
        assert!(answer.conversations.len() <= 500);
        found.extend(answer.conversations.iter().map(|summary| summary.conversation));
        points.insert(answer.point.clone());
        more = answer.more;
        if more.is_none() {
            break;
        }
        // What happens in between is after the point.
        world.say(&ada, ConversationId::Group(GroupId(1)), "in between").await;
    }
    assert_eq!((parts, points.len(), found.len()), (3, 1, 1_100));
    assert_eq!(found.iter().copied().collect::<BTreeSet<_>>(), groups);
    let point = a_minute_later(points.first().unwrap());
    assert_eq!(changed(&world, &ada, &point).await, [ConversationId::Group(GroupId(1))]);

    let (mut listed, mut more) = (BTreeSet::new(), None::<String>);
    loop {
        let path = more.map_or("/v1/conversations".to_owned(), |more| format!("/v1/conversations?more={more}"));
        let answer = world.get(&ada, &path).await;
        let part = answer.ok()["conversations"].as_array().unwrap();
        assert!(part.iter().all(|summary| listed.insert(summary["conversation"].as_str().unwrap().to_owned())));
        more = answer.json["more"].as_str().map(str::to_owned);
        if more.is_none() {
            break;
        }
    }
    assert_eq!(listed.len(), 1_100);
}
