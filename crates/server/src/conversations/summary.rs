//! One conversation of a user's, as it stands.

use banter_model::marker::read_up_to;
use banter_model::{ConversationId, Event, EventBody, Millis, Seq, UserId};
use banter_protocol::ConversationSummary;
use banter_protocol::limits::{LATEST_BYTES, LATEST_EVENTS, PREVIEW_CHARACTERS};
use banter_protocol::sync::{Group, GroupMember, Peer, Preview};
use banter_store::history::{FEW_EVENTS, Order, PageSize, Progress};
use banter_store::{History, StoreError};

use super::ReadingError;
use super::view::View;
use crate::node::Node;

/// Most unread mentions that are counted.
pub const MENTIONS_COUNTED: usize = 100;

/// How many events are looked through for the last message that a former member saw.
const LOOKED_THROUGH: usize = 50;

/// The conversation as `user` sees it.
///
/// # Errors
/// [`banter_model::Refusal::NotAMember`] for those who never were in it.
pub async fn summary(node: &Node, user: UserId, conversation: ConversationId) -> Result<ConversationSummary, ReadingError> {
    let view = View::open(&*node.history, user, conversation).await?;
    let (progress, peer) = progress_of(&*node.history, user, conversation).await?;
    let group = group(node, &view).await?;
    summary_of(node, &view, progress, peer, group, Vec::new()).await
}

/// How far `user` has got in a conversation, and for a direct one its other member.
pub(super) async fn progress_of(
    history: &dyn History,
    user: UserId,
    conversation: ConversationId,
) -> Result<(Progress, Option<Progress>), StoreError> {
    match conversation.peer_of(user) {
        Some(peer) => {
            let both = tokio::try_join!(history.progress(user, conversation), history.progress(peer, conversation))?;
            Ok((both.0, Some(both.1)))
        }
        None => Ok((history.progress(user, conversation).await?, None)),
    }
}

/// The same from what was read already: the user's progress, for a direct conversation the peer's, for a group its title and
/// members, unless the device has them, and some of the `latest` events.
pub(super) async fn summary_of(
    node: &Node,
    view: &View,
    progress: Progress,
    peer_progress: Option<Progress>,
    group: Option<Group>,
    latest: Vec<Event>,
) -> Result<ConversationSummary, ReadingError> {
    let read = view.read(progress.read);
    let peer = async {
        match (view.conversation.peer_of(view.user), peer_progress) {
            (Some(peer), Some(progress)) => peer_of(node, view, peer, progress).await.map(Some),
            _ => Ok(None),
        }
    };
    let (peer, mentions, preview) = tokio::try_join!(peer, unread_mentions(node, view, read.seq), preview(node, view, &latest))?;
    Ok(ConversationSummary {
        conversation: view.conversation,
        head_seq: view.end.seq,
        head_ordinal: view.end.ordinal,
        first_seq: view.membership.first_visible(),
        joined_seq: view.membership.joined.seq,
        at: view.at,
        member: view.is_member(),
        read,
        unread: view.unread(read),
        mentions,
        preview,
        group,
        peer,
        latest: latest.into_iter().map(|event| view.membership.as_seen(event).into()).collect(),
    })
}

/// Since when a device may lack events.
pub(super) struct Since {
    /// From about this time on.
    pub at: Millis,
    /// None before this one, if that is known.
    pub first: Option<Seq>,
}

/// The latest events that the user sees, from `since` on: a device that was in sync then lacks no more. One that lacks more notices,
/// and asks for it.
pub(super) async fn latest(node: &Node, view: &View, since: Since) -> Result<Vec<Event>, ReadingError> {
    let Some((first, mut last)) = view.membership.visible_ranges(view.head.seq).next_back() else { return Ok(Vec::new()) };
    // Older ones are not even looked at: they are seldom in memory.
    let lowest = first.max((last + 1).saturating_sub(LATEST_EVENTS as u64)).max(since.first.unwrap_or(0));
    let mut events: Vec<Event> = Vec::new();
    let mut room = LATEST_BYTES;
    // Most devices lack few.
    let mut count = FEW_EVENTS;
    while lowest <= last {
        let first = lowest.max((last + 1).saturating_sub(count as u64));
        let size = PageSize { events: count, bytes: room };
        let found = node.history.events(view.conversation, first, last, Order::NewestFirst, size).await?;
        let before = events.len();
        for event in found.into_iter().take_while(|event| event.at >= since.at) {
            // A store gives at least one event, whatever its size.
            let Some(left) = room.checked_sub(event.body.text_bytes()) else { break };
            room = left;
            events.push(event);
        }
        if (events.len() - before) as u64 != last + 1 - first {
            break;
        }
        (last, count) = (first - 1, LATEST_EVENTS - events.len());
    }
    events.reverse();
    Ok(events)
}

async fn peer_of(node: &Node, view: &View, peer: UserId, progress: Progress) -> Result<Peer, ReadingError> {
    let shown = node.relations.shows_reading(&[view.user, peer]).await?.len() == 2;
    let read = shown.then(|| read_up_to(progress.read, &view.head, peer).seq);
    Ok(Peer { read, delivered: progress.delivered })
}

async fn unread_mentions(node: &Node, view: &View, read: u64) -> Result<u64, ReadingError> {
    if view.end.seq <= read {
        return Ok(0);
    }
    let mentions = node.history.mentions(view.user, view.conversation, read, MENTIONS_COUNTED).await?;
    Ok(mentions.into_iter().filter(|seq| view.membership.sees(*seq)).count() as u64)
}

/// The last message that the user sees, perhaps one of the `latest` events.
async fn preview(node: &Node, view: &View, latest: &[Event]) -> Result<Option<Preview>, ReadingError> {
    let last = view.head.last_message;
    if last == 0 {
        return Ok(None);
    }
    if last <= view.end.seq {
        if !view.membership.sees(last) {
            return Ok(None);
        }
        let event = match latest.iter().find(|event| event.seq == last) {
            Some(event) => Some(event.clone()),
            None => node.history.event(view.conversation, last).await?,
        };
        return Ok(event.and_then(|event| preview_of(view.membership.as_seen(event))));
    }
    // There were messages after the user went out.
    let size = PageSize { events: LOOKED_THROUGH, ..PageSize::LARGEST };
    let Some((first, last)) = view.membership.visible_ranges(view.head.seq).next_back() else { return Ok(None) };
    let events = node.history.events(view.conversation, first, last, Order::NewestFirst, size).await?;
    Ok(events.into_iter().find_map(|event| preview_of(view.membership.as_seen(event))))
}

fn preview_of(event: Event) -> Option<Preview> {
    let Event { seq, at, sender, body, .. } = event;
    let EventBody::Message { text, amendments, .. } = body else { return None };
    let end = text.char_indices().nth(PREVIEW_CHARACTERS).map_or(text.len(), |(index, _)| index);
    Some(Preview { seq, sender, at, text: text[..end].to_owned(), redacted: amendments.redaction.is_some() })
}

/// Title and members of a group. Who went out keeps the title to know it by, and is not told who is in it.
pub(super) async fn group(node: &Node, view: &View) -> Result<Option<Group>, ReadingError> {
    if view.conversation.is_direct() {
        return Ok(None);
    }
    let roster = node.history.roster(view.conversation).await?.unwrap_or_default();
    let members = if view.is_member() { roster.members } else { Vec::new() };
    let members = members.into_iter().map(|member| GroupMember { user: member.user, role: member.role }).collect();
    Ok(Some(Group { title: roster.title, earlier_history: roster.earlier_history, members }))
}

#[cfg(test)]
mod tests {
    use banter_model::event::Amendments;
    use banter_model::{DeviceId, EventId};

    use super::*;

    #[test]
    fn a_preview_is_cut_between_characters() {
        let message = |text: String| Event {
            seq: 1,
            ordinal: 1,
            id: EventId(1),
            at: 5,
            sender: UserId(1),
            device: DeviceId(1),
            tag: None,
            body: EventBody::Message { text, reply_to: None, mentions: vec![], amendments: Amendments::default() },
        };
        assert_eq!(preview_of(message("😀".repeat(201))).unwrap().text, "😀".repeat(200));
        assert_eq!(preview_of(message("ä".repeat(200))).unwrap().text, "ä".repeat(200));
        let mut edit = message(String::new());
        edit.body = EventBody::Redaction { target: 1 };
        assert_eq!(preview_of(edit), None);
    }
}
