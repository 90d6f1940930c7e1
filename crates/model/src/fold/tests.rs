//! Single decisions of the fold. What holds for every sequence of commands is in `tests/fold_properties.rs`.

use super::*;
use crate::snowflake::EPOCH;
use crate::{EventId, GroupId};

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const EVE: UserId = UserId(3);

fn group() -> Conversation {
    let mut conversation = Conversation::new(ConversationId::Group(GroupId(9)));
    let created = Action::CreateGroup { title: "Boat".into(), members: vec![BOB, EVE, BOB], earlier_history: false };
    applied(&mut conversation, ADA, created);
    conversation
}

fn command(conversation: &Conversation, sender: UserId, tag: Option<u64>, action: Action) -> Command {
    Command {
        conversation: conversation.id,
        sender,
        device: DeviceId(sender.0 * 10),
        tag: tag.map(|tag| Tag::new(tag).unwrap()),
        id: EventId(1 << 30),
        action,
    }
}

fn run(conversation: &mut Conversation, sender: UserId, action: Action) -> Outcome {
    let command = command(conversation, sender, None, action);
    apply(conversation, 1, command, None)
}

fn applied(conversation: &mut Conversation, sender: UserId, action: Action) -> Event {
    match run(conversation, sender, action) {
        Outcome::Applied { event, .. } => event,
        other => panic!("{other:?}"),
    }
}

fn refused(conversation: &mut Conversation, sender: UserId, action: Action) -> Refusal {
    let before = conversation.clone();
    match run(conversation, sender, action) {
        Outcome::Refused(refusal) => {
            assert_eq!(*conversation, before, "a refusal changed something");
            refusal
        }
        other => panic!("{other:?}"),
    }
}

fn say(text: &str) -> Action {
    Action::Send { text: text.into(), reply_to: None, mentions: vec![] }
}

#[test]
fn a_resend_gets_its_first_event() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    let first = command(&direct, ADA, Some(1), say("hello"));
    assert!(matches!(apply(&mut direct, 1, first.clone(), None), Outcome::Applied { .. }));
    let again = apply(&mut direct, 2, first, None);
    assert_eq!(again, Outcome::Duplicate { device: DeviceId(10), tag: Tag::new(1).unwrap(), at_most: 1 });
    assert_eq!((direct.head.seq, direct.head.ordinal, direct.head.position), (1, 1, 1));
}

#[test]
fn an_objection_does_not_take_back_an_answer() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    let first = command(&direct, ADA, Some(1), say("hello"));
    assert!(objected(&direct, &first));
    assert!(matches!(apply(&mut direct, 1, first.clone(), None), Outcome::Applied { .. }));
    assert!(!objected(&direct, &first), "stored before anybody objected");
    assert!(objected(&direct, &command(&direct, ADA, Some(2), say("again"))));
    assert!(objected(&direct, &command(&direct, ADA, None, say("untagged"))));
}

#[test]
fn time_never_runs_backwards() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    for (seconds, shown) in [(50, 50), (40, 50), (60, 60)] {
        let id = EventId((seconds * 1000) << 22);
        let command = Command { id, ..command(&direct, ADA, None, say("x")) };
        let Outcome::Applied { event, .. } = apply(&mut direct, 1, command, None) else { panic!("refused") };
        assert_eq!(event.at, EPOCH + shown * 1000);
    }
}

#[test]
fn strangers_and_wrong_places() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    assert_eq!(refused(&mut direct, EVE, say("x")), Refusal::NotAMember);
    assert_eq!(refused(&mut direct, ADA, Action::Leave), Refusal::NotAGroup);
    let mut unknown = Conversation::new(ConversationId::Group(GroupId(1)));
    assert_eq!(refused(&mut unknown, ADA, say("x")), Refusal::NotAMember);
    let answer = Action::Send { text: "x".into(), reply_to: Some(1), mentions: vec![] };
    assert_eq!(refused(&mut direct, ADA, answer), Refusal::UnknownMessage { seq: 1 });
}

#[test]
fn roles_decide_who_may() {
    let mut group = group();
    let needs_admin = Refusal::NotPermitted { needs: Role::Admin, has: Role::Member };
    assert_eq!(refused(&mut group, BOB, Action::SetTitle { title: "Ship".into() }), needs_admin);
    assert_eq!(refused(&mut group, BOB, Action::RemoveMember { member: EVE }), needs_admin);
    applied(&mut group, ADA, Action::SetRole { member: BOB, role: Role::Admin });
    applied(&mut group, BOB, Action::SetTitle { title: "Ship".into() });
    applied(&mut group, ADA, Action::SetRole { member: EVE, role: Role::Admin });
    let needs_owner = Refusal::NotPermitted { needs: Role::Owner, has: Role::Admin };
    assert_eq!(refused(&mut group, BOB, Action::RemoveMember { member: EVE }), needs_owner);
    assert_eq!(refused(&mut group, BOB, Action::RemoveMember { member: ADA }), needs_owner);
    assert_eq!(refused(&mut group, BOB, Action::SetRole { member: BOB, role: Role::Owner }), needs_owner);
    assert_eq!(refused(&mut group, ADA, Action::SetRole { member: ADA, role: Role::Member }), Refusal::OwnerRequired);
    assert_eq!(refused(&mut group, ADA, Action::RemoveMember { member: ADA }), Refusal::CannotRemoveSelf);
    assert_eq!(refused(&mut group, ADA, Action::RemoveMember { member: UserId(77) }), Refusal::UnknownMember);
}

#[test]
fn the_owner_hands_on() {
    let mut group = group();
    applied(&mut group, ADA, Action::SetRole { member: EVE, role: Role::Owner });
    assert_eq!(group.roster.owner().unwrap().user, EVE);
    assert_eq!(group.roster.member(ADA).unwrap().role, Role::Admin);
    let left = applied(&mut group, EVE, Action::Leave);
    assert_eq!(left.body, EventBody::MemberLeft { successor: Some(ADA) });
    applied(&mut group, ADA, Action::Leave);
    let left = applied(&mut group, BOB, Action::Leave);
    assert_eq!(left.body, EventBody::MemberLeft { successor: None });
    assert_eq!(refused(&mut group, BOB, say("anybody?")), Refusal::NotAMember);
}

#[test]
fn a_hundred_and_one_is_too_many() {
    let mut group = group();
    let many = |from: u64, to: u64| Action::AddMembers { members: (from..=to).map(UserId).collect() };
    assert_eq!(refused(&mut group, ADA, many(1, 101)), Refusal::GroupFull { would_be: 101 });
    applied(&mut group, ADA, many(1, 100));
    assert_eq!(refused(&mut group, ADA, many(101, 101)), Refusal::GroupFull { would_be: 101 });
    assert_eq!(refused(&mut group, ADA, many(5, 8)), Refusal::NobodyToAdd);
    assert_eq!(group.members().count(), 100);
}

#[test]
fn only_members_are_mentioned() {
    let mut group = group();
    let mention = |user| Mention { user, start: 0, length: 4 };
    let action = Action::Send { text: "@eve @who".into(), reply_to: None, mentions: vec![mention(EVE), mention(UserId(50))] };
    let EventBody::Message { mentions, .. } = applied(&mut group, ADA, action).body else { panic!("not a message") };
    assert_eq!(mentions, [mention(EVE)]);
}

#[test]
fn edits_and_redactions_need_the_author_and_a_message() {
    let mut group = group();
    let mut message = applied(&mut group, BOB, say("tpyo"));
    let about = |group: &mut Conversation, sender, target: &Event, action| {
        let command = command(group, sender, None, action);
        apply(group, 1, command, Some(&Target::of(target)))
    };
    let edit = |target| Action::Edit { target, text: "typo".into(), mentions: vec![] };
    assert_eq!(about(&mut group, ADA, &message, edit(2)), Outcome::Refused(Refusal::NotYourMessage));
    assert_eq!(about(&mut group, EVE, &message, Action::Redact { target: 2 }), Outcome::Refused(Refusal::NotYourMessage));
    assert_eq!(about(&mut group, BOB, &message, edit(1)), Outcome::Refused(Refusal::UnknownMessage { seq: 1 }));
    assert_eq!(refused(&mut group, BOB, edit(2)), Refusal::UnknownMessage { seq: 2 });
    assert!(matches!(about(&mut group, BOB, &message, edit(2)), Outcome::Applied { .. }));
    let Outcome::Applied { event: redaction, .. } = about(&mut group, ADA, &message, Action::Redact { target: 2 }) else {
        panic!("an admin may delete")
    };
    assert!(crate::amend::amend(&mut message, &redaction));
    assert_eq!(about(&mut group, BOB, &message, edit(2)), Outcome::Refused(Refusal::MessageRedacted));
    assert_eq!(group.head.ordinal, 1, "only messages count");
}

#[test]
fn a_replay_that_sees_a_later_redaction_decides_as_it_did_before() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    let mut message = applied(&mut direct, ADA, say("one"));
    let before = direct.clone();
    let log = [Action::Edit { target: 1, text: "two".into(), mentions: vec![] }, Action::Redact { target: 1 }];
    let replay = |conversation: &mut Conversation, message: &mut Event| -> Vec<Outcome> {
        log.iter()
            .map(|action| {
                let command = command(conversation, ADA, None, action.clone());
                let outcome = apply(conversation, 1, command, Some(&Target::of(message)));
                if let Outcome::Applied { event, .. } = &outcome {
                    crate::amend::amend(message, event);
                }
                outcome
            })
            .collect()
    };
    let first = replay(&mut direct, &mut message);
    let stored = message.clone();
    assert_eq!(replay(&mut before.clone(), &mut message), first);
    assert_eq!(message, stored);
}

#[test]
fn the_hundredth_edit_is_the_last_and_in_a_replay_too() {
    let mut direct = Conversation::new(ConversationId::direct(ADA, BOB).unwrap());
    let mut message = applied(&mut direct, ADA, say("one"));
    let mut replayed = direct.clone();
    let edit = |conversation: &mut Conversation, message: &mut Event| {
        let action = Action::Edit { target: 1, text: "more".into(), mentions: vec![] };
        let command = command(conversation, ADA, None, action);
        let outcome = apply(conversation, 1, command, Some(&Target::of(message)));
        if let Outcome::Applied { event, .. } = &outcome {
            crate::amend::amend(message, event);
        }
        outcome
    };
    let first: Vec<Outcome> = (0..=EDITS_PER_MESSAGE).map(|_| edit(&mut direct, &mut message)).collect();
    assert!(first[..EDITS_PER_MESSAGE].iter().all(|outcome| matches!(outcome, Outcome::Applied { .. })));
    assert_eq!(first[EDITS_PER_MESSAGE], Outcome::Refused(Refusal::TooManyEdits));
    let again: Vec<Outcome> = (0..=EDITS_PER_MESSAGE).map(|_| edit(&mut replayed, &mut message)).collect();
    assert_eq!(again, first);
}
