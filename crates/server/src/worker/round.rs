//! What a round of commands adds up to.

use std::collections::{HashMap, HashSet};

use banter_model::membership::Membership;
use banter_model::{ConversationId, DeviceId, Event, EventBody, Seq, Tag, UserId};
use banter_store::history::plan::Redo;
use banter_store::history::{EventRow, MembershipRow, MentionChange, RosterRow, StoredEvent};
use banter_store::{Fact, HistoryBatch};

use super::delivery::Outcome;
use super::kept::Kept;

/// What a round adds up to. Nothing of it is visible before it is stored.
///
/// Every row has the position of the last command that touched it, and depends on nothing but the log up to there, so that
/// it is the same however the commands are put together into rounds.
#[derive(Default)]
pub(super) struct Round {
    /// The conversations that its commands are about, as the commands so far leave them.
    pub conversations: HashMap<ConversationId, Kept>,
    /// Those in which something happened.
    touched: HashSet<ConversationId>,
    /// With the position of the last command that changed it.
    rosters_changed: HashMap<ConversationId, u64>,
    /// Older events that were loaded before the commands were judged, as they were then.
    pub targets: HashMap<(ConversationId, Seq), Option<StoredEvent>>,
    /// New events, as they were made.
    events: HashMap<(ConversationId, Seq), StoredEvent>,
    /// Older and new ones that were amended, as they are now.
    amended: HashMap<(ConversationId, Seq), StoredEvent>,
    /// With the position of the last command that changed it.
    memberships: HashMap<(UserId, ConversationId), (Membership, u64)>,
    /// The rest of what is stored.
    pub batch: HistoryBatch,
    /// The tagged commands of the round, by the session that asks.
    pub asked: Vec<(ConversationId, u64, Tag)>,
    /// What came of each command.
    pub outcomes: Vec<Outcome>,
    /// Facts of events that were stored before, to be written to the feed before those of the round.
    pub repeated: Vec<Fact>,
    /// About what the redo lists take, in bytes.
    redo_bytes: usize,
}

impl Round {
    pub fn new(partition: u32) -> Self {
        let mut round = Round::default();
        round.batch.partition = partition;
        round
    }

    /// Did anything happen?
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Is it enough for one batch, where redo lists are kept?
    pub fn is_full(&self) -> bool {
        self.redo_bytes >= Redo::ENOUGH_BYTES
    }

    /// What goes into the feed when `batch`, which the round came to, is stored, after [`Round::repeated`].
    pub fn facts(batch: &HistoryBatch) -> Vec<Fact> {
        let mut events: Vec<&EventRow> = batch.events.iter().collect();
        // A command makes one event.
        events.sort_unstable_by_key(|row| row.position);
        events.into_iter().map(|row| Fact::of(row.conversation, &row.event)).collect()
    }

    /// The event at `seq`, if the round made or amended it: as it is now.
    pub fn event(&self, id: ConversationId, seq: Seq) -> Option<&Event> {
        self.amended.get(&(id, seq)).or_else(|| self.events.get(&(id, seq))).map(|stored| &stored.event)
    }

    /// The event that `device` made with `tag` in this round.
    pub fn find_tag(&self, id: ConversationId, device: DeviceId, tag: Tag) -> Option<&Event> {
        let mut events = self.events.iter().filter(|((conversation, _), _)| *conversation == id).map(|(_, stored)| &stored.event);
        events.find(|event| event.device == device && event.tag == Some(tag))
    }

    /// The membership row of `user`, if the round changed it: as it is now.
    pub fn membership(&self, user: UserId, id: ConversationId) -> Option<&Membership> {
        self.memberships.get(&(user, id)).map(|(membership, _)| membership)
    }

    /// The command at `position` made `event`.
    pub fn add(&mut self, id: ConversationId, event: Event, position: u64) {
        self.touched.insert(id);
        self.events.insert((id, event.seq), StoredEvent { event, position });
    }

    /// The command at `position` made this of an older event, or of one of this round.
    pub fn amend(&mut self, id: ConversationId, event: Event, position: u64) {
        self.redo_bytes += Redo::bytes_of_event(&event);
        self.amended.insert((id, event.seq), StoredEvent { event, position });
    }

    /// The command at `position` changed the roster.
    pub fn change_roster(&mut self, id: ConversationId, position: u64) {
        self.rosters_changed.insert(id, position);
    }

    /// The command at `position` changed a membership.
    pub fn change_membership(&mut self, user: UserId, id: ConversationId, membership: Membership, position: u64) {
        self.redo_bytes += Redo::bytes_of_rows(1);
        self.memberships.insert((user, id), (membership, position));
    }

    /// Notes who is mentioned now and no longer. `target` is what `event` amends, as it was before.
    pub fn note_mentions(&mut self, conversation: ConversationId, event: &Event, target: Option<&Event>, position: u64) {
        let mentioned = |event: &Event| -> Vec<UserId> {
            let (EventBody::Message { mentions, .. } | EventBody::Edit { mentions, .. }) = &event.body else { return Vec::new() };
            mentions.iter().map(|mention| mention.user).collect()
        };
        let (seq, before, after) = match (&event.body, target) {
            (EventBody::Message { .. }, _) => (event.seq, Vec::new(), mentioned(event)),
            (EventBody::Edit { target: seq, .. }, Some(target)) => (*seq, mentioned(target), mentioned(event)),
            (EventBody::Redaction { target: seq }, Some(target)) => (*seq, mentioned(target), Vec::new()),
            _ => return,
        };
        let mut change = |users: &[UserId], others: &[UserId], added| {
            for user in users.iter().filter(|user| !others.contains(user)) {
                self.redo_bytes += Redo::bytes_of_rows(1);
                self.batch.mentions.push(MentionChange { user: *user, conversation, seq, added, position });
            }
        };
        change(&before, &after, false);
        change(&after, &before, true);
    }

    /// What is stored; the conversations, for the next round; and what came of the commands.
    pub fn finish(self) -> (HistoryBatch, HashMap<ConversationId, Kept>, Vec<Outcome>) {
        let Round { conversations, touched, rosters_changed, events, amended, memberships, mut batch, outcomes, .. } = self;
        let state = |id: &ConversationId| conversations.get(id).map(|kept| &kept.conversation);
        batch.heads.extend(touched.iter().filter_map(|id| Some((*id, state(id)?.head.clone()))));
        batch.rosters.extend(rosters_changed.into_iter().filter_map(|(conversation, position)| {
            Some(RosterRow { conversation, roster: state(&conversation)?.roster.clone(), position })
        }));
        let row = |((conversation, _), StoredEvent { event, position })| EventRow { conversation, event, position };
        batch.events.extend(events.into_iter().map(row));
        batch.amended.extend(amended.into_iter().map(row));
        let row = |((user, conversation), (membership, position))| MembershipRow { user, conversation, membership, position };
        batch.memberships.extend(memberships.into_iter().map(row));
        (batch, conversations, outcomes)
    }
}
