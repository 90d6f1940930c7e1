//! Every record, taken out in the order of Cassandra's tokens and put back.
//!
//! What is put back is written at time 0, or at its own (heads, positions, registers), which is before everything that a worker writes
//! afterwards.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::{ConversationId, Head, Membership, UserId};
use banter_store::StoreError;
use banter_store::history::movable::{
    ConversationRecord, EventRecord, HistoryPlace, HistoryRecord, MembershipRecord, MentionRecord, MovableHistory,
    PositionRecord, ProgressRecord,
};
use banter_store::history::plan::{ConversationRow, Redo, Write};
use banter_store::history::{EventRow, MembershipRow, MentionChange, PageSize, StoredEvent};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use scylla::response::query_result::QueryRowsResult;
use scylla::value::{CqlTimestamp, CqlValue};

use super::connection::{Connection, unreadable};
use super::page::{End, redo_list};
use super::reading::{CONVERSATIONS_AT_ONCE, conversation_id, decoded};
use super::row::{self, ProgressCells};
use super::schema::ITSELF;
use super::walk::{Key, Spot, Walk};
use super::{CassandraHistory, positions, schema, write};

/// The position of what is put back and has none of its own.
const RESTORED: u64 = 0;
/// Rows asked for at first, when nothing is known of their size: at most 26 MB of text.
const FIRST_ROWS: usize = 64;
/// Fewest rows asked for at a time.
const FEWEST_ROWS: usize = 8;
/// Most rows asked for at a time.
const MOST_ROWS: usize = 2_000;
/// About what a row takes besides what has no fixed size.
const ROW_BYTES: usize = 64;
/// Most questions for the ends of logs at a time. An answer may hold some megabytes of redo lists.
const ENDS_AT_ONCE: usize = 8;

/// A row of an event, with its key; after the bucket come the [`row::EventColumns`].
type EventColumns<'a> = (&'a [u8], i64, i64, i64, i64, CqlTimestamp, i64, i64, Option<i64>, &'a [u8], i64);
/// A row of a conversation itself: head, roster, redo list.
type ConversationColumns<'a> = (&'a [u8], i64, Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a [u8]>);
/// A row of somebody's registers.
type ProgressColumns<'a> = (&'a [u8], i64, Option<&'a [u8]>, Option<i64>, Option<i64>);

/// A record, and about the bytes that it took.
type Sized = (HistoryRecord, usize);

#[async_trait]
impl MovableHistory for CassandraHistory {
    async fn records(&self, after: &HistoryPlace, page: PageSize) -> Result<Vec<HistoryRecord>, StoreError> {
        let _place = self.place().await?;
        if matches!(after, HistoryPlace::Positions(None)) {
            // Those that are on the way are no rows yet.
            self.close().await;
        }
        let walk = self.walk(after);
        let mut spot = spot(after)?;
        let (mut records, mut bytes) = (Vec::new(), 0);
        loop {
            let limit = rows_wanted(page, records.len(), bytes);
            let Some(rows) = walk.read(&self.connection, &mut spot, limit, |rows| last_key(after, rows)).await? else { break };
            for (record, size) in self.decode(after, &rows).await? {
                bytes += size;
                if !records.is_empty() && (records.len() >= page.events || bytes > page.bytes) {
                    return Ok(records);
                }
                records.push(record);
            }
        }
        Ok(records)
    }

    async fn restore(&self, records: Vec<HistoryRecord>) -> Result<(), StoreError> {
        let mut registers = Vec::new();
        let mut writes = Vec::with_capacity(records.len());
        for record in records {
            match record {
                HistoryRecord::Progress(ProgressRecord { user, conversation, progress }) => {
                    registers.push((conversation, user, progress));
                }
                record => writes.extend(restored(record)),
            }
        }
        write::carry_out(&self.connection, writes).await?;
        write::registers(&self.connection, registers).await
    }

    async fn move_note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(schema::move_note(&self.connection).await?.0)
    }

    async fn set_move_note(&self, note: Option<&[u8]>) -> Result<(), StoreError> {
        schema::set_move_note(&self.connection, note).await
    }
}

impl CassandraHistory {
    /// How to go through the rows of a kind.
    fn walk(&self, place: &HistoryPlace) -> Walk<'_> {
        let statements = &self.connection.statements;
        let before_numbers = CqlValue::BigInt(i64::MIN);
        match place {
            HistoryPlace::Events(_) => Walk {
                first: &statements.all_events,
                rest: &statements.all_events_of_bucket,
                same_token: &statements.all_buckets_with_token,
                greater_tokens: &statements.all_events_after,
                before_first: before_numbers,
            },
            HistoryPlace::Conversations(_) => Walk {
                first: &statements.all_conversations,
                rest: &statements.all_conversations_itself,
                same_token: &statements.all_conversations_with_token,
                greater_tokens: &statements.all_conversations_after,
                before_first: before_numbers,
            },
            HistoryPlace::Progress(_) => Walk {
                first: &statements.all_progress,
                rest: &statements.all_progress_of_conversation,
                same_token: &statements.all_conversations_with_token,
                greater_tokens: &statements.all_progress_after,
                before_first: before_numbers,
            },
            HistoryPlace::Memberships(_) => Walk {
                first: &statements.all_memberships,
                rest: &statements.all_memberships_of_member,
                same_token: &statements.all_members_with_token,
                greater_tokens: &statements.all_memberships_after,
                before_first: CqlValue::Blob(Vec::new()),
            },
            HistoryPlace::Mentions(_) => Walk {
                first: &statements.all_mentions,
                rest: &statements.all_mentions_of_member,
                same_token: &statements.all_mentioned_with_token,
                greater_tokens: &statements.all_mentions_after,
                before_first: before_numbers,
            },
            HistoryPlace::Positions(_) => Walk {
                first: &statements.all_positions,
                rest: &statements.all_positions_of_share,
                same_token: &statements.all_shares_with_token,
                greater_tokens: &statements.all_positions_after,
                before_first: before_numbers,
            },
        }
    }

    /// The records of an answer, in its order, without what is not part of the history.
    async fn decode(&self, place: &HistoryPlace, rows: &QueryRowsResult) -> Result<Vec<Sized>, StoreError> {
        match place {
            HistoryPlace::Events(_) => self.events_shown(rows).await,
            HistoryPlace::Conversations(_) => self.conversations_shown(rows).await,
            HistoryPlace::Memberships(_) => each(rows, |(user, id, membership): (i64, &[u8], &[u8])| {
                let record = MembershipRecord {
                    user: UserId(user as u64),
                    conversation: conversation_id(id)?,
                    membership: Membership::decode(membership)?,
                };
                Ok(Some((HistoryRecord::Membership(record), membership.len())))
            }),
            HistoryPlace::Progress(_) => each(rows, |(id, member, read, delivered, changed_at): ProgressColumns<'_>| {
                let cells: ProgressCells<'_> = (read, delivered, changed_at);
                if member == ITSELF || cells == (None, None, None) {
                    return Ok(None);
                }
                let record = ProgressRecord {
                    user: UserId(member as u64),
                    conversation: conversation_id(id)?,
                    progress: row::progress(cells)?,
                };
                Ok(Some((HistoryRecord::Progress(record), 0)))
            }),
            HistoryPlace::Mentions(_) => each(rows, |(user, id, seq, present): (i64, &[u8], i64, bool)| {
                // Those that went are rows too.
                let record = MentionRecord { user: UserId(user as u64), conversation: conversation_id(id)?, seq: seq as u64 };
                Ok(present.then_some((HistoryRecord::Mention(record), 0)))
            }),
            HistoryPlace::Positions(_) => each(rows, |(_, partition, position): (i64, i64, i64)| {
                let partition = u32::try_from(partition).map_err(|_| row::damaged())?;
                let record = PositionRecord { partition, position: position as u64 };
                Ok(Some((HistoryRecord::Position(record), 0)))
            }),
        }
    }

    /// Events as readers see them: with what the last batch of their conversation amended, and none above its head.
    async fn events_shown(&self, rows: &QueryRowsResult) -> Result<Vec<Sized>, StoreError> {
        let mut stored: Vec<(ConversationId, StoredEvent)> = Vec::with_capacity(rows.rows_num());
        for columns in rows.rows::<EventColumns<'_>>().map_err(unreadable)? {
            let (id, _, seq, ordinal, event, at, sender, device, tag, body, time) = columns.map_err(unreadable)?;
            stored.push((conversation_id(id)?, row::event((seq, ordinal, event, at, sender, device, tag, body, time))?));
        }
        let ends = ends(&self.connection, stored.iter().map(|(id, _)| *id)).await?;
        let shown = stored.into_iter().filter_map(|(conversation, stored)| {
            let event = ends.get(&conversation)?.seen(stored)?.event;
            let bytes = event.body.text_bytes();
            Some((HistoryRecord::Event(EventRecord { conversation, event }), ROW_BYTES + bytes))
        });
        Ok(shown.collect())
    }

    /// Conversations. What follows from the last batch of one and was not written, because the worker was stopped there, is written
    /// first: memberships and mentions, which are read after the conversations, have rows of their own that cannot be found
    /// otherwise.
    async fn conversations_shown(&self, rows: &QueryRowsResult) -> Result<Vec<Sized>, StoreError> {
        let mut shown = Vec::with_capacity(rows.rows_num());
        for columns in rows.rows::<ConversationColumns<'_>>().map_err(unreadable)? {
            let (id, _, head, roster, redo) = columns.map_err(unreadable)?;
            let bytes = head.map_or(0, <[u8]>::len) + roster.map_or(0, <[u8]>::len);
            let Some(head) = decoded::<Head>(head)? else { continue };
            let redo = redo_list(redo)?;
            if !redo.memberships.is_empty() || !redo.mentions.is_empty() {
                write::redo(&self.connection, redo).await?;
            }
            let roster = decoded(roster)?.unwrap_or_default();
            let record = ConversationRecord { conversation: conversation_id(id)?, head, roster };
            shown.push((HistoryRecord::Conversation(record), ROW_BYTES + bytes));
        }
        Ok(shown)
    }
}

/// Where the logs of `ids` end, of those that have begun.
async fn ends(
    connection: &Connection,
    ids: impl Iterator<Item = ConversationId>,
) -> Result<HashMap<ConversationId, End>, StoreError> {
    let distinct: HashSet<[u8; 16]> = ids.map(|id| id.to_bytes()).collect();
    let distinct: Vec<[u8; 16]> = distinct.into_iter().collect();
    let questions: Vec<_> =
        distinct.chunks(CONVERSATIONS_AT_ONCE).map(|ids| connection.read(&connection.statements.ends, (ids,))).collect();
    let mut answers = stream::iter(questions).buffer_unordered(ENDS_AT_ONCE);
    let mut ends = HashMap::with_capacity(distinct.len());
    while let Some(rows) = answers.try_next().await? {
        for columns in rows.rows::<(&[u8], Option<i64>, Option<&[u8]>)>().map_err(unreadable)? {
            if let (id, Some(seq), redo) = columns.map_err(unreadable)? {
                ends.insert(conversation_id(id)?, End::of(seq, redo)?);
            }
        }
    }
    Ok(ends)
}

/// Reads the rows of an answer one by one; `None` is left out.
fn each<'rows, R>(
    rows: &'rows QueryRowsResult,
    record: impl Fn(R) -> Result<Option<Sized>, StoreError>,
) -> Result<Vec<Sized>, StoreError>
where
    R: scylla::deserialize::row::DeserializeRow<'rows, 'rows>,
{
    let mut records = Vec::with_capacity(rows.rows_num());
    for columns in rows.rows::<R>().map_err(unreadable)? {
        records.extend(record(columns.map_err(unreadable)?)?.map(|(record, bytes)| (record, ROW_BYTES + bytes)));
    }
    Ok(records)
}

/// Where the rows after a place begin.
fn spot(place: &HistoryPlace) -> Result<Spot, StoreError> {
    let blob = |id: ConversationId| CqlValue::Blob(id.to_bytes().to_vec());
    let number = |user: UserId| CqlValue::BigInt(row::id(user.0));
    let key = match *place {
        HistoryPlace::Events(after) => match after {
            Some((id, seq)) => {
                let seq = row::seq(seq)?;
                Some((vec![blob(id), CqlValue::BigInt(row::bucket(seq))], CqlValue::BigInt(seq)))
            }
            None => None,
        },
        HistoryPlace::Conversations(after) => after.map(|id| (vec![blob(id)], CqlValue::BigInt(ITSELF))),
        HistoryPlace::Memberships(after) => after.map(|(user, id)| (vec![number(user)], blob(id))),
        HistoryPlace::Progress(after) => after.map(|(user, id)| (vec![blob(id)], number(user))),
        HistoryPlace::Mentions(after) => match after {
            Some((user, id, seq)) => Some((vec![number(user), blob(id)], CqlValue::BigInt(row::seq(seq)?))),
            None => None,
        },
        HistoryPlace::Positions(after) => after.map(|partition| {
            let (share, partition) = positions::place(partition);
            (vec![CqlValue::BigInt(share)], CqlValue::BigInt(partition))
        }),
    };
    Ok(key.map_or(Spot::Beginning, |(partition, row)| Spot::After(Key { partition, row })))
}

/// The key of the last row of an answer, whether it is a record or not: its first columns.
fn last_key(place: &HistoryPlace, rows: &QueryRowsResult) -> Result<Option<Key>, StoreError> {
    let partition_columns = match place {
        HistoryPlace::Events(_) | HistoryPlace::Mentions(_) => 2,
        _ => 1,
    };
    let Some(last) = rows.rows::<scylla::value::Row>().map_err(unreadable)?.last() else { return Ok(None) };
    let mut columns = last.map_err(unreadable)?.columns.into_iter().flatten();
    let partition = columns.by_ref().take(partition_columns).collect();
    Ok(Some(Key { partition, row: columns.next().ok_or_else(row::damaged)? }))
}

/// How many rows to ask for, when those so far took `bytes`: as many as fill the page if they are like the ones before, and one to see
/// that it is full.
fn rows_wanted(page: PageSize, taken: usize, bytes: usize) -> usize {
    let room = page.events.saturating_sub(taken).saturating_add(1);
    match taken {
        0 => room.clamp(1, FIRST_ROWS),
        taken => {
            let like_these = (page.bytes.saturating_sub(bytes) / (bytes / taken).max(1)).saturating_add(1);
            room.min(like_these.clamp(FEWEST_ROWS, MOST_ROWS))
        }
    }
}

/// What puts a record back. Registers are put back otherwise.
fn restored(record: HistoryRecord) -> Option<Write> {
    Some(match record {
        HistoryRecord::Event(EventRecord { conversation, event }) => {
            Write::Event(EventRow { conversation, event, position: RESTORED })
        }
        HistoryRecord::Conversation(ConversationRecord { conversation, head, roster }) => {
            // A direct conversation's members are its name.
            let roster = (!conversation.is_direct()).then_some((roster, RESTORED));
            let position = head.position;
            Write::Conversation(Box::new(ConversationRow {
                conversation,
                position,
                head: Some(head),
                roster,
                redo: Redo::default(),
            }))
        }
        HistoryRecord::Membership(MembershipRecord { user, conversation, membership }) => {
            Write::Membership(MembershipRow { user, conversation, membership, position: RESTORED })
        }
        HistoryRecord::Mention(MentionRecord { user, conversation, seq }) => {
            Write::Mention(MentionChange { user, conversation, seq, added: true, position: RESTORED })
        }
        HistoryRecord::Position(PositionRecord { partition, position }) => Write::Position { partition, position },
        HistoryRecord::Progress(_) => return None,
    })
}

#[cfg(test)]
mod tests;
