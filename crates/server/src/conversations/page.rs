//! Pages of history.

use banter_model::{ConversationId, Event, Seq};
use banter_protocol::api::Page;
use banter_store::history::{Order, PageSize};
use banter_store::{History, StoreError};

use super::ReadingError;
use super::view::View;

/// Events in a page when the asker does not say.
pub const DEFAULT_EVENTS: usize = 50;

/// Which part of a log is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// What comes after this event.
    After(Seq),
    /// What comes before this event.
    Before(Seq),
    /// This event, with what is before and after it.
    Around(Seq),
    /// The newest.
    Newest,
}

/// At most `limit` events (1 to [`banter_model::limits::PAGE_EVENTS`]; more is cut to it) of what `view` sees, at `place`.
pub async fn page(history: &dyn History, view: &View, place: Place, limit: usize) -> Result<Page, ReadingError> {
    let size = PageSize { events: limit.clamp(1, PageSize::LARGEST.events), ..PageSize::LARGEST };
    let last = view.end.seq;
    let read = Reader { history, view };
    let (events, from, to) = match place {
        Place::After(seq) => {
            let part = read.upwards(seq.saturating_add(1), size).await?;
            // Nothing is covered beyond the last event: the next one will have that place.
            (part.events, seq.min(last) + 1, part.stopped_at.unwrap_or(last))
        }
        Place::Before(seq) => read.before(seq, size).await?,
        Place::Newest => read.before(last + 1, size).await?,
        Place::Around(seq) if seq > last => read.before(last + 1, size).await?,
        Place::Around(seq) => read.around(seq, size).await?,
    };
    let events = events.into_iter().map(|event| view.membership.as_seen(event).into()).collect();
    Ok(Page { events, from, to, head_seq: last, first_seq: view.membership.first_visible() })
}

/// What is left of a page that holds `events`; `None` when it is full.
fn size_left(size: PageSize, events: &[Event]) -> Option<PageSize> {
    let bytes = size.bytes.saturating_sub(text_bytes(events));
    let left = PageSize { events: size.events.saturating_sub(events.len()), bytes };
    (left.events > 0 && (left.bytes > 0 || events.is_empty())).then_some(left)
}

fn text_bytes(events: &[Event]) -> usize {
    events.iter().map(|event| event.body.text_bytes()).sum()
}

struct Reader<'a> {
    history: &'a dyn History,
    view: &'a View,
}

/// Events read in one direction.
struct Part {
    /// The events, in the direction read.
    events: Vec<Event>,
    /// The last event read, if there is more beyond it.
    stopped_at: Option<Seq>,
}

impl Reader<'_> {
    /// What is seen before `seq`: events in order of seq, and the first and last place covered.
    async fn before(&self, seq: Seq, size: PageSize) -> Result<(Vec<Event>, Seq, Seq), StoreError> {
        let to = seq.saturating_sub(1).min(self.view.end.seq);
        let ranges: Vec<_> = self.view.membership.visible_ranges(self.view.head.seq).rev().collect();
        let clipped = ranges.into_iter().map(|(first, last)| (first, last.min(to))).filter(|(first, last)| first <= last);
        let mut part = self.read(clipped, Order::NewestFirst, size).await?;
        part.events.reverse();
        Ok((part.events, part.stopped_at.unwrap_or(1), to))
    }

    /// What is seen from `seq` on, in half of the page, and before it, in the rest; then more after it, if there is room.
    async fn around(&self, seq: Seq, size: PageSize) -> Result<(Vec<Event>, Seq, Seq), StoreError> {
        let half = PageSize { events: size.events - size.events / 2, bytes: size.bytes / 2 };
        let mut after = self.upwards(seq, half).await?;
        let (mut events, from, _) = match size_left(size, &after.events) {
            Some(rest) => self.before(seq, rest).await?,
            None => (Vec::new(), seq.max(1), 0),
        };
        events.append(&mut after.events);
        if let (Some(stopped_at), Some(rest)) = (after.stopped_at, size_left(size, &events)) {
            let more = self.upwards(stopped_at + 1, rest).await?;
            // A store gives at least one event, which may be more than there is room for.
            if text_bytes(&more.events) <= rest.bytes {
                events.extend(more.events);
                after.stopped_at = more.stopped_at;
            }
        }
        Ok((events, from, after.stopped_at.unwrap_or(self.view.end.seq)))
    }

    /// What is seen from `seq` on.
    async fn upwards(&self, seq: Seq, size: PageSize) -> Result<Part, StoreError> {
        let ranges: Vec<_> = self.view.membership.visible_ranges(self.view.head.seq).collect();
        let clipped = ranges.into_iter().map(|(first, last)| (first.max(seq), last)).filter(|(first, last)| first <= last);
        self.read(clipped, Order::OldestFirst, size).await
    }

    async fn read(&self, ranges: impl Iterator<Item = (Seq, Seq)>, order: Order, size: PageSize) -> Result<Part, StoreError> {
        let id: ConversationId = self.view.conversation;
        let mut events: Vec<Event> = Vec::new();
        for (first, last) in ranges {
            let Some(left) = size_left(size, &events) else {
                return Ok(Part { stopped_at: events.last().map(|event| event.seq), events });
            };
            let mut more = self.history.events(id, first, last, order, left).await?;
            // A store gives at least one event, which may be more than there is room for after other stretches.
            if !events.is_empty() && text_bytes(&more) > left.bytes {
                more.clear();
            }
            let end = if order == Order::OldestFirst { last } else { first };
            let complete = more.last().is_some_and(|event| event.seq == end);
            events.append(&mut more);
            if !complete {
                return Ok(Part { stopped_at: events.last().map(|event| event.seq), events });
            }
        }
        Ok(Part { events, stopped_at: None })
    }
}
