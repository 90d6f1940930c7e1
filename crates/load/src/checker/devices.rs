//! What the devices and the API show at the end: stored events, unread counts, previews, members.

use super::logs::first_difference;
use super::{Evidence, Findings, Kind, messages_up_to};

pub(super) fn check(evidence: &Evidence, findings: &mut Findings) {
    for view in &evidence.record.views {
        let (id, log) = (view.conversation, evidence.log(view.conversation));
        let head = log.last().map(|event| (event.seq, event.ordinal)).unwrap_or_default();
        if (view.head.seq, view.head.ordinal) != head {
            findings.add(Kind::Disagreement, id, None, format!("user {}: the summary ends at {:?}", view.user, view.head));
        }
        counted(evidence, view.user, id, None, view.read, view.unread, findings);
    }
    for record in &evidence.record.devices {
        let device = Some(record.device);
        for view in evidence.record.views.iter().filter(|view| view.user == record.user) {
            let id = view.conversation;
            let Some(shown) = record.conversations.iter().find(|shown| shown.conversation == id) else {
                findings.add(Kind::Gap, id, device, "the device does not know the conversation");
                continue;
            };
            if shown.stored != view.events {
                let difference = first_difference(&shown.stored, &view.events);
                findings.add(Kind::Disagreement, id, device, format!("its store has {difference}"));
            }
            if shown.have != view.head.seq || shown.head != view.head {
                let (have, head) = (shown.have, shown.head);
                findings.add(
                    Kind::Disagreement,
                    id,
                    device,
                    format!("has {have}, ends at {head:?}; the log ends at {:?}", view.head),
                );
            }
            counted(evidence, record.user, id, device, shown.read, shown.unread, findings);
            if shown.read != view.read {
                findings.add(Kind::Unread, id, device, format!("read up to {:?}, the server says {:?}", shown.read, view.read));
            }
            if (&shown.title, &shown.members) != (&view.title, &view.members) {
                let (title, members) = (&shown.title, &shown.members);
                findings.add(
                    Kind::Disagreement,
                    id,
                    device,
                    format!("{title:?} with {members:?}, not {:?} with {:?}", view.title, view.members),
                );
            }
            if shown.preview != view.preview {
                findings.add(Kind::Disagreement, id, device, format!("preview {:?}, not {:?}", shown.preview, view.preview));
            }
        }
    }
}

/// Is the unread count what counting after the read marker gives?
fn counted(
    evidence: &Evidence,
    user: banter_model::UserId,
    id: banter_model::ConversationId,
    device: Option<banter_model::DeviceId>,
    read: banter_model::Marker,
    unread: u64,
    findings: &mut Findings,
) {
    let log = evidence.log(id);
    let up_to = messages_up_to(log, read.seq);
    let after = messages_up_to(log, banter_model::Seq::MAX) - up_to;
    if read.ordinal != up_to || unread != after {
        let detail = format!("user {user}: {unread} unread after {read:?}; counting gives {after} after {up_to} messages");
        findings.add(Kind::Unread, id, device, detail);
    }
    let own = log.iter().rev().find(|event| event.sender == user && super::is_message(event));
    if let Some(own) = own.filter(|own| own.seq > read.seq) {
        findings.add(Kind::Unread, id, device, format!("user {user} wrote {} and has read up to {read:?}", own.seq));
    }
}
