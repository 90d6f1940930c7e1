//! How a batch is stored where a single row is the most that is written at once.
//!
//! A worker may die, or be paused for a minute, between any two writes, and another may take its place without knowing. So the
//! order of the writes, and not a transaction, says what is whole. [`plan`] turns a batch into steps; the writes of one step go
//! in any order, and a step begins when all of the one before are stored:
//!
//! 1. **new events**, as their commands made them, and registers. Nothing of them counts: they are above the head.
//! 2. **one row for each conversation**: head, roster if it changed, and the [`Redo`] list, all in one write. From here on the
//!    commands are applied.
//! 3. **what follows from them**: amended events, memberships, mentions, which is what the redo list says.
//! 4. **the partition's position**: up to here everything is whole, and no command comes again.
//!
//! Who loads a conversation after a death between 2 and 4 writes the rows of its redo list again before anything else
//! ([`super::History::resume`]). The list is replaced by the row's next write, which comes after step 3 of the one before.
//!
//! Each write has a position, and a row keeps the write with the greatest: `USING TIMESTAMP` in Cassandra. For one row and one
//! position there is one value only (but for redo lists: of two with one position each is enough by itself), so that writing
//! again, late, or by two workers at once changes nothing. It is why a new event is written as it was made also when the same batch
//! amends it: otherwise a row above the head would hold what a replay has yet to do, and the worker that reads it
//! would take itself for the one that is behind, for ever. It is also why memberships and mentions wait for the head: commands that
//! were read but not applied when the queue was lost must leave nothing behind.
//!
//! A failed write may be stored all the same, now or later. Reads have to see what any read has seen before (in Cassandra
//! `LOCAL_QUORUM` both ways, and the read repair left as it is, blocking).

use std::collections::HashMap;

use banter_model::encoding::Stored;
use banter_model::position::unpack;
use banter_model::{ConversationId, Event, Head, Marker, Roster, UserId};
use serde::{Deserialize, Serialize};

use super::{EventRow, HistoryBatch, MembershipRow, MentionChange};

/// Writes that may go in any order, and side by side. All are stored before the next step begins. Never empty.
pub type Step = Vec<Write>;

/// One write of one row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Write {
    /// The row of an event.
    Event(EventRow),
    /// The row of a conversation.
    Conversation(Box<ConversationRow>),
    /// The row of a membership.
    Membership(MembershipRow),
    /// A mention, or that it went.
    Mention(MentionChange),
    /// A read marker, which only grows: the greatest wins, and its timestamp is its own [`Marker::seq`], not a position.
    Read {
        /// Whose.
        user: UserId,
        /// Where.
        conversation: ConversationId,
        /// Up to here at least.
        marker: Marker,
    },
    /// Up to where a partition is whole.
    Position {
        /// Which.
        partition: u32,
        /// Up to here.
        position: u64,
    },
}

impl Write {
    /// What decides between two writes of the same row: the greater one stays.
    pub fn timestamp(&self) -> u64 {
        match self {
            Write::Event(row) => row.position,
            Write::Conversation(row) => row.position,
            Write::Membership(row) => row.position,
            Write::Mention(change) => change.position,
            Write::Read { marker, .. } => marker.seq,
            Write::Position { position, .. } => *position,
        }
    }
}

/// What is written of a conversation with one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConversationRow {
    /// Which.
    pub conversation: ConversationId,
    /// The timestamp of head and redo list: the head's position.
    pub position: u64,
    /// Where the log ends. `None` only in batches that no worker made.
    pub head: Option<Head>,
    /// The roster, if it changed, and the position of the last command that changed it: a timestamp of its own.
    pub roster: Option<(Roster, u64)>,
    /// What is written after this. Replaces the list before, also when it is empty.
    pub redo: Redo,
}

/// What follows from the commands of a batch, in rows of their own, and is written after the head: again by whoever loads the
/// conversation, if the worker before did not come to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redo {
    /// Amended events.
    pub events: Vec<EventRow>,
    /// Memberships.
    pub memberships: Vec<MembershipRow>,
    /// Mentions.
    pub mentions: Vec<MentionChange>,
}

impl Stored for Redo {}

/// About what a mention and the fixed part of any other row take in a redo list, in bytes.
const ROW_BYTES: usize = 64;

impl Redo {
    /// A list is part of one row: a worker ends its batch when what it adds up to has reached so many bytes.
    pub const ENOUGH_BYTES: usize = 1 << 20;

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.memberships.is_empty() && self.mentions.is_empty()
    }

    /// The writes, in any order.
    pub fn writes(self) -> impl Iterator<Item = Write> {
        let events = self.events.into_iter().map(Write::Event);
        let memberships = self.memberships.into_iter().map(Write::Membership);
        events.chain(memberships).chain(self.mentions.into_iter().map(Write::Mention))
    }

    /// About what an amended `event` takes in a list, in bytes.
    pub fn bytes_of_event(event: &Event) -> usize {
        ROW_BYTES + event.body.text_bytes()
    }

    /// About what `rows` memberships or mentions take in a list, in bytes.
    pub fn bytes_of_rows(rows: usize) -> usize {
        rows * ROW_BYTES
    }
}

/// Has a conversation no redo list that is still to be done, whose last command was at `position`, when the stored position of
/// its partition is `settled`? Only within one epoch: when a queue is lost and made anew, what was read from it last was never
/// finished, and no command comes again to say so.
pub fn is_settled(position: u64, settled: u64) -> bool {
    position <= settled && unpack(position).0 == unpack(settled).0
}

/// The steps that store `batch`.
///
/// The last one is the position alone. The commit succeeds when all before it are done: a position that comes late, or never,
/// costs a replay and nothing else. And it must not fail for the position: the worker would think that nobody was told, and the
/// next one, which begins after it, that everybody was.
pub fn plan(batch: HistoryBatch) -> Vec<Step> {
    let HistoryBatch { partition, position, events, amended, heads, rosters, memberships, mentions, read } = batch;
    let mut first: Step = events.into_iter().map(Write::Event).collect();
    first.extend(read.into_iter().map(|(user, conversation, marker)| Write::Read { user, conversation, marker }));

    let mut rows = Rows::default();
    for (conversation, head) in heads {
        let row = rows.of(conversation, head.position);
        row.head = Some(head);
    }
    for roster in rosters {
        rows.of(roster.conversation, roster.position).roster = Some((roster.roster, roster.position));
    }
    let mut last = Redo::default();
    for event in amended {
        rows.of(event.conversation, event.position).redo.events.push(event.clone());
        last.events.push(event);
    }
    for membership in memberships {
        rows.of(membership.conversation, membership.position).redo.memberships.push(membership.clone());
        last.memberships.push(membership);
    }
    for mention in mentions {
        rows.of(mention.conversation, mention.position).redo.mentions.push(mention);
        last.mentions.push(mention);
    }
    let second = rows.rows.into_iter().map(|row| Write::Conversation(Box::new(row))).collect();
    let fourth = vec![Write::Position { partition, position }];
    [first, second, last.writes().collect(), fourth].into_iter().filter(|step: &Step| !step.is_empty()).collect()
}

/// The rows of the conversations of a batch, in the order in which they came up.
#[derive(Default)]
struct Rows {
    rows: Vec<ConversationRow>,
    places: HashMap<ConversationId, usize>,
}

impl Rows {
    /// The row of `conversation`, which a command at `position` touched.
    fn of(&mut self, conversation: ConversationId, position: u64) -> &mut ConversationRow {
        let place = *self.places.entry(conversation).or_insert_with(|| {
            self.rows.push(ConversationRow { conversation, position, head: None, roster: None, redo: Redo::default() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[place];
        row.position = row.position.max(position);
        row
    }
}

#[cfg(test)]
mod tests {
    use banter_model::{GroupId, Membership};

    use super::*;
    use crate::behaviour::history::{head, message, row};

    const ONE: ConversationId = ConversationId::Group(GroupId(1));
    const TWO: ConversationId = ConversationId::Group(GroupId(2));
    const USER: UserId = UserId(7);

    fn at(position: u64) -> Head {
        Head { position, ..head(position) }
    }

    fn batch() -> HistoryBatch {
        HistoryBatch {
            partition: 3,
            position: 20,
            events: vec![row(ONE, 11, message(11, "new")), row(TWO, 12, message(12, "new"))],
            amended: vec![row(ONE, 13, message(2, "old")), row(ONE, 14, message(11, "amended at once"))],
            heads: vec![(TWO, at(12)), (ONE, at(9)), (ONE, at(14))],
            rosters: vec![super::super::RosterRow { conversation: ONE, roster: Roster::default(), position: 10 }],
            memberships: vec![MembershipRow { user: USER, conversation: TWO, membership: Membership::default(), position: 12 }],
            mentions: vec![MentionChange { user: USER, conversation: ONE, seq: 2, added: false, position: 13 }],
            read: vec![(USER, ONE, Marker { seq: 5, ordinal: 4 })],
        }
    }

    #[test]
    fn nothing_counts_before_the_head_and_nothing_is_forgotten_after_it() {
        let steps = plan(batch());
        let [first, second, third, fourth] = &steps[..] else { panic!("{steps:?}") };
        let read = Write::Read { user: USER, conversation: ONE, marker: Marker { seq: 5, ordinal: 4 } };
        assert_eq!(first[..2], batch().events.into_iter().map(Write::Event).collect::<Vec<_>>());
        assert_eq!(first[2..], [read]);

        let rows: Vec<&ConversationRow> = second
            .iter()
            .map(|write| match write {
                Write::Conversation(row) => &**row,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(rows.len(), 2, "one write for each conversation");
        let (two, one) = (rows[0], rows[1]);
        assert_eq!((one.conversation, one.position, &one.head), (ONE, 14, &Some(at(14))), "the later head wins");
        assert_eq!((two.conversation, two.position, &two.head), (TWO, 12, &Some(at(12))));
        assert_eq!((&one.roster, &two.roster), (&Some((Roster::default(), 10)), &None));

        let again: Vec<Write> = rows.iter().flat_map(|row| row.redo.clone().writes()).collect();
        assert_eq!(again.len(), third.len());
        assert!(third.iter().all(|write| again.contains(write)), "what comes after the head is in the redo lists");
        assert_eq!(fourth[..], [Write::Position { partition: 3, position: 20 }]);
    }

    #[test]
    fn a_batch_of_refusals_is_one_write() {
        let batch = HistoryBatch { partition: 3, position: 20, ..HistoryBatch::default() };
        assert_eq!(plan(batch), [vec![Write::Position { partition: 3, position: 20 }]]);
    }

    #[test]
    fn what_was_amended_since_replaces_the_redo_list_also_when_it_is_nothing() {
        let batch = HistoryBatch { heads: vec![(ONE, at(9))], position: 9, ..HistoryBatch::default() };
        let Write::Conversation(row) = &plan(batch)[0][0] else { panic!("no row") };
        assert!(row.redo.is_empty());
    }

    #[test]
    fn a_redo_list_comes_back_as_it_was() {
        let batch = batch();
        let redo = Redo { events: batch.amended, memberships: batch.memberships, mentions: batch.mentions };
        assert_eq!(Redo::decode(&redo.encode()), Ok(redo));
    }
}
