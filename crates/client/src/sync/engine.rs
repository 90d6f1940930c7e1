//! The engine's state, and who takes which input.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use banter_model::{ConversationId, DeviceId, Millis, Tag, UserId};
use banter_protocol::ServerFrame;
use banter_protocol::frame::UserPresence;

use super::effect::{Effect, Input, Notification, Snapshot, Write};
use super::state::ConversationState;
use super::syncing::Syncing;

/// The state of one device. See the [module](super) for what it promises.
pub struct Engine {
    pub(super) user: UserId,
    pub(super) device: DeviceId,
    pub(super) from_the_start: bool,
    pub(super) connected: bool,
    pub(super) conversations: BTreeMap<ConversationId, ConversationState>,
    pub(super) syncing: Syncing,
    /// Conversations with something to send, in turn.
    pub(super) ready: VecDeque<ConversationId>,
    pub(super) in_flight: usize,
    /// Commands that the server could not tell of: to be looked up in the history.
    pub(super) looked_up: BTreeSet<(ConversationId, Tag)>,
    /// Conversations that lack events, the latest first.
    pub(super) pull_queue: BTreeSet<(Reverse<Millis>, ConversationId)>,
    pub(super) pulls: BTreeMap<u64, (ConversationId, super::Window)>,
    pub(super) next_request: u64,
    pub(super) timers: BTreeSet<(Millis, Timer)>,
    pub(super) typing: BTreeMap<(ConversationId, UserId), Millis>,
    pub(super) presence: BTreeMap<UserId, UserPresence>,
    pub(super) watched: Vec<UserId>,
    changed: BTreeSet<ConversationId>,
    told_synced: bool,
    effects: Vec<Effect>,
}

/// What is to be looked at again at a certain time. Looking too early or too often does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// More of what is stored can be told.
    Deliver(ConversationId),
    /// A command may be sent again.
    Outbox(ConversationId),
    /// Markers may be sent again.
    Markers(ConversationId),
    /// A page may be asked for again.
    Pull(ConversationId),
    /// Somebody may have stopped typing.
    Typing(ConversationId, UserId),
    /// The sync answer may have been lost, or may be asked for again.
    Sync,
}

impl Engine {
    /// A device that goes on from `snapshot`.
    pub fn new(snapshot: Snapshot) -> Self {
        let Snapshot { user, device, point, from_the_start, conversations, mut outbox } = snapshot;
        let mut engine = Engine {
            user,
            device,
            from_the_start,
            connected: false,
            conversations: conversations.into_iter().map(|state| (state.id, state)).collect(),
            syncing: Syncing::from(point),
            ready: VecDeque::new(),
            in_flight: 0,
            looked_up: BTreeSet::new(),
            pull_queue: BTreeSet::new(),
            pulls: BTreeMap::new(),
            next_request: 1,
            timers: BTreeSet::new(),
            typing: BTreeMap::new(),
            presence: BTreeMap::new(),
            watched: Vec::new(),
            changed: BTreeSet::new(),
            told_synced: false,
            effects: Vec::new(),
        };
        outbox.sort_by_key(|entry| (entry.0, entry.1));
        for (id, tag, frame) in outbox {
            let state = engine.conversations.entry(id).or_insert_with(|| ConversationState::new(id));
            state.next_tag = state.next_tag.max(tag.get() + 1);
            state.outbox.push(tag, frame);
        }
        let ids: Vec<_> = engine.conversations.keys().copied().collect();
        for id in ids {
            engine.make_ready(id);
            engine.deliver(id, 0);
        }
        engine
    }

    /// Takes in what happened at the time `now`.
    pub fn handle(&mut self, now: Millis, input: Input) {
        match input {
            Input::Frame(frame) => self.take_frame(now, frame),
            Input::Disconnected => self.disconnected(now),
            Input::Fetched { request, result } => self.fetched(now, request, result),
            Input::Page { conversation, window, page } => self.take_page(now, conversation, window, page, false),
            Input::LookedUp { conversation, tag, found } => self.found(now, conversation, tag, found),
            Input::MarkRead { conversation, marker } => self.mark_read(now, conversation, marker),
            Input::Typing { conversation } => self.type_in(now, conversation),
            Input::Watch { users } => self.watch(users),
            Input::Tick => self.tick(now),
        }
        self.start_pulls(now);
        self.pump(now);
        self.tell_synced();
    }

    /// What is to be done, in order. States of conversations that changed come once, after everything else that is to be stored
    /// about them.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.effects);
        for id in std::mem::take(&mut self.changed) {
            if let Some(state) = self.conversations.get(&id) {
                let mut stored = state.clone();
                if stored.session.markers_sent.is_some() {
                    // They may not have arrived, and this device may die together with the server: the next run sends them again.
                    (stored.read_sent, stored.delivered_sent) = (0, 0);
                }
                effects.push(Effect::Write(Write::Conversation(Box::new(stored))));
            }
        }
        effects
    }

    /// When [`Input::Tick`] is due, if nothing else happens before.
    pub fn deadline(&self) -> Option<Millis> {
        self.timers.first().map(|timer| timer.0)
    }

    /// Which device it is.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// The sync point, for `resume`.
    pub fn point(&self) -> Option<&str> {
        self.syncing.point()
    }

    /// Is everything up to the moment of connecting stored and told?
    pub fn is_synced(&self) -> bool {
        let nothing_under_way = self.syncing.is_done() && self.pulls.is_empty() && self.pull_queue.is_empty();
        let complete = |state: &ConversationState| state.have.is_none() || state.caught_up();
        self.connected && nothing_under_way && self.conversations.values().all(complete)
    }

    /// A conversation, if it is known.
    pub fn conversation(&self, id: ConversationId) -> Option<&ConversationState> {
        self.conversations.get(&id)
    }

    /// All conversations.
    pub fn conversations(&self) -> impl Iterator<Item = &ConversationState> {
        self.conversations.values()
    }

    /// What is known of somebody's presence in this session.
    pub fn presence(&self, user: UserId) -> Option<&UserPresence> {
        self.presence.get(&user)
    }

    /// Commands without an answer, in all conversations.
    pub fn unanswered(&self) -> usize {
        self.conversations.values().map(ConversationState::unanswered).sum()
    }

    fn take_frame(&mut self, now: Millis, frame: ServerFrame) {
        match frame {
            ServerFrame::Welcome { .. } => self.welcome(now),
            ServerFrame::Sent { tag, conversation, seq, ordinal, id, at, mentions } => {
                self.sent(now, conversation, tag, super::receiving::Place { seq, ordinal, id, at, mentions });
            }
            ServerFrame::Event { conversation, event } => self.take_event(now, conversation, event),
            ServerFrame::Read { conversation, user, seq, ordinal } => self.take_read(conversation, user, seq, ordinal),
            ServerFrame::Delivered { conversation, user, seq } => self.take_delivered(conversation, user, seq),
            ServerFrame::Typing { conversation, user } => self.take_typing(now, conversation, user),
            ServerFrame::Presence { users } => self.take_presence(users),
            ServerFrame::Sync { conversations, point, more } => self.take_sync(now, conversations, point, more),
            ServerFrame::Resync {} => self.resync(now),
            ServerFrame::Account { changed } => self.notify(Notification::Account { changed }),
            ServerFrame::Error { code, message, tag, conversation, retry_after } => {
                let error = banter_protocol::ErrorBody { code, message, retry_after };
                match tag.and_then(|tag| Tag::new(tag).ok()).zip(conversation) {
                    Some((tag, conversation)) => self.refused(now, conversation, tag, error),
                    None => self.sync_refused(now, error),
                }
            }
            ServerFrame::Working {} => self.sync_comes(now),
            // The close that follows says the rest.
            ServerFrame::Bye { .. } | ServerFrame::Pong {} => {}
        }
    }

    fn welcome(&mut self, now: Millis) {
        if self.connected {
            self.disconnected(now);
        }
        self.connected = true;
        self.told_synced = false;
        self.syncing.begin(now);
        self.timers.insert((self.syncing.look_again(), Timer::Sync));
        self.ask_presence();
        let ids: Vec<_> = self.conversations.keys().copied().collect();
        for id in ids {
            self.make_ready(id);
            self.want_pull(now, id);
            self.send_markers(now, id);
        }
    }

    fn disconnected(&mut self, now: Millis) {
        self.connected = false;
        self.syncing.stop();
        self.rewind();
        self.forget_live();
        self.doubt_markers(now);
    }

    fn tick(&mut self, now: Millis) {
        while let Some((time, timer)) = self.timers.first().copied().filter(|timer| timer.0 <= now) {
            self.timers.remove(&(time, timer));
            match timer {
                Timer::Deliver(id) => self.deliver(id, now),
                Timer::Outbox(id) => self.make_ready(id),
                Timer::Markers(id) => self.send_markers(now, id),
                Timer::Pull(id) => self.want_pull(now, id),
                Timer::Typing(id, user) => self.typing_ended(now, id, user),
                Timer::Sync => self.sync_overdue(now),
            }
            // A chunk of what can be told at a time: the rest after the chunk is stored.
            if matches!(timer, Timer::Deliver(_)) {
                break;
            }
        }
    }

    fn tell_synced(&mut self) {
        if !self.told_synced && self.is_synced() {
            self.told_synced = true;
            self.notify(Notification::Synced);
        }
    }

    pub(super) fn notify(&mut self, notification: Notification) {
        self.effects.push(Effect::Notify(notification));
    }

    pub(super) fn write(&mut self, write: Write) {
        self.effects.push(Effect::Write(write));
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The conversation's state is to be stored.
    pub(super) fn mark_changed(&mut self, id: ConversationId) {
        self.changed.insert(id);
    }
}
