//! Carrying out the steps of a batch.
//!
//! The writes of a step go out together; those to one Cassandra partition as one request, which each copy takes whole.

use std::collections::HashMap;

use banter_model::ConversationId;
use banter_model::encoding::Stored;
use banter_store::StoreError;
use banter_store::history::plan::{self, ConversationRow, Redo, Step, Write};
use banter_store::history::{EventRow, HistoryBatch, MembershipRow, MentionChange, Progress};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlTimestamp, MaybeUnset};

use super::connection::Connection;
use super::counters::CassandraCounters;
use super::positions::Positions;
use super::row;
use super::statements::Statements;

/// No row is added to a request that has this many bytes. Cassandra takes 16 MiB by default.
const ENOUGH_BYTES: usize = 1 << 20;
/// Most rows in one request.
const ROWS_AT_ONCE: usize = 256;
/// A redo list from this many bytes on is taken away when it is done, since every page of the conversation reads it. A shorter one costs
/// less where it is, until the next batch replaces it.
const LARGE_REDO_BYTES: usize = 4 << 10;

/// Stores a batch. Returns when everything but the position of its partition is written; that follows.
pub(super) async fn commit(connection: &Connection, positions: &Positions, batch: HistoryBatch) -> Result<(), StoreError> {
    CassandraCounters::add(&connection.counters.batches, 1);
    CassandraCounters::add(&connection.counters.events, batch.events.len() + batch.amended.len());
    let mut reached = Vec::new();
    let mut large = Vec::new();
    for mut step in plan::plan(batch) {
        step.retain(|write| match write {
            Write::Position { partition, position } => {
                reached.push((*partition, *position));
                false
            }
            Write::Conversation(row) => {
                large.extend(is_large(&row.redo).then_some((row.conversation, row.position)));
                true
            }
            _ => true,
        });
        CassandraCounters::add(&connection.counters.steps, usize::from(!step.is_empty()));
        carry_out(connection, step).await?;
    }
    take_away(connection, large).await;
    for (partition, position) in reached {
        positions.note(partition, position);
    }
    Ok(())
}

/// Carries out writes, side by side, and waits for all of them.
pub(super) async fn carry_out(connection: &Connection, step: Step) -> Result<(), StoreError> {
    send(connection, requests(step)?).await
}

/// Does what a redo list says.
pub(super) async fn redo(connection: &Connection, redo: Redo) -> Result<(), StoreError> {
    if redo.is_empty() {
        return Ok(());
    }
    CassandraCounters::add(&connection.counters.redone, 1);
    carry_out(connection, redo.writes().collect()).await
}

/// Moves registers of a user, each on its own.
pub(super) async fn advance(
    connection: &Connection,
    conversation: ConversationId,
    user: banter_model::UserId,
    (before, after): (Progress, Progress),
) -> Result<(), StoreError> {
    let (id, member) = (conversation.to_bytes(), row::id(user.0));
    let mut moved = Vec::with_capacity(3);
    if after.read != before.read {
        moved.push(Values::Read((row::register_time(after.read.seq), row::encode_marker(after.read), id, member)));
    }
    if after.delivered != before.delivered {
        moved.push(Values::Delivered((row::register_time(after.delivered), row::id(after.delivered), id, member)));
    }
    if after.changed_at != before.changed_at {
        moved.push(Values::ChangedAt((row::register_time(after.changed_at), row::id(after.changed_at), id, member)));
    }
    send(connection, vec![moved]).await
}

/// Writes registers of users, also those that are 0. Greater ones that are there stay.
pub(super) async fn registers(
    connection: &Connection,
    registers: Vec<(ConversationId, banter_model::UserId, Progress)>,
) -> Result<(), StoreError> {
    let requests = registers.into_iter().map(|(conversation, user, progress)| {
        let Progress { read, delivered, changed_at } = progress;
        let (id, member) = (conversation.to_bytes(), row::id(user.0));
        vec![
            Values::Read((row::register_time(read.seq), row::encode_marker(read), id, member)),
            Values::Delivered((row::register_time(delivered), row::id(delivered), id, member)),
            Values::ChangedAt((row::register_time(changed_at), row::id(changed_at), id, member)),
        ]
    });
    send(connection, requests.collect()).await
}

fn is_large(redo: &Redo) -> bool {
    let events: usize = redo.events.iter().map(|row| Redo::bytes_of_event(&row.event)).sum();
    events + Redo::bytes_of_rows(redo.memberships.len() + redo.mentions.len()) > LARGE_REDO_BYTES
}

/// Takes redo lists away that are done. They would do no harm if they stayed.
async fn take_away(connection: &Connection, done: Vec<(ConversationId, u64)>) {
    let removals =
        done.into_iter().filter_map(|(id, position)| Some(vec![Values::NoRedo((row::time(position).ok()?, id.to_bytes()))]));
    if let Err(error) = send(connection, removals.collect()).await {
        tracing::debug!(%error, "a redo list that is done stays until the next batch");
    }
}

async fn send(connection: &Connection, requests: Vec<Vec<Values>>) -> Result<(), StoreError> {
    let sent = requests.into_iter().map(|rows| async move {
        let rows: Vec<_> = rows.into_iter().map(|values| (values.statement(&connection.statements), values)).collect();
        connection.write(&rows).await
    });
    stream::iter(sent).buffer_unordered(connection.requests_at_once).try_collect().await
}

/// A partition of Cassandra's: whatever one request writes has to be in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Events([u8; 16], i64),
    Conversation([u8; 16]),
    Memberships(i64),
    Mentions(i64, [u8; 16]),
    Positions(i64),
}

/// The writes of a step as requests.
fn requests(step: Step) -> Result<Vec<Vec<Values>>, StoreError> {
    let mut requests: Vec<Vec<Values>> = Vec::new();
    // The request of each place that takes more, and the bytes in it.
    let mut open: HashMap<Place, (usize, usize)> = HashMap::new();
    for write in step {
        let (place, rows) = values(write)?;
        let bytes: usize = rows.iter().map(Values::bytes).sum();
        let (request, so_far) = open.entry(place).or_insert((usize::MAX, 0));
        let full = requests.get(*request).is_none_or(|rows| rows.len() >= ROWS_AT_ONCE) || *so_far >= ENOUGH_BYTES;
        if full {
            (*request, *so_far) = (requests.len(), 0);
            requests.push(Vec::new());
        }
        *so_far += bytes;
        // It is there: it was pushed, or looked up.
        if let Some(request) = requests.get_mut(*request) {
            request.extend(rows);
        }
    }
    Ok(requests)
}

/// What one write sets, and where. All of it belongs into one request.
fn values(write: Write) -> Result<(Place, Vec<Values>), StoreError> {
    Ok(match write {
        Write::Event(EventRow { conversation, event, position }) => {
            let (id, seq) = (conversation.to_bytes(), row::seq(event.seq)?);
            let bucket = row::bucket(seq);
            let tag = row::encode_tag(event.tag);
            let at = CqlTimestamp(row::id(event.at));
            let (sender, device) = (row::id(event.sender.0), row::id(event.device.0));
            let body = row::encode_body(&event.body);
            let ordinal = row::id(event.ordinal);
            let time = row::time(position)?;
            let values = (id, bucket, seq, ordinal, row::id(event.id.0), at, sender, device, tag, body, time);
            (Place::Events(id, bucket), vec![Values::Event(values)])
        }
        Write::Conversation(written) => {
            let ConversationRow { conversation, position, head, roster, redo } = *written;
            let id = conversation.to_bytes();
            let redo = if redo.is_empty() { Vec::new() } else { redo.encode() };
            let (seq, head) = match head {
                Some(head) => (MaybeUnset::Set(row::seq(head.seq)?), MaybeUnset::Set(head.encode())),
                None => (MaybeUnset::Unset, MaybeUnset::Unset),
            };
            let mut rows = vec![Values::Head((row::time(position)?, seq, head, redo, id))];
            if let Some((roster, position)) = roster {
                rows.push(Values::Roster((row::time(position)?, roster.encode(), id)));
            }
            (Place::Conversation(id), rows)
        }
        Write::Membership(MembershipRow { user, conversation, membership, position }) => {
            let user = row::id(user.0);
            let values = (row::time(position)?, membership.encode(), user, conversation.to_bytes());
            (Place::Memberships(user), vec![Values::Membership(values)])
        }
        Write::Mention(MentionChange { user, conversation, seq, added, position }) => {
            let (user, id) = (row::id(user.0), conversation.to_bytes());
            let values = (row::time(position)?, added, user, id, row::seq(seq)?);
            (Place::Mentions(user, id), vec![Values::Mention(values)])
        }
        Write::Read { user, conversation, marker } => {
            let id = conversation.to_bytes();
            let values = (row::register_time(marker.seq), row::encode_marker(marker), id, row::id(user.0));
            (Place::Conversation(id), vec![Values::Read(values)])
        }
        Write::Position { partition, position } => {
            let (share, partition) = super::positions::place(partition);
            let time = row::time(position)?;
            (Place::Positions(share), vec![Values::Position((time, time, share, partition))])
        }
    })
}

/// The columns of an event.
type EventValues = ([u8; 16], i64, i64, i64, i64, CqlTimestamp, i64, i64, i64, Vec<u8>, i64);
/// The columns of a conversation's end.
type HeadValues = (i64, MaybeUnset<i64>, MaybeUnset<Vec<u8>>, Vec<u8>, [u8; 16]);

/// What is bound to the statement that sets it (see [`Statements`] for the order).
#[derive(Debug)]
enum Values {
    Event(EventValues),
    Head(HeadValues),
    Roster((i64, Vec<u8>, [u8; 16])),
    NoRedo((i64, [u8; 16])),
    Read((i64, [u8; 16], [u8; 16], i64)),
    Delivered((i64, i64, [u8; 16], i64)),
    ChangedAt((i64, i64, [u8; 16], i64)),
    Membership((i64, Vec<u8>, i64, [u8; 16])),
    Mention((i64, bool, i64, [u8; 16], i64)),
    Position((i64, i64, i64, i64)),
}

/// About what the values of a row take besides those that have no fixed size.
const ROW_BYTES: usize = 100;

impl Values {
    fn statement<'a>(&self, statements: &'a Statements) -> &'a PreparedStatement {
        match self {
            Values::Event(_) => &statements.write_event,
            Values::Head(_) => &statements.write_head,
            Values::Roster(_) => &statements.write_roster,
            Values::NoRedo(_) => &statements.remove_redo,
            Values::Read(_) => &statements.write_read,
            Values::Delivered(_) => &statements.write_delivered,
            Values::ChangedAt(_) => &statements.write_changed_at,
            Values::Membership(_) => &statements.write_membership,
            Values::Mention(_) => &statements.write_mention,
            Values::Position(_) => &statements.write_position,
        }
    }

    fn bytes(&self) -> usize {
        ROW_BYTES
            + match self {
                Values::Event((.., body, _)) => body.len(),
                Values::Head((_, _, head, redo, _)) => redo.len() + if let MaybeUnset::Set(head) = head { head.len() } else { 0 },
                Values::Roster((_, roster, _)) => roster.len(),
                Values::Membership((_, membership, ..)) => membership.len(),
                _ => 0,
            }
    }
}

impl SerializeRow for Values {
    fn serialize(&self, context: &RowSerializationContext<'_>, writer: &mut RowWriter<'_>) -> Result<(), SerializationError> {
        match self {
            Values::Event(values) => values.serialize(context, writer),
            Values::Head(values) => values.serialize(context, writer),
            Values::Roster(values) => values.serialize(context, writer),
            Values::NoRedo(values) => values.serialize(context, writer),
            Values::Read(values) => values.serialize(context, writer),
            Values::Delivered(values) | Values::ChangedAt(values) => values.serialize(context, writer),
            Values::Membership(values) => values.serialize(context, writer),
            Values::Mention(values) => values.serialize(context, writer),
            Values::Position(values) => values.serialize(context, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use banter_model::{GroupId, Head, Roster, UserId};
    use banter_store::behaviour::history::{message, row};

    use super::*;

    const ONE: ConversationId = ConversationId::Group(GroupId(1));

    fn event(seq: u64, length: usize) -> Write {
        Write::Event(row(ONE, seq, message(seq, &"x".repeat(length))))
    }

    fn sizes(step: Step) -> Vec<usize> {
        requests(step).unwrap().iter().map(Vec::len).collect()
    }

    #[test]
    fn events_of_a_bucket_go_together() {
        let events = (1_000..1_050).map(|seq| event(seq, 10));
        assert_eq!(sizes(events.collect()), [24, 26], "a request for each bucket");
        assert_eq!(sizes((1..=600).map(|seq| event(seq, 0)).collect()), [256, 256, 88]);
        let large = (1..=5).map(|seq| event(seq, ENOUGH_BYTES / 2));
        assert_eq!(sizes(large.collect()), [2, 2, 1], "no request grows without a bound");
    }

    #[test]
    fn a_conversation_is_one_request() {
        let redo = Redo { events: vec![row(ONE, 5, message(1, &"x".repeat(3 * ENOUGH_BYTES)))], ..Redo::default() };
        let head = Some(Head { seq: 9, position: 9, ..Head::default() });
        let written = ConversationRow { conversation: ONE, position: 9, head, roster: Some((Roster::default(), 7)), redo };
        let requests = requests(vec![Write::Conversation(Box::new(written))]).unwrap();
        let [rows] = &requests[..] else { panic!("{} requests", requests.len()) };
        let [Values::Head((9, ..)), Values::Roster((7, ..))] = &rows[..] else { panic!("{rows:?}") };
    }

    #[test]
    fn rows_of_different_partitions_go_apart() {
        let membership = |user, group| {
            let (user, conversation) = (UserId(user), ConversationId::Group(GroupId(group)));
            Write::Membership(MembershipRow { user, conversation, membership: Default::default(), position: 1 })
        };
        assert_eq!(sizes(vec![membership(1, 1), membership(2, 1), membership(1, 2)]), [2, 1]);
    }

    #[test]
    fn what_cassandra_cannot_hold_is_not_sent() {
        let beyond = banter_model::Event { seq: u64::MAX, ..message(1, "text") };
        assert!(requests(vec![Write::Event(row(ONE, 1, beyond))]).is_err());
        assert!(requests(vec![Write::Position { partition: 1, position: u64::MAX }]).is_err());
    }
}
