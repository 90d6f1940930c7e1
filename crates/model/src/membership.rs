//! What a user may see of a conversation: what was said while they were a member.

use serde::{Deserialize, Serialize};

use crate::{Event, EventBody, Marker, Seq, UserId};

/// A user's row for one conversation: the stretches of its log that they see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Stretches, in order and apart from each other. The last one is open while the user is a member.
    spans: Vec<Span>,
    /// The last event that changed this row; what is not after it was applied before.
    up_to: Seq,
    /// Where the user came in for the last time: what was said before counts as read.
    pub joined: Marker,
}

/// A stretch of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: Seq,
    /// The last event seen; `None` while it is open.
    to: Option<Seq>,
}

impl Membership {
    /// Is the user a member now?
    pub fn is_current(&self) -> bool {
        self.spans.last().is_some_and(|span| span.to.is_none())
    }

    /// May the user see the event at `seq`?
    pub fn sees(&self, seq: Seq) -> bool {
        self.spans.iter().any(|span| span.from <= seq && span.to.is_none_or(|to| seq <= to))
    }

    /// The last event the user may see of a log that ends at `head`.
    pub fn last_visible(&self, head: Seq) -> Seq {
        self.spans.last().map_or(0, |span| span.to.unwrap_or(head).min(head))
    }

    /// The first event the user may see.
    pub fn first_visible(&self) -> Seq {
        self.spans.first().map_or(0, |span| span.from)
    }

    /// The stretches (first and last place, both included) that the user may see of a log that ends at `head`, in order.
    pub fn visible_ranges(&self, head: Seq) -> impl DoubleEndedIterator<Item = (Seq, Seq)> + '_ {
        let ranges = self.spans.iter().map(move |span| (span.from, span.to.unwrap_or(head).min(head)));
        ranges.filter(|(first, last)| first <= last)
    }

    /// The user came in with `event`; `earlier_history` is the group's setting at that moment.
    pub fn enter(&mut self, event: &Event, earlier_history: bool) {
        if event.seq <= self.up_to || self.is_current() {
            return;
        }
        // The event that brings the user in is news to them; nothing before it is, least of all what was said while they were out.
        let messages = event.ordinal - u64::from(event.body.is_message());
        self.joined = Marker { seq: event.seq - 1, ordinal: messages };
        self.up_to = event.seq;
        if earlier_history {
            self.spans.clear();
            self.spans.push(Span { from: 1, to: None });
        } else {
            self.spans.push(Span { from: event.seq, to: None });
        }
    }

    /// The user went out with `event`, which is the last that they see.
    pub fn leave(&mut self, event: &Event) {
        if event.seq <= self.up_to {
            return;
        }
        if let Some(span) = self.spans.last_mut().filter(|span| span.to.is_none()) {
            span.to = Some(event.seq);
            self.up_to = event.seq;
        }
    }
}

/// Who comes in with `event` (besides those who are in already) and who goes out.
pub fn changes(event: &Event) -> (Vec<UserId>, Vec<UserId>) {
    match &event.body {
        EventBody::GroupCreated { members, .. } => (members.iter().copied().chain([event.sender]).collect(), Vec::new()),
        EventBody::MembersAdded { members } => (members.clone(), Vec::new()),
        EventBody::MemberRemoved { member } => (Vec::new(), vec![*member]),
        EventBody::MemberLeft { .. } => (Vec::new(), vec![event.sender]),
        _ => (Vec::new(), Vec::new()),
    }
}
