//! A device for tests: an engine, a disk that survives kills, and what the application was told.

use std::collections::{BTreeMap, BTreeSet};

use banter_model::{Action, ConversationId, DeviceId, Millis, Seq, Tag, UserId};
use banter_protocol::{ClientFrame, Content, Event};

use super::recording;
use crate::sync::{
    ConversationState, Effect, Engine, Input, Notification, QueueError, Snapshot, Window, Write, amend, redact_edit, target_of,
};

/// What is on the disk.
#[derive(Default, Clone)]
pub struct Disk {
    pub point: Option<String>,
    pub conversations: BTreeMap<ConversationId, ConversationState>,
    pub events: BTreeMap<(ConversationId, Seq), Event>,
    pub outbox: BTreeMap<(ConversationId, Tag), ClientFrame>,
}

pub struct Device {
    pub user: UserId,
    pub id: DeviceId,
    pub from_the_start: bool,
    pub engine: Engine,
    pub disk: Disk,
    /// Events told in this run, per conversation.
    pub told: BTreeMap<ConversationId, Vec<Seq>>,
    /// Tags answered, with their place, in all runs.
    pub stored: BTreeMap<(ConversationId, Tag), Seq>,
    pub refused: BTreeSet<(ConversationId, Tag)>,
    pub queued: Vec<(ConversationId, Tag)>,
    pub notifications: Vec<Notification>,
    pub to_send: Vec<ClientFrame>,
    pub to_fetch: Vec<(u64, ConversationId, Window)>,
    /// Where it is recorded, if it is.
    record: Option<usize>,
}

impl Drop for Device {
    fn drop(&mut self) {
        recording::end(self.record, &self.disk);
    }
}

impl Device {
    pub fn new(user: u64, id: u64, from_the_start: bool) -> Self {
        let (user, id) = (UserId(user), DeviceId(id));
        let disk = Disk::default();
        let mut device = Device {
            user,
            id,
            from_the_start,
            engine: engine(user, id, from_the_start, &disk),
            disk,
            told: BTreeMap::new(),
            stored: BTreeMap::new(),
            refused: BTreeSet::new(),
            queued: vec![],
            notifications: vec![],
            to_send: vec![],
            to_fetch: vec![],
            record: recording::begin(user, id, from_the_start),
        };
        device.work(true);
        device
    }

    /// The process dies and starts again from its disk.
    pub fn kill(&mut self) {
        recording::killed(self.record);
        self.engine = engine(self.user, self.id, self.from_the_start, &self.disk);
        self.told.clear();
        self.to_send.clear();
        self.to_fetch.clear();
        self.notifications.clear();
        self.work(true);
    }

    pub fn handle(&mut self, now: Millis, input: Input) {
        self.take(now, input, true);
        while self.engine.deadline().is_some_and(|deadline| deadline <= now) {
            self.take(now, Input::Tick, true);
        }
    }

    /// Takes one input and does what comes of it. A process killed after storing does not tell of it.
    pub fn take(&mut self, now: Millis, input: Input, survives: bool) {
        recording::input(self.record, now, &input);
        self.engine.handle(now, input);
        self.work(survives);
    }

    /// Puts an action into the outbox.
    pub fn queue(&mut self, now: Millis, conversation: ConversationId, action: Action) -> Result<Tag, QueueError> {
        let record = recording::action(self.record, now, conversation, &action);
        let result = self.engine.queue(now, conversation, action);
        recording::queued(record, &result);
        self.work(true);
        result
    }

    /// Does what the engine wants: stores, then sends and tells. A process killed after storing does only the former.
    fn work(&mut self, survives: bool) {
        let mut look_ups = vec![];
        let effects = self.engine.take_effects();
        recording::effects(self.record, &effects, self.engine.deadline());
        for effect in effects {
            match effect {
                Effect::Send(frame) => self.to_send.push(frame),
                Effect::Fetch { request, conversation, window } => self.to_fetch.push((request, conversation, window)),
                Effect::LookUp { conversation, tag } => look_ups.push((conversation, tag)),
                Effect::Notify(notification) => {
                    // An answer counts once it is on the disk, which it is with this batch.
                    match &notification {
                        Notification::Stored(stored) => {
                            let before = self.stored.insert((stored.conversation, stored.tag), stored.seq);
                            assert!(before.is_none(), "{stored:?} was answered before");
                        }
                        Notification::Refused { conversation, tag, .. } => {
                            assert!(self.refused.insert((*conversation, *tag)));
                        }
                        _ => {}
                    }
                    self.notifications.push(notification);
                }
                Effect::Write(write) => self.store(write, survives),
            }
        }
        for (conversation, tag) in look_ups {
            let found = self.disk.events.values().find(|event| event.device == self.id && event.tag == Some(tag));
            let found = found.map(|event| (event.seq, event.id, event.at));
            self.take(0, Input::LookedUp { conversation, tag, found }, survives);
        }
    }

    fn store(&mut self, write: Write, survives: bool) {
        match write {
            Write::Point(point) => self.disk.point = Some(point),
            Write::Conversation(state) => {
                let mut state = *state;
                // Only what is serialised survives.
                state = serde_json::from_str(&serde_json::to_string(&state).unwrap()).unwrap();
                self.disk.conversations.insert(state.id, state);
            }
            Write::Queue { conversation, tag, frame } => {
                self.queued.push((conversation, tag));
                assert!(self.disk.outbox.insert((conversation, tag), frame).is_none());
            }
            Write::Answered { conversation, tag } => assert!(self.disk.outbox.remove(&(conversation, tag)).is_some()),
            Write::Append { conversation, event } => {
                self.disk.events.insert((conversation, event.seq), (*event).clone());
                self.tell(conversation, &event, survives);
            }
            Write::Keep { conversation, events, have } => {
                for mut event in events {
                    let later: Vec<Event> = self
                        .disk
                        .events
                        .range((conversation, event.seq + 1)..=(conversation, have.max(event.seq + 1)))
                        .map(|row| row.1.clone())
                        .filter(|later| later.seq <= have)
                        .collect();
                    later.iter().for_each(|later| {
                        amend(&mut event, later);
                    });
                    let message = target_of(&event.content).and_then(|seq| self.disk.events.get(&(conversation, seq)));
                    if message.is_some_and(|message| matches!(message.content, Content::Message { redacted: true, .. })) {
                        redact_edit(&mut event);
                    }
                    self.disk.events.insert((conversation, event.seq), event);
                }
            }
            Write::Deliver { conversation, after, to } => {
                let events: Vec<Event> =
                    self.disk.events.range((conversation, after + 1)..=(conversation, to)).map(|row| row.1.clone()).collect();
                events.iter().for_each(|event| self.tell(conversation, event, survives));
            }
        }
    }

    fn tell(&mut self, conversation: ConversationId, event: &Event, survives: bool) {
        if let Some(message) = target_of(&event.content).and_then(|seq| self.disk.events.get_mut(&(conversation, seq))) {
            amend(message, event);
        }
        if let Content::Redaction { target } = event.content {
            let edits = self.disk.events.range_mut((conversation, target)..=(conversation, event.seq));
            edits.filter(|row| target_of(&row.1.content) == Some(target)).for_each(|row| {
                redact_edit(row.1);
            });
        }
        if survives {
            self.told.entry(conversation).or_default().push(event.seq);
        }
    }
}

fn engine(user: UserId, device: DeviceId, from_the_start: bool, disk: &Disk) -> Engine {
    Engine::new(Snapshot {
        user,
        device,
        point: disk.point.clone(),
        from_the_start,
        conversations: disk.conversations.values().cloned().collect(),
        outbox: disk.outbox.iter().map(|(key, frame)| (key.0, key.1, frame.clone())).collect(),
    })
}
