//! What a user may see of a conversation: what was said while they were a member.

use serde::{Deserialize, Serialize};

use crate::event::Amendments;
use crate::limits::SPANS_PER_MEMBERSHIP;
use crate::{Event, EventBody, Marker, Seq, UserId};

/// A user's row for one conversation: the stretches of its log that they see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Stretches, in order and apart from each other, at most [`SPANS_PER_MEMBERSHIP`]. The last one is open while the user
    /// is a member.
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

    /// `event`, which the user may see, as they may see it. Who is not a member now is not shown what was made of a message after
    /// they went out: one that was edited then looks as if it were redacted, for its earlier text is not kept, and reactions
    /// are left out if the latest change is not for them. A redaction is for everybody.
    pub fn as_seen(&self, mut event: Event) -> Event {
        if self.is_current() {
            return event;
        }
        let EventBody::Message { text, mentions, amendments, .. } = &mut event.body else { return event };
        let Amendments { up_to, edits, edited_at, redaction, reactions } = amendments;
        if *up_to == 0 || redaction.is_some() || self.sees(*up_to) {
            return event;
        }
        let unseen_edit = edits.iter().copied().find(|edit| !self.sees(*edit));
        reactions.clear();
        edits.retain(|edit| self.sees(*edit));
        // As of the last change that is shown for sure: a later reading of the whole message is newer than this one.
        *up_to = edits.last().copied().unwrap_or_default();
        if unseen_edit.is_some() {
            text.clear();
            mentions.clear();
            *edited_at = None;
            *redaction = unseen_edit;
        }
        event
    }

    /// The user came in with `event`; `earlier_history` is the group's setting at that moment. Of somebody who comes and goes too
    /// often the oldest stretch is forgotten: they see less, never more. Says whether the row changed.
    pub fn enter(&mut self, event: &Event, earlier_history: bool) -> bool {
        if event.seq <= self.up_to || self.is_current() {
            return false;
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
            let excess = self.spans.len().saturating_sub(SPANS_PER_MEMBERSHIP);
            self.spans.drain(..excess);
        }
        true
    }

    /// The user went out with `event`, which is the last that they see. Says whether the row changed.
    pub fn leave(&mut self, event: &Event) -> bool {
        if event.seq <= self.up_to {
            return false;
        }
        let Some(span) = self.spans.last_mut().filter(|span| span.to.is_none()) else { return false };
        span.to = Some(event.seq);
        self.up_to = event.seq;
        true
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amend::amend;
    use crate::{DeviceId, EventId, Mention};

    fn event(seq: Seq, body: EventBody) -> Event {
        Event { seq, ordinal: 1, id: EventId(seq), at: seq, sender: UserId(1), device: DeviceId(1), tag: None, body }
    }

    fn came(seq: Seq) -> Event {
        event(seq, EventBody::MembersAdded { members: vec![UserId(2)] })
    }

    fn went(seq: Seq) -> Event {
        event(seq, EventBody::MemberRemoved { member: UserId(2) })
    }

    fn edit(seq: Seq, text: &str) -> Event {
        let mentions = vec![Mention { user: UserId(1), start: 0, length: 4 }];
        event(seq, EventBody::Edit { target: 3, text: text.into(), mentions })
    }

    fn reaction(seq: Seq) -> Event {
        event(seq, EventBody::Reaction { target: 3, emoji: "👍".into(), added: true })
    }

    /// A message at 3 with `amendments` applied, as somebody saw it who was in from 2 to 6.
    fn seen_by_former(amendments: &[Event]) -> (String, usize, Amendments) {
        let mut membership = Membership::default();
        membership.enter(&came(2), false);
        membership.leave(&went(6));
        let body = EventBody::Message { text: "one".into(), reply_to: None, mentions: vec![], amendments: Amendments::default() };
        let mut message = event(3, body);
        amendments.iter().for_each(|event| assert!(amend(&mut message, event)));
        let seen = membership.as_seen(message.clone());
        membership.enter(&came(20), false);
        assert_eq!(membership.as_seen(message.clone()), message, "who is in again sees it as it is");
        match seen.body {
            EventBody::Message { text, mentions, amendments, .. } => (text, mentions.len(), amendments),
            _ => panic!("not a message"),
        }
    }

    #[test]
    fn a_former_member_sees_what_was_made_of_a_message_while_they_were_in() {
        let (text, mentions, amendments) = seen_by_former(&[edit(4, "two"), reaction(5)]);
        assert_eq!((text.as_str(), mentions, amendments.up_to), ("two", 1, 5));
        assert_eq!((amendments.reactions.len(), amendments.redaction), (1, None));
    }

    #[test]
    fn a_former_member_does_not_see_a_later_edit() {
        let (text, mentions, amendments) = seen_by_former(&[edit(4, "two"), reaction(5), edit(7, "secret")]);
        assert_eq!((text.as_str(), mentions), ("", 0));
        let shown = Amendments { up_to: 4, edits: vec![4], edited_at: None, redaction: Some(7), reactions: vec![] };
        assert_eq!(amendments, shown);
    }

    #[test]
    fn a_former_member_does_not_see_a_later_reaction() {
        let (text, mentions, amendments) = seen_by_former(&[edit(4, "two"), reaction(8)]);
        assert_eq!((text.as_str(), mentions), ("two", 1));
        let shown = Amendments { up_to: 4, edits: vec![4], edited_at: Some(4), redaction: None, reactions: vec![] };
        assert_eq!(amendments, shown);
    }

    #[test]
    fn a_later_redaction_is_for_everybody() {
        let (text, _, amendments) = seen_by_former(&[edit(4, "two"), event(9, EventBody::Redaction { target: 3 })]);
        assert_eq!((text.as_str(), amendments.redaction), ("", Some(9)));
    }

    #[test]
    fn who_comes_and_goes_for_ever_sees_the_latest_stretches() {
        let mut membership = Membership::default();
        let rounds = 3 * SPANS_PER_MEMBERSHIP as Seq;
        for round in 0..rounds {
            membership.enter(&came(3 * round + 1), false);
            membership.leave(&went(3 * round + 2));
        }
        let seen: Vec<_> = membership.visible_ranges(Seq::MAX).collect();
        let oldest = 3 * (rounds - SPANS_PER_MEMBERSHIP as Seq) + 1;
        assert_eq!(seen.len(), SPANS_PER_MEMBERSHIP);
        assert_eq!((seen[0], membership.first_visible()), ((oldest, oldest + 1), oldest));
        assert_eq!(membership.last_visible(Seq::MAX), 3 * rounds - 1);
        assert!(!membership.sees(oldest - 2) && !membership.sees(oldest + 2) && membership.sees(oldest + 3));
    }
}
