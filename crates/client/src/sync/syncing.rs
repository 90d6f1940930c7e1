//! Asking what changed since the sync point.

use banter_model::{ConversationId, Millis};
use banter_protocol::api::Page;
use banter_protocol::frame::SyncQuestion;
use banter_protocol::{ClientFrame, ConversationSummary, ErrorBody, Event};

use super::effect::{Effect, Notification, Window, Write};
use super::engine::{Engine, Timer};
use super::state::{ConversationState, Start};

/// An answer that has not come this long, in milliseconds, after the question or the last sign that the server works on it, is asked for
/// again.
const ANSWER_MS: Millis = 30_000;

/// Where the device stands with its questions.
#[derive(Debug, Default)]
pub(super) struct Syncing {
    /// The `point` of the last answer that was taken in whole.
    point: Option<String>,
    /// The `since` of the questions under way: a chain of parts keeps it.
    since: Option<String>,
    /// Chains of questions under way in this session.
    chains: u32,
    /// Was one taken in whole in this session?
    done: bool,
    /// Something came up that the answer under way may not show: ask once more after it.
    again: bool,
    /// When the answer counts as lost, or what was refused is asked again.
    look_again: Millis,
    /// The last question was refused for the time being.
    refused: bool,
}

impl Syncing {
    /// A device that stored this `point` last; none before the first sync.
    pub fn from(point: Option<String>) -> Self {
        Syncing { point, ..Syncing::default() }
    }

    /// The `point` of the last answer that was taken in whole.
    pub fn point(&self) -> Option<&str> {
        self.point.as_deref()
    }

    /// Was everything asked for in this session answered, once at least?
    pub fn is_done(&self) -> bool {
        self.done && self.chains == 0 && !self.again
    }

    /// When the device asks again, if nothing comes.
    pub fn look_again(&self) -> Millis {
        self.look_again
    }

    /// The session began with `resume`, which asked.
    pub fn begin(&mut self, now: Millis) {
        *self = Syncing { point: self.point.take(), chains: 1, look_again: now + ANSWER_MS, ..Syncing::default() };
        self.since.clone_from(&self.point);
    }

    /// The session ended: nothing is under way any more.
    pub fn stop(&mut self) {
        (self.chains, self.done, self.again, self.refused) = (0, false, false, false);
    }
}

impl Engine {
    /// Asks what changed, from the sync point on.
    fn ask(&mut self, now: Millis) {
        let syncing = &mut self.syncing;
        if syncing.chains == 0 {
            syncing.since.clone_from(&syncing.point);
        }
        syncing.chains += 1;
        syncing.again = false;
        (syncing.look_again, syncing.refused) = (now + ANSWER_MS, false);
        let since = syncing.since.clone();
        self.timers.insert((self.syncing.look_again, Timer::Sync));
        self.effect(Effect::Send(ClientFrame::Sync(SyncQuestion { since, more: None })));
    }

    /// Asks what changed, unless an answer is under way: then after it.
    pub(super) fn ask_soon(&mut self, now: Millis) {
        if !self.connected {
            return;
        }
        if self.syncing.chains == 0 {
            self.ask(now);
        } else {
            self.syncing.again = true;
        }
    }

    /// Frames may have been lost, answers among them.
    pub(super) fn resync(&mut self, now: Millis) {
        if !self.connected {
            return;
        }
        self.rewind();
        let ids: Vec<_> = self.conversations.keys().copied().collect();
        ids.into_iter().for_each(|id| self.make_ready(id));
        self.ask(now);
    }

    pub(super) fn take_sync(
        &mut self,
        now: Millis,
        conversations: Vec<ConversationSummary>,
        point: String,
        more: Option<String>,
    ) {
        let first = self.syncing.point.is_none();
        for summary in conversations {
            let start = if first && !self.from_the_start { Start::Head } else { Start::First };
            self.take_summary(now, summary, start);
        }
        if more.is_some() {
            (self.syncing.look_again, self.syncing.refused) = (now + ANSWER_MS, false);
            self.timers.insert((self.syncing.look_again, Timer::Sync));
            let since = self.syncing.since.clone();
            self.effect(Effect::Send(ClientFrame::Sync(SyncQuestion { since, more })));
            return;
        }
        self.write(Write::Point(point.clone()));
        self.syncing.point = Some(point);
        // Answers come in order, so those to earlier questions are in or lost.
        self.syncing.chains = 0;
        self.syncing.done = true;
        if first {
            self.follow_unfollowed(now);
        }
        if self.syncing.again {
            self.ask(now);
        } else {
            self.look_up_stale();
        }
    }

    fn take_summary(&mut self, now: Millis, mut summary: ConversationSummary, start: Start) {
        let id = summary.conversation;
        let latest = std::mem::take(&mut summary.latest);
        let me = self.user;
        let state = self.conversations.entry(id).or_insert_with(|| ConversationState::new(id));
        if let Some(have) = state.have.filter(|have| summary.head_seq < *have && summary.member) {
            // Either the answer is older than a live event, or the server lost something: a later answer tells.
            tracing::debug!(%id, have, head = summary.head_seq, "the server's log is shorter than this device's");
        }
        state.take_in(me, summary, start);
        self.mark_changed(id);
        self.notify(Notification::Conversation { conversation: id });
        self.take_latest(now, id, latest);
        self.want_pull(now, id);
        self.send_markers(now, id);
    }

    /// Takes in the events that came with a summary, if they go on from what the device has: a page that it need not ask for.
    fn take_latest(&mut self, now: Millis, id: ConversationId, mut events: Vec<Event>) {
        let Some(state) = self.conversations.get(&id) else { return };
        let (Some(have), Some(first), Some(last)) = (state.have, events.first(), events.last()) else { return };
        let (from, to) = (first.seq, last.seq);
        let whole = events.iter().zip(from..).all(|(event, seq)| event.seq == seq);
        if !whole || from > have + 1 || to <= have {
            return;
        }
        events.retain(|event| event.seq > have);
        let page = Page { events, from: have + 1, to, head_seq: state.reaches, first_seq: state.first_seq };
        self.take_page(now, id, Window::After(have), page, true);
    }

    /// What was written to before the first sync: a direct conversation that the server did not list has no events.
    fn follow_unfollowed(&mut self, now: Millis) {
        let direct = |state: &&mut ConversationState| state.id.is_direct() && state.have.is_none();
        let ids: Vec<ConversationId> = self.conversations.values_mut().filter(direct).map(|state| state.id).collect();
        for id in ids {
            if let Some(state) = self.conversations.get_mut(&id) {
                state.have = Some(0);
            }
            self.mark_changed(id);
            self.want_pull(now, id);
        }
    }

    /// An error that answers no command: it may answer the question.
    pub(super) fn sync_refused(&mut self, now: Millis, error: ErrorBody) {
        if self.syncing.chains == 0 {
            tracing::warn!(code = error.code, message = error.message, "the server refused a frame");
            return;
        }
        if error.retry_after.is_none() && error.code == "invalid_parameter" {
            // The server does not know the sync point: ask for everything.
            self.syncing.since = None;
        }
        self.syncing.look_again = now + error.retry_after.unwrap_or(1).clamp(1, 60) * 1_000;
        self.syncing.refused = true;
        self.timers.insert((self.syncing.look_again, Timer::Sync));
    }

    /// The server works on what it was asked: the answer is not lost, however long it takes.
    pub(super) fn sync_comes(&mut self, now: Millis) {
        if self.syncing.chains > 0 && !self.syncing.refused {
            self.syncing.look_again = now + ANSWER_MS;
            self.timers.insert((self.syncing.look_again, Timer::Sync));
        }
    }

    pub(super) fn sync_overdue(&mut self, now: Millis) {
        if self.connected && self.syncing.chains > 0 && self.syncing.look_again <= now {
            self.ask(now);
        }
    }
}
