//! Single rules of the contract.

use banter_model::{Action, ConversationId, EventId, UserId};
use banter_protocol::api::Page;
use banter_protocol::{ClientFrame, Content, Event, ServerFrame};

use super::device::Device;
use crate::sync::{FetchError, Input, Notification, Window};

pub const DIRECT: ConversationId = ConversationId::Direct(UserId(1), UserId(2));

pub fn welcome(device: &mut Device) {
    let welcome = ServerFrame::Welcome { session: "s".into(), user: device.user, device: device.id, at: 1, heartbeat_ms: 45_000 };
    device.handle(0, Input::Frame(welcome));
    device.handle(0, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p1".into(), more: None }));
}

pub fn event(seq: u64) -> Event {
    let content = Content::Message {
        text: format!("text {seq}"),
        reply_to: None,
        mentions: vec![],
        edited_at: None,
        redacted: false,
        reactions: vec![],
        amended_up_to: 0,
    };
    let (sender, device) = (UserId(2), banter_model::DeviceId(20));
    Event { seq, ordinal: seq, id: EventId(seq), at: seq, sender, device, tag: None, content }
}

pub fn live(device: &mut Device, now: u64, seq: u64) {
    device.handle(now, Input::Frame(ServerFrame::Event { conversation: DIRECT, event: event(seq) }));
}

pub fn page(device: &mut Device, from: u64, to: u64, head_seq: u64) -> Window {
    let (request, _, window) = device.to_fetch.pop().expect("a page was asked for");
    let page = Page { events: (from..=to).map(event).collect(), from, to, head_seq, first_seq: 1 };
    device.handle(0, Input::Fetched { request, result: Ok(page) });
    window
}

pub fn send(device: &mut Device, text: &str) -> u64 {
    let action = Action::Send { text: text.into(), reply_to: None, mentions: vec![] };
    device.queue(0, DIRECT, action).unwrap().get()
}

pub fn sent_tags(device: &mut Device) -> Vec<u64> {
    let tag = |frame: ClientFrame| match frame {
        ClientFrame::Send(send) => Some(send.tag.get()),
        _ => None,
    };
    std::mem::take(&mut device.to_send).into_iter().filter_map(tag).collect()
}

#[test]
pub fn far_behind_the_newest_comes_first_and_is_told_last() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 1_000);
    assert_eq!(page(&mut device, 801, 1_000, 1_000), Window::Newest);
    assert!(device.notifications.contains(&Notification::Ahead { conversation: DIRECT, from: 801, to: 1_000 }));
    assert!(device.told.is_empty(), "the gap is open");
    live(&mut device, 0, 1_001);
    assert_eq!(page(&mut device, 601, 800, 1_001), Window::Before(801));
    device.kill();
    welcome(&mut device);
    assert_eq!(page(&mut device, 401, 600, 1_001), Window::Before(601));
    assert_eq!(page(&mut device, 201, 400, 1_001), Window::Before(401));
    assert_eq!(page(&mut device, 1, 200, 1_001), Window::After(0));
    assert_eq!(device.told[&DIRECT], (1..=1_001).collect::<Vec<_>>());
    assert!(device.engine.is_synced());
}

#[test]
pub fn preview_and_mentions_do_not_miss_what_is_in_a_gap() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 1);
    let mut second = event(2);
    if let Content::Message { mentions, .. } = &mut second.content {
        mentions.push(banter_model::Mention { user: UserId(1), start: 0, length: 4 });
    }
    let reaction = Event { ordinal: 2, content: Content::Reaction { target: 1, emoji: "👍".into(), added: true }, ..event(3) };
    device.handle(0, Input::Frame(ServerFrame::Event { conversation: DIRECT, event: reaction.clone() }));
    let (request, _, window) = device.to_fetch.pop().expect("a page was asked for");
    assert_eq!(window, Window::After(1));
    let page = Page { events: vec![second, reaction], from: 2, to: 3, head_seq: 3, first_seq: 1 };
    device.handle(0, Input::Fetched { request, result: Ok(page) });
    let state = device.engine.conversation(DIRECT).unwrap();
    assert_eq!((state.preview.as_ref().unwrap().seq, state.mentions, state.unread()), (2, 1, 2));
}

/// 5 and 12 mention the user, who reads up to 10 while the device is away.
#[test]
pub fn mentions_are_never_more_than_what_is_unread_and_not_missed() {
    let mut device = Device::new(1, 10, false);
    welcome(&mut device);
    let at = |seq| banter_model::Marker { seq, ordinal: seq };
    let summary = |read, head_seq, mentions| {
        let summary = banter_protocol::ConversationSummary { read: at(read), mentions, ..summary_with_latest(1, head_seq) };
        Input::Frame(ServerFrame::Sync { conversations: vec![summary], point: "p2".into(), more: None })
    };
    let counts = |device: &Device| {
        let state = device.engine.conversation(DIRECT).unwrap();
        (state.unread(), state.mentions)
    };
    device.handle(0, summary(0, 10, 1));
    assert_eq!(counts(&device), (10, 1));
    device.handle(0, Input::Disconnected);
    device.handle(0, Input::MarkRead { conversation: DIRECT, marker: at(10) });
    assert_eq!(counts(&device), (0, 0));
    // The server was not told of it, and counts from before.
    device.handle(0, summary(0, 10, 1));
    assert_eq!(counts(&device), (0, 0));
    device.handle(0, summary(0, 15, 2));
    assert_eq!(counts(&device), (5, 2), "too many rather than none");
    device.handle(0, summary(10, 15, 1));
    assert_eq!(counts(&device), (5, 1));
    device.handle(0, Input::MarkRead { conversation: DIRECT, marker: at(14) });
    assert_eq!(counts(&device), (1, 1));
    device.handle(0, Input::MarkRead { conversation: DIRECT, marker: at(15) });
    assert_eq!(counts(&device), (0, 0));
}

/// A summary of the direct conversation up to `head_seq`, with its latest events from `first` on.
pub fn summary_with_latest(first: u64, head_seq: u64) -> banter_protocol::ConversationSummary {
    let at = |seq| banter_model::Marker { seq, ordinal: seq };
    banter_protocol::ConversationSummary {
        conversation: DIRECT,
        head_seq,
        head_ordinal: head_seq,
        first_seq: 1,
        joined_seq: 0,
        at: head_seq,
        member: true,
        read: at(0),
        unread: head_seq,
        mentions: 0,
        preview: None,
        group: None,
        peer: None,
        latest: (first..=head_seq).map(event).collect(),
    }
}

#[test]
pub fn events_that_come_with_a_summary_are_taken_if_they_go_on_from_what_is_there() {
    let mut device = Device::new(1, 10, false);
    welcome(&mut device);
    let sync = |summary| ServerFrame::Sync { conversations: vec![summary], point: "p2".into(), more: None };
    live(&mut device, 0, 1);
    // 1 is there, 2 to 4 are missing: no page is asked for.
    device.handle(0, Input::Frame(sync(summary_with_latest(1, 4))));
    assert_eq!((device.engine.conversation(DIRECT).unwrap().have, device.to_fetch.len()), (Some(4), 0));
    // The same again is nothing new.
    device.handle(0, Input::Frame(sync(summary_with_latest(2, 4))));
    assert_eq!((device.engine.conversation(DIRECT).unwrap().have, device.to_fetch.len()), (Some(4), 0));
    // 5 is missing and did not come along.
    device.handle(0, Input::Frame(sync(summary_with_latest(6, 8))));
    assert_eq!(device.engine.conversation(DIRECT).unwrap().have, Some(4));
    assert_eq!(device.to_fetch.pop().map(|(_, _, window)| window), Some(Window::After(4)));
}

#[test]
pub fn a_group_is_followed_from_where_the_user_came_in_however_far_they_have_read_elsewhere() {
    let mut device = Device::new(1, 10, false);
    welcome(&mut device);
    let conversation = ConversationId::Group(banter_model::GroupId(7));
    let at = |seq| banter_model::Marker { seq, ordinal: seq };
    let group = banter_protocol::sync::Group { title: "Boat".into(), earlier_history: true, members: vec![] };
    let summary = banter_protocol::ConversationSummary {
        conversation,
        head_seq: 9,
        head_ordinal: 9,
        first_seq: 1,
        joined_seq: 3,
        at: 9,
        member: true,
        read: at(8),
        unread: 1,
        mentions: 0,
        preview: None,
        group: Some(group),
        peer: None,
        latest: vec![],
    };
    let answer = ServerFrame::Sync { conversations: vec![summary], point: "p2".into(), more: None };
    device.handle(0, Input::Frame(answer));
    assert_eq!(device.to_fetch.pop().map(|(_, _, window)| window), Some(Window::After(3)));
}

#[test]
pub fn nothing_is_asked_for_without_a_session_nor_before_the_server_wants_it() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 5);
    let (request, ..) = device.to_fetch.pop().expect("a page was asked for");
    device.handle(0, Input::Disconnected);
    let result = Err(FetchError::Later { retry_after: Some(7) });
    device.handle(0, Input::Fetched { request, result });
    device.handle(8_000, Input::Tick);
    assert!(device.to_fetch.is_empty(), "there is no session");
    let again = |device: &mut Device, now| {
        let welcome =
            ServerFrame::Welcome { session: "s".into(), user: device.user, device: device.id, at: 1, heartbeat_ms: 45_000 };
        device.handle(now, Input::Frame(welcome));
        device.to_fetch.pop().map(|(request, ..)| request)
    };
    let request = again(&mut device, 8_000).expect("what was queued is asked for");
    device.handle(8_000, Input::Fetched { request, result: Err(FetchError::Later { retry_after: Some(7) }) });
    device.handle(14_999, Input::Tick);
    assert!(device.to_fetch.is_empty(), "the server wanted to be left alone");
    device.handle(15_000, Input::Tick);
    assert_eq!(device.to_fetch.len(), 1);
}

#[test]
pub fn an_answer_older_than_a_live_event_does_not_bring_anybody_back_in() {
    let mut device = Device::new(1, 10, false);
    welcome(&mut device);
    let conversation = ConversationId::Group(banter_model::GroupId(7));
    let at = |seq| banter_model::Marker { seq, ordinal: seq };
    let members = vec![banter_protocol::sync::GroupMember { user: UserId(1), role: banter_model::Role::Member }];
    let group = banter_protocol::sync::Group { title: "Boat".into(), earlier_history: true, members };
    let summary = banter_protocol::ConversationSummary {
        conversation,
        head_seq: 3,
        head_ordinal: 3,
        first_seq: 2,
        joined_seq: 3,
        at: 3,
        member: true,
        read: at(3),
        unread: 0,
        mentions: 0,
        preview: None,
        group: Some(group),
        peer: None,
        latest: vec![],
    };
    let sync = |summary| ServerFrame::Sync { conversations: vec![summary], point: "p2".into(), more: None };
    device.handle(0, Input::Frame(sync(summary.clone())));
    let removed = Event { content: Content::MemberRemoved { member: UserId(1) }, ..event(4) };
    device.handle(0, Input::Frame(ServerFrame::Event { conversation, event: removed }));
    device.handle(0, Input::Frame(sync(banter_protocol::ConversationSummary { first_seq: 1, ..summary })));
    let state = device.engine.conversation(conversation).unwrap();
    assert_eq!((state.member, state.first_seq, state.roster.members.len()), (false, 2, 0));
}

#[test]
pub fn a_page_older_than_what_was_told_does_not_undo_amendments() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 1);
    let reaction = Event { content: Content::Reaction { target: 1, emoji: "👍".into(), added: true }, ordinal: 1, ..event(2) };
    device.handle(0, Input::Frame(ServerFrame::Event { conversation: DIRECT, event: reaction }));
    let page = Page { events: vec![event(1)], from: 1, to: 1, head_seq: 1, first_seq: 1 };
    device.handle(0, Input::Page { conversation: DIRECT, window: Window::Around(1), page });
    let Content::Message { reactions, .. } = &device.disk.events[&(DIRECT, 1)].content else { panic!("a message") };
    assert_eq!(reactions.len(), 1);
}

#[test]
pub fn later_means_the_same_tag_later_and_nothing_new_before_it() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    assert_eq!((send(&mut device, "one"), sent_tags(&mut device)), (1, vec![1]));
    let busy = |retry_after, code: &str| ServerFrame::Error {
        code: code.into(),
        message: "m".into(),
        tag: Some(1),
        conversation: Some(DIRECT),
        retry_after,
    };
    device.handle(0, Input::Frame(busy(Some(2), "busy")));
    send(&mut device, "two");
    assert!(sent_tags(&mut device).is_empty());
    device.handle(1_999, Input::Tick);
    assert!(sent_tags(&mut device).is_empty());
    device.handle(2_000, Input::Tick);
    assert_eq!(sent_tags(&mut device), [1, 2]);
    device.handle(2_000, Input::Frame(busy(None, "may_not_write")));
    assert_eq!(device.refused.len(), 1);
    device.handle(2_000, Input::Frame(ServerFrame::Resync {}));
    assert_eq!(sent_tags(&mut device), [2]);
}

#[test]
pub fn a_stale_tag_is_looked_up_in_the_history() {
    for (with_event, answers) in [(true, (1, 0)), (false, (0, 1))] {
        let mut device = Device::new(1, 10, true);
        welcome(&mut device);
        let tag = banter_model::Tag::new(send(&mut device, "mine")).unwrap();
        let stale = ServerFrame::Error {
            code: "stale_tag".into(),
            message: "m".into(),
            tag: Some(1),
            conversation: Some(DIRECT),
            retry_after: None,
        };
        device.handle(0, Input::Frame(stale));
        assert_eq!((device.stored.len(), device.refused.len()), (0, 0));
        live(&mut device, 0, 2);
        device.handle(0, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p2".into(), more: None }));
        let (request, _, _) = device.to_fetch.pop().unwrap();
        let mine = Event { tag: with_event.then_some(tag), device: device.id, sender: UserId(1), ..event(1) };
        let page = Page { events: vec![mine, event(2)], from: 1, to: 2, head_seq: 2, first_seq: 1 };
        device.handle(0, Input::Fetched { request, result: Ok(page) });
        assert_eq!((device.stored.len(), device.refused.len()), answers);
    }
}

#[test]
pub fn markers_go_out_once_a_second_and_again_after_a_break() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.to_send.clear();
    (1..=50).for_each(|seq| live(&mut device, 0, seq));
    let delivered = |device: &mut Device| {
        let seq = |frame: ClientFrame| match frame {
            ClientFrame::Delivered(up_to) => Some(up_to.seq),
            _ => None,
        };
        std::mem::take(&mut device.to_send).into_iter().filter_map(seq).collect::<Vec<_>>()
    };
    assert_eq!(delivered(&mut device), [1]);
    device.handle(1_000, Input::Tick);
    assert_eq!(delivered(&mut device), [50]);
    device.handle(5_000, Input::Tick);
    assert!(delivered(&mut device).is_empty());
    device.handle(5_000, Input::Disconnected);
    welcome(&mut device);
    assert_eq!(delivered(&mut device), [50]);
}

#[test]
pub fn a_single_message_is_said_to_have_arrived_at_once() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    device.to_send.clear();
    live(&mut device, 0, 1);
    assert!(matches!(device.to_send[..], [ClientFrame::Delivered(ref up_to)] if up_to.seq == 1));
}

#[test]
pub fn a_marker_sent_shortly_before_device_and_server_died_is_sent_by_the_next_run() {
    let read = |device: &mut Device| {
        let sent = std::mem::take(&mut device.to_send);
        sent.into_iter().filter(|frame| matches!(frame, ClientFrame::Read(up_to) if up_to.seq == 3)).count()
    };
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    (1..=3).for_each(|seq| live(&mut device, 0, seq));
    device.handle(2_000, Input::MarkRead { conversation: DIRECT, marker: banter_model::Marker { seq: 3, ordinal: 3 } });
    assert_eq!(read(&mut device), 1);
    device.kill();
    welcome(&mut device);
    assert_eq!(read(&mut device), 1);
    // Nothing has broken for long enough: the server has it.
    device.handle(200_000, Input::Tick);
    device.kill();
    welcome(&mut device);
    assert_eq!(read(&mut device), 0);
}

#[test]
pub fn typing_ends_by_itself_or_with_a_message() {
    let mut device = Device::new(1, 10, true);
    welcome(&mut device);
    live(&mut device, 0, 1);
    let typing = |device: &Device| device.notifications.iter().filter(|one| matches!(one, Notification::Typing { .. })).count();
    let frame = || Input::Frame(ServerFrame::Typing { conversation: DIRECT, user: UserId(2) });
    device.handle(0, frame());
    device.handle(3_000, frame());
    assert_eq!(typing(&device), 1);
    device.handle(6_000, Input::Tick);
    assert_eq!(typing(&device), 1, "typed again in the meantime");
    device.handle(9_000, Input::Tick);
    assert_eq!(typing(&device), 2);
    device.handle(9_500, frame());
    live(&mut device, 9_600, 2);
    assert_eq!(typing(&device), 4);
}
