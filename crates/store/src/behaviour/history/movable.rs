//! Taking every record out, and putting it back.

use banter_model::{Conversation, ConversationId, DeviceId, Event, Head, Marker, Membership, Role, Roster, Tag, UserId};

use super::{batch, group, head, message, row, user};
use crate::behaviour::Random;
use crate::history::movable::{
    ConversationRecord, EventRecord, HistoryPlace, HistoryRecord, MembershipRecord, MentionRecord, MovableHistory,
    PositionRecord, ProgressRecord,
};
use crate::history::{Advance, History, PageSize, Progress, RosterRow};

/// Runs all of them against `history`, whose move note they set and take away. Each uses conversations, users and partitions of its
/// own, drawn from `seed`.
pub async fn all<H: History + MovableHistory>(history: &H, seed: u64) {
    eprintln!("movable history behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    records_go_in_and_come_out(history, &mut random).await;
    restored_records_are_what_readers_see(history, &mut random).await;
    what_a_worker_stores_comes_out(history, &mut random).await;
    parts_are_bounded_by_bytes(history, &mut random).await;
    the_note_comes_and_goes(history).await;
}

/// Those of `wanted` in the order in which they come, read in parts.
async fn found(history: &impl MovableHistory, wanted: &[HistoryRecord], page: PageSize) -> Vec<HistoryRecord> {
    let mut found = Vec::new();
    for kind in HistoryPlace::KINDS {
        let mut place = kind;
        loop {
            let part = history.records(&place, page).await.unwrap();
            assert!(part.len() <= page.events.max(1), "{} records, at most {} asked for", part.len(), page.events);
            let Some(last) = part.last() else { break };
            place = HistoryPlace::after(last);
            found.extend(part.into_iter().filter(|record| wanted.contains(record)));
        }
    }
    found
}

/// Records of all kinds, of conversations of their own. Logs past the places where byte order and buckets change.
fn records(random: &mut Random) -> Vec<HistoryRecord> {
    let (one, direct) = (group(random), ConversationId::direct(user(random), user(random)).unwrap());
    let users = [user(random), UserId(random.id() | 1 << 63)];
    let mut records = Vec::new();
    for conversation in [one, direct] {
        for seq in [1, 2, 255, 256, 1_023, 1_024, 70_000] {
            records.push(HistoryRecord::Event(EventRecord { conversation, event: message(seq, "text") }));
        }
        let mut head = head(70_000);
        head.tags.note(users[0], DeviceId(random.id()), Tag::new(7).unwrap(), 70_000, Some(Marker { seq: 9, ordinal: 8 }));
        let member = |user, role| banter_model::Member { user, role, since: 3 };
        let roster = match conversation.is_direct() {
            true => Roster::default(),
            false => {
                let members = vec![member(users[0], Role::Owner), member(users[1], Role::Member)];
                Roster { title: "Tea".to_owned(), earlier_history: true, members }
            }
        };
        records.push(HistoryRecord::Conversation(ConversationRecord { conversation, head, roster }));
        for user in users {
            let mut membership = Membership::default();
            membership.enter(&message(3, "in"), false);
            membership.leave(&message(9, "out"));
            records.push(HistoryRecord::Membership(MembershipRecord { user, conversation, membership }));
            let progress = Progress { read: Marker { seq: 5, ordinal: 4 }, delivered: 6, changed_at: 1_234 };
            records.push(HistoryRecord::Progress(ProgressRecord { user, conversation, progress }));
            records.extend([1, 300].map(|seq| HistoryRecord::Mention(MentionRecord { user, conversation, seq })));
        }
    }
    let partition = random.below(1 << 31) as u32;
    for (partition, position) in [(partition, 5), (partition + 1, 1 << 50)] {
        records.push(HistoryRecord::Position(PositionRecord { partition, position }));
    }
    records
}

async fn records_go_in_and_come_out<H: History + MovableHistory>(history: &H, random: &mut Random) {
    let stored = records(random);
    history.restore(stored.clone()).await.unwrap();
    // Again: nothing changes.
    history.restore(stored[10..].to_vec()).await.unwrap();
    history.restore(Vec::new()).await.unwrap();
    let once = found(history, &stored, PageSize { events: 10_000, bytes: usize::MAX }).await;
    assert_eq!(once.len(), stored.len(), "each once");
    assert!(stored.iter().all(|record| once.contains(record)), "{once:?}");
    for events in [1, 3] {
        let page = PageSize { events, bytes: usize::MAX };
        assert_eq!(found(history, &stored, page).await, once, "in parts of {events}");
    }
}

async fn restored_records_are_what_readers_see<H: History + MovableHistory>(history: &H, random: &mut Random) {
    let stored = records(random);
    history.restore(stored.clone()).await.unwrap();
    for record in stored {
        match record {
            HistoryRecord::Event(EventRecord { conversation, event }) => {
                assert_eq!(history.event(conversation, event.seq).await.unwrap(), Some(event));
            }
            HistoryRecord::Conversation(ConversationRecord { conversation: id, head, roster }) => {
                let has_roster = history.roster(id).await.unwrap().is_some();
                assert_eq!(has_roster, !id.is_direct(), "a direct conversation has no roster");
                assert_eq!(history.conversation(id).await.unwrap(), Some(Conversation { id, head, roster }));
            }
            HistoryRecord::Membership(MembershipRecord { user, conversation, membership }) => {
                assert_eq!(history.membership(user, conversation).await.unwrap(), Some(membership));
            }
            HistoryRecord::Progress(ProgressRecord { user, conversation, progress }) => {
                assert_eq!(history.progress(user, conversation).await.unwrap(), progress);
                // Registers go on growing from there.
                let advance = Advance { read: Marker { seq: 4, ordinal: 4 }, delivered: 60 };
                let grown = Progress { delivered: 60, changed_at: 5_000, ..progress };
                assert_eq!(history.advance(user, conversation, advance, 5_000).await.unwrap(), grown);
            }
            HistoryRecord::Mention(MentionRecord { user, conversation, .. }) => {
                assert_eq!(history.mentions(user, conversation, 0, 10).await.unwrap(), [1, 300]);
            }
            HistoryRecord::Position(PositionRecord { partition, position }) => {
                assert_eq!(history.position(partition).await.unwrap(), position);
            }
        }
    }
}

async fn what_a_worker_stores_comes_out<H: History + MovableHistory>(history: &H, random: &mut Random) {
    let id = group(random);
    let event = |event| HistoryRecord::Event(EventRecord { conversation: id, event });
    let conversation =
        |seq| HistoryRecord::Conversation(ConversationRecord { conversation: id, head: head(seq), roster: Roster::default() });
    history.restore(vec![event(message(1, "moved")), event(message(2, "moved")), conversation(2)]).await.unwrap();
    // Positions of a queue are after those of the records that were put back.
    let mut batch = batch(random);
    batch.position += 1 << 48;
    let position = batch.position;
    batch.events = vec![row(id, position, message(3, "new"))];
    batch.amended = vec![row(id, position, message(1, "amended"))];
    batch.heads = vec![(id, Head { position, ..head(3) })];
    batch.rosters = vec![RosterRow { conversation: id, roster: Roster::default(), position }];
    history.commit(batch).await.unwrap();
    let conversation = HistoryRecord::Conversation(ConversationRecord {
        conversation: id,
        head: Head { position, ..head(3) },
        roster: Roster::default(),
    });
    let expected = [event(message(1, "amended")), event(message(2, "moved")), event(message(3, "new")), conversation];
    let out = found(history, &expected, PageSize { events: 10_000, bytes: usize::MAX }).await;
    assert_eq!(out.len(), expected.len(), "{out:?}");
}

async fn parts_are_bounded_by_bytes<H: History + MovableHistory>(history: &H, random: &mut Random) {
    let conversation = group(random);
    let long = |seq| -> Event { message(seq, &"x".repeat(100_000)) };
    let mut stored: Vec<_> = (1..=20).map(|seq| HistoryRecord::Event(EventRecord { conversation, event: long(seq) })).collect();
    // Without a head nothing of a log counts.
    stored.push(HistoryRecord::Conversation(ConversationRecord { conversation, head: head(20), roster: Roster::default() }));
    history.restore(stored).await.unwrap();
    let mut place = HistoryPlace::Events(None);
    let mut count = 0;
    loop {
        let part = history.records(&place, PageSize { events: 1_000, bytes: 350_000 }).await.unwrap();
        let Some(last) = part.last() else { break };
        place = HistoryPlace::after(last);
        let text = |record: &HistoryRecord| match record {
            HistoryRecord::Event(EventRecord { conversation: of, event }) => (*of, event.body.text_bytes()),
            other => panic!("not an event: {other:?}"),
        };
        let bytes: usize = part.iter().map(|record| text(record).1).sum();
        assert!(part.len() == 1 || bytes <= 350_000, "{bytes} bytes in {} events", part.len());
        count += part.iter().filter(|record| text(record).0 == conversation).count();
    }
    assert_eq!(count, 20);
}

async fn the_note_comes_and_goes<H: History + MovableHistory>(history: &H) {
    assert_eq!(history.move_note().await.unwrap(), None);
    for note in [b"half".as_slice(), b"", &[7; 5_000]] {
        history.set_move_note(Some(note)).await.unwrap();
        assert_eq!(history.move_note().await.unwrap().as_deref(), Some(note));
    }
    history.set_move_note(None).await.unwrap();
    assert_eq!(history.move_note().await.unwrap(), None);
}
