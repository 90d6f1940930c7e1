//! Bounds and pauses of the contract, and what never is in a log. Other clients are held to them by the vectors made here.

use banter_model::{Action, ConversationId, DeviceId, GroupId, Marker, Mention, Tag, UserId};
use banter_protocol::api::Page;
use banter_protocol::frame::{AccountPart, PresenceState, UserPresence};
use banter_protocol::{ClientFrame, Content, Event, ServerFrame};

use super::device::Device;
use super::scenarios::{DIRECT, event, live, page, send, sent_tags, summary_with_latest, welcome};
use crate::sync::{FetchError, Input, Notification, QueueError, Window};

fn sent(device: &mut Device, tag: u64, seq: u64, mentions: Vec<Mention>) {
    let (tag, id) = (Tag::new(tag).unwrap(), banter_model::EventId(seq));
    device.handle(0, Input::Frame(ServerFrame::Sent { tag, conversation: DIRECT, seq, ordinal: seq, id, at: seq, mentions }));
}

pub fn error(code: &str, tag: Option<u64>, retry_after: Option<u64>) -> Input {
    let conversation = tag.map(|_| DIRECT);
    Input::Frame(ServerFrame::Error { code: code.into(), message: "m".into(), tag, conversation, retry_after })
}

#[test]
pub fn at_most_32_tags_of_a_conversation_and_224_commands_are_in_flight() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.to_send.clear();
    (1..=40).for_each(|number| {
        send(&mut device, &number.to_string());
    });
    assert_eq!(sent_tags(&mut device), (1..=32).collect::<Vec<_>>());
    sent(&mut device, 2, 1, vec![]);
    assert!(sent_tags(&mut device).is_empty(), "the first is still unanswered");
    sent(&mut device, 1, 2, vec![]);
    assert_eq!(sent_tags(&mut device), [33, 34]);
    device.handle(0, Input::Frame(ServerFrame::Resync {}));
    assert_eq!(sent_tags(&mut device), (3..=34).collect::<Vec<_>>());
    for peer in 3..12 {
        for number in 0..30 {
            let action = Action::Send { text: format!("{number}"), reply_to: None, mentions: vec![] };
            device.queue(0, ConversationId::direct(UserId(1), UserId(peer)).unwrap(), action).unwrap();
        }
    }
    assert_eq!(sent_tags(&mut device).len(), 224 - 32);
    device.handle(0, Input::Disconnected);
    welcome(&mut device);
    assert_eq!(sent_tags(&mut device).len(), 224);
}

#[test]
pub fn what_would_be_refused_is_not_queued() {
    let mut device = Device::new(1, 10, true);
    let text = |text: &str| Action::Send { text: text.into(), reply_to: None, mentions: vec![] };
    let others = ConversationId::Direct(UserId(2), UserId(3));
    let emoji = Action::React { target: 1, emoji: "ok".into(), add: true };
    let refused = [(DIRECT, text(" \n")), (DIRECT, text("a\u{7}")), (others, text("x")), (DIRECT, emoji)];
    for (conversation, action) in refused {
        assert!(matches!(device.queue(0, conversation, action), Err(QueueError::Refused(_))));
    }
    let reply = Action::Send { text: "fine".into(), reply_to: Some(7), mentions: vec![] };
    assert_eq!(device.queue(0, DIRECT, reply).unwrap().get(), 1);
    welcome(&mut device);
    sent(&mut device, 1, 1, vec![Mention { user: UserId(2), start: 0, length: 4 }]);
    let Content::Message { reply_to, mentions, .. } = &device.disk.events[&(DIRECT, 1)].content else { panic!("a message") };
    assert_eq!((*reply_to, mentions.len()), (Some(7), 1));
}

#[test]
pub fn pauses_between_pulls_double_and_empty_pages_end_them() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 9);
    let mut now = 0;
    let mut pauses = vec![];
    for _ in 0..10 {
        let (request, ..) = device.to_fetch.pop().expect("a page was asked for");
        device.handle(now, Input::Fetched { request, result: Err(FetchError::Later { retry_after: None }) });
        let failed = now;
        while device.to_fetch.is_empty() {
            now = device.engine.deadline().expect("it will be asked for again");
            device.handle(now, Input::Tick);
        }
        pauses.push(now - failed);
    }
    assert_eq!(pauses[..9], [200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 25_600]);
    let mut empty = 0;
    while let Some((request, ..)) = device.to_fetch.pop() {
        let page = Page { events: vec![], from: 1, to: 0, head_seq: 0, first_seq: 1 };
        device.handle(now, Input::Fetched { request, result: Ok(page) });
        empty += 1;
        while device.to_fetch.is_empty() && device.engine.deadline().is_some_and(|deadline| deadline < now + 60_000) {
            now = device.engine.deadline().unwrap();
            device.handle(now, Input::Tick);
        }
        assert!(empty < 20, "it never ends");
    }
    assert!(device.engine.is_synced(), "what was announced never came to be");
}

#[test]
pub fn a_conversation_that_is_gone_is_not_asked_for_again() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 5);
    let (request, ..) = device.to_fetch.pop().unwrap();
    device.handle(0, Input::Fetched { request, result: Err(FetchError::Gone) });
    assert!(device.to_fetch.is_empty() && device.engine.is_synced());
}

#[test]
pub fn a_page_with_a_hole_makes_what_is_before_it_unknown() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    (1..=3).for_each(|seq| live(&mut device, 0, seq));
    live(&mut device, 0, 9);
    let (request, ..) = device.to_fetch.pop().unwrap();
    // 4 to 6 happened while the user was out.
    let page = Page { events: (7..=9).map(event).collect(), from: 7, to: 9, head_seq: 9, first_seq: 1 };
    device.handle(0, Input::Fetched { request, result: Ok(page) });
    let state = device.engine.conversation(DIRECT).unwrap();
    assert_eq!((state.have, state.known.cover(7, 9), state.known.cover(3, 3)), (Some(9), true, false));
    assert_eq!(device.told[&DIRECT], [1, 2, 3, 7, 8, 9]);
}

#[test]
pub fn pages_far_from_all_others_are_not_remembered_once_there_are_256() {
    let mut device = Device::new(1, 10, false);
    welcome(&mut device);
    live(&mut device, 0, 1);
    for number in 1..=300 {
        let seq = number * 10;
        let page = Page { events: vec![event(seq)], from: seq, to: seq, head_seq: 1, first_seq: 1 };
        device.handle(0, Input::Page { conversation: DIRECT, window: Window::Around(seq), page });
    }
    assert_eq!(device.engine.conversation(DIRECT).unwrap().known.len(), 256);
}

/// Somebody who looks around in a long history fills all ranges. What the device lacks is remembered all the same.
#[test]
pub fn gaps_are_closed_however_many_ranges_there_are() {
    for ranges in [255, 256] {
        let mut device = Device::new(1, 10, false);
        welcome(&mut device);
        let mut summary = summary_with_latest(5_001, 5_000);
        summary.read = Marker { seq: 5_000, ordinal: 5_000 };
        // What came before is history.
        summary.joined_seq = 5_000;
        let sync = |summary| Input::Frame(ServerFrame::Sync { conversations: vec![summary], point: "p2".into(), more: None });
        device.handle(0, sync(summary));
        for number in 1..=ranges {
            let seq = number * 10;
            let page = Page { events: vec![event(seq)], from: seq, to: seq, head_seq: 5_000, first_seq: 1 };
            device.handle(0, Input::Page { conversation: DIRECT, window: Window::Around(seq), page });
        }
        assert_eq!(device.engine.conversation(DIRECT).unwrap().known.len() as u64, ranges);
        device.handle(0, sync(summary_with_latest(6_001, 6_000)));
        for (from, window) in [(5_801, Window::Newest), (5_601, Window::Before(5_801)), (5_401, Window::Before(5_601))] {
            assert_eq!(page(&mut device, from, from + 199, 6_000), window);
        }
        assert_eq!(page(&mut device, 5_201, 5_400, 6_000), Window::Before(5_401));
        assert_eq!(page(&mut device, 5_001, 5_200, 6_000), Window::After(5_000));
        assert!(device.engine.is_synced());
        assert_eq!(device.told[&DIRECT], (5_001..=6_000).collect::<Vec<_>>());
    }
}

#[test]
pub fn presence_typing_and_account_are_told_and_forgotten_with_the_session() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 1);
    device.to_send.clear();
    device.handle(0, Input::Watch { users: (2..300).map(UserId).collect() });
    let Some(ClientFrame::Presence(question)) = device.to_send.last() else { panic!("asked") };
    assert_eq!(question.users.len(), 200);
    let users = vec![
        UserPresence { user: UserId(2), state: PresenceState::Online, last_seen: None },
        UserPresence { user: UserId(3), state: PresenceState::Offline, last_seen: Some(5) },
    ];
    device.handle(0, Input::Frame(ServerFrame::Presence { users }));
    assert!(device.engine.presence(UserId(3)).is_some());
    device.handle(0, Input::Frame(ServerFrame::Account { changed: AccountPart::Friends }));
    device.handle(0, Input::Typing { conversation: DIRECT });
    device.handle(2_999, Input::Typing { conversation: DIRECT });
    device.handle(3_000, Input::Typing { conversation: DIRECT });
    assert_eq!(device.to_send.iter().filter(|frame| matches!(frame, ClientFrame::Typing(_))).count(), 2);
    for user in [9, 10, 2] {
        device.handle(3_000, Input::Frame(ServerFrame::Typing { conversation: DIRECT, user: UserId(user) }));
    }
    device.handle(3_100, Input::Disconnected);
    let ended = device.notifications.iter().filter(|one| matches!(one, Notification::Typing { typing: false, .. })).count();
    assert_eq!((ended, device.engine.presence(UserId(3))), (3, None));
    welcome(&mut device);
    assert!(device.to_send.iter().filter(|frame| matches!(frame, ClientFrame::Presence(_))).count() == 2, "asked again");
}

#[test]
pub fn markers_of_others_and_of_oneself_only_grow() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    (1..=6).for_each(|seq| live(&mut device, 0, seq));
    let read = |user, seq| Input::Frame(ServerFrame::Read { conversation: DIRECT, user: UserId(user), seq, ordinal: seq });
    let delivered = |seq| Input::Frame(ServerFrame::Delivered { conversation: DIRECT, user: UserId(2), seq });
    for input in [read(2, 3), delivered(2), delivered(5), read(2, 1), read(1, 4), read(1, 2)] {
        device.handle(10, input);
    }
    device.handle(20, Input::MarkRead { conversation: DIRECT, marker: Marker { seq: 99, ordinal: 99 } });
    let state = device.engine.conversation(DIRECT).unwrap();
    let reach = state.reach[&UserId(2)];
    assert_eq!((reach.read, reach.delivered, state.read.seq, state.unread()), (3, 5, 6, 0));
    // A marker sent less than three minutes before the session broke may not have arrived.
    device.handle(2_000, Input::Tick);
    device.to_send.clear();
    device.handle(181_999, Input::Tick);
    device.handle(181_999, Input::Disconnected);
    welcome(&mut device);
    let again = device.to_send.iter().filter(|frame| matches!(frame, ClientFrame::Read(_) | ClientFrame::Delivered(_))).count();
    assert!(again <= 2);
}

#[test]
pub fn edits_and_redactions_change_what_is_stored_and_the_preview() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    let about = |seq, content| {
        let event = Event { ordinal: 2, content, ..event(seq) };
        Input::Frame(ServerFrame::Event { conversation: DIRECT, event })
    };
    live(&mut device, 0, 1);
    live(&mut device, 0, 2);
    device.handle(0, about(3, Content::Edit { target: 2, text: "anew".into(), mentions: vec![] }));
    assert_eq!(device.engine.conversation(DIRECT).unwrap().preview.as_ref().unwrap().text, "anew");
    device.handle(0, about(4, Content::Redaction { target: 2 }));
    assert!(device.engine.conversation(DIRECT).unwrap().preview.as_ref().unwrap().redacted);
    let Content::Edit { text, .. } = &device.disk.events[&(DIRECT, 3)].content else { panic!("an edit") };
    assert_eq!(text, "", "nothing of what was said is kept");
}

#[test]
pub fn a_group_that_is_not_known_is_asked_for() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.to_send.clear();
    let conversation = ConversationId::Group(GroupId(7));
    let added = Content::MembersAdded { members: vec![UserId(1)] };
    let added = Event { content: added, device: DeviceId(30), ..event(12) };
    device.handle(0, Input::Frame(ServerFrame::Event { conversation, event: added }));
    assert!(matches!(device.to_send[..], [ClientFrame::Sync(_)]) && device.engine.conversation(conversation).is_none());
    let content = Content::GroupCreated { title: "Boat".into(), members: vec![UserId(1)], earlier_history: true };
    let created = Event { ordinal: 0, content, ..event(1) };
    let other = ConversationId::Group(GroupId(8));
    device.handle(0, Input::Frame(ServerFrame::Event { conversation: other, event: created }));
    let state = device.engine.conversation(other).unwrap();
    assert_eq!((state.have, state.roster.members.len(), state.member), (Some(1), 2, true));
}
