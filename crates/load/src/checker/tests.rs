use banter_model::EventId;
use banter_protocol::Content;

use super::*;

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const ADAS: DeviceId = DeviceId(11);
const BOBS: DeviceId = DeviceId(21);

fn direct() -> ConversationId {
    ConversationId::direct(ADA, BOB).unwrap()
}

fn tag(number: u64) -> Tag {
    Tag::new(number).unwrap()
}

fn send(number: u64) -> Action {
    Action::Send { text: format!("text {number}"), reply_to: None, mentions: vec![] }
}

fn event(seq: Seq, ordinal: Ordinal, number: u64, content: Content) -> Event {
    Event { seq, ordinal, id: EventId(1_000 + seq), at: 5_000 + seq, sender: ADA, device: ADAS, tag: Some(tag(number)), content }
}

fn message(text: &str) -> Content {
    Content::Message {
        text: text.to_owned(),
        reply_to: None,
        mentions: vec![],
        edited_at: None,
        redacted: false,
        reactions: vec![],
        amended_up_to: 0,
    }
}

/// Ada writes 1, 2 and 3, edits the first, and puts an emoji on the second. Bob has read up to 2.
fn sound() -> Record {
    let edit = Action::Edit { target: 1, text: "better".to_owned(), mentions: vec![] };
    let react = Action::React { target: 2, emoji: "👍".to_owned(), add: true };
    let told = vec![
        event(1, 1, 1, message("text 1")),
        event(2, 2, 2, message("text 2")),
        event(3, 3, 3, message("text 3")),
        event(4, 3, 4, Content::Edit { target: 1, text: "better".to_owned(), mentions: vec![] }),
        event(5, 3, 5, Content::Reaction { target: 2, emoji: "👍".to_owned(), added: true }),
    ];
    let mut log = told.clone();
    if let Content::Message { text, edited_at, amended_up_to, .. } = &mut log[0].content {
        (*text, *edited_at, *amended_up_to) = ("better".to_owned(), Some(5_004), 4);
    }
    if let Content::Message { reactions, amended_up_to, .. } = &mut log[1].content {
        reactions.push(banter_model::Reactions { emoji: "👍".to_owned(), users: vec![ADA] });
        *amended_up_to = 5;
    }
    let head = Marker { seq: 5, ordinal: 3 };
    let reads = |user| if user == ADA { Marker { seq: 3, ordinal: 3 } } else { Marker { seq: 2, ordinal: 2 } };
    let preview = Some((3, "text 3".to_owned()));
    let shown = |user| DeviceConversation {
        conversation: direct(),
        have: 5,
        head,
        read: reads(user),
        unread: 3 - reads(user).ordinal,
        title: String::new(),
        members: vec![],
        preview: preview.clone(),
        stored: log.clone(),
    };
    let view = |user| View {
        user,
        conversation: direct(),
        events: log.clone(),
        head,
        read: reads(user),
        unread: 3 - reads(user).ordinal,
        title: String::new(),
        members: vec![],
        preview: preview.clone(),
    };
    let mut adas = vec![Entry::Opened];
    for (action, number) in [send(1), send(2), send(3), edit, react].into_iter().zip(1..) {
        adas.push(Entry::Wrote { number, conversation: direct(), action });
        adas.push(Entry::Accepted { number, tag: tag(number) });
    }
    for event in &told {
        let Event { seq, id, at, .. } = *event;
        adas.push(Entry::Acknowledged(Stored { conversation: direct(), tag: event.tag.unwrap(), seq, id, at }));
        adas.push(Entry::Told(direct(), Arc::new(event.clone())));
    }
    let mut bobs = vec![Entry::Opened];
    bobs.extend(told.iter().map(|event| Entry::Told(direct(), Arc::new(event.clone()))));
    let device = |user, device, journal| DeviceRecord { user, device, journal, conversations: vec![shown(user)] };
    Record { devices: vec![device(ADA, ADAS, adas), device(BOB, BOBS, bobs)], views: vec![view(ADA), view(BOB)] }
}

/// The kinds that are found after `change`.
fn found(change: impl FnOnce(&mut Record)) -> Vec<Kind> {
    let mut record = sound();
    change(&mut record);
    let mut kinds: Vec<Kind> = check(&record).iter().map(|violation| violation.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// Changes the log for everybody: in every view and every store.
fn everywhere(record: &mut Record, change: impl Fn(&mut Vec<Event>)) {
    record.views.iter_mut().for_each(|view| change(&mut view.events));
    record.devices.iter_mut().for_each(|device| change(&mut device.conversations[0].stored));
}

#[test]
fn a_sound_record_is_sound() {
    assert_eq!(check(&sound()), []);
}

#[test]
fn a_lost_message() {
    // The last message and everything after it, as a server without a sync would lose it: no gap, nothing odd but the promise.
    let kinds = found(|record| {
        everywhere(record, |log| log.truncate(2));
        for view in &mut record.views {
            view.head = Marker { seq: 2, ordinal: 2 };
        }
    });
    assert!(kinds.contains(&Kind::Lost), "{kinds:?}");
    // Accepted and never acknowledged counts as well.
    let kinds = found(|record| {
        record.devices[0].journal.push(Entry::Wrote { number: 6, conversation: direct(), action: send(6) });
        record.devices[0].journal.push(Entry::Accepted { number: 6, tag: tag(6) });
    });
    assert_eq!(kinds, [Kind::Lost]);
}

#[test]
fn a_duplicate() {
    let kinds = found(|record| {
        everywhere(record, |log| {
            let again = Event { seq: 6, ordinal: 4, id: EventId(9_999), at: 6_000, ..log[2].clone() };
            log.push(again);
        });
    });
    assert!(kinds.contains(&Kind::Twice), "{kinds:?}");
    // Told twice, and once more out of order.
    let kinds = found(|record| {
        let again = record.devices[1].journal[2].clone();
        record.devices[1].journal.insert(3, again);
    });
    assert_eq!(kinds, [Kind::Twice]);
}

#[test]
fn a_swap() {
    // The second and third message have changed places in the log, before anything was acknowledged.
    let kinds = found(|record| {
        everywhere(record, |log| {
            let (two, three) = (log[1].clone(), log[2].clone());
            log[1] = Event { seq: 2, ordinal: 2, id: two.id, at: two.at, ..three.clone() };
            log[2] = Event { seq: 3, ordinal: 3, id: three.id, at: three.at, ..two };
        });
    });
    assert!(kinds.contains(&Kind::Order) && kinds.contains(&Kind::Misplaced), "{kinds:?}");
    // In what a device was told.
    let kinds = found(|record| record.devices[1].journal.swap(2, 3));
    assert!(kinds.contains(&Kind::Gap) && kinds.contains(&Kind::Twice), "{kinds:?}");
}

#[test]
fn a_gap() {
    let kinds = found(|record| everywhere(record, |log| drop(log.remove(1))));
    assert!(kinds.contains(&Kind::Gap), "{kinds:?}");
    let kinds = found(|record| drop(record.devices[1].journal.remove(2)));
    assert_eq!(kinds, [Kind::Gap]);
    // At the end, where no later event shows it.
    let kinds = found(|record| drop(record.devices[1].journal.pop()));
    assert_eq!(kinds, [Kind::Gap]);
}

#[test]
fn a_wrong_unread_count() {
    let kinds = found(|record| record.devices[1].conversations[0].unread = 2);
    assert_eq!(kinds, [Kind::Unread]);
    let kinds = found(|record| record.views[1].unread = 0);
    assert_eq!(kinds, [Kind::Unread]);
    // Two devices of one mind, but not of the server's.
    let kinds = found(|record| {
        let shown = &mut record.devices[1].conversations[0];
        (shown.read, shown.unread) = (Marker { seq: 3, ordinal: 3 }, 0);
    });
    assert_eq!(kinds, [Kind::Unread]);
}

#[test]
fn what_nobody_wrote() {
    let kinds = found(|record| {
        everywhere(record, |log| {
            if let Content::Message { text, .. } = &mut log[2].content {
                *text = "something else".to_owned();
            }
        });
    });
    assert!(kinds.contains(&Kind::Unwritten), "{kinds:?}");
}

#[test]
fn an_amendment_that_was_not_applied() {
    let kinds = found(|record| {
        everywhere(record, |log| {
            if let Content::Message { reactions, .. } = &mut log[1].content {
                reactions.clear();
            }
        });
    });
    assert_eq!(kinds, [Kind::Content]);
    // On one device alone.
    let kinds = found(|record| record.devices[1].conversations[0].stored[0].content = message("text 1"));
    assert_eq!(kinds, [Kind::Disagreement]);
}

#[test]
fn another_place_than_was_acknowledged() {
    let kinds = found(|record| {
        for entry in &mut record.devices[0].journal {
            if let Entry::Acknowledged(stored) = entry {
                stored.id = EventId(stored.id.0 + 1);
            }
        }
    });
    assert_eq!(kinds, [Kind::Misplaced]);
}

#[test]
fn a_device_that_died_before_it_knew_the_tag() {
    let unknown =
        |record: &mut Record| record.devices[0].journal.retain(|entry| !matches!(entry, Entry::Accepted { number: 1 | 3, .. }));
    assert_eq!(found(unknown), []);
}

#[test]
fn the_store_and_the_notifications_of_a_new_life_may_overlap() {
    let reopened = |record: &mut Record| {
        let journal = &mut record.devices[1].journal;
        let told: Vec<Arc<Event>> = journal
            .iter()
            .filter_map(|entry| match entry {
                Entry::Told(_, event) => Some(event.clone()),
                _ => None,
            })
            .collect();
        journal.truncate(3);
        journal.push(Entry::Opened);
        journal.push(Entry::Read(direct(), told[2].clone()));
        journal.extend(told[2..].iter().map(|event| Entry::Told(direct(), event.clone())));
    };
    assert_eq!(found(reopened), []);
    let kinds = found(|record| {
        reopened(record);
        record.devices[1].journal.remove(4);
        record.devices[1].journal.remove(4);
    });
    assert_eq!(kinds, [Kind::Gap]);
}

#[test]
fn a_refusal_that_is_no_answer() {
    let refused = |number| Entry::Refused { conversation: direct(), tag: tag(number), code: "message_redacted".to_owned() };
    assert_eq!(found(|record| record.devices[0].journal.push(refused(5))), [Kind::Refused], "it stands");
    let kinds = found(|record| {
        record.devices[0].journal.push(Entry::Wrote { number: 6, conversation: direct(), action: send(6) });
        record.devices[0].journal.push(Entry::Accepted { number: 6, tag: tag(6) });
        record.devices[0].journal.push(refused(6));
    });
    assert_eq!(kinds, [Kind::Refused], "a message of a member is never refused");
}
