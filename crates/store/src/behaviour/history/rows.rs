//! One behaviour at a time.

use std::sync::Arc;

use banter_model::{
    Conversation, ConversationId, DeviceId, Event, EventBody, GroupId, Marker, Member, Membership, Role, Roster, Seq, Tag, UserId,
};

use super::{batch, group, head, message, row, user};
use crate::behaviour::Random;
use crate::history::{
    Advance, History, HistoryBatch, Listed, MembershipRow, MentionChange, Order, PAGES_SCANNED_FOR_TAG, PageSize, Progress,
    RosterRow,
};

const BOTH: [Order; 2] = [Order::OldestFirst, Order::NewestFirst];
const EVERYTHING: PageSize = PageSize { events: usize::MAX, bytes: usize::MAX };

fn seqs(events: &[Event]) -> Vec<Seq> {
    events.iter().map(|event| event.seq).collect()
}

fn marker(number: u64) -> Marker {
    Marker { seq: number * 3, ordinal: number }
}

/// A membership from `seq` on.
fn membership(seq: Seq) -> Membership {
    let mut membership = Membership::default();
    membership.enter(&message(seq, "in"), false);
    membership
}

pub(super) async fn nothing_is_there_at_first(history: &dyn History, random: &mut Random) {
    let (id, user) = (group(random), user(random));
    assert_eq!(history.conversation(id).await.unwrap(), None);
    assert_eq!(history.heads(&[]).await.unwrap(), []);
    assert_eq!(history.heads(&[id]).await.unwrap(), [None]);
    assert_eq!(history.roster(id).await.unwrap(), None);
    assert_eq!(history.event(id, 1).await.unwrap(), None);
    for order in BOTH {
        assert_eq!(history.events(id, 1, Seq::MAX, order, PageSize::LARGEST).await.unwrap(), []);
    }
    assert_eq!(history.membership(user, id).await.unwrap(), None);
    assert_eq!(history.memberships(user, None, 10).await.unwrap(), []);
    assert_eq!(history.progress(user, id).await.unwrap(), Progress::default());
    assert_eq!(history.mentions(user, id, 0, 10).await.unwrap(), [0; 0]);
    assert_eq!(history.position(batch(random).partition).await.unwrap(), 0);
    assert_eq!(history.find_tag(id, DeviceId(1), Tag::new(1).unwrap(), 100).await.unwrap(), None);
}

pub(super) async fn a_batch_is_stored_whole(history: &dyn History, random: &mut Random) {
    let (one, direct) = (group(random), ConversationId::direct(user(random), user(random)).unwrap());
    let user = user(random);
    let roster =
        Roster { title: "Tea".to_owned(), earlier_history: true, members: vec![Member { user, role: Role::Owner, since: 1 }] };
    let mut batch = batch(random);
    let position = batch.position;
    batch.events = [(one, message(1, "first")), (direct, message(1, "hello")), (one, message(2, "second"))]
        .map(|(id, event)| row(id, position, event))
        .to_vec();
    batch.heads = vec![(one, head(2)), (direct, head(1))];
    batch.rosters = vec![RosterRow { conversation: one, roster: roster.clone(), position }];
    batch.memberships = vec![MembershipRow { user, conversation: one, membership: membership(1), position }];
    batch.mentions = vec![MentionChange { user, conversation: one, seq: 2, added: true, position }];
    batch.read = vec![(user, one, marker(1))];
    history.commit(batch.clone()).await.unwrap();

    let stored = Conversation { id: one, head: head(2), roster: roster.clone() };
    assert_eq!(history.conversation(one).await.unwrap(), Some(stored));
    let stored = Conversation { id: direct, head: head(1), roster: Roster::default() };
    assert_eq!(history.conversation(direct).await.unwrap(), Some(stored));
    assert_eq!(history.roster(one).await.unwrap(), Some(roster));
    assert_eq!(history.roster(direct).await.unwrap(), None);
    assert_eq!(history.event(one, 2).await.unwrap(), Some(message(2, "second")));
    assert_eq!(history.event(direct, 2).await.unwrap(), None);
    let stored = history.event_at(one, 2).await.unwrap().unwrap();
    assert_eq!(stored.event, message(2, "second"));
    assert!([0, position].contains(&stored.position), "{} instead of {position}", stored.position);
    assert_eq!(history.event_at(direct, 2).await.unwrap(), None);
    for settled in [0, position] {
        assert_eq!(history.resume(one, settled).await.unwrap(), history.conversation(one).await.unwrap());
    }
    assert_eq!(history.membership(user, one).await.unwrap(), Some(membership(1)));
    assert_eq!(history.membership(user, direct).await.unwrap(), None);
    assert_eq!(history.mentions(user, one, 0, 10).await.unwrap(), [2]);
    assert_eq!(history.progress(user, one).await.unwrap().read, marker(1));
    assert_eq!(history.position(batch.partition).await.unwrap(), batch.position);

    // A batch of commands that were all refused stores nothing but that they were seen.
    let next = HistoryBatch { partition: batch.partition, position: batch.position + 9, ..HistoryBatch::default() };
    history.commit(next.clone()).await.unwrap();
    assert_eq!(history.position(batch.partition).await.unwrap(), next.position);
}

pub(super) async fn positions_come_in_the_order_asked(history: &dyn History, random: &mut Random) {
    let mut batches: Vec<HistoryBatch> = (0..40).map(|_| batch(random)).collect();
    for (number, batch) in batches.iter_mut().enumerate() {
        // Some are neighbours.
        batch.partition = batch.partition / 2 + number as u32 % 3;
    }
    batches.sort_by_key(|batch| batch.partition);
    batches.dedup_by_key(|batch| batch.partition);
    assert_eq!(history.positions(&[]).await.unwrap(), [0; 0]);
    let (stored, missing) = batches.split_at(30);
    for batch in stored {
        history.commit(batch.clone()).await.unwrap();
    }
    let mut asked: Vec<(u32, u64)> = stored.iter().map(|batch| (batch.partition, batch.position)).collect();
    asked.extend(missing.iter().map(|batch| (batch.partition, 0)));
    asked.sort_by_key(|(_, position)| *position);
    asked.push(asked[35]);
    let (partitions, expected): (Vec<u32>, Vec<u64>) = asked.into_iter().unzip();
    assert_eq!(history.positions(&partitions).await.unwrap(), expected);
}

pub(super) async fn later_entries_win(history: &dyn History, random: &mut Random) {
    let (id, user) = (group(random), user(random));
    let mut first = batch(random);
    let last = first.position;
    let mention = |added, position| MentionChange { user, conversation: id, seq: 1, added, position };
    let roster = |title: &str| Roster { title: title.to_owned(), ..Roster::default() };
    first.events = vec![row(id, last - 9, message(1, "as written")), row(id, last - 8, message(2, "after"))];
    first.amended = vec![row(id, last - 7, message(1, "as amended")), row(id, last, message(1, "as amended again"))];
    first.heads = vec![(id, head(1)), (id, head(2))];
    first.rosters = [("before", last - 1), ("after", last)]
        .map(|(title, position)| RosterRow { conversation: id, roster: roster(title), position })
        .to_vec();
    first.memberships = [(1, last - 1), (2, last)]
        .map(|(seq, position)| MembershipRow { user, conversation: id, membership: membership(seq), position })
        .to_vec();
    first.mentions = vec![mention(true, last - 2), mention(false, last - 1), mention(true, last)];
    first.read = vec![(user, id, marker(5)), (user, id, marker(4))];
    history.commit(first.clone()).await.unwrap();
    assert_eq!(history.event(id, 1).await.unwrap(), Some(message(1, "as amended again")));
    assert_eq!(history.heads(&[id]).await.unwrap(), [Some(head(2))]);
    assert_eq!(history.roster(id).await.unwrap(), Some(roster("after")));
    assert_eq!(history.membership(user, id).await.unwrap(), Some(membership(2)));
    assert_eq!(history.mentions(user, id, 0, 10).await.unwrap(), [1]);
    assert_eq!(history.progress(user, id).await.unwrap().read, marker(5), "a register went back");

    let mut second = HistoryBatch { partition: first.partition, position: first.position + 1, ..HistoryBatch::default() };
    second.amended = vec![row(id, last + 1, message(2, ""))];
    second.heads = vec![(id, head(3))];
    second.mentions = vec![mention(false, last + 1)];
    history.commit(second).await.unwrap();
    assert_eq!(history.event(id, 2).await.unwrap(), Some(message(2, "")));
    assert_eq!(history.heads(&[id]).await.unwrap(), [Some(head(3))]);
    assert_eq!(history.mentions(user, id, 0, 10).await.unwrap(), [0; 0]);
}

pub(super) async fn pages(history: &dyn History, random: &mut Random) {
    // Neighbours, to see that no page runs over.
    let middle = random.id();
    let ids = [middle - 1, middle, middle + 1].map(|id| ConversationId::Group(GroupId(id)));
    // Past 255 and 1,023: places where byte order and buckets change.
    let count = 1_100;
    for id in ids {
        let mut batch = batch(random);
        batch.events = (1..=count).map(|seq| row(id, batch.position, message(seq, "text"))).collect();
        batch.heads = vec![(id, head(count))];
        history.commit(batch).await.unwrap();
    }
    let id = ids[1];
    let ten = PageSize { events: 10, bytes: usize::MAX };
    let page = |first, last, order, size| history.events(id, first, last, order, size);
    assert_eq!(seqs(&page(1, count, Order::OldestFirst, EVERYTHING).await.unwrap()), (1..=count).collect::<Vec<_>>());
    assert_eq!(seqs(&page(0, Seq::MAX, Order::NewestFirst, EVERYTHING).await.unwrap()), (1..=count).rev().collect::<Vec<_>>());
    assert_eq!(seqs(&page(250, 1_060, Order::OldestFirst, ten).await.unwrap()), (250..260).collect::<Vec<_>>());
    assert_eq!(seqs(&page(250, 1_060, Order::NewestFirst, ten).await.unwrap()), (1_051..=1_060).rev().collect::<Vec<_>>());
    for order in BOTH {
        assert_eq!(seqs(&page(700, 700, order, ten).await.unwrap()), [700], "both ends are part of the range");
        assert_eq!(page(701, 700, order, ten).await.unwrap(), []);
        assert_eq!(page(count + 1, Seq::MAX, order, ten).await.unwrap(), []);
    }
}

pub(super) async fn pages_end_where_they_are_full(history: &dyn History, random: &mut Random) {
    let id = group(random);
    let mut batch = batch(random);
    // Texts of 100, 200, ... 900 bytes; and an event without text at the end.
    let position = batch.position;
    batch.events = (1..=9).map(|seq| row(id, position, message(seq, &"x".repeat(100 * seq as usize)))).collect();
    batch.events.push(row(id, position, Event { body: EventBody::Redaction { target: 1 }, ..message(10, "") }));
    batch.heads = vec![(id, head(10))];
    history.commit(batch).await.unwrap();
    let cases: [(Order, usize, usize, &[Seq]); 9] = [
        (Order::OldestFirst, 100, 300, &[1, 2]),
        (Order::OldestFirst, 100, 599, &[1, 2]),
        (Order::OldestFirst, 100, 600, &[1, 2, 3]),
        (Order::NewestFirst, 100, 899, &[10]),
        (Order::NewestFirst, 100, 900, &[10, 9]),
        (Order::NewestFirst, 100, 1_700, &[10, 9, 8]),
        (Order::NewestFirst, 2, 1_000_000, &[10, 9]),
        (Order::OldestFirst, 1, 1, &[1]),
        (Order::OldestFirst, 1, 0, &[1]),
    ];
    for (order, events, bytes, expected) in cases {
        let page = history.events(id, 1, Seq::MAX, order, PageSize { events, bytes }).await.unwrap();
        assert_eq!(seqs(&page), expected, "{order:?}, at most {events} events, {bytes} bytes");
    }
    let page = history.events(id, 9, 9, Order::NewestFirst, PageSize { events: 10, bytes: 10 }).await.unwrap();
    assert_eq!(seqs(&page), [9], "a page holds at least one event");
}

pub(super) async fn heads_come_in_the_order_asked(history: &dyn History, random: &mut Random) {
    let ids: Vec<_> = (0..40).map(|_| group(random)).collect();
    let mut batch = batch(random);
    batch.heads = (1..).zip(&ids).filter(|(number, _)| number % 3 != 0).map(|(number, id)| (*id, head(number))).collect();
    history.commit(batch).await.unwrap();
    let expected: Vec<_> = (1..=40).map(|number| (number % 3 != 0).then(|| head(number))).collect();
    assert_eq!(history.heads(&ids).await.unwrap(), expected);
    let some = [ids[5], ids[0], ids[39], ids[0]];
    assert_eq!(history.heads(&some).await.unwrap(), [None, Some(head(1)), Some(head(40)), Some(head(1))]);
}

pub(super) async fn memberships_come_in_pages(history: &dyn History, random: &mut Random) {
    let middle = random.id();
    let users = [middle - 1, middle, middle + 1].map(UserId);
    let mut ids: Vec<_> = (0..25).map(|_| group(random)).collect();
    ids.extend((0..5).map(|_| ConversationId::direct(users[1], user(random)).unwrap()));
    let mut batch = batch(random);
    for (seq, id) in (1..).zip(&ids) {
        let position = batch.position;
        batch.memberships.extend(users.map(|user| MembershipRow {
            user,
            conversation: *id,
            membership: membership(seq),
            position,
        }));
    }
    let stored = batch.memberships.clone();
    history.commit(batch).await.unwrap();
    let mut expected: Vec<_> =
        stored.into_iter().filter(|row| row.user == users[1]).map(|row| (row.conversation, row.membership)).collect();
    expected.sort_by_key(|(id, _)| id.to_bytes());

    assert_eq!(history.memberships(users[1], None, usize::MAX).await.unwrap(), expected);
    assert_eq!(history.memberships(users[1], None, 0).await.unwrap(), []);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = history.memberships(users[1], after, 7).await.unwrap();
        assert!(page.len() <= 7);
        let Some((last, _)) = page.last() else { break };
        after = Some(*last);
        paged.extend(page);
    }
    assert_eq!(paged, expected);
}

pub(super) async fn a_listing_is_what_single_reads_say(history: &dyn History, random: &mut Random) {
    let me = user(random);
    let mut ids: Vec<_> = (0..20).map(|_| group(random)).collect();
    ids.extend((0..10).map(|_| ConversationId::direct(me, user(random)).unwrap()));
    let mut batch = batch(random);
    for (number, id) in (1..).zip(&ids) {
        // Some have progress without a membership, or neither; one membership has no head yet.
        if number % 5 > 0 {
            let (conversation, membership, position) = (*id, membership(number), batch.position);
            batch.memberships.push(MembershipRow { user: me, conversation, membership, position });
        }
        if number != 7 {
            batch.heads.push((*id, head(number)));
        }
        if number % 3 > 0 {
            batch.read.push((me, *id, marker(number)));
        }
        if let Some(peer) = id.peer_of(me).filter(|_| number % 2 > 0) {
            batch.read.push((peer, *id, marker(number + 100)));
        }
    }
    history.commit(batch).await.unwrap();
    let memberships = history.memberships(me, None, usize::MAX).await.unwrap();
    assert_eq!(memberships.len(), 24);
    let mut expected = Vec::new();
    for (conversation, membership) in memberships {
        let peer = match conversation.peer_of(me) {
            Some(peer) => Some(history.progress(peer, conversation).await.unwrap()),
            None => None,
        };
        let head = history.heads(&[conversation]).await.unwrap().remove(0);
        let progress = history.progress(me, conversation).await.unwrap();
        expected.push(Listed { conversation, membership, head, progress, peer });
    }
    assert_eq!(history.listing(me, None, usize::MAX).await.unwrap(), expected);
    assert_eq!(history.listing(me, None, 5).await.unwrap(), expected[..5]);
    assert_eq!(history.listing(me, Some(expected[4].conversation), 100).await.unwrap(), expected[5..]);
    assert!(expected.iter().any(|listed| listed.peer.is_some_and(|peer| peer.read != Marker::default())));
}

pub(super) async fn mentions_come_and_go(history: &dyn History, random: &mut Random) {
    let (id, other, user) = (group(random), group(random), user(random));
    let mut first = batch(random);
    let position = first.position;
    let change = |conversation, seq, added| MentionChange { user, conversation, seq, added, position };
    first.mentions = [3, 300, 1, 1_025, 70_000].map(|seq| change(id, seq, true)).to_vec();
    first.mentions.push(change(other, 5, true));
    first.mentions.push(MentionChange { user: UserId(user.0 + 1), ..change(id, 4, true) });
    history.commit(first.clone()).await.unwrap();
    assert_eq!(history.mentions(user, id, 0, 100).await.unwrap(), [1, 3, 300, 1_025, 70_000]);
    assert_eq!(history.mentions(user, id, 1, 2).await.unwrap(), [3, 300]);
    assert_eq!(history.mentions(user, id, 2, 2).await.unwrap(), [3, 300]);
    assert_eq!(history.mentions(user, id, 70_000, 2).await.unwrap(), [0; 0]);
    assert_eq!(history.mentions(user, id, Seq::MAX, 2).await.unwrap(), [0; 0]);
    assert_eq!(history.mentions(user, id, 0, 0).await.unwrap(), [0; 0]);

    let position = position + 1;
    let change = |seq, added| MentionChange { user, conversation: id, seq, added, position };
    let mut second = HistoryBatch { partition: first.partition, position, ..HistoryBatch::default() };
    second.mentions = vec![change(300, false), change(8, false), change(301, true)];
    history.commit(second).await.unwrap();
    assert_eq!(history.mentions(user, id, 0, 100).await.unwrap(), [1, 3, 301, 1_025, 70_000]);
    assert_eq!(history.mentions(user, other, 0, 100).await.unwrap(), [5]);
}

pub(super) async fn a_tag_is_found(history: &dyn History, random: &mut Random) {
    let id = group(random);
    let (phone, laptop) = (DeviceId(random.id()), DeviceId(random.id()));
    let tag = |number| Tag::new(number).unwrap();
    let mut batch = batch(random);
    batch.heads = vec![(id, head(600))];
    batch.events = (1..=600)
        .map(|seq| {
            let device = if seq % 2 == 0 { phone } else { laptop };
            row(id, batch.position, Event { device, tag: (seq % 10 != 0).then(|| tag(seq)), ..message(seq, "text") })
        })
        .collect();
    history.commit(batch).await.unwrap();
    let find = |device, number, at_most| history.find_tag(id, device, tag(number), at_most);
    assert_eq!(find(phone, 598, 600).await.unwrap().map(|event| event.seq), Some(598));
    assert_eq!(find(phone, 2, 600).await.unwrap().map(|event| event.seq), Some(2), "it is in a page further down");
    assert_eq!(find(laptop, 1, 1).await.unwrap().map(|event| event.seq), Some(1));
    assert_eq!(find(laptop, 598, 600).await.unwrap(), None, "it is another device's");
    assert_eq!(find(phone, 598, 597).await.unwrap(), None, "it is after the place");
    assert_eq!(find(phone, 600, 600).await.unwrap(), None, "that event has no tag");
}

pub(super) async fn a_tag_far_back_is_not_looked_for(history: &dyn History, random: &mut Random) {
    let device = DeviceId(random.id());
    let tag = |number| Tag::new(number).unwrap();
    // As many events as fit into the pages, and one more.
    let id = group(random);
    let reach = (PAGES_SCANNED_FOR_TAG * PageSize::LARGEST.events) as Seq;
    let mut small = batch(random);
    let tagged = |seq, text: &str| Event { device, tag: Some(tag(seq)), ..message(seq, text) };
    small.heads = vec![(id, head(reach + 1))];
    small.events = (1..=reach + 1).map(|seq| row(id, small.position, tagged(seq, ""))).collect();
    history.commit(small).await.unwrap();
    assert_eq!(history.find_tag(id, device, tag(2), reach + 1).await.unwrap().map(|event| event.seq), Some(2));
    assert_eq!(history.find_tag(id, device, tag(1), reach + 1).await.unwrap(), None, "it is one too far back");

    // Of long texts fewer are looked through: two of these fill a page.
    let id = group(random);
    let text = "x".repeat(PageSize::LARGEST.bytes / 2);
    let reach = 2 * PAGES_SCANNED_FOR_TAG as Seq;
    let mut large = batch(random);
    large.heads = vec![(id, head(reach + 1))];
    large.events = (1..=reach + 1).map(|seq| row(id, large.position, tagged(seq, &text))).collect();
    history.commit(large).await.unwrap();
    assert_eq!(history.find_tag(id, device, tag(2), reach + 1).await.unwrap().map(|event| event.seq), Some(2));
    assert_eq!(history.find_tag(id, device, tag(1), reach + 1).await.unwrap(), None, "too much text lies between");
}

pub(super) async fn progress_only_grows(history: &dyn History, random: &mut Random) {
    let (id, user) = (group(random), user(random));
    let advance = |read, delivered| Advance { read: marker(read), delivered };
    let progress = |read, delivered, changed_at| Progress { read: marker(read), delivered, changed_at };
    let steps = [
        (advance(0, 0), 50, progress(0, 0, 0)),
        (advance(5, 0), 100, progress(5, 0, 100)),
        (advance(4, 9), 200, progress(5, 9, 200)),
        (advance(5, 9), 300, progress(5, 9, 200)),
        (advance(1, 8), 400, progress(5, 9, 200)),
        (advance(6, 1), 150, progress(6, 9, 200)),
    ];
    for (number, (step, now, expected)) in steps.into_iter().enumerate() {
        assert_eq!(history.advance(user, id, step, now).await.unwrap(), expected, "step {number}");
        assert_eq!(history.progress(user, id).await.unwrap(), expected, "after step {number}");
    }
    let mut batch = batch(random);
    batch.read = vec![(user, id, marker(3)), (UserId(user.0 + 1), id, marker(2))];
    history.commit(batch.clone()).await.unwrap();
    assert_eq!(history.progress(user, id).await.unwrap(), progress(6, 9, 200));
    assert_eq!(history.progress(UserId(user.0 + 1), id).await.unwrap().read, marker(2));
    batch.position += 1;
    batch.read = vec![(user, id, marker(8))];
    history.commit(batch).await.unwrap();
    let after = history.progress(user, id).await.unwrap();
    assert_eq!((after.read, after.delivered), (marker(8), 9));
    assert_eq!(history.progress(user, group(random)).await.unwrap(), Progress::default());
}

pub(super) async fn progress_keeps_the_greatest_of_many_at_once(history: Arc<dyn History>, random: &mut Random) {
    let id = group(random);
    // Two users, so that their registers are also moved side by side.
    let users = [user(random), user(random)];
    let seed = random.bits();
    let tasks: Vec<_> = (0..16_u64)
        .map(|task| {
            let history = Arc::clone(&history);
            tokio::spawn(async move {
                let mut random = Random::new(seed ^ task);
                let mut greatest = [Progress::default(); 2];
                for _ in 0..40 {
                    let (read, delivered, now) = (marker(random.below(10_000)), random.below(30_000), random.below(1_000_000));
                    let which = random.below(2) as usize;
                    let (user, mine) = (users[which], &mut greatest[which]);
                    mine.read = mine.read.max(read);
                    let got = if random.below(4) == 0 {
                        // Each task is a partition's worker as well.
                        let (partition, read) = ((seed ^ task) as u32, vec![(user, id, read)]);
                        history.commit(HistoryBatch { partition, position: now, read, ..HistoryBatch::default() }).await.unwrap();
                        history.progress(user, id).await.unwrap()
                    } else {
                        mine.delivered = mine.delivered.max(delivered);
                        history.advance(user, id, Advance { read, delivered }, now).await.unwrap()
                    };
                    assert!(got.read >= mine.read && got.delivered >= mine.delivered, "{got:?} after {mine:?}");
                }
                greatest
            })
        })
        .collect();
    let mut greatest = [Progress::default(); 2];
    for task in tasks {
        for (all, one) in greatest.iter_mut().zip(task.await.unwrap()) {
            all.read = all.read.max(one.read);
            all.delivered = all.delivered.max(one.delivered);
        }
    }
    for (user, greatest) in users.into_iter().zip(greatest) {
        let stored = history.progress(user, id).await.unwrap();
        assert_eq!((stored.read, stored.delivered), (greatest.read, greatest.delivered), "an advance was lost");
    }
}
