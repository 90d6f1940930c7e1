//! What a worker reads before the fold: as much as it can at the same time, for all commands of a round wait while it does.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::pin::pin;

use banter_model::membership::Membership;
use banter_model::{Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, Seq, Tag, UserId};
use banter_store::{Envelope, History, StoreError};
use futures_util::{StreamExt, TryStreamExt};

use crate::at_once::in_order;
use crate::worker::delivery::Stored;
use crate::worker::kept::Kept;
use crate::worker::round::Round;
use crate::worker::run::{Interruption, Worker};

/// Most events that are loaded beforehand: of the longest texts they take some 26 MB.
const TARGETS: usize = 64;

impl Worker {
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
        let (history, settled) = (self.history.clone(), self.settled);
        let history = &history;
        let questions = missing.into_iter().map(|id| async move { (id, history.resume(id, settled).await) });
        let mut answers = pin!(in_order(at_once, questions));
        while let Some((id, stored)) = answers.next().await {
            round.conversations.insert(id, Kept::new(stored?.unwrap_or_else(|| Conversation::new(id))));
        }
        self.load_targets(round, commands).await
    }

    /// Loads the events that `commands` are about, if there are not too many. What the round makes of them goes before what is loaded.
    async fn load_targets(&mut self, round: &mut Round, commands: &[(u64, Envelope)]) -> Result<(), StoreError> {
        let mut wanted = HashSet::new();
        for (position, Envelope { command, .. }) in commands {
            let id = command.conversation;
            let kept = round.conversations.get(&id).or_else(|| self.kept.peek(&id));
            let (Some(seq), Some(kept)) = (command.action.target(), kept) else { continue };
            if wanted.len() < TARGETS && seq <= kept.stored_head && *position > kept.conversation.head.position {
                wanted.insert((id, seq));
            }
        }
        let history = &self.history;
        let questions = wanted.into_iter().map(|(id, seq)| async move { ((id, seq), history.event_at(id, seq).await) });
        let mut answers = pin!(in_order(history.questions_at_once(), questions));
        while let Some((place, stored)) = answers.next().await {
            round.targets.insert(place, stored?);
        }
        Ok(())
    }

    /// The state of a conversation as the round leaves it so far.
    pub(super) async fn load<'a>(&mut self, round: &'a mut Round, id: ConversationId) -> Result<&'a mut Kept, StoreError> {
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
pub(super) async fn answer_before(
    history: &dyn History,
    round: &mut Round,
    id: ConversationId,
    (device, tag): (DeviceId, Tag),
    at_most: Seq,
) -> Result<Option<Stored>, StoreError> {
    let Some(kept) = round.conversations.get_mut(&id) else { return Ok(None) };
    // Above it there may be rows of a batch that never became whole.
    let at_most = at_most.min(kept.stored_head);
    if history.questions_at_once() > 1 {
        return kept.answers.look_up(history, id, (device, tag), at_most).await;
    }
    Ok(history.find_tag(id, device, tag, at_most).await?.as_ref().map(Stored::of))
}

/// The event at `seq` as the round leaves it so far, for the command at `position`.
pub(super) async fn load_event(
    history: &dyn History,
    round: &Round,
    id: ConversationId,
    seq: Seq,
    position: u64,
) -> Result<Option<Event>, Interruption> {
    if let Some(event) = round.event(id, seq) {
        return Ok(Some(event.clone()));
    }
    let stored = match round.targets.get(&(id, seq)) {
        Some(stored) => stored.clone(),
        None => history.event_at(id, seq).await?,
    };
    match stored {
        // It shows what later commands did, which was stored after a head that is ahead of ours.
        Some(stored) if stored.position >= position => Err(Interruption::Overtaken),
        stored => Ok(stored.map(|stored| stored.event)),
    }
}

/// The edits of `message`: where a redaction finds every copy of the text.
pub(super) async fn load_edits(
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
pub(super) async fn load_memberships(
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banter_model::{GroupId, Head};
    use banter_store::HistoryBatch;
    use banter_store::behaviour::history::{message, row};
    use banter_store::data_folder::DataFolder;
    use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};

    use super::*;

    const GROUP: ConversationId = ConversationId::Group(GroupId(7));
    const PHONE: DeviceId = DeviceId(10);

    #[tokio::test]
    async fn what_lies_above_the_stored_head_answers_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(DataFolder::open(folder.path()).unwrap());
        let history = EmbeddedHistory::open(data, HistoryOptions::default()).unwrap();
        let tag = Tag::new(2).unwrap();
        let written = |seq, text| Event { device: PHONE, tag: Some(tag), ..message(seq, text) };
        let head = Head { seq: 1, position: 1, ..Head::default() };
        let mut batch = HistoryBatch { partition: 0, position: 1, heads: vec![(GROUP, head.clone())], ..HistoryBatch::default() };
        // The second is of a batch whose head was never written; its command was lost, sent again, and is at 1 now.
        batch.events = vec![row(GROUP, 1, written(1, "stands")), row(GROUP, 1, written(3, "never stood"))];
        history.commit(batch).await.unwrap();
        let mut round = Round::new(0);
        let mut kept = Kept::new(Conversation { head, ..Conversation::new(GROUP) });
        // The round goes on to 3 without having stored it.
        kept.conversation.head.seq = 3;
        round.conversations.insert(GROUP, kept);
        let answer = answer_before(&history, &mut round, GROUP, (PHONE, tag), 3).await.unwrap();
        assert_eq!(answer.map(|stored| stored.seq), Some(1));
    }
}
