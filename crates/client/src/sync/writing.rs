//! From what the user wants written to its answer.

use banter_model::{Action, ConversationId, EventId, Millis, Refusal, Seq, Tag};
use banter_protocol::ErrorBody;

use super::effect::{Effect, Notification, Stored, Write};
use super::engine::{Engine, Timer};
use super::outbox::{ENTRIES_PER_CONVERSATION, Progress, frame_of};
use super::state::ConversationState;

/// Most commands in flight in one session: below what the server allows, so that it never stops reading.
const IN_FLIGHT: usize = banter_protocol::limits::UNANSWERED_PER_SESSION as usize - 32;

/// Why something cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// It would be refused by the server as well.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Too much is waiting for an answer already.
    #[error("{ENTRIES_PER_CONVERSATION} commands wait for an answer in this conversation: wait for some of them first")]
    Full,
}

impl Engine {
    /// Puts `action` into the outbox, under the tag that is returned. Its answer comes as [`Notification::Stored`] or
    /// [`Notification::Refused`], perhaps in another run of the client.
    pub fn queue(&mut self, now: Millis, conversation: ConversationId, action: Action) -> Result<Tag, QueueError> {
        if conversation.is_direct() && conversation.peer_of(self.user).is_none() {
            return Err(Refusal::NotAMember.into());
        }
        let synced_once = self.syncing.point().is_some();
        let state = self.conversations.get(&conversation);
        if state.is_some_and(|state| state.outbox.len() >= ENTRIES_PER_CONVERSATION) {
            return Err(QueueError::Full);
        }
        // 2^53 tags are more than a device writes in its life.
        let tag = Tag::new(state.map_or(1, |state| state.next_tag)).map_err(|_| QueueError::Full)?;
        let frame = frame_of(conversation, tag, action)?;
        let state = self.conversations.entry(conversation).or_insert_with(|| ConversationState::new(conversation));
        if conversation.is_direct() && state.have.is_none() && synced_once {
            // The server would have listed it if it had any events.
            state.have = Some(0);
        }
        state.next_tag = tag.get() + 1;
        state.outbox.push(tag, frame.clone());
        self.write(Write::Queue { conversation, tag, frame });
        self.mark_changed(conversation);
        self.make_ready(conversation);
        self.pump(now);
        Ok(tag)
    }

    /// Everything in flight is to be sent again.
    pub(super) fn rewind(&mut self) {
        self.conversations.values_mut().for_each(|state| state.outbox.rewind());
        self.in_flight = 0;
    }

    /// The conversation may have something to send.
    pub(super) fn make_ready(&mut self, id: ConversationId) {
        if let Some(state) = self.conversations.get_mut(&id)
            && !state.session.ready
            && state.outbox.len() > 0
        {
            state.session.ready = true;
            self.ready.push_back(id);
        }
    }

    /// Sends what may be sent.
    pub(super) fn pump(&mut self, now: Millis) {
        // Until the first sync, the device does not know from where it follows what it writes in.
        if !self.connected || self.syncing.point().is_none() {
            return;
        }
        while self.in_flight < IN_FLIGHT
            && let Some(id) = self.ready.pop_front()
        {
            let Some(state) = self.conversations.get_mut(&id) else { continue };
            state.session.ready = false;
            match state.outbox.next(now) {
                Ok(Some(entry)) => {
                    entry.progress = Progress::InFlight;
                    let frame = entry.frame.clone();
                    state.session.ready = true;
                    self.ready.push_front(id);
                    self.in_flight += 1;
                    self.effect(Effect::Send(frame));
                }
                Ok(None) => {}
                Err(time) => {
                    self.timers.insert((time, Timer::Outbox(id)));
                }
            }
        }
    }

    /// The entry has its answer: forgets it. `None` if it had one before.
    pub(super) fn answered(&mut self, id: ConversationId, tag: Tag) -> Option<banter_protocol::ClientFrame> {
        let entry = self.conversations.get_mut(&id)?.outbox.take(tag)?;
        match entry.progress {
            Progress::InFlight => self.in_flight -= 1,
            Progress::LookedUp => {
                self.looked_up.remove(&(id, tag));
            }
            Progress::Queued | Progress::Later(_) => {}
        }
        self.write(Write::Answered { conversation: id, tag });
        self.make_ready(id);
        Some(entry.frame)
    }

    pub(super) fn refused(&mut self, now: Millis, id: ConversationId, tag: Tag, error: ErrorBody) {
        let Some(entry) = self.conversations.get_mut(&id).and_then(|state| state.outbox.get_mut(tag)) else { return };
        let was_in_flight = entry.progress == Progress::InFlight;
        if !was_in_flight && entry.progress != Progress::Queued {
            return;
        }
        if let Some(seconds) = error.retry_after {
            // "Now" would be a loop without a pause.
            entry.progress = Progress::Later(now + (seconds.min(3_600) * 1_000).max(200));
        } else if error.code == Refusal::StaleTag.code() {
            entry.progress = Progress::LookedUp;
            self.looked_up.insert((id, tag));
        } else {
            self.answered(id, tag);
            self.notify(Notification::Refused { conversation: id, tag, error });
            return;
        }
        self.in_flight -= usize::from(was_in_flight);
        self.make_ready(id);
        if self.looked_up.contains(&(id, tag)) {
            self.ask_soon(now);
        }
    }

    /// Looks for the events of stale tags, where all of the history is there.
    pub(super) fn look_up_stale(&mut self) {
        let caught_up = |id| self.conversations.get(id).is_some_and(ConversationState::caught_up);
        let now_possible: Vec<_> = self.looked_up.iter().filter(|(id, _)| caught_up(id)).copied().collect();
        for (conversation, tag) in now_possible {
            self.effect(Effect::LookUp { conversation, tag });
        }
    }

    pub(super) fn found(&mut self, now: Millis, id: ConversationId, tag: Tag, found: Option<(Seq, EventId, Millis)>) {
        if !self.looked_up.contains(&(id, tag)) || self.answered(id, tag).is_none() {
            return;
        }
        match found {
            Some((seq, event, at)) => {
                self.notify(Notification::Stored(Stored { conversation: id, tag, seq, id: event, at }));
            }
            None => {
                let refusal = Refusal::StaleTag;
                let error = ErrorBody { code: refusal.code().into(), message: refusal.to_string(), retry_after: None };
                self.notify(Notification::Refused { conversation: id, tag, error });
            }
        }
        self.pump(now);
    }
}
