//! Was the promise kept? Compares what every device was told, and what it wrote, with the logs as they stand at the end.
//!
//! It is pure: [`check`] takes a [`Record`] and gives what is wrong with it. It trusts neither the server nor the SDK: a device's
//! journal is written by the application above the SDK, and the logs are read by the HTTP API.

mod devices;
mod journals;
mod logs;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use banter_client::sync::Stored;
use banter_model::{Action, ConversationId, DeviceId, Marker, Ordinal, Seq, Tag, UserId};
use banter_protocol::Event;

/// Everything that is known of a run.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// The devices that wrote and were told.
    pub devices: Vec<DeviceRecord>,
    /// Each user's conversations, as the HTTP API shows them at the end.
    pub views: Vec<View>,
}

/// One device.
#[derive(Debug, Clone)]
pub struct DeviceRecord {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// What happened to it, in order, over all its lives.
    pub journal: Vec<Entry>,
    /// What it says of its conversations at the end.
    pub conversations: Vec<DeviceConversation>,
}

/// An entry of a device's journal.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The client was opened: a new life.
    Opened,
    /// The application was too slow, and reads on from the store.
    Lagged,
    /// The application was told of an event.
    Told(ConversationId, Arc<Event>),
    /// The application read an event from the store, going on from where it stood.
    Read(ConversationId, Arc<Event>),
    /// The application wants something written: the `number`-th thing that it writes.
    Wrote {
        /// Counts up over all lives.
        number: u64,
        /// Where.
        conversation: ConversationId,
        /// What.
        action: Action,
    },
    /// The SDK has taken it, under this tag. Without this entry it died first, and may have taken it or not.
    Accepted {
        /// Which.
        number: u64,
        /// The tag.
        tag: Tag,
    },
    /// The SDK has not taken it.
    NotAccepted {
        /// Which.
        number: u64,
        /// Why.
        why: String,
    },
    /// It was acknowledged: by a notification, or by its ticket.
    Acknowledged(Stored),
    /// It was refused for good.
    Refused {
        /// Where.
        conversation: ConversationId,
        /// Its tag.
        tag: Tag,
        /// The code.
        code: String,
    },
    /// The client gave up, which it never may.
    Ended(String),
}

impl Entry {
    /// The conversation it is about, where it says so.
    pub fn conversation(&self) -> Option<ConversationId> {
        match self {
            Entry::Told(conversation, _)
            | Entry::Read(conversation, _)
            | Entry::Wrote { conversation, .. }
            | Entry::Refused { conversation, .. } => Some(*conversation),
            Entry::Acknowledged(stored) => Some(stored.conversation),
            Entry::Opened | Entry::Lagged | Entry::Accepted { .. } | Entry::NotAccepted { .. } | Entry::Ended(_) => None,
        }
    }
}

/// A conversation as a device has it at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceConversation {
    /// Which.
    pub conversation: ConversationId,
    /// Told up to here.
    pub have: Seq,
    /// The end of the log, as it knows it.
    pub head: Marker,
    /// How far the user has read.
    pub read: Marker,
    /// The unread count that it shows.
    pub unread: u64,
    /// The group's title.
    pub title: String,
    /// The group's members.
    pub members: Vec<UserId>,
    /// The preview's place and text.
    pub preview: Option<(Seq, String)>,
    /// The events in its store.
    pub stored: Vec<Event>,
}

/// A conversation as the HTTP API shows it to one user at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub conversation: ConversationId,
    /// All of it.
    pub events: Vec<Event>,
    /// The end of the log.
    pub head: Marker,
    /// How far the user has read.
    pub read: Marker,
    /// The unread count.
    pub unread: u64,
    /// The group's title.
    pub title: String,
    /// The group's members.
    pub members: Vec<UserId>,
    /// The preview's place and text.
    pub preview: Option<(Seq, String)>,
}

/// What kind of promise was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A place in a log, or in what a device was told, is empty.
    Gap,
    /// Ordinals do not count the messages, or times run backwards.
    Count,
    /// Something acknowledged or accepted does not stand in the log.
    Lost,
    /// Something stands or was told more than once.
    Twice,
    /// It stands, but elsewhere or under another id than was acknowledged.
    Misplaced,
    /// Something does not stand, or was not told, in the order of its writing.
    Order,
    /// Nobody wrote it.
    Unwritten,
    /// It does not say what was written, or what the amendments make of it.
    Content,
    /// Two who see the same conversation do not see the same.
    Disagreement,
    /// An unread count or read marker is wrong.
    Unread,
    /// A valid message was refused, or what was refused stands.
    Refused,
    /// A client gave up.
    Ended,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What kind.
    pub kind: Kind,
    /// Where.
    pub conversation: Option<ConversationId>,
    /// At whose device, if it is about one.
    pub device: Option<DeviceId>,
    /// What exactly, for finding the cause.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.kind)?;
        if let Some(conversation) = self.conversation {
            write!(f, " in {conversation}")?;
        }
        if let Some(device) = self.device {
            write!(f, " at device {device}")?;
        }
        write!(f, ": {}", self.detail)
    }
}

/// What was found, up to a limit: the first are what a cause is found by.
pub(crate) struct Findings {
    violations: Vec<Violation>,
}

/// Most violations that are kept.
const FINDINGS: usize = 1_000;

impl Findings {
    pub(crate) fn add(&mut self, kind: Kind, conversation: ConversationId, device: Option<DeviceId>, detail: impl fmt::Display) {
        self.push(Violation { kind, conversation: Some(conversation), device, detail: detail.to_string() });
    }

    pub(crate) fn push(&mut self, violation: Violation) {
        if self.violations.len() < FINDINGS {
            self.violations.push(violation);
        }
    }
}

/// Something a device wrote.
#[derive(Debug, Clone)]
pub(crate) struct Written<'a> {
    pub conversation: ConversationId,
    pub action: &'a Action,
    pub tag: Option<Tag>,
}

/// The logs as the first who sees each of them sees it, and what was written.
pub(crate) struct Evidence<'a> {
    pub record: &'a Record,
    pub logs: BTreeMap<ConversationId, &'a [Event]>,
    pub written: BTreeMap<DeviceId, Vec<Written<'a>>>,
}

impl<'a> Evidence<'a> {
    fn of(record: &'a Record) -> Self {
        let mut logs: BTreeMap<ConversationId, &[Event]> = BTreeMap::new();
        for view in &record.views {
            logs.entry(view.conversation).or_insert(&view.events);
        }
        let written = record.devices.iter().map(|device| (device.device, written(&device.journal))).collect();
        Evidence { record, logs, written }
    }

    /// The log of a conversation; empty if nobody sees it.
    pub fn log(&self, conversation: ConversationId) -> &'a [Event] {
        self.logs.get(&conversation).copied().unwrap_or_default()
    }
}

fn written(journal: &[Entry]) -> Vec<Written<'_>> {
    let mut written: BTreeMap<u64, Written> = BTreeMap::new();
    for entry in journal {
        match entry {
            Entry::Wrote { number, conversation, action } => {
                written.insert(*number, Written { conversation: *conversation, action, tag: None });
            }
            Entry::Accepted { number, tag } => {
                if let Some(written) = written.get_mut(number) {
                    written.tag = Some(*tag);
                }
            }
            Entry::NotAccepted { number, .. } => {
                written.remove(number);
            }
            _ => {}
        }
    }
    written.into_values().collect()
}

/// Messages among `events` up to and including `seq`.
pub(crate) fn messages_up_to(events: &[Event], seq: Seq) -> Ordinal {
    events.iter().filter(|event| event.seq <= seq && is_message(event)).count() as Ordinal
}

pub(crate) fn is_message(event: &Event) -> bool {
    matches!(event.content, banter_protocol::Content::Message { .. })
}

/// Everything that is wrong.
pub fn check(record: &Record) -> Vec<Violation> {
    let evidence = Evidence::of(record);
    let mut findings = Findings { violations: Vec::new() };
    logs::check(&evidence, &mut findings);
    let versions = logs::Versions::of(&evidence, &mut findings);
    journals::check(&evidence, &versions, &mut findings);
    devices::check(&evidence, &mut findings);
    findings.violations
}
