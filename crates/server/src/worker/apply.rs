//! One command: what the fold makes of it, and what follows from that.

use banter_model::fold::{self, Outcome as Folded, Target};
use banter_model::membership;
use banter_model::tag::Seen;
use banter_model::{Action, Command, Conversation, ConversationId, Event, EventBody, Objection, Refusal, amend};
use banter_protocol::{ErrorCode, ServerFrame};
use banter_store::{Envelope, History, StoreError};

use crate::gateway::EncodedFrame;
use crate::worker::Failure;
use crate::worker::delivery::{News, Stored};
use crate::worker::loading::{answer_before, load_edits, load_event, load_memberships};
use crate::worker::round::Round;
use crate::worker::run::{Interruption, Judged, Worker};

impl Worker {
    /// Judges one command, after reading what the fold has to know. No read comes after the fold has changed something.
    pub(super) async fn apply(&mut self, round: &mut Round, position: u64, envelope: Envelope) -> Result<Judged, Interruption> {
        let Envelope { command, objection, .. } = envelope;
        let id = command.conversation;
        let conversation = &self.load(round, id).await?.conversation;
        if self.replays && position <= conversation.head.position {
            let head = conversation.head.seq;
            let judged = applied_before(&*self.history, conversation, &command).await?;
            self.repeat_facts(round, id, head, position).await?;
            return Ok(judged);
        }
        if let Some(objection) = objection.filter(|_| fold::objected(conversation, &command)) {
            let failure = match objection {
                Objection::UnknownUser => Refusal::UnknownUser.into(),
                Objection::MayNotWrite => Refusal::MayNotWrite.into(),
                Objection::Unchecked => Failure::Unavailable(ErrorCode::StorageUnavailable),
            };
            return Ok((Err(failure), None));
        }
        let head = conversation.head.seq;
        let target_event = match command.action.target() {
            // Above the head there may be rows of a batch that is not whole, which are nothing yet.
            Some(seq) if seq <= head => load_event(&*self.history, round, id, seq, position).await?,
            _ => None,
        };
        let entering = load_memberships(&*self.history, round, &command, head == 0).await?;
        let edits = match (&command.action, &target_event) {
            (Action::Redact { .. }, Some(event)) => load_edits(&*self.history, round, id, event, position).await?,
            _ => Vec::new(),
        };
        // It was loaded above.
        let Some(kept) = round.conversations.get_mut(&id) else {
            return Ok((Err(Failure::Unavailable(ErrorCode::Internal)), None));
        };
        let target = target_event.as_ref().map(Target::of);
        match fold::apply(&mut kept.conversation, position, command, target.as_ref()) {
            Folded::Refused(refusal) => Ok((Err(refusal.into()), None)),
            Folded::Duplicate { device, tag, at_most } => {
                self.metrics.duplicates.inc();
                let stored = match round.find_tag(id, device, tag) {
                    Some(event) => Some(Stored::of(event)),
                    None => answer_before(&*self.history, round, id, (device, tag), at_most).await?,
                };
                // Noted but not found: so far back that the device has to look for itself.
                Ok((stored.ok_or(Refusal::StaleTag.into()), None))
            }
            Folded::Applied { event, forgotten } => {
                if let Some((user, marker)) = forgotten {
                    round.batch.read.push((user, id, marker));
                }
                let (came, went) = membership::changes(&event);
                let roster_changed = !came.is_empty() || !went.is_empty() || changes_roster(&event.body);
                if roster_changed {
                    kept.members = kept.conversation.members().collect();
                }
                let (members, gone) = (kept.members.clone(), went.first().copied());
                let news = News { frame: encode(id, &event), members, gone, roster_changed };
                self.metrics.frames_encoded.inc();
                if self.history.questions_at_once() > 1 {
                    kept.answers.note(&event);
                }
                let earlier_history = kept.conversation.roster.earlier_history;
                if roster_changed {
                    round.change_roster(id, position);
                }
                for (user, mut membership) in entering {
                    let changed = if came.contains(&user) || (id.is_direct() && event.seq == 1) {
                        membership.enter(&event, earlier_history)
                    } else {
                        went.contains(&user) && membership.leave(&event)
                    };
                    if changed {
                        round.change_membership(user, id, membership, position);
                    }
                }
                let answer = Stored::of(&event);
                round.note_mentions(id, &event, target_event.as_ref(), position);
                if let Some(mut target) = target_event
                    && amend::amend(&mut target, &event)
                {
                    round.amend(id, target, position);
                }
                for mut edit in edits {
                    amend::redact_edit(&mut edit);
                    round.amend(id, edit, position);
                }
                round.add(id, event, position);
                Ok((Ok(answer), Some(news)))
            }
        }
    }
}

/// What came of a command that was applied before, by this worker or another: the conversation, as it is stored, is beyond it.
/// It is not judged again, for the state that it was judged by is gone. If it made an event, that is the answer, and
/// those who are to see it are told (again), for whoever stored it may have died before.
async fn applied_before(history: &dyn History, conversation: &Conversation, command: &Command) -> Result<Judged, StoreError> {
    let (id, head) = (conversation.id, &conversation.head);
    let event = match command.tag.map(|tag| (tag, head.tags.look_up(command.device, tag))) {
        None => history.find_id(id, command.id, head.seq).await?,
        Some((tag, Seen::Before { at_most })) => history.find_tag(id, command.device, tag, at_most).await?,
        Some(_) => None,
    };
    // It was refused, or is far back: asked again, it gets an answer.
    let Some(event) = event else { return Ok((Err(Failure::Unavailable(ErrorCode::Busy)), None)) };
    let answer = Stored::of(&event);
    if event.id != command.id {
        return Ok((Ok(answer), None));
    }
    let members = match id {
        ConversationId::Direct(..) => conversation.members().collect(),
        // Who came in later is not to see it, and who went out later sees that there is a gap before they went.
        ConversationId::Group(_) => {
            let members = conversation.roster.members.iter();
            members.filter(|member| member.since <= event.seq).map(|member| member.user).collect()
        }
    };
    let gone = membership::changes(&event).1.first().copied();
    Ok((Ok(answer), Some(News { frame: encode(id, &event), members, gone, roster_changed: true })))
}

fn encode(conversation: ConversationId, event: &Event) -> EncodedFrame {
    EncodedFrame::new(&ServerFrame::Event { conversation, event: event.clone().into() })
}

/// Does it change title, roles or settings? Comings and goings are in [`membership::changes`].
fn changes_roster(body: &EventBody) -> bool {
    matches!(body, EventBody::RoleChanged { .. } | EventBody::TitleChanged { .. } | EventBody::EarlierHistoryChanged { .. })
}
