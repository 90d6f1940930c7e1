//! Markers, typing and presence: what is never in a log.

use banter_model::limits::USERS_PER_QUESTION;
use banter_model::{ConversationId, Marker, Millis, Ordinal, Seq, UserId};
use banter_protocol::ClientFrame;
use banter_protocol::frame::{PresenceQuestion, Typing, UpTo, UserPresence};
use banter_protocol::limits::TYPING_MS;

use super::effect::{Effect, Notification};
use super::engine::{Engine, Timer};

/// Markers of one conversation are sent at most this often, in milliseconds.
const MARKERS_MS: Millis = 1_000;
/// A marker that went out this shortly before the session broke is sent again, in milliseconds: longer than a session can be dead
/// without being noticed.
const DOUBT_MS: Millis = 180_000;
/// Most people remembered as typing, or with their presence.
const REMEMBERED: usize = 10_000;

impl Engine {
    pub(super) fn mark_read(&mut self, now: Millis, id: ConversationId, marker: Marker) {
        let me = self.user;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let marker = Marker { seq: marker.seq.min(state.head.seq), ordinal: marker.ordinal.min(state.ordinal()) };
        if !state.raise_read(marker) {
            return;
        }
        self.mark_changed(id);
        self.notify(Notification::Read { conversation: id, user: me, seq: marker.seq });
        self.notify(Notification::Conversation { conversation: id });
        self.send_markers(now, id);
    }

    pub(super) fn take_read(&mut self, id: ConversationId, user: UserId, seq: Seq, ordinal: Ordinal) {
        let me = self.user;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let grew = if user == me {
            state.read_sent = state.read_sent.max(seq);
            state.raise_read(Marker { seq, ordinal })
        } else {
            state.raise(user, seq, 0).0
        };
        if !grew {
            return;
        }
        self.mark_changed(id);
        self.notify(Notification::Read { conversation: id, user, seq });
        if user == me {
            self.notify(Notification::Conversation { conversation: id });
        }
    }

    pub(super) fn take_delivered(&mut self, id: ConversationId, user: UserId, seq: Seq) {
        let Some(state) = self.conversations.get_mut(&id).filter(|_| user != self.user) else { return };
        if state.raise(user, 0, seq).1 {
            self.mark_changed(id);
            self.notify(Notification::Delivered { conversation: id, user, seq });
        }
    }

    /// Sends the markers that the server does not know of yet, if it is time.
    pub(super) fn send_markers(&mut self, now: Millis, id: ConversationId) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if state.session.markers_sent.is_some_and(|sent| sent + DOUBT_MS <= now) {
            state.session.markers_sent = None;
            self.mark_changed(id);
        }
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let read = (state.read.seq > state.read_sent).then_some(state.read.seq);
        // Only what is stored without a gap has arrived.
        let arrived = state.arrived.min(state.have.unwrap_or(0));
        let delivered = (arrived > state.delivered_sent).then_some(arrived);
        if !self.connected || !state.member || (read.is_none() && delivered.is_none()) {
            return;
        }
        if state.session.markers_after > now {
            self.timers.insert((state.session.markers_after, Timer::Markers(id)));
            return;
        }
        state.session.markers_after = now + MARKERS_MS;
        state.session.markers_sent = Some(now);
        self.timers.insert((now + DOUBT_MS, Timer::Markers(id)));
        state.read_sent = read.unwrap_or(state.read_sent);
        state.delivered_sent = delivered.unwrap_or(state.delivered_sent);
        self.mark_changed(id);
        if let Some(seq) = delivered {
            self.effect(Effect::Send(ClientFrame::Delivered(UpTo { conversation: id, seq })));
        }
        if let Some(seq) = read {
            self.effect(Effect::Send(ClientFrame::Read(UpTo { conversation: id, seq })));
        }
    }

    /// The session broke: markers sent lately may not have arrived.
    pub(super) fn doubt_markers(&mut self, now: Millis) {
        for state in self.conversations.values_mut() {
            if state.session.markers_sent.take().is_some_and(|sent| sent + DOUBT_MS > now) {
                (state.read_sent, state.delivered_sent) = (0, 0);
            }
            (state.session.markers_after, state.session.typing_after) = (0, 0);
        }
    }

    pub(super) fn type_in(&mut self, now: Millis, id: ConversationId) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if self.connected && state.member && state.session.typing_after <= now {
            state.session.typing_after = now + TYPING_MS / 2;
            self.effect(Effect::Send(ClientFrame::Typing(Typing { conversation: id })));
        }
    }

    pub(super) fn take_typing(&mut self, now: Millis, id: ConversationId, user: UserId) {
        if user == self.user || self.typing.len() >= REMEMBERED {
            return;
        }
        let until = now + TYPING_MS;
        self.timers.insert((until, Timer::Typing(id, user)));
        if self.typing.insert((id, user), until).is_none() {
            self.notify(Notification::Typing { conversation: id, user, typing: true });
        }
    }

    pub(super) fn typing_ended(&mut self, now: Millis, id: ConversationId, user: UserId) {
        if self.typing.get(&(id, user)).is_some_and(|until| *until <= now) {
            self.stop_typing(id, user);
        }
    }

    pub(super) fn stop_typing(&mut self, id: ConversationId, user: UserId) {
        if self.typing.remove(&(id, user)).is_some() {
            self.notify(Notification::Typing { conversation: id, user, typing: false });
        }
    }

    pub(super) fn take_presence(&mut self, users: Vec<UserPresence>) {
        for user in users {
            if self.presence.len() < REMEMBERED || self.presence.contains_key(&user.user) {
                self.presence.insert(user.user, user.clone());
            }
            self.notify(Notification::Presence { user });
        }
    }

    pub(super) fn watch(&mut self, mut users: Vec<UserId>) {
        users.truncate(USERS_PER_QUESTION);
        self.watched = users;
        self.ask_presence();
    }

    pub(super) fn ask_presence(&mut self) {
        if self.connected && !self.watched.is_empty() {
            let users = self.watched.clone();
            self.effect(Effect::Send(ClientFrame::Presence(PresenceQuestion { users })));
        }
    }

    /// What was true of others in the session that ended is unknown now.
    pub(super) fn forget_live(&mut self) {
        self.presence.clear();
        let typing: Vec<_> = self.typing.keys().copied().collect();
        typing.into_iter().for_each(|(id, user)| self.stop_typing(id, user));
    }
}
