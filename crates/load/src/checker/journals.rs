//! What the devices were told and promised.

use std::collections::{BTreeMap, BTreeSet};

use banter_model::{ConversationId, Seq, Tag};
use banter_protocol::{Content, Event};

use super::logs::{Versions, describe};
use super::{DeviceRecord, Entry, Evidence, Findings, Kind, Violation};

pub(super) fn check(evidence: &Evidence, versions: &Versions, findings: &mut Findings) {
    for device in &evidence.record.devices {
        told(evidence, versions, device, findings);
        promised(evidence, device, findings);
    }
}

/// How far the application of a device stands in a conversation.
#[derive(Default)]
struct Standing {
    /// Told or read up to here.
    place: Seq,
    /// The last one told in this life; `None` before the first.
    told: Option<Seq>,
}

/// Every event once, in order, without a gap, from the first to the last, as the log has it.
fn told(evidence: &Evidence, versions: &Versions, record: &DeviceRecord, findings: &mut Findings) {
    let device = Some(record.device);
    let mut standings: BTreeMap<ConversationId, Standing> = BTreeMap::new();
    for entry in &record.journal {
        match entry {
            Entry::Opened | Entry::Lagged => standings.values_mut().for_each(|standing| standing.told = None),
            Entry::Read(id, event) => {
                let standing = standings.entry(*id).or_default();
                if event.seq != standing.place + 1 {
                    let kind = if event.seq <= standing.place { Kind::Twice } else { Kind::Gap };
                    findings.add(kind, *id, device, format!("read after {}: {}", standing.place, describe(event)));
                }
                standing.place = standing.place.max(event.seq);
                as_logged(evidence, versions, record, *id, event, findings);
            }
            Entry::Told(id, event) => {
                let standing = standings.entry(*id).or_default();
                // What was read from the store in this life may be told of as well: the two overlap.
                let next = standing.told.unwrap_or(standing.place) + 1;
                if event.seq > next {
                    findings.add(Kind::Gap, *id, device, format!("told, with {} next: {}", next, describe(event)));
                } else if event.seq < next && standing.told.is_some() {
                    findings.add(Kind::Twice, *id, device, format!("told, with {} next: {}", next, describe(event)));
                }
                standing.told = standing.told.max(Some(event.seq));
                standing.place = standing.place.max(event.seq);
                as_logged(evidence, versions, record, *id, event, findings);
            }
            Entry::Ended(why) => {
                let detail = format!("the client gave up: {why}");
                findings.push(Violation { kind: Kind::Ended, conversation: None, device, detail });
            }
            _ => {}
        }
    }
    for view in evidence.record.views.iter().filter(|view| view.user == record.user) {
        let place = standings.get(&view.conversation).map_or(0, |standing| standing.place);
        if place != view.head.seq {
            findings.add(Kind::Gap, view.conversation, device, format!("told up to {place}, the log ends at {}", view.head.seq));
        }
    }
}

/// Was it told as it stands? A message may have been told as some later event left it.
fn as_logged(
    evidence: &Evidence,
    versions: &Versions,
    record: &DeviceRecord,
    id: ConversationId,
    event: &Event,
    findings: &mut Findings,
) {
    let device = Some(record.device);
    let logged = usize::try_from(event.seq).ok().and_then(|seq| evidence.log(id).get(seq.checked_sub(1)?));
    let Some(logged) = logged else {
        findings.add(Kind::Lost, id, device, format!("told, but not in the log: {}", describe(event)));
        return;
    };
    let place = |event: &Event| (event.seq, event.ordinal, event.id, event.at, event.sender, event.device, event.tag);
    if place(event) != place(logged) {
        findings.add(Kind::Disagreement, id, device, format!("told {}, the log has {}", describe(event), describe(logged)));
        return;
    }
    let version = match &event.content {
        Content::Message { amended_up_to, .. } => versions.at(id, event.seq, *amended_up_to),
        // A page shows an edit without its text once its message is redacted.
        Content::Edit { text, .. } if text.is_empty() => None,
        _ => versions.at(id, event.seq, 0),
    };
    if let Some(version) = version.filter(|version| version != event) {
        findings.add(Kind::Content, id, device, format!("told {event:?}, it was {version:?}"));
    }
}

/// What was acknowledged stands where it was acknowledged; what was accepted stands, or was refused for a reason.
fn promised(evidence: &Evidence, record: &DeviceRecord, findings: &mut Findings) {
    let device = Some(record.device);
    let mut own: BTreeMap<(ConversationId, Tag), &Event> = BTreeMap::new();
    for (id, log) in &evidence.logs {
        let of_device = log.iter().filter(|event| event.device == record.device);
        own.extend(of_device.filter_map(|event| Some(((*id, event.tag?), event))));
    }
    let mut refused = BTreeSet::new();
    for entry in &record.journal {
        match entry {
            Entry::Acknowledged(stored) => match own.get(&(stored.conversation, stored.tag)) {
                None => findings.add(Kind::Lost, stored.conversation, device, format!("acknowledged: {stored:?}")),
                Some(event) if (event.seq, event.id, event.at) != (stored.seq, stored.id, stored.at) => {
                    findings.add(Kind::Misplaced, stored.conversation, device, format!("{stored:?} is {}", describe(event)));
                }
                Some(_) => {}
            },
            Entry::Refused { conversation, tag, code } => {
                refused.insert((*conversation, *tag));
                if let Some(event) = own.get(&(*conversation, *tag)) {
                    findings.add(Kind::Refused, *conversation, device, format!("{code}, yet it stands: {}", describe(event)));
                }
            }
            _ => {}
        }
    }
    for written in evidence.written.get(&record.device).into_iter().flatten() {
        let Some(tag) = written.tag else { continue };
        let key = (written.conversation, tag);
        if own.contains_key(&key) {
            continue;
        }
        let detail = format!("tag {}: {:?}", tag.get(), written.action);
        match written.action.target() {
            None if refused.contains(&key) => findings.add(Kind::Refused, written.conversation, device, detail),
            // The answer may have been lost with a life of the application; the reason is there to see.
            Some(target) if refused.contains(&key) || is_redacted(evidence.log(written.conversation), target) => {}
            _ => findings.add(Kind::Lost, written.conversation, device, format!("accepted, not in the log: {detail}")),
        }
    }
}

fn is_redacted(log: &[Event], seq: Seq) -> bool {
    log.iter().any(|event| event.seq == seq && matches!(event.content, Content::Message { redacted: true, .. }))
}
