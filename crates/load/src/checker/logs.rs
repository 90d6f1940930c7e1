//! The logs themselves: no gap, nothing twice, in order, written by somebody, amended as they say.

use std::collections::{BTreeMap, BTreeSet};

use banter_model::event::Amendments;
use banter_model::{Action, ConversationId, DeviceId, EventBody, Seq, Tag, amend};
use banter_protocol::{Content, Event};

use super::{Entry, Evidence, Findings, Kind, Written, is_message};

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    let mut ids = BTreeSet::new();
    for (id, log) in &evidence.logs {
        let (mut ordinal, mut at) = (0, 0);
        let mut tags: BTreeMap<DeviceId, Tag> = BTreeMap::new();
        let mut tagged = BTreeSet::new();
        for (event, seq) in log.iter().zip(1..) {
            if event.seq != seq {
                findings.add(Kind::Gap, *id, None, format!("place {seq} holds {}", describe(event)));
                break;
            }
            ordinal += u64::from(is_message(event));
            if event.ordinal != ordinal {
                findings.add(Kind::Count, *id, None, format!("{ordinal} messages up to {}", describe(event)));
            }
            if event.at < at {
                findings.add(Kind::Count, *id, None, format!("the time before was {at}: {}", describe(event)));
            }
            at = event.at;
            if !ids.insert(event.id) {
                findings.add(Kind::Twice, *id, None, format!("an id given before: {}", describe(event)));
            }
            let Some(tag) = event.tag else { continue };
            if !tagged.insert((event.device, tag)) {
                findings.add(Kind::Twice, *id, Some(event.device), format!("its tag stands before: {}", describe(event)));
            } else if tags.insert(event.device, tag).is_some_and(|before| before > tag) {
                findings.add(Kind::Order, *id, Some(event.device), format!("a later tag stands before {}", describe(event)));
            }
        }
    }
    for view in &evidence.record.views {
        let log = evidence.log(view.conversation);
        if view.events != log {
            let difference = first_difference(&view.events, log);
            findings.add(Kind::Disagreement, view.conversation, None, format!("user {} sees {difference}", view.user));
        }
    }
}

/// Where two logs begin to differ.
pub(super) fn first_difference(one: &[Event], other: &[Event]) -> String {
    let differs = one.iter().zip(other).find(|(one, other)| one != other);
    match differs {
        Some((one, other)) => format!("{one:?}, not {other:?}"),
        None => format!("{} events, not {}", one.len(), other.len()),
    }
}

pub(super) fn describe(event: &Event) -> String {
    let tag = event.tag.map_or(0, Tag::get);
    format!(
        "event {} (id {}, ordinal {}, device {}, tag {tag}): {:?}",
        event.seq, event.id, event.ordinal, event.device, event.content
    )
}

/// What every event said when it was written, and what the amendments make of each message. `None` where that is not known: whoever
/// wrote it died before it learnt the tag, and the text is gone.
pub(super) struct Versions {
    originals: BTreeMap<ConversationId, Vec<Option<banter_model::Event>>>,
    amendments: BTreeMap<(ConversationId, Seq), Vec<Seq>>,
}

impl Versions {
    /// Finds who wrote each event, and folds the logs. Notes what nobody wrote, and messages that are not what the log makes of them.
    pub fn of(evidence: &Evidence, findings: &mut Findings) -> Self {
        let told = told_texts(evidence);
        let mut versions = Versions { originals: BTreeMap::new(), amendments: BTreeMap::new() };
        for (id, log) in &evidence.logs {
            let mut unaccepted: BTreeMap<DeviceId, Vec<&Written>> = BTreeMap::new();
            let mut accepted: BTreeMap<(DeviceId, Tag), &Action> = BTreeMap::new();
            for (device, written) in &evidence.written {
                for written in written.iter().filter(|written| written.conversation == *id) {
                    match written.tag {
                        Some(tag) => drop(accepted.insert((*device, tag), written.action)),
                        None => unaccepted.entry(*device).or_default().push(written),
                    }
                }
            }
            for event in *log {
                if let Some(target) = banter_client::sync::target_of(&event.content) {
                    versions.amendments.entry((*id, target)).or_default().push(event.seq);
                }
                let original = match event.tag {
                    None => group_event(event).then(|| event.clone().into()),
                    Some(tag) => match accepted.get(&(event.device, tag)) {
                        Some(action) => said(event, action),
                        None => {
                            let candidates = unaccepted.get(&event.device).map(Vec::as_slice).unwrap_or_default();
                            let shown = told.get(&(*id, event.seq)).copied().or(text_of(event)).filter(|text| !text.is_empty());
                            let found = candidates.iter().find(|written| same(written.action, event, shown));
                            if found.is_none() {
                                findings.add(Kind::Unwritten, *id, Some(event.device), describe(event));
                            }
                            let known = found.filter(|_| shown.is_some() || text_of(event).is_none());
                            let original = known.and_then(|written| said(event, written.action));
                            versions.originals.entry(*id).or_default().push(original);
                            continue;
                        }
                    },
                };
                if original.is_none() {
                    findings.add(
                        Kind::Unwritten,
                        *id,
                        Some(event.device),
                        format!("not what that tag wrote: {}", describe(event)),
                    );
                }
                versions.originals.entry(*id).or_default().push(original);
            }
            for event in log.iter().filter(|event| is_message(event)) {
                match versions.at(*id, event.seq, Seq::MAX) {
                    Some(message) if message != *event => {
                        findings.add(Kind::Content, *id, None, format!("the log makes it {message:?}, a page shows {event:?}"));
                    }
                    _ => {}
                }
            }
        }
        versions
    }

    /// The event at `seq` after everything up to `up_to`.
    pub fn at(&self, conversation: ConversationId, seq: Seq, up_to: Seq) -> Option<Event> {
        let originals = self.originals.get(&conversation)?;
        let original = |seq: Seq| originals.get(usize::try_from(seq).ok()?.checked_sub(1)?)?.clone();
        let mut event = original(seq)?;
        let amendments = self.amendments.get(&(conversation, seq)).map(Vec::as_slice).unwrap_or_default();
        for amendment in amendments.iter().filter(|amendment| **amendment <= up_to) {
            amend::amend(&mut event, &original(*amendment)?);
        }
        Some(event.into())
    }
}

/// Texts of messages that a device was told before anything amended them.
fn told_texts<'a>(evidence: &'a Evidence) -> BTreeMap<(ConversationId, Seq), &'a str> {
    let mut texts = BTreeMap::new();
    for entry in evidence.record.devices.iter().flat_map(|device| &device.journal) {
        let (Entry::Told(id, event) | Entry::Read(id, event)) = entry else { continue };
        match &event.content {
            Content::Message { text, amended_up_to: 0, .. } => drop(texts.insert((*id, event.seq), text.as_str())),
            Content::Edit { text, .. } if !text.is_empty() => drop(texts.insert((*id, event.seq), text.as_str())),
            _ => {}
        }
    }
    texts
}

fn text_of(event: &Event) -> Option<&str> {
    match &event.content {
        // An amended message no longer shows what was first written.
        Content::Message { amended_up_to, .. } if *amended_up_to > 0 => Some(""),
        Content::Message { text, .. } | Content::Edit { text, .. } => Some(text),
        _ => None,
    }
}

/// Can `action` have made `event`? `shown`: its first text, if it is known.
fn same(action: &Action, event: &Event, shown: Option<&str>) -> bool {
    match (action, &event.content) {
        (Action::Send { text, .. }, Content::Message { .. }) => shown.is_none_or(|shown| shown == text),
        (Action::Edit { target, text, .. }, Content::Edit { target: seq, .. }) => {
            target == seq && shown.is_none_or(|shown| shown == text)
        }
        (Action::Redact { target }, Content::Redaction { target: seq }) => target == seq,
        (Action::React { target, emoji, add }, Content::Reaction { target: seq, emoji: shown, added }) => {
            (target, emoji, add) == (seq, shown, added)
        }
        _ => false,
    }
}

/// Events that the API makes on a user's behalf.
fn group_event(event: &Event) -> bool {
    !matches!(
        event.content,
        Content::Message { .. } | Content::Edit { .. } | Content::Redaction { .. } | Content::Reaction { .. }
    )
}

/// `event` as it was when `action` made it; `None` if that action cannot have made it.
fn said(event: &Event, action: &Action) -> Option<banter_model::Event> {
    if !same(action, event, None) {
        return None;
    }
    let mut original = banter_model::Event::from(event.clone());
    match (action, &mut original.body) {
        (Action::Send { text, reply_to, .. }, EventBody::Message { text: shown, reply_to: shown_reply, amendments, .. }) => {
            if reply_to != shown_reply || (amendments.up_to == 0 && shown != text) {
                return None;
            }
            shown.clone_from(text);
            *amendments = Amendments::default();
        }
        (Action::Edit { text, .. }, EventBody::Edit { text: shown, .. }) => {
            if !shown.is_empty() && shown != text {
                return None;
            }
            shown.clone_from(text);
        }
        _ => {}
    }
    Some(original)
}
