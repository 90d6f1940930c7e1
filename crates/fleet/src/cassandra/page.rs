//! Reading a page of events.
//!
//! A page asks for the buckets it lies in and for the end of the log at the same time, so that nearly every page is one wait. The end
//! tells what may be shown: rows above it belong to a batch that is not whole yet. With it comes the redo list, the events that the
//! last batch amended: it counts in place of rows that are not written yet.

use banter_model::encoding::Stored;
use banter_model::limits::BUCKET_BITS;
use banter_model::{ConversationId, Event, Seq};
use banter_store::StoreError;
use banter_store::history::plan::Redo;
use banter_store::history::{EventRow, Order, PageSize, StoredEvent};
use banter_store::page::Page;
use futures_util::future::{try_join, try_join_all};

use super::connection::{Connection, unreadable};
use super::row::{self, EventColumns};

/// Rows asked for at first, when nothing is known of their size: at most 26 MB of text.
const FIRST_ROWS: usize = 64;
/// Most rows asked for at a time.
const MOST_ROWS: usize = 512;
/// Fewest rows asked for at a time.
const FEWEST_ROWS: usize = 8;
/// Most buckets asked for at a time.
const BUCKETS_AT_ONCE: usize = 2;

/// A range of seqs, both ends included; empty when the first is above the last.
type Range = (i64, i64);

/// Where a log ends, as far as it may be shown.
pub(super) struct End {
    seq: i64,
    /// The events that the last batch amended.
    amended: Vec<EventRow>,
}

impl End {
    /// From the cells of a conversation's row.
    pub fn of(seq: i64, redo: Option<&[u8]>) -> Result<End, StoreError> {
        Ok(End { seq, amended: redo_list(redo)?.events })
    }

    /// `stored` as it is now, if it may be shown.
    pub fn seen(&self, mut stored: StoredEvent) -> Option<StoredEvent> {
        let seq = stored.event.seq;
        if seq > self.seq as Seq {
            return None;
        }
        for row in self.amended.iter().filter(|row| row.event.seq == seq) {
            if row.position > stored.position {
                stored = StoredEvent { event: row.event.clone(), position: row.position };
            }
        }
        Some(stored)
    }
}

/// The end of a log; `None` before its first event.
pub(super) async fn end(connection: &Connection, id: ConversationId) -> Result<Option<End>, StoreError> {
    let rows = connection.read(&connection.statements.end, (id.to_bytes(),)).await?;
    let Some((Some(seq), redo)) = rows.maybe_first_row::<(Option<i64>, Option<&[u8]>)>().map_err(unreadable)? else {
        return Ok(None);
    };
    End::of(seq, redo).map(Some)
}

/// A redo list from its cell, which is empty or not there when nothing is to be done.
pub(super) fn redo_list(cell: Option<&[u8]>) -> Result<Redo, StoreError> {
    Ok(match cell {
        None | Some([]) => Redo::default(),
        Some(bytes) => Redo::decode(bytes)?,
    })
}

/// The event at `seq`, as it is now.
pub(super) async fn event(connection: &Connection, id: ConversationId, seq: Seq) -> Result<Option<StoredEvent>, StoreError> {
    let Ok(seq) = row::seq(seq) else { return Ok(None) };
    let part = Part { bucket: row::bucket(seq), range: (seq, seq), limit: 1 };
    let (end, rows) = try_join(end(connection, id), ask(connection, id, part, Order::OldestFirst)).await?;
    Ok(end.and_then(|end| rows.into_iter().next().and_then(|stored| end.seen(stored))))
}

/// Events from `first` to `last` from the end that `order` says, until the page is full.
pub(super) async fn read(
    connection: &Connection,
    id: ConversationId,
    (first, last): (Seq, Seq),
    order: Order,
    size: PageSize,
) -> Result<Vec<Event>, StoreError> {
    let mut page = Page::new(size);
    let mut range = (row::bound(first), row::bound(last));
    let mut bytes = 0;
    let mut end: Option<End> = None;
    while range.0 <= range.1 {
        let parts = parts(range, order, rows_wanted(&page, bytes));
        let asked = try_join_all(parts.iter().map(|part| ask(connection, id, *part, order)));
        let answers = match end {
            Some(_) => asked.await?,
            None => {
                let (found, answers) = try_join(self::end(connection, id), asked).await?;
                end = found;
                answers
            }
        };
        let Some(end) = &end else { break };
        let mut reached = None;
        for stored in answers.into_iter().flatten() {
            reached = Some(stored.event.seq as i64);
            bytes += stored.event.body.text_bytes();
            if let Some(stored) = end.seen(stored)
                && !page.take(stored.event)
            {
                return Ok(page.into_events());
            }
        }
        range = rest(range, order, &parts, reached);
        range.1 = range.1.min(end.seq);
    }
    Ok(page.into_events())
}

/// How many rows to ask for, when those so far held `bytes` of text.
fn rows_wanted(page: &Page, bytes: usize) -> usize {
    let room = page.room();
    let most = match page.taken() {
        0 => FIRST_ROWS,
        // As many as fill the page if they are like the ones before, and one to see that it is full.
        taken => (room.bytes / (bytes / taken).max(1)).saturating_add(1).clamp(FEWEST_ROWS, MOST_ROWS),
    };
    room.events.clamp(1, most)
}

/// What is asked of one bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Part {
    bucket: i64,
    range: Range,
    limit: usize,
}

impl Part {
    /// How many seqs there are in it.
    fn length(&self) -> usize {
        usize::try_from(self.range.1 - self.range.0 + 1).unwrap_or(usize::MAX)
    }
}

/// The parts of `range`, which is not empty, that hold its next `wanted` events if it has no gap, in order.
fn parts((first, last): Range, order: Order, mut wanted: usize) -> Vec<Part> {
    let mut parts = Vec::with_capacity(BUCKETS_AT_ONCE);
    let mut rest = Some((first, last));
    while let Some((first, last)) = rest.filter(|_| wanted > 0 && parts.len() < BUCKETS_AT_ONCE) {
        let bucket = row::bucket(if order == Order::OldestFirst { first } else { last });
        let range = (first.max(bucket << BUCKET_BITS), last.min(bucket << BUCKET_BITS | ((1 << BUCKET_BITS) - 1)));
        let mut part = Part { bucket, range, limit: wanted };
        part.limit = wanted.min(part.length());
        wanted -= part.limit;
        parts.push(part);
        rest = match order {
            Order::OldestFirst if range.1 < last => Some((range.1 + 1, last)),
            Order::NewestFirst if range.0 > first => Some((first, range.0 - 1)),
            _ => None,
        };
    }
    parts
}

/// What is left of `range` after `parts` of it were asked for, and the last row of the answer was at `reached`.
fn rest((first, last): Range, order: Order, parts: &[Part], reached: Option<i64>) -> Range {
    let Some(part) = parts.last() else { return (1, 0) };
    // A part that was asked for fewer rows than there may be in it can hold more. The others cannot.
    let more = part.limit < part.length();
    match (order, reached) {
        (Order::OldestFirst, Some(seq)) if more && seq >= part.range.0 => (seq + 1, last),
        (Order::OldestFirst, _) => (part.range.1.saturating_add(1), if part.range.1 == i64::MAX { 0 } else { last }),
        (Order::NewestFirst, Some(seq)) if more && seq <= part.range.1 => (first, seq - 1),
        (Order::NewestFirst, _) => (first, part.range.0 - 1),
    }
}

async fn ask(connection: &Connection, id: ConversationId, part: Part, order: Order) -> Result<Vec<StoredEvent>, StoreError> {
    let statement = match order {
        Order::OldestFirst => &connection.statements.events_upwards,
        Order::NewestFirst => &connection.statements.events_downwards,
    };
    let limit = i32::try_from(part.limit).unwrap_or(i32::MAX);
    let rows = connection.read(statement, (id.to_bytes(), part.bucket, part.range.0, part.range.1, limit)).await?;
    let rows = rows.rows::<EventColumns<'_>>().map_err(unreadable)?;
    rows.map(|columns| row::event(columns.map_err(unreadable)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is asked for, and what is left when `reached` came last.
    fn asked(range: Range, order: Order, wanted: usize, reached: Option<i64>) -> (Vec<(i64, Range, usize)>, Range) {
        let parts = parts(range, order, wanted);
        let rest = rest(range, order, &parts, reached);
        (parts.iter().map(|part| (part.bucket, part.range, part.limit)).collect(), rest)
    }

    #[test]
    fn a_page_within_a_bucket_is_one_part() {
        let (parts, rest) = asked((1, 5_000), Order::OldestFirst, 50, Some(50));
        assert_eq!((parts, rest), (vec![(0, (1, 1_023), 50)], (51, 5_000)));
        let (parts, rest) = asked((1, 5_000), Order::NewestFirst, 50, Some(4_951));
        assert_eq!((parts, rest), (vec![(4, (4_096, 5_000), 50)], (1, 4_950)));
    }

    #[test]
    fn a_page_across_buckets_asks_for_both_at_once() {
        let (parts, rest) = asked((1_000, 5_000), Order::OldestFirst, 64, Some(1_063));
        assert_eq!((parts, rest), (vec![(0, (1_000, 1_023), 24), (1, (1_024, 2_047), 40)], (1_064, 5_000)));
        let (parts, rest) = asked((1, 1_030), Order::NewestFirst, 64, Some(967));
        assert_eq!((parts, rest), (vec![(1, (1_024, 1_030), 7), (0, (1, 1_023), 57)], (1, 966)));
    }

    #[test]
    fn what_is_missing_does_not_stop_a_page() {
        // The last rows that came are in the first part, or none came: both were asked for to their ends or to more than there is.
        assert_eq!(asked((1_000, 5_000), Order::OldestFirst, 64, Some(1_010)).1, (2_048, 5_000));
        assert_eq!(asked((1, 1_030), Order::NewestFirst, 64, None).1, (1, 0));
        assert_eq!(asked((1, 5_000), Order::NewestFirst, 10, None).1, (1, 4_095));
        // To the ends of what there can be.
        assert_eq!(asked((0, i64::MAX), Order::NewestFirst, 10, None).1.1, i64::MAX - 1_024);
        let (_, (first, last)) = asked((i64::MAX - 5, i64::MAX), Order::OldestFirst, 10, None);
        assert!(first > last);
        let (_, (first, last)) = asked((0, 5), Order::NewestFirst, 10, Some(0));
        assert!(first > last);
    }

    #[test]
    fn the_next_rows_are_as_many_as_fill_the_page() {
        let event = |length: usize| banter_store::behaviour::history::message(1, &"x".repeat(length));
        let mut page = Page::new(PageSize { events: 200, bytes: 10_000 });
        assert_eq!(rows_wanted(&page, 0), FIRST_ROWS);
        page.take(event(100));
        assert_eq!(rows_wanted(&page, 100), 100, "99 more fit");
        assert_eq!(rows_wanted(&page, 10), 199, "as many as the page may hold");
        page.take(event(9_000));
        assert_eq!(rows_wanted(&page, 9_100), FEWEST_ROWS);
        let page = Page::new(PageSize { events: 3, bytes: 10 });
        assert_eq!(rows_wanted(&page, 0), 3);
        assert_eq!(rows_wanted(&Page::new(PageSize { events: 0, bytes: 0 }), 0), 1, "Cassandra takes no limit of 0");
    }
}
