//! One round of a worker: everything that waits is folded, stored with one write, and only then answered.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use banter_model::fold::{self, Outcome as Folded, Target};
use banter_model::membership::{self, Membership};
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, Objection, Refusal, Seq, Tag, UserId, amend,
};
use banter_protocol::{ErrorCode, ServerFrame};
use banter_store::history::{EventRow, MembershipRow, MentionChange, RosterRow, StoredEvent};
use banter_store::{Envelope, History, HistoryBatch, PartitionReader, StoreError};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use crate::gateway::EncodedFrame;
use crate::metrics::Metrics;
use crate::worker::Failure;
use crate::worker::delivery::{Applied, Delivery, News, Outcome, Stored};
use crate::worker::held::Held;

/// Most commands in one round.
const ROUND_COMMANDS: usize = 1_024;

/// Conversations that a worker expects to keep in memory; of others the state is read again when something happens there.
const KEPT_CONVERSATIONS: usize = 8_192;
/// Bytes that the conversations kept in memory take together, at most.
const KEPT_BYTES_IN_ALL: u64 = 16 << 20;
/// About what a conversation takes without its windows and members, in bytes; with the next two, for [`KEPT_BYTES_IN_ALL`].
const KEPT_BYTES: usize = 320;
/// About what the window of a device takes.
const WINDOW_BYTES: usize = 64;
/// About what a member takes, in the roster and in the list that deliveries share.
const MEMBER_BYTES: usize = 32;

/// Applies the commands of one partition. The only writer of its logs.
pub struct Worker {
    reader: Box<dyn PartitionReader>,
    history: Arc<dyn History>,
    delivery: Arc<dyn Delivery>,
    metrics: Arc<Metrics>,
    kept: Cache<ConversationId, Kept, KeptWeight>,
    held: Held,
}

/// The state of a conversation, and its members as deliveries share them.
struct Kept {
    conversation: Conversation,
    members: Arc<[UserId]>,
}

/// What a kept conversation counts for: about its bytes in memory.
#[derive(Clone)]
struct KeptWeight;

impl Weighter<ConversationId, Kept> for KeptWeight {
    fn weight(&self, _: &ConversationId, kept: &Kept) -> u64 {
        let conversation = &kept.conversation;
        (KEPT_BYTES + conversation.head.tags.len() * WINDOW_BYTES + conversation.roster.members.len() * MEMBER_BYTES) as u64
    }
}

impl Kept {
    fn new(conversation: Conversation) -> Self {
        let members = conversation.members().collect();
        Kept { conversation, members }
    }
}

/// What a round adds up to. Nothing of it is visible before it is stored.
#[derive(Default)]
struct Round {
    conversations: HashMap<ConversationId, Kept>,
    /// Those in which something happened.
    touched: HashSet<ConversationId>,
    /// With the position of the last command that changed it.
    rosters_changed: HashMap<ConversationId, u64>,
    /// New ones, as they were made.
    events: HashMap<(ConversationId, Seq), StoredEvent>,
    /// Older and new ones that were amended, as they are now.
    amended: HashMap<(ConversationId, Seq), StoredEvent>,
    memberships: HashMap<(UserId, ConversationId), (Membership, u64)>,
    batch: HistoryBatch,
    /// The tagged commands of the round.
    asked: Vec<(ConversationId, DeviceId, Tag)>,
    outcomes: Vec<Outcome>,
}

impl Worker {
    /// A worker for the partition of `reader`.
    pub fn new(
        reader: Box<dyn PartitionReader>,
        history: Arc<dyn History>,
        delivery: Arc<dyn Delivery>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Worker {
            reader,
            history,
            delivery,
            metrics,
            kept: Cache::with_weighter(KEPT_CONVERSATIONS, KEPT_BYTES_IN_ALL, KeptWeight),
            held: Held::default(),
        }
    }

    /// Works until the queue is closed and empty.
    pub async fn run(mut self) {
        while let Some(commands) = self.reader.next_batch(ROUND_COMMANDS).await {
            self.round(commands).await;
        }
    }

    async fn round(&mut self, commands: Vec<(u64, Envelope)>) {
        self.metrics.rounds.inc();
        self.metrics.commands.inc_by(commands.len() as u64);
        self.metrics.commands_per_round.observe(commands.len() as f64);
        let mut round = Round::default();
        round.batch.partition = self.reader.partition();
        // Only for what is held up: nothing that is stored depends on it.
        let now = Instant::now();
        for (position, envelope) in commands {
            round.batch.position = position;
            let (origin, sender) = (envelope.origin, envelope.command.sender);
            let (conversation, tag) = (envelope.command.conversation, envelope.command.tag);
            let (device, weight) = (envelope.command.device, envelope.command.action.weight());
            let waits = tag.is_some_and(|tag| self.held.must_wait(conversation, device, tag, now));
            let applied = match waits {
                true => Err(Failure::Unavailable(ErrorCode::Busy)),
                false => self.apply(&mut round, position, envelope).await,
            };
            // One that waits holds up nobody by itself: the time that the first may take would never end.
            if let (Some(tag), Err(Failure::Unavailable(_)), false) = (tag, &applied, waits) {
                self.held.hold(conversation, device, tag, now);
            }
            let (answer, news) = match applied {
                Ok((stored, news)) => (Ok(stored), news),
                Err(failure) => (Err(failure), None),
            };
            round.asked.extend(tag.map(|tag| (conversation, device, tag)));
            round.outcomes.push(Outcome { origin, sender, conversation, tag, weight, answer, news });
        }
        let Round { conversations, touched, rosters_changed, events, amended, memberships, mut batch, asked, mut outcomes } =
            round;
        let partition = batch.partition;
        let stored_up_to = Some(batch.position).filter(|_| !events.is_empty());
        if !events.is_empty() {
            batch.heads.extend(touched.iter().filter_map(|id| Some((*id, conversations.get(id)?.conversation.head.clone()))));
            batch.rosters.extend(rosters_changed.into_iter().filter_map(|(conversation, position)| {
                let roster = conversations.get(&conversation)?.conversation.roster.clone();
                Some(RosterRow { conversation, roster, position })
            }));
            let row = |((conversation, _), StoredEvent { event, position })| EventRow { conversation, event, position };
            batch.events.extend(events.into_iter().map(row));
            batch.amended.extend(amended.into_iter().map(row));
            let row = |((user, conversation), (membership, position))| MembershipRow { user, conversation, membership, position };
            batch.memberships.extend(memberships.into_iter().map(row));
            if let Err(error) = self.history.commit(batch).await {
                fail(&mut outcomes, error);
                for (conversation, device, tag) in asked {
                    self.held.hold(conversation, device, tag, now);
                }
                self.delivery.deliver(Applied { partition, stored_up_to: None, outcomes });
                return;
            }
            self.metrics.events.inc_by(outcomes.iter().filter(|outcome| outcome.news.is_some()).count() as u64);
        }
        // What does not exist is not worth remembering: anybody can name it.
        for (id, kept) in conversations.into_iter().filter(|(_, kept)| kept.conversation.head.seq > 0) {
            self.kept.insert(id, kept);
        }
        self.delivery.deliver(Applied { partition, stored_up_to, outcomes });
    }

    /// Folds one command. Reads what the fold has to know; a failed read refuses this command alone.
    async fn apply(&mut self, round: &mut Round, position: u64, envelope: Envelope) -> Result<(Stored, Option<News>), Failure> {
        let Envelope { command, objection, .. } = envelope;
        let id = command.conversation;
        self.load(round, id).await?;
        if let Some(objection) = objection
            && round.conversations.get(&id).is_some_and(|kept| fold::objected(&kept.conversation, &command))
        {
            return Err(match objection {
                Objection::UnknownUser => Refusal::UnknownUser.into(),
                Objection::MayNotWrite => Refusal::MayNotWrite.into(),
                Objection::Unchecked => Failure::Unavailable(ErrorCode::StorageUnavailable),
            });
        }
        let target_event = match command.action.target() {
            Some(seq) => load_event(&*self.history, round, id, seq).await?,
            None => None,
        };
        // What an event needs besides the command is read before the fold, so that no read can fail after it.
        let entering = load_memberships(&*self.history, round, &command).await?;
        let edits = match (&command.action, &target_event) {
            (Action::Redact { .. }, Some(event)) => load_edits(&*self.history, round, id, event).await?,
            _ => Vec::new(),
        };
        // The conversation was loaded above.
        let kept = round.conversations.get_mut(&id).ok_or(Failure::Unavailable(ErrorCode::Internal))?;
        let target = target_event.as_ref().map(Target::of);
        match fold::apply(&mut kept.conversation, position, command, target.as_ref()) {
            Folded::Refused(refusal) => Err(refusal.into()),
            Folded::Duplicate { device, tag, at_most } => {
                self.metrics.duplicates.inc();
                let earlier = round
                    .events
                    .iter()
                    .map(|((conversation, _), stored)| (conversation, &stored.event))
                    .find(|(conversation, event)| **conversation == id && event.device == device && event.tag == Some(tag))
                    .map(|(_, event)| event.clone());
                let event = match earlier {
                    Some(event) => Some(event),
                    None => self.history.find_tag(id, device, tag, at_most).await.map_err(Failure::from_store)?,
                };
                // Noted but not found: so far back that the device has to look for itself.
                event.map(|event| (stored(&event), None)).ok_or(Failure::Refused(Refusal::StaleTag))
            }
            Folded::Applied { event, forgotten } => {
                round.touched.insert(id);
                if let Some((user, marker)) = forgotten {
                    round.batch.read.push((user, id, marker));
                }
                let (came, went) = membership::changes(&event);
                if !came.is_empty() || !went.is_empty() || changes_roster(&event.body) {
                    kept.members = kept.conversation.members().collect();
                    round.rosters_changed.insert(id, position);
                }
                let news = News { frame: encode(id, &event), members: kept.members.clone(), gone: went.first().copied() };
                self.metrics.frames_encoded.inc();
                let earlier_history = kept.conversation.roster.earlier_history;
                for (user, mut membership) in entering {
                    if came.contains(&user) || (id.is_direct() && event.seq == 1) {
                        membership.enter(&event, earlier_history);
                    } else if went.contains(&user) {
                        membership.leave(&event);
                    } else {
                        continue;
                    }
                    round.memberships.insert((user, id), (membership, position));
                }
                let answer = stored(&event);
                note_mentions(round, id, position, &event, target_event.as_ref());
                let mut event = event;
                if let Some(mut target) = target_event {
                    let amended = amend::amend(&mut target, &event);
                    // In a replay the message may have been redacted after this edit: its text does not come back.
                    if amend::is_redacted(&target) {
                        amend::redact_edit(&mut event);
                    }
                    if amended {
                        round.amended.insert((id, target.seq), StoredEvent { event: target, position });
                    }
                }
                for mut edit in edits {
                    amend::redact_edit(&mut edit);
                    round.amended.insert((id, edit.seq), StoredEvent { event: edit, position });
                }
                round.events.insert((id, event.seq), StoredEvent { event, position });
                Ok((answer, Some(news)))
            }
        }
    }

    async fn load(&mut self, round: &mut Round, id: ConversationId) -> Result<(), Failure> {
        if let Entry::Vacant(entry) = round.conversations.entry(id) {
            // Taken out, and put back when the round is stored: what is in memory never runs ahead of what is on disk.
            let kept = match self.kept.remove(&id) {
                Some((_, kept)) => kept,
                None => {
                    let stored = self.history.conversation(id).await.map_err(Failure::from_store)?;
                    Kept::new(stored.unwrap_or_else(|| Conversation::new(id)))
                }
            };
            entry.insert(kept);
        }
        Ok(())
    }
}

/// The event at `seq` as the round leaves it so far.
async fn load_event(history: &dyn History, round: &Round, id: ConversationId, seq: Seq) -> Result<Option<Event>, Failure> {
    match round.amended.get(&(id, seq)).or_else(|| round.events.get(&(id, seq))) {
        Some(stored) => Ok(Some(stored.event.clone())),
        None => history.event(id, seq).await.map_err(Failure::from_store),
    }
}

/// The edits of `message`: where a redaction finds every copy of the text.
async fn load_edits(history: &dyn History, round: &Round, id: ConversationId, message: &Event) -> Result<Vec<Event>, Failure> {
    let EventBody::Message { amendments, .. } = &message.body else { return Ok(Vec::new()) };
    let mut edits = Vec::with_capacity(amendments.edits.len());
    for seq in &amendments.edits {
        edits.extend(load_event(history, round, id, *seq).await?);
    }
    Ok(edits)
}

/// The membership rows that `command` may change.
async fn load_memberships(history: &dyn History, round: &Round, command: &Command) -> Result<Vec<(UserId, Membership)>, Failure> {
    let id = command.conversation;
    let users: Vec<UserId> = match (id, &command.action) {
        (ConversationId::Direct(low, high), _) => {
            let begins = round.conversations.get(&id).is_some_and(|kept| kept.conversation.head.seq == 0);
            if begins { vec![low, high] } else { Vec::new() }
        }
        (_, Action::CreateGroup { members, .. }) => members.iter().copied().chain([command.sender]).collect(),
        (_, Action::AddMembers { members }) => members.clone(),
        (_, Action::RemoveMember { member }) => vec![*member],
        (_, Action::Leave) => vec![command.sender],
        _ => Vec::new(),
    };
    let mut rows = Vec::with_capacity(users.len());
    for user in users {
        let row = match round.memberships.get(&(user, id)) {
            Some((membership, _)) => membership.clone(),
            None => history.membership(user, id).await.map_err(Failure::from_store)?.unwrap_or_default(),
        };
        rows.push((user, row));
    }
    Ok(rows)
}

/// Nothing of the round is stored, and every command in it was judged by what the ones before it did: all are to be sent again.
fn fail(outcomes: &mut [Outcome], error: StoreError) {
    let failure = Failure::from_store(error);
    for outcome in outcomes {
        outcome.news = None;
        outcome.answer = Err(failure.clone());
    }
}

fn stored(event: &Event) -> Stored {
    let mentions = match &event.body {
        EventBody::Message { mentions, .. } | EventBody::Edit { mentions, .. } => mentions.clone(),
        _ => Vec::new(),
    };
    Stored { seq: event.seq, ordinal: event.ordinal, id: event.id, at: event.at, mentions }
}

fn encode(conversation: ConversationId, event: &Event) -> EncodedFrame {
    EncodedFrame::new(&ServerFrame::Event { conversation, event: event.clone().into() })
}

/// Does it change title, roles or settings? Comings and goings are in [`membership::changes`].
fn changes_roster(body: &EventBody) -> bool {
    matches!(body, EventBody::RoleChanged { .. } | EventBody::TitleChanged { .. } | EventBody::EarlierHistoryChanged { .. })
}

/// Notes who is mentioned now and no longer.
fn note_mentions(round: &mut Round, conversation: ConversationId, position: u64, event: &Event, target: Option<&Event>) {
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
            round.batch.mentions.push(MentionChange { user: *user, conversation, seq, added, position });
        }
    };
    change(&before, &after, false);
    change(&after, &before, true);
}
