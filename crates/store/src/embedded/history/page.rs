//! Reading a page of events.
//!
//! Events are looked up one by one, as long as each is there: in a log without a gap that is all of them. A range would read
//! a block of each level of the tree, to find that most have nothing there; a look-up asks the filters in memory, and reads the
//! blocks that hold the page.

use std::ops::RangeInclusive;

use banter_model::{ConversationId, Event, Seq};
use fjall::{Keyspace, Readable, Snapshot};

use super::tables::unreadable;
use super::{damaged_key, event_row, key};
use crate::StoreError;
use crate::history::{Order, PageSize};
use crate::page::Page;

/// Reads events of `range`, which is not empty, from the end that `order` says until the page is full.
pub(super) fn read(
    events: &Keyspace,
    snapshot: &Snapshot,
    id: ConversationId,
    range: RangeInclusive<Seq>,
    order: Order,
    size: PageSize,
) -> Result<Vec<Event>, StoreError> {
    let (first, last) = range.into_inner();
    let mut page = Page::new(size);
    let mut next = Some(if order == Order::OldestFirst { first } else { last });
    while let Some(seq) = next {
        let Some(row) = snapshot.get(events, key::event(id, seq)).map_err(unreadable)? else { break };
        if !page.take(event_row::decode(id, seq, &row)?) {
            return Ok(page.into_events());
        }
        next = match order {
            Order::OldestFirst => seq.checked_add(1).filter(|next| *next <= last),
            Order::NewestFirst => seq.checked_sub(1).filter(|next| *next >= first),
        };
    }
    // The log ends here, or it begins further down: what there is has to be searched for.
    let Some(missing) = next else { return Ok(page.into_events()) };
    let (first, last) = if order == Order::OldestFirst { (missing, last) } else { (first, missing) };
    let rows = snapshot.range(events, key::event(id, first)..=key::event(id, last));
    match order {
        Order::OldestFirst => fill(page, id, rows),
        Order::NewestFirst => fill(page, id, rows.rev()),
    }
}

/// Takes rows until the page is full.
fn fill(mut page: Page, id: ConversationId, rows: impl Iterator<Item = fjall::Guard>) -> Result<Vec<Event>, StoreError> {
    for row in rows {
        let (key, row) = row.into_inner().map_err(unreadable)?;
        let seq = key::seq_of_event(&key).ok_or_else(damaged_key)?;
        if !page.take(event_row::decode(id, seq, &row)?) {
            break;
        }
    }
    Ok(page.into_events())
}
