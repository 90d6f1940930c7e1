//! What a history does besides, of which batches come again, late, and from two workers at once.

use banter_model::{Conversation, ConversationId, Event, Head, Membership, Roster, Tag, UserId};

use super::{batch, group, head, message, row, user};
use crate::behaviour::Random;
use crate::history::{History, HistoryBatch, MembershipRow, MentionChange, Order, PageSize, RosterRow};

/// A log of messages up to `seq`, of which the first was amended by the last, as the command at `position` left it.
struct As {
    position: u64,
    seq: u64,
}

impl As {
    fn head(&self) -> Head {
        Head { position: self.position, ..head(self.seq) }
    }

    fn roster(&self) -> Roster {
        Roster { title: format!("at {}", self.position), ..Roster::default() }
    }

    fn membership(&self) -> Membership {
        let mut membership = Membership::default();
        membership.enter(&message(self.seq, "in"), false);
        membership
    }

    /// What a worker writes that begins before the log, and ends here.
    fn batch(&self, partition: u32, id: ConversationId, user: UserId) -> HistoryBatch {
        let As { position, seq } = *self;
        let begin = position - seq;
        HistoryBatch {
            partition,
            position,
            events: (1..=seq).map(|seq| row(id, begin + seq, message(seq, "new"))).collect(),
            amended: vec![row(id, position, message(1, &format!("amended at {position}")))],
            heads: vec![(id, self.head())],
            rosters: vec![RosterRow { conversation: id, roster: self.roster(), position }],
            memberships: vec![MembershipRow { user, conversation: id, membership: self.membership(), position }],
            // Who is mentioned in the first message comes and goes.
            mentions: vec![MentionChange { user, conversation: id, seq: 1, added: seq.is_multiple_of(2), position }],
            read: Vec::new(),
        }
    }

    async fn is_stored(&self, history: &dyn History, partition: u32, id: ConversationId, user: UserId) {
        let As { position, seq } = *self;
        let conversation = Conversation { id, head: self.head(), roster: self.roster() };
        for settled in [0, position] {
            assert_eq!(history.resume(id, settled).await.unwrap().as_ref(), Some(&conversation));
            let first = history.event_at(id, 1).await.unwrap().unwrap();
            assert_eq!((first.position, first.event), (position, message(1, &format!("amended at {position}"))));
        }
        assert_eq!(history.conversation(id).await.unwrap(), Some(conversation));
        let last = history.event_at(id, seq).await.unwrap().unwrap();
        assert_eq!((last.position, last.event), (position, message(seq, "new")));
        let log = history.events(id, 1, seq, Order::OldestFirst, PageSize::LARGEST).await.unwrap();
        assert_eq!(log.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=seq).collect::<Vec<_>>());
        assert_eq!(history.membership(user, id).await.unwrap(), Some(self.membership()));
        assert_eq!(history.mentions(user, id, 0, 10).await.unwrap(), vec![1; usize::from(seq.is_multiple_of(2))]);
        assert_eq!(history.position(partition).await.unwrap(), position);
    }
}

/// Batches of one log, again and out of order: the one that goes furthest stays.
pub(super) async fn what_is_further_stays(history: &dyn History, random: &mut Random) {
    let (id, user) = (group(random), user(random));
    let HistoryBatch { partition, position: begin, .. } = batch(random);
    let up_to = |seq| As { position: begin + seq, seq };
    let mut furthest: u64 = 0;
    for _ in 0..30 {
        let seq = (furthest + 4).saturating_sub(random.below(10)).max(2);
        furthest = furthest.max(seq);
        history.commit(up_to(seq).batch(partition, id, user)).await.unwrap();
        up_to(furthest).is_stored(history, partition, id, user).await;
    }
    // In the next epoch everything is later.
    let next = As { position: (1 << 48) + begin, seq: 3 };
    history.commit(next.batch(partition, id, user)).await.unwrap();
    next.is_stored(history, partition, id, user).await;
    history.commit(up_to(furthest + 1).batch(partition, id, user)).await.unwrap();
    next.is_stored(history, partition, id, user).await;
}

/// An event whose head was never written is nothing. When the queue is lost with its command, the log goes on with another one in its
/// place, of which nothing may be of the first.
pub(super) async fn an_event_that_came_to_nothing_leaves_nothing(history: &dyn History, random: &mut Random) {
    let id = group(random);
    let HistoryBatch { partition, position, .. } = batch(random);
    let dead = Event { tag: Some(Tag::new(7).unwrap()), ..message(1, "came to nothing") };
    let events = vec![row(id, position, dead)];
    history.commit(HistoryBatch { partition, position, events, ..HistoryBatch::default() }).await.unwrap();
    let next = (1 << 48) + position;
    let event = Event { tag: None, ..message(1, "is there") };
    let (events, heads) = (vec![row(id, next, event.clone())], vec![(id, Head { position: next, ..head(1) })]);
    history.commit(HistoryBatch { partition, position: next, events, heads, ..HistoryBatch::default() }).await.unwrap();
    assert_eq!(history.event_at(id, 1).await.unwrap().map(|stored| stored.event), Some(event.clone()));
    assert_eq!(history.events(id, 1, 1, Order::OldestFirst, PageSize::LARGEST).await.unwrap(), [event]);
}
