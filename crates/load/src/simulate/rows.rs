//! A store that keeps, of each row, the write with the greatest timestamp, and knows no transactions.

use std::collections::{BTreeMap, HashMap};

use banter_model::{ConversationId, Event, Head, Marker, Membership, Roster, Seq, UserId};
use banter_store::history::plan::{Redo, Write};

/// Which row, or which part of a conversation's row: those are written together, each with a timestamp of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An event.
    Event(ConversationId, Seq),
    /// Where a log ends.
    Head(ConversationId),
    /// Title and members of a group.
    Roster(ConversationId),
    /// What follows from the last batch of a conversation.
    Redo(ConversationId),
    /// What a user sees of a conversation.
    Membership(UserId, ConversationId),
    /// Somebody is mentioned.
    Mention(UserId, ConversationId, Seq),
    /// A read marker.
    Read(UserId, ConversationId),
    /// How far the partition is.
    Position,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Value {
    Event(Event),
    Head(Head),
    Roster(Roster),
    Redo(Redo),
    Membership(Membership),
    /// Is it there, or did it go?
    Mention(bool),
    Read(Marker),
    Position(u64),
}

/// The rows, and everything that was ever written.
#[derive(Debug, Default)]
pub struct Rows {
    rows: BTreeMap<Key, (u64, Value)>,
    written: HashMap<(Key, u64), Value>,
    without_timestamps: bool,
}

impl Rows {
    /// None yet. `without_timestamps` to see what happens then: the write that comes last wins.
    pub fn new(without_timestamps: bool) -> Rows {
        Rows { without_timestamps, ..Rows::default() }
    }

    /// Writes one row. Of two redo lists with one timestamp the one that `second` says stays, for either has to be enough.
    ///
    /// # Errors
    /// Two writes of one row have one timestamp and not the same value; or a head is written before an event below it.
    pub fn write(&mut self, write: &Write, second: bool) -> Result<(), String> {
        for (key, timestamp, value) in cells(write) {
            let is_redo = matches!(key, Key::Redo(_));
            if let Value::Head(head) = &value
                && let Key::Head(id) = key
            {
                let before = self.head(id).map_or(0, |head| head.seq);
                if let Some(missing) = (before + 1..=head.seq).find(|seq| self.event(id, *seq).is_none()) {
                    return Err(format!("the head {} of {id} is written, and event {missing} is not there", head.seq));
                }
            }
            let first = self.written.entry((key, timestamp)).or_insert_with(|| value.clone());
            if !is_redo && *first != value {
                return Err(format!("{key:?} was written for position {timestamp} as {first:?}\nand now as {value:?}"));
            }
            let wins = self.without_timestamps
                || self
                    .rows
                    .get(&key)
                    .is_none_or(|(before, _)| timestamp > *before || (timestamp == *before && is_redo && second));
            if wins {
                self.rows.insert(key, (timestamp, value));
            }
        }
        Ok(())
    }

    /// All rows, with their timestamps.
    pub fn all(&self) -> &BTreeMap<Key, (u64, Value)> {
        &self.rows
    }

    /// Everything that was written, whether it is still there or not.
    pub fn written(&self) -> &HashMap<(Key, u64), Value> {
        &self.written
    }

    /// An event and its timestamp.
    pub fn event(&self, id: ConversationId, seq: Seq) -> Option<(&Event, u64)> {
        match self.rows.get(&Key::Event(id, seq))? {
            (timestamp, Value::Event(event)) => Some((event, *timestamp)),
            _ => None,
        }
    }

    /// Events of a range of places that is not empty.
    pub fn events(&self, id: ConversationId, first: Seq, last: Seq) -> impl DoubleEndedIterator<Item = &Event> {
        self.rows.range(Key::Event(id, first)..=Key::Event(id, last)).filter_map(|(_, (_, value))| match value {
            Value::Event(event) => Some(event),
            _ => None,
        })
    }

    /// Where a log ends.
    pub fn head(&self, id: ConversationId) -> Option<&Head> {
        match self.rows.get(&Key::Head(id))? {
            (_, Value::Head(head)) => Some(head),
            _ => None,
        }
    }

    /// The roster of a group.
    pub fn roster(&self, id: ConversationId) -> Option<&Roster> {
        match self.rows.get(&Key::Roster(id))? {
            (_, Value::Roster(roster)) => Some(roster),
            _ => None,
        }
    }

    /// The redo list of a conversation.
    pub fn redo(&self, id: ConversationId) -> Redo {
        match self.rows.get(&Key::Redo(id)) {
            Some((_, Value::Redo(redo))) => redo.clone(),
            _ => Redo::default(),
        }
    }

    /// What a user sees of a conversation.
    pub fn membership(&self, user: UserId, id: ConversationId) -> Option<&Membership> {
        match self.rows.get(&Key::Membership(user, id))? {
            (_, Value::Membership(membership)) => Some(membership),
            _ => None,
        }
    }

    /// Where a user is mentioned, in order.
    pub fn mentions(&self, user: UserId, id: ConversationId, after: Seq) -> impl Iterator<Item = Seq> {
        let rows = self.rows.range(Key::Mention(user, id, after.saturating_add(1))..=Key::Mention(user, id, Seq::MAX));
        rows.filter_map(|(key, (_, value))| match (key, value) {
            (Key::Mention(_, _, seq), Value::Mention(true)) => Some(*seq),
            _ => None,
        })
    }

    /// A read marker.
    pub fn read(&self, user: UserId, id: ConversationId) -> Marker {
        match self.rows.get(&Key::Read(user, id)) {
            Some((_, Value::Read(marker))) => *marker,
            _ => Marker::default(),
        }
    }

    /// How far the partition is.
    pub fn position(&self) -> u64 {
        match self.rows.get(&Key::Position) {
            Some((_, Value::Position(position))) => *position,
            _ => 0,
        }
    }
}

/// What one write puts into the store, all at once.
fn cells(write: &Write) -> Vec<(Key, u64, Value)> {
    let timestamp = write.timestamp();
    match write {
        Write::Event(row) => vec![(Key::Event(row.conversation, row.event.seq), timestamp, Value::Event(row.event.clone()))],
        Write::Conversation(row) => {
            let id = row.conversation;
            let head = row.head.iter().map(|head| (Key::Head(id), timestamp, Value::Head(head.clone())));
            let roster = row.roster.iter().map(|(roster, position)| (Key::Roster(id), *position, Value::Roster(roster.clone())));
            let redo = (Key::Redo(id), timestamp, Value::Redo(row.redo.clone()));
            head.chain(roster).chain([redo]).collect()
        }
        Write::Membership(row) => {
            vec![(Key::Membership(row.user, row.conversation), timestamp, Value::Membership(row.membership.clone()))]
        }
        Write::Mention(change) => {
            vec![(Key::Mention(change.user, change.conversation, change.seq), timestamp, Value::Mention(change.added))]
        }
        Write::Read { user, conversation, marker } => vec![(Key::Read(*user, *conversation), timestamp, Value::Read(*marker))],
        Write::Position { position, .. } => vec![(Key::Position, timestamp, Value::Position(*position))],
    }
}

/// A name for a write, by which the writes of a step are put into an order that does not hang on how a map was walked.
pub fn name(write: &Write) -> (Key, u64) {
    let key = match write {
        Write::Event(row) => Key::Event(row.conversation, row.event.seq),
        Write::Conversation(row) => Key::Head(row.conversation),
        Write::Membership(row) => Key::Membership(row.user, row.conversation),
        Write::Mention(change) => Key::Mention(change.user, change.conversation, change.seq),
        Write::Read { user, conversation, .. } => Key::Read(*user, *conversation),
        Write::Position { .. } => Key::Position,
    };
    (key, write.timestamp())
}
