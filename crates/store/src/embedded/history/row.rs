//! A batch as rows.

use banter_model::encoding::Stored;
use banter_model::{ConversationId, Marker, Millis, UserId};
use fjall::Slice;
use serde::{Deserialize, Serialize};

use super::tables::Table;
use super::{event_row, key};
use crate::history::{Advance, EventRow, HistoryBatch};

/// Position of the last command of a partition that is stored.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Position(pub u64);

impl Stored for Position {}

/// A row to be written, or (without a value) removed.
pub(super) struct Row {
    pub table: Table,
    pub key: Slice,
    pub value: Option<Slice>,
}

impl Row {
    /// The row of `key` that holds `value`.
    pub fn new<T: Stored>(table: Table, key: impl AsRef<[u8]>, value: &T) -> Row {
        Row { table, key: Slice::from(key.as_ref()), value: Some(Slice::from(value.encode())) }
    }

    /// Bytes of key and value.
    pub fn size(&self) -> usize {
        self.key.len() + self.value.as_ref().map_or(0, |value| value.len())
    }
}

/// Registers to be moved forward.
#[derive(Debug, Clone, Copy)]
pub(super) struct Register {
    pub user: UserId,
    pub conversation: ConversationId,
    pub advance: Advance,
    /// Noted if one grew; `None` when what grows is not news to anybody.
    pub now: Option<Millis>,
}

/// The rows of a batch, in its order, and its registers. Positions are left out: a batch is stored whole, so that no row can be
/// ahead of its partition.
pub(super) fn of_batch(batch: &HistoryBatch) -> (Vec<Row>, Vec<Register>) {
    let events = batch.events.len() + batch.amended.len();
    let count = events + batch.heads.len() + batch.rosters.len() + batch.memberships.len() + batch.mentions.len() + 1;
    let mut rows = Vec::with_capacity(count);
    rows.extend(batch.events.iter().chain(&batch.amended).map(|EventRow { conversation, event, .. }| Row {
        table: Table::Events,
        key: Slice::from(key::event(*conversation, event.seq)),
        value: Some(Slice::from(event_row::encode(*conversation, event))),
    }));
    rows.extend(batch.heads.iter().map(|(id, head)| Row::new(Table::Heads, id.to_bytes(), head)));
    rows.extend(batch.rosters.iter().map(|row| Row::new(Table::Rosters, row.conversation.to_bytes(), &row.roster)));
    rows.extend(
        batch
            .memberships
            .iter()
            .map(|row| Row::new(Table::Memberships, key::member(row.user, row.conversation), &row.membership)),
    );
    rows.extend(batch.mentions.iter().map(|mention| Row {
        table: Table::Mentions,
        key: Slice::from(key::mention(mention.user, mention.conversation, mention.seq)),
        value: mention.added.then(Slice::empty),
    }));
    rows.push(Row::new(Table::Meta, key::position(batch.partition), &Position(batch.position)));
    let registers = batch.read.iter().map(|(user, conversation, read)| register(*user, *conversation, *read)).collect();
    (rows, registers)
}

fn register(user: UserId, conversation: ConversationId, read: Marker) -> Register {
    // The message that the forgotten window stood for had been read all along.
    Register { user, conversation, advance: Advance { read, delivered: 0 }, now: None }
}
