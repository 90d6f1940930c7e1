//! What holds for every sequence of commands.

mod simulation;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use banter_model::limits::{GROUP_MEMBERS, REACTION_EMOJI_PER_MESSAGE, TAG_WINDOW, WRITING_DEVICES};
use banter_model::marker::{read_up_to, unread};
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, EventBody, EventId, Marker, Outcome, Refusal, Role, Tag, UserId,
    membership,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, TestRunner};
use simulation::{Log, Run, conversation_id, owner, steps, visible};

fn config(cases: u32) -> ProptestConfig {
    // Written only when a case fails.
    let failure_persistence = Some(Box::new(FileFailurePersistence::WithSource("regressions")) as _);
    ProptestConfig { cases, failure_persistence, ..ProptestConfig::default() }
}

fn run() -> impl Strategy<Value = Run> {
    (conversation_id(), steps()).prop_map(|(id, steps)| Run::of(id, steps))
}

/// The direct conversation in which all the devices of two users write.
fn direct() -> ConversationId {
    ConversationId::Direct(UserId(1), UserId(2))
}

fn say(conversation: ConversationId, sender: UserId, device: DeviceId, tag: u64, id: u64) -> Command {
    let action = Action::Send { text: "x".into(), reply_to: None, mentions: vec![] };
    Command { conversation, sender, device, tag: Tag::new(tag).ok(), id: EventId(id), action }
}

/// The first word of the debug form: the kind of an event or a refusal.
fn kind(value: &impl std::fmt::Debug) -> String {
    format!("{value:?}").split([' ', '(', '{']).next().unwrap_or_default().to_owned()
}

/// The other properties say nothing about what the steps never reach.
#[test]
fn the_steps_reach_every_event_and_refusal() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeSet::new();
    for _ in 0..400 {
        let run = run().new_tree(&mut runner).expect("no filter gives up").current();
        reached.extend(run.outcomes.iter().map(|outcome| match outcome {
            Outcome::Applied { event, .. } => kind(&event.body),
            Outcome::Refused(refusal) => kind(refusal),
            Outcome::Duplicate { .. } => "Duplicate".to_owned(),
        }));
    }
    let expected = [
        "CannotRemoveSelf Duplicate EarlierHistoryChanged Edit GroupCreated GroupExists GroupFull MemberLeft MemberRemoved",
        "MembersAdded Message MessageRedacted NobodyToAdd NotAGroup NotAMember NotPermitted NotYourMessage OwnerRequired",
        "Reaction Redaction RoleChanged StaleTag TitleChanged UnknownMember UnknownMessage",
    ];
    let expected: BTreeSet<String> = expected.iter().flat_map(|line| line.split(' ')).map(str::to_owned).collect();
    assert_eq!(reached, expected);
}

fn check_roster(conversation: &Conversation) -> Result<(), TestCaseError> {
    let members = &conversation.roster.members;
    prop_assert!(members.len() <= GROUP_MEMBERS);
    prop_assert!(members.is_sorted_by(|a, b| a.user < b.user));
    let owners = members.iter().filter(|member| member.role == Role::Owner).count();
    prop_assert_eq!(owners, usize::from(!members.is_empty()));
    prop_assert!(members.iter().all(|member| (1..=conversation.head.seq).contains(&member.since)));
    prop_assert!(!conversation.id.is_direct() || members.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(config(256))]

    /// Rows may come from any later time: from the state at the start of the replay up to the end of the log.
    #[test]
    fn a_replay_makes_the_same_log(run in run(), from in any::<prop::sample::Index>(), rows_at in any::<prop::sample::Index>()) {
        let from = from.index(run.states.len());
        let rows_at = from + rows_at.index(run.states.len() - from);
        let later = &run.states[rows_at];
        let mut log = Log { conversation: run.states[from].conversation.clone(), ..later.clone() };
        for (index, command) in run.commands.iter().enumerate().skip(from) {
            prop_assert_eq!(&log.take(index as u64 + 1, command), &run.outcomes[index]);
            prop_assert_eq!(&log.conversation, &run.states[index + 1].conversation);
        }
        prop_assert_eq!(&log, run.end());
    }

    #[test]
    fn what_is_not_applied_changes_nothing(run in run()) {
        for (pair, outcome) in run.states.windows(2).zip(&run.outcomes) {
            let applied = matches!(outcome, Outcome::Applied { .. });
            prop_assert_eq!(applied, pair[0] != pair[1]);
        }
    }

    #[test]
    fn the_log_is_gapless_and_counts_messages(run in run()) {
        let (mut messages, mut at) = (0, 0);
        for (event, seq) in run.events().zip(1..) {
            messages += u64::from(event.body.is_message());
            prop_assert_eq!((event.seq, event.ordinal), (seq, messages));
            prop_assert!(event.at >= at);
            at = event.at;
        }
        let head = &run.end().conversation.head;
        prop_assert_eq!((head.seq, head.ordinal, head.at), (run.events().count() as u64, messages, at));
        let last_message = run.events().filter(|event| event.body.is_message()).last();
        prop_assert_eq!(head.last_message, last_message.map_or(0, |event| event.seq));
        let last = run.outcomes.iter().rposition(|outcome| matches!(outcome, Outcome::Applied { .. }));
        prop_assert_eq!(head.position, last.map_or(0, |index| index as u64 + 1));
    }

    #[test]
    fn rosters_keep_their_bounds(run in run()) {
        for state in &run.states {
            check_roster(&state.conversation)?;
        }
    }

    #[test]
    fn memberships_agree_with_the_roster(run in run()) {
        prop_assume!(!run.end().conversation.id.is_direct());
        for state in &run.states {
            let current: Vec<UserId> = state.memberships.iter().filter(|(_, row)| row.is_current()).map(|(user, _)| *user).collect();
            prop_assert_eq!(current, state.conversation.members().collect::<Vec<_>>());
        }
        let seen = visible(&run);
        let end = run.end();
        let head = end.conversation.head.seq;
        prop_assert_eq!(end.memberships.keys().collect::<Vec<_>>(), seen.keys().collect::<Vec<_>>());
        for (user, row) in &end.memberships {
            let by_row: BTreeSet<u64> = (1..=head).filter(|seq| row.sees(*seq)).collect();
            prop_assert_eq!(&by_row, &seen[user], "{}", user);
            prop_assert_eq!(Some(row.first_visible()), by_row.first().copied());
            prop_assert_eq!(Some(row.last_visible(head)), by_row.last().copied());
            let last = run.events().filter(|event| membership::changes(event).0.contains(user)).last().expect("they came in");
            let before = run.events().filter(|event| event.body.is_message() && event.seq < last.seq).count() as u64;
            prop_assert_eq!(row.joined, Marker { seq: last.seq - 1, ordinal: before });
        }
    }

    #[test]
    fn unread_is_the_number_of_messages_after_the_marker(run in run()) {
        let head = &run.end().conversation.head;
        let after = |marker: Marker| run.events().filter(|event| event.body.is_message() && event.seq > marker.seq).count() as u64;
        for marker in run.events().map(|event| event.marker()).chain([Marker::default(), head.marker()]) {
            prop_assert_eq!(unread(head.ordinal, marker), after(marker));
            for user in (1..=simulation::USERS).map(UserId) {
                let wrote = run.events().filter(|event| event.sender == user && event.tag.is_some() && event.body.is_message()).last();
                let read = read_up_to(marker, head, user);
                prop_assert_eq!(read, marker.max(wrote.map(|event| event.marker()).unwrap_or_default()));
                prop_assert_eq!(unread(head.ordinal, read), after(read));
            }
        }
    }

    #[test]
    fn a_tag_makes_one_event_and_a_duplicate_leads_to_it(run in run()) {
        let mut made = HashMap::new();
        for event in run.events() {
            if let Some(tag) = event.tag {
                prop_assert!(made.insert((event.device, tag), event.seq).is_none(), "{:?} was applied twice", tag);
            }
        }
        for (state, outcome) in run.states.iter().zip(&run.outcomes) {
            if let Outcome::Duplicate { device, tag, at_most } = outcome {
                let found = state.find_tag(*device, *tag, *at_most).map(|event| event.seq);
                prop_assert_eq!(found, made.get(&(*device, *tag)).copied());
            }
        }
    }

    #[test]
    fn messages_show_what_the_log_did_to_them(run in run()) {
        for row in run.end().rows.values() {
            let EventBody::Message { text, mentions, amendments, .. } = &row.body else { continue };
            let about: Vec<_> = run.events().filter(|event| event.body.target() == Some(row.seq)).collect();
            prop_assert_eq!(amendments.up_to, about.last().map_or(0, |event| event.seq));
            let redacted = about.iter().position(|event| matches!(event.body, EventBody::Redaction { .. }));
            prop_assert_eq!(amendments.redaction, redacted.map(|index| about[index].seq));
            prop_assert!(redacted.is_none_or(|index| index == about.len() - 1), "something came after a redaction");
            let edits: Vec<_> = about.iter().filter(|event| matches!(event.body, EventBody::Edit { .. })).collect();
            prop_assert_eq!(&amendments.edits, &edits.iter().map(|event| event.seq).collect::<Vec<_>>());
            prop_assert!(edits.iter().all(|edit| edit.sender == row.sender));
            prop_assert!(amendments.reactions.len() <= REACTION_EMOJI_PER_MESSAGE);
            prop_assert!(amendments.reactions.iter().all(|reaction| !reaction.users.is_empty()));
            if redacted.is_some() {
                prop_assert!(text.is_empty() && mentions.is_empty() && amendments.reactions.is_empty());
                for edit in &amendments.edits {
                    prop_assert_eq!(run.end().rows[edit].body.text_bytes(), 0);
                }
            } else {
                let last = edits.last().map_or_else(|| run.events().nth(row.seq as usize - 1), |edit| Some(**edit));
                let (EventBody::Message { text: now, .. } | EventBody::Edit { text: now, .. }) = &last.expect("an event").body else {
                    return Err(TestCaseError::fail("neither message nor edit"));
                };
                prop_assert_eq!(text, now);
            }
        }
    }

    /// Each device counts its tags up; what it sent arrives up to 31 tags late, and again up to 200 tags late.
    #[test]
    fn resends_are_applied_exactly_once(
        delays in prop::collection::vec((1..=4_u64, 0..32_u64, prop::collection::vec(0..200_u64, 0..3)), 1..200),
    ) {
        let mut next: BTreeMap<DeviceId, u64> = BTreeMap::new();
        let mut arrivals = Vec::new();
        for (device, late, again) in delays {
            // Devices 1, 7 are the first user's, 2, 8 the second's.
            let device = DeviceId([1, 2, 7, 8][device as usize - 1]);
            let tag = next.entry(device).or_default();
            *tag += 1;
            arrivals.push((*tag + late, device, *tag));
            arrivals.extend(again.iter().map(|more| (*tag + late + more, device, *tag)));
        }
        arrivals.sort();
        let mut log = Log::new(direct());
        let mut made: HashMap<(DeviceId, u64), u64> = HashMap::new();
        let mut highest: HashMap<DeviceId, u64> = HashMap::new();
        for (position, (_, device, tag)) in (1..).zip(arrivals) {
            let top = highest.entry(device).or_default();
            match log.take(position, &say(direct(), owner(device), device, tag, position)) {
                Outcome::Applied { event, .. } => prop_assert_eq!(made.insert((device, tag), event.seq), None),
                Outcome::Duplicate { device: whose, tag: which, at_most } => {
                    prop_assert_eq!((whose, which.get()), (device, tag));
                    let found = log.find_tag(device, which, at_most).map(|event| event.seq);
                    prop_assert!(found.is_some());
                    prop_assert_eq!(found, made.get(&(device, tag)).copied());
                }
                Outcome::Refused(refusal) => {
                    prop_assert_eq!(refusal, Refusal::StaleTag);
                    prop_assert!(*top - tag >= TAG_WINDOW && made.contains_key(&(device, tag)), "a first arrival was lost");
                }
            }
            *top = (*top).max(tag);
        }
        prop_assert_eq!(made.len() as u64, next.values().sum::<u64>());
    }
}

proptest! {
    #![proptest_config(config(8))]

    /// More devices write than windows are kept: what is forgotten goes to the register.
    #[test]
    fn a_forgotten_window_leaves_its_read_marker(devices in prop::collection::vec(1..1_200_u64, 1_200..2_000)) {
        let mut log = Log::new(direct());
        let mut wrote: HashMap<UserId, Marker> = HashMap::new();
        for (position, device) in (1..).zip(devices) {
            let user = UserId(device % 2 + 1);
            let outcome = log.take(position, &say(direct(), user, DeviceId(device), position, position));
            let Outcome::Applied { event, .. } = outcome else { return Err(TestCaseError::fail("not applied")) };
            wrote.insert(user, event.marker());
            for user in [UserId(1), UserId(2)] {
                let register = log.read.get(&user).copied().unwrap_or_default();
                let read = read_up_to(register, &log.conversation.head, user);
                prop_assert_eq!(read, wrote.get(&user).copied().unwrap_or_default());
            }
            prop_assert!(log.conversation.head.tags.len() <= WRITING_DEVICES);
        }
    }
}
