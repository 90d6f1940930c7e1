//! One command: what the fold makes of it, and what follows from that.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::pin::pin;

use banter_model::fold::{self, Outcome as Folded, Target};
use banter_model::membership::{self, Membership};
use banter_model::tag::Seen;
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, Objection, Refusal, Seq, Tag, UserId, amend,
};
use banter_protocol::{ErrorCode, ServerFrame};
use banter_store::{Envelope, History, StoreError};
use futures_util::{StreamExt, TryStreamExt};

use crate::at_once::in_order;
use crate::gateway::EncodedFrame;
use crate::worker::Failure;
use crate::worker::delivery::{News, Stored};
use crate::worker::kept::Kept;
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
                let news = News { frame: encode(id, &event), members: kept.members.clone(), gone: went.first().copied() };
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

    /// Loads what `commands` are about and is not in memory, many conversations at the same time: one after the other, the whole round would
    /// wait for as many round trips. Nothing is judged yet, so it does not matter in which order they come.
    pub(super) async fn load_all(&mut self, round: &mut Round, commands: &[(u64, Envelope)]) -> Result<(), StoreError> {
        let at_once = self.history.questions_at_once();
        if at_once <= 1 {
            return Ok(());
        }
        let mut missing: Vec<ConversationId> = Vec::new();
        let mut seen = HashSet::new();
        for (_, Envelope { command, .. }) in commands {
            let id = command.conversation;
            if self.kept.peek(&id).is_none() && seen.insert(id) {
                missing.push(id);
            }
        }
        let (history, settled) = (&self.history, self.settled);
        let questions = missing.into_iter().map(|id| async move { (id, history.resume(id, settled).await) });
        let mut answers = pin!(in_order(at_once, questions));
        while let Some((id, stored)) = answers.next().await {
            round.conversations.insert(id, Kept::new(stored?.unwrap_or_else(|| Conversation::new(id))));
        }
        Ok(())
    }

    /// The state of a conversation as the round leaves it so far.
    async fn load<'a>(&mut self, round: &'a mut Round, id: ConversationId) -> Result<&'a mut Kept, StoreError> {
        match round.conversations.entry(id) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                // Taken out, and put back when the round is stored: what is in memory never runs ahead of what is on disk.
                let kept = match self.kept.remove(&id) {
                    Some((_, kept)) => kept,
                    None => {
                        let stored = self.history.resume(id, self.settled).await?;
                        Kept::new(stored.unwrap_or_else(|| Conversation::new(id)))
                    }
                };
                Ok(entry.insert(kept))
            }
        }
    }
}

/// What `device` was answered in an earlier round to `tag`, whose event is at `at_most` or before it.
async fn answer_before(
    history: &dyn History,
    round: &mut Round,
    id: ConversationId,
    (device, tag): (DeviceId, Tag),
    at_most: Seq,
) -> Result<Option<Stored>, StoreError> {
    match round.conversations.get_mut(&id) {
        Some(kept) if history.questions_at_once() > 1 => kept.answers.look_up(history, id, (device, tag), at_most).await,
        _ => Ok(history.find_tag(id, device, tag, at_most).await?.as_ref().map(Stored::of)),
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
    Ok((Ok(answer), Some(News { frame: encode(id, &event), members, gone })))
}

/// The event at `seq` as the round leaves it so far, for the command at `position`.
async fn load_event(
    history: &dyn History,
    round: &Round,
    id: ConversationId,
    seq: Seq,
    position: u64,
) -> Result<Option<Event>, Interruption> {
    if let Some(event) = round.event(id, seq) {
        return Ok(Some(event.clone()));
    }
    match history.event_at(id, seq).await? {
        // It shows what later commands did, which was stored after a head that is ahead of ours.
        Some(stored) if stored.position >= position => Err(Interruption::Overtaken),
        stored => Ok(stored.map(|stored| stored.event)),
    }
}

/// The edits of `message`: where a redaction finds every copy of the text.
async fn load_edits(
    history: &dyn History,
    round: &Round,
    id: ConversationId,
    message: &Event,
    position: u64,
) -> Result<Vec<Event>, Interruption> {
    let EventBody::Message { amendments, .. } = &message.body else { return Ok(Vec::new()) };
    let mut edits = Vec::with_capacity(amendments.edits.len());
    for seq in &amendments.edits {
        edits.extend(load_event(history, round, id, *seq, position).await?);
    }
    Ok(edits)
}

/// The membership rows that `command` may change. `begins`: it is the first in its conversation.
async fn load_memberships(
    history: &dyn History,
    round: &Round,
    command: &Command,
    begins: bool,
) -> Result<Vec<(UserId, Membership)>, StoreError> {
    let id = command.conversation;
    let users: Vec<UserId> = match (id, &command.action) {
        (ConversationId::Direct(low, high), _) => {
            if begins {
                vec![low, high]
            } else {
                Vec::new()
            }
        }
        (_, Action::CreateGroup { members, .. }) => members.iter().copied().chain([command.sender]).collect(),
        (_, Action::AddMembers { members }) => members.clone(),
        (_, Action::RemoveMember { member }) => vec![*member],
        (_, Action::Leave) => vec![command.sender],
        _ => Vec::new(),
    };
    let rows = users.into_iter().map(|user| async move {
        let row = match round.membership(user, id) {
            Some(membership) => membership.clone(),
            None => history.membership(user, id).await?.unwrap_or_default(),
        };
        Ok((user, row))
    });
    in_order(history.questions_at_once(), rows).try_collect().await
}

fn encode(conversation: ConversationId, event: &Event) -> EncodedFrame {
    EncodedFrame::new(&ServerFrame::Event { conversation, event: event.clone().into() })
}

/// Does it change title, roles or settings? Comings and goings are in [`membership::changes`].
fn changes_roster(body: &EventBody) -> bool {
    matches!(body, EventBody::RoleChanged { .. } | EventBody::TitleChanged { .. } | EventBody::EarlierHistoryChanged { .. })
}
