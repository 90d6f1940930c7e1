//! Every row, taken out in the order of its key and put back.

use std::ops::Bound::{Excluded, Included, Unbounded};
use std::ops::RangeBounds;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::{ConversationId, Head, Membership, Roster};
use fjall::{Keyspace, Readable, Slice, Snapshot};
use tokio::sync::oneshot;

use super::committer::Request;
use super::row::{Position, Row};
use super::tables::{Table, Tables, unreadable};
use super::{EmbeddedHistory, damaged_key, decoded, event_row, key};
use crate::StoreError;
use crate::history::movable::{
    ConversationRecord, EventRecord, HistoryPlace, HistoryRecord, MembershipRecord, MentionRecord, MovableHistory,
    PositionRecord, ProgressRecord,
};
use crate::history::{PageSize, Progress};

#[async_trait]
impl MovableHistory for EmbeddedHistory {
    async fn records(&self, after: &HistoryPlace, page: PageSize) -> Result<Vec<HistoryRecord>, StoreError> {
        let after = *after;
        self.scan(move |tables, snapshot| match after {
            HistoryPlace::Events(after) => {
                let range = after_key(after.map(|(conversation, seq)| key::event(conversation, seq)));
                read(snapshot, &tables.events, range, page, |key, row| {
                    let (conversation, seq) = key::of_event(key).ok_or_else(damaged_key)?;
                    let event = event_row::decode(conversation, seq, row)?;
                    Ok(HistoryRecord::Event(EventRecord { conversation, event }))
                })
            }
            HistoryPlace::Conversations(after) => {
                let range = after_key(after.map(|conversation| conversation.to_bytes()));
                read(snapshot, &tables.heads, range, page, |key, row| {
                    let id = key.try_into().ok().and_then(|bytes| ConversationId::from_bytes(bytes).ok());
                    conversation(tables, snapshot, id.ok_or_else(damaged_key)?, row)
                })
            }
            HistoryPlace::Memberships(after) => {
                let range = after_key(after.map(|(user, conversation)| key::member(user, conversation)));
                read(snapshot, &tables.memberships, range, page, |key, row| {
                    let (user, conversation) = key::of_member(key).ok_or_else(damaged_key)?;
                    let membership = Membership::decode(row)?;
                    Ok(HistoryRecord::Membership(MembershipRecord { user, conversation, membership }))
                })
            }
            HistoryPlace::Progress(after) => {
                let range = after_key(after.map(|(user, conversation)| key::member(user, conversation)));
                read(snapshot, &tables.progress, range, page, |key, row| {
                    let (user, conversation) = key::of_member(key).ok_or_else(damaged_key)?;
                    let progress = Progress::decode(row)?;
                    Ok(HistoryRecord::Progress(ProgressRecord { user, conversation, progress }))
                })
            }
            HistoryPlace::Mentions(after) => {
                let range = after_key(after.map(|(user, conversation, seq)| key::mention(user, conversation, seq)));
                read(snapshot, &tables.mentions, range, page, |key, _| {
                    let (user, conversation, seq) = key::of_mention(key).ok_or_else(damaged_key)?;
                    Ok(HistoryRecord::Mention(MentionRecord { user, conversation, seq }))
                })
            }
            HistoryPlace::Positions(after) => {
                let first = after.map_or(Included(key::position(0)), |partition| Excluded(key::position(partition)));
                let range = (first, Included(key::position(u32::MAX)));
                read(snapshot, &tables.meta, range, page, |key, row| {
                    let partition = key::partition_of_position(key).ok_or_else(damaged_key)?;
                    let Position(position) = Position::decode(row)?;
                    Ok(HistoryRecord::Position(PositionRecord { partition, position }))
                })
            }
        })
        .await
    }

    async fn restore(&self, records: Vec<HistoryRecord>) -> Result<(), StoreError> {
        let events = records.iter().filter(|record| matches!(record, HistoryRecord::Event(_))).count();
        self.put(records.iter().flat_map(rows).collect(), events).await
    }

    async fn move_note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables.get(Table::Meta, key::MOVE_NOTE)?.map(|note| note.to_vec()))
    }

    async fn set_move_note(&self, note: Option<&[u8]>) -> Result<(), StoreError> {
        let note = Row { table: Table::Meta, key: Slice::from(key::MOVE_NOTE), value: note.map(Slice::from) };
        self.put(vec![note], 0).await
    }
}

impl EmbeddedHistory {
    /// Has rows written, synced. They are no news: nothing of them is in the feed.
    async fn put(&self, rows: Vec<Row>, events: usize) -> Result<(), StoreError> {
        let (answer, stored) = oneshot::channel();
        self.ask(Request::Commit { rows, events, registers: Vec::new(), facts: None, answer }, stored).await
    }
}

/// What comes after a key; all of it without one.
fn after_key<const N: usize>(key: Option<[u8; N]>) -> impl RangeBounds<[u8; N]> {
    (key.map_or(Unbounded, Excluded), Unbounded)
}

/// Reads rows in the order of their keys until the page is full.
fn read<const N: usize>(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    range: impl RangeBounds<[u8; N]>,
    page: PageSize,
    record: impl Fn(&[u8], &[u8]) -> Result<HistoryRecord, StoreError>,
) -> Result<Vec<HistoryRecord>, StoreError> {
    let (mut records, mut bytes) = (Vec::new(), 0);
    for row in snapshot.range(keyspace, range) {
        let (key, value) = row.into_inner().map_err(unreadable)?;
        bytes += key.len() + value.len();
        if !records.is_empty() && (records.len() >= page.events || bytes > page.bytes) {
            break;
        }
        records.push(record(&key, &value)?);
    }
    Ok(records)
}

/// The conversation with a head.
fn conversation(
    tables: &Tables,
    snapshot: &Snapshot,
    conversation: ConversationId,
    head: &[u8],
) -> Result<HistoryRecord, StoreError> {
    let head = Head::decode(head)?;
    let roster: Option<Roster> = decoded(snapshot.get(&tables.rosters, conversation.to_bytes()).map_err(unreadable)?)?;
    Ok(HistoryRecord::Conversation(ConversationRecord { conversation, head, roster: roster.unwrap_or_default() }))
}

/// The rows of a record.
fn rows(record: &HistoryRecord) -> Vec<Row> {
    let row = match record {
        HistoryRecord::Event(EventRecord { conversation, event }) => Row {
            table: Table::Events,
            key: Slice::from(key::event(*conversation, event.seq)),
            value: Some(Slice::from(event_row::encode(*conversation, event))),
        },
        HistoryRecord::Conversation(ConversationRecord { conversation, head, roster }) => {
            let mut rows = vec![Row::new(Table::Heads, conversation.to_bytes(), head)];
            // A direct conversation's members are its name.
            if !conversation.is_direct() {
                rows.push(Row::new(Table::Rosters, conversation.to_bytes(), roster));
            }
            return rows;
        }
        HistoryRecord::Membership(MembershipRecord { user, conversation, membership }) => {
            Row::new(Table::Memberships, key::member(*user, *conversation), membership)
        }
        HistoryRecord::Progress(ProgressRecord { user, conversation, progress }) => {
            Row::new(Table::Progress, key::member(*user, *conversation), progress)
        }
        HistoryRecord::Mention(MentionRecord { user, conversation, seq }) => Row {
            table: Table::Mentions,
            key: Slice::from(key::mention(*user, *conversation, *seq)),
            value: Some(Slice::empty()),
        },
        HistoryRecord::Position(PositionRecord { partition, position }) => {
            Row::new(Table::Meta, key::position(*partition), &Position(*position))
        }
    };
    vec![row]
}
