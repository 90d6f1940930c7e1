//! From what comes to what the application is told, once and in order.

use std::sync::Arc;

use banter_model::{ConversationId, EventId, Mention, Millis, Ordinal, Seq, Tag};
use banter_protocol::{Content, Event};

use super::effect::{Notification, Stored, Write};
use super::engine::{Engine, Timer};
use super::outbox::content_of;
use super::state::ConversationState;

/// Most places told at a time from what is stored, so that a long gap needs no memory of its length.
const DELIVERED_AT_ONCE: Seq = 1_000;

/// Where the server put an own command.
pub(super) struct Place {
    pub seq: Seq,
    pub ordinal: Ordinal,
    pub id: EventId,
    pub at: Millis,
    pub mentions: Vec<Mention>,
}

impl Engine {
    /// The answer to an own command: its event, whose content is in the outbox.
    pub(super) fn sent(&mut self, now: Millis, id: ConversationId, tag: Tag, place: Place) {
        let Place { seq, ordinal, id: event, at, mentions } = place;
        let Some(frame) = self.answered(id, tag) else {
            // Answered before; only that the log reaches that far is news.
            if let Some(state) = self.conversations.get_mut(&id) {
                state.reaches = state.reaches.max(seq);
            }
            self.want_pull(now, id);
            return;
        };
        self.notify(Notification::Stored(Stored { conversation: id, tag, seq, id: event, at }));
        let Some(content) = content_of(frame, mentions) else { return };
        let (sender, device) = (self.user, self.device);
        self.take_event(now, id, Event { seq, ordinal, id: event, at, sender, device, tag: Some(tag), content });
    }

    /// An event, live or an own one.
    pub(super) fn take_event(&mut self, now: Millis, id: ConversationId, event: Event) {
        let synced_once = self.syncing.point().is_some();
        if !self.conversations.contains_key(&id) {
            let follows = event.seq == 1 || (synced_once && id.is_direct());
            if !follows {
                // A group that the user came into: its summary says from where to follow.
                self.ask_soon(now);
                return;
            }
            self.conversations.insert(id, ConversationState::new(id));
        }
        let me = self.user;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if state.have.is_none() && (event.seq == 1 || (synced_once && id.is_direct())) {
            state.have = Some(0);
        }
        let Some(have) = state.have else {
            state.note(me, &event);
            self.ask_soon(now);
            return;
        };
        if event.seq <= have || state.known.around(event.seq).is_some() {
            return;
        }
        let seq = event.seq;
        let next = seq == have + 1;
        let extends = state.known.last().is_some_and(|(_, end)| end > have && seq == end + 1);
        // Beyond a gap, the event says no more than how far the log reaches: preview and counts would miss what is in the gap.
        state.reaches = state.reaches.max(seq);
        if next || extends {
            state.note(me, &event);
            state.known.insert(seq, seq);
            if next {
                // Before its arrival is noted: what is not stored without a gap is not said to have arrived.
                state.have = Some(seq);
            }
            let current = state.follow_roster(me, &event);
            self.take_answer(id, &event);
            self.arrived(now, id, &event);
            if next {
                self.write(Write::Append { conversation: id, event: Arc::new(event) });
                self.deliver(id, now);
            } else {
                self.write(Write::Keep { conversation: id, events: vec![event], have });
            }
            if !current {
                self.ask_soon(now);
            }
        }
        self.mark_changed(id);
        self.want_pull(now, id);
        if !self.looked_up.is_empty() && self.syncing.is_done() {
            self.look_up_stale();
        }
    }

    /// An own event that was read rather than answered answers its command too.
    pub(super) fn take_answer(&mut self, conversation: ConversationId, event: &Event) {
        if event.device != self.device {
            return;
        }
        if let Some(tag) = event.tag
            && self.answered(conversation, tag).is_some()
        {
            let Event { seq, id, at, .. } = *event;
            self.notify(Notification::Stored(Stored { conversation, tag, seq, id, at }));
        }
    }

    /// What an event says besides itself: the sender has stopped typing, and it has arrived.
    pub(super) fn arrived(&mut self, now: Millis, id: ConversationId, event: &Event) {
        if event.sender == self.user {
            return;
        }
        if matches!(event.content, Content::Message { .. }) {
            self.stop_typing(id, event.sender);
        }
        if let Some(state) = self.conversations.get_mut(&id) {
            state.arrived = state.arrived.max(event.seq);
        }
        self.send_markers(now, id);
    }

    /// Tells of what is stored and has become contiguous.
    pub(super) fn deliver(&mut self, id: ConversationId, now: Millis) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let Some(have) = state.have else { return };
        let Some((_, end)) = state.known.around(have + 1) else { return };
        let to = end.min(have + DELIVERED_AT_ONCE);
        state.have = Some(to);
        if to < end {
            self.timers.insert((now, Timer::Deliver(id)));
        }
        self.write(Write::Deliver { conversation: id, after: have, to });
        self.mark_changed(id);
        self.send_markers(now, id);
    }
}
