//! Writes down what goes into engines and what comes out, for clients in other languages to be held against.

use std::cell::RefCell;
use std::collections::BTreeMap;

use banter_model::{Action, ConversationId, DeviceId, Millis, Tag, UserId};
use serde_json::{Map, Value, json};

use super::device::Disk;
use crate::sync::{Effect, FetchError, Input, QueueError, Window, Write};

thread_local! {
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// One device, from its making to its end.
pub struct Record {
    /// Who it is.
    pub device: Value,
    /// What happened, in order.
    pub steps: Vec<Value>,
    /// The events on its disk at the end.
    pub events: Value,
    /// Conversations as they were stored last: of the next ones only what differs is written down.
    stored: BTreeMap<ConversationId, Value>,
}

/// Records all devices that `run` makes on this thread.
pub fn record(run: impl FnOnce()) -> Vec<Record> {
    RECORDS.with_borrow_mut(|records| *records = Some(Vec::new()));
    run();
    RECORDS.with_borrow_mut(Option::take).unwrap_or_default()
}

fn with(record: Option<usize>, write: impl FnOnce(&mut Record)) {
    let Some(index) = record else { return };
    RECORDS.with_borrow_mut(|records| {
        if let Some(record) = records.as_mut().and_then(|records| records.get_mut(index)) {
            write(record);
        }
    });
}

pub fn begin(user: UserId, device: DeviceId, from_the_start: bool) -> Option<usize> {
    RECORDS.with_borrow_mut(|records| {
        let records = records.as_mut()?;
        let device = json!({ "user": user, "device": device, "from_the_start": from_the_start });
        let steps = vec![json!({ "start": true })];
        records.push(Record { device, steps, events: Value::Null, stored: BTreeMap::new() });
        Some(records.len() - 1)
    })
}

pub fn end(record: Option<usize>, disk: &Disk) {
    with(record, |record| {
        let events = disk.events.iter().map(|((conversation, _), event)| json!([conversation, event]));
        record.events = events.collect();
    });
}

pub fn killed(record: Option<usize>) {
    with(record, |record| record.steps.push(json!({ "start": true })));
}

pub fn input(record: Option<usize>, now: Millis, input: &Input) {
    with(record, |record| record.steps.push(json!({ "now": now, "input": input_json(input) })));
}

pub fn action(record: Option<usize>, now: Millis, conversation: ConversationId, action: &Action) -> Option<usize> {
    with(record, |record| {
        record.steps.push(json!({ "now": now, "queue": { "conversation": conversation, "action": action_json(action) } }));
    });
    record
}

pub fn queued(record: Option<usize>, result: &Result<Tag, QueueError>) {
    let result = match result {
        Ok(tag) => json!({ "tag": tag }),
        Err(QueueError::Refused(refusal)) => json!({ "code": refusal.code(), "message": refusal.to_string() }),
        Err(QueueError::Full) => json!({ "code": "outbox_full" }),
    };
    with(record, |record| put(record.steps.last_mut(), "queued", result));
}

pub fn effects(record: Option<usize>, effects: &[Effect], deadline: Option<Millis>) {
    with(record, |record| {
        let effects: Vec<Value> = effects.iter().map(|effect| effect_json(effect, &mut record.stored)).collect();
        put(record.steps.last_mut(), "effects", effects.into());
        put(record.steps.last_mut(), "deadline", json!(deadline));
    });
}

fn put(step: Option<&mut Value>, key: &str, value: Value) {
    if let Some(step) = step.and_then(Value::as_object_mut) {
        step.insert(key.to_owned(), value);
    }
}

fn window_json(window: Window) -> Value {
    match window {
        Window::Newest => json!({ "type": "newest" }),
        Window::After(seq) => json!({ "type": "after", "seq": seq }),
        Window::Before(seq) => json!({ "type": "before", "seq": seq }),
        Window::Around(seq) => json!({ "type": "around", "seq": seq }),
    }
}

fn action_json(action: &Action) -> Value {
    match action {
        Action::Send { text, reply_to: None, .. } => json!({ "type": "send", "text": text }),
        Action::Send { text, reply_to, .. } => json!({ "type": "send", "text": text, "reply_to": reply_to }),
        Action::Edit { target, text, .. } => json!({ "type": "edit", "target": target, "text": text }),
        Action::Redact { target } => json!({ "type": "redact", "target": target }),
        Action::React { target, emoji, add } => json!({ "type": "react", "target": target, "emoji": emoji, "add": add }),
        other => panic!("{other:?} is not written by an engine"),
    }
}

fn input_json(input: &Input) -> Value {
    match input {
        Input::Frame(frame) => json!({ "type": "frame", "frame": frame }),
        Input::Disconnected => json!({ "type": "disconnected" }),
        Input::Fetched { request, result: Ok(page) } => json!({ "type": "fetched", "request": request, "page": page }),
        Input::Fetched { request, result: Err(error) } => {
            let error = match error {
                FetchError::Later { retry_after: None } => json!({ "type": "later" }),
                FetchError::Later { retry_after } => json!({ "type": "later", "retry_after": retry_after }),
                FetchError::Gone => json!({ "type": "gone" }),
            };
            json!({ "type": "fetched", "request": request, "error": error })
        }
        Input::Page { conversation, window, page } => {
            json!({ "type": "page", "conversation": conversation, "window": window_json(*window), "page": page })
        }
        Input::LookedUp { conversation, tag, found } => {
            let found = found.map(|(seq, id, at)| json!({ "seq": seq, "id": id, "at": at }));
            json!({ "type": "looked_up", "conversation": conversation, "tag": tag, "found": found })
        }
        Input::MarkRead { conversation, marker } => {
            json!({ "type": "mark_read", "conversation": conversation, "marker": marker })
        }
        Input::Typing { conversation } => json!({ "type": "typing", "conversation": conversation }),
        Input::Watch { users } => json!({ "type": "watch", "users": users }),
        Input::Tick => json!({ "type": "tick" }),
    }
}

fn effect_json(effect: &Effect, stored: &mut BTreeMap<ConversationId, Value>) -> Value {
    match effect {
        Effect::Send(frame) => json!({ "type": "send", "frame": frame }),
        Effect::Fetch { request, conversation, window } => {
            json!({ "type": "fetch", "request": request, "conversation": conversation, "window": window_json(*window) })
        }
        Effect::LookUp { conversation, tag } => json!({ "type": "look_up", "conversation": conversation, "tag": tag }),
        Effect::Notify(notification) => json!({ "type": "notify", "notification": notification }),
        Effect::Write(write) => json!({ "type": "write", "write": write_json(write, stored) }),
    }
}

fn write_json(write: &Write, stored: &mut BTreeMap<ConversationId, Value>) -> Value {
    match write {
        Write::Conversation(state) => {
            let now = json!(state);
            let before = stored.insert(state.id, now.clone()).unwrap_or_default();
            json!({ "type": "conversation", "id": state.id, "changed": difference(&before, &now) })
        }
        Write::Queue { conversation, tag, frame } => {
            json!({ "type": "queue", "conversation": conversation, "tag": tag, "frame": frame })
        }
        Write::Answered { conversation, tag } => json!({ "type": "answered", "conversation": conversation, "tag": tag }),
        Write::Append { conversation, event } => json!({ "type": "append", "conversation": conversation, "event": event }),
        Write::Keep { conversation, events, have } => {
            json!({ "type": "keep", "conversation": conversation, "events": events, "have": have })
        }
        Write::Deliver { conversation, after, to } => {
            json!({ "type": "deliver", "conversation": conversation, "after": after, "to": to })
        }
        Write::Point(point) => json!({ "type": "point", "point": point }),
    }
}

/// The fields of `now` that are not as they were.
fn difference(before: &Value, now: &Value) -> Value {
    let fields = now.as_object().into_iter().flatten().filter(|(key, value)| before.get(*key) != Some(value));
    Value::Object(fields.map(|(key, value)| (key.clone(), value.clone())).collect::<Map<_, _>>())
}
