//! Fills a new history with the conversations, by the same fold and the same rows as the worker's, but without a session for each who
//! writes.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, bail};
use banter_model::fold::{self, Outcome};
use banter_model::membership::Membership;
use banter_model::partition::partition_of;
use banter_model::snowflake::{Generator, Unavailable};
use banter_model::{Action, Command, Conversation, ConversationId, DeviceId, Event, EventId, Millis, Tag, UserId};
use banter_server::clock;
use banter_server::serve::EMBEDDED_PARTITIONS;
use banter_store::data_folder::DataFolder;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::history::{EventRow, MembershipRow, RosterRow};
use banter_store::{History, HistoryBatch};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::layout::Layout;

/// Read markers after which a batch is written: finding one in a batch takes longer the more there are.
const MARKERS: usize = 256;
/// Batches on their way to the disk.
const UNDER_WAY: usize = 64;
/// How long ago the messages seem to have been written, in milliseconds.
const AGO: Millis = 3_600_000;

/// What was made.
#[derive(Serialize, Deserialize)]
pub(super) struct Loaded {
    /// How far the partitions are.
    pub positions: Vec<u64>,
    /// Conversations.
    pub conversations: u64,
    /// Memberships of them.
    pub memberships: u64,
    /// Events in them.
    pub events: u64,
}

/// Fills the history of the data folder at `path`.
pub(super) async fn load(path: &Path, layout: &Layout) -> Result<Loaded> {
    let folder = Arc::new(DataFolder::open(path)?);
    let history = Arc::new(EmbeddedHistory::open(folder, HistoryOptions::default())?);
    let mut loading = Loading {
        history: history.clone(),
        batches: (0..EMBEDDED_PARTITIONS).map(|partition| HistoryBatch { partition, ..HistoryBatch::default() }).collect(),
        ids: Generator::new(0),
        now: clock::now() - AGO,
        room: Arc::new(Semaphore::new(UNDER_WAY)),
        writes: JoinSet::new(),
        loaded: Loaded { positions: Vec::new(), conversations: 0, memberships: 0, events: 0 },
    };
    for round in 0..layout.groups {
        for number in 0..layout.groups_in_round() {
            let (owner, members) = (layout.owner(round, number), layout.members(round, number));
            loading.conversation(layout.group(round, number), owner, &members, layout.messages).await?;
        }
    }
    for user in (1..=layout.sessions).map(UserId) {
        for peer in layout.peers(user) {
            if let Some(id) = ConversationId::direct(user, peer) {
                loading.conversation(id, peer, &[user], layout.messages).await?;
            }
        }
    }
    let loaded = loading.finish().await?;
    history.close().await?;
    Ok(loaded)
}

struct Loading {
    history: Arc<EmbeddedHistory>,
    batches: Vec<HistoryBatch>,
    ids: Generator,
    now: Millis,
    room: Arc<Semaphore>,
    writes: JoinSet<Result<()>>,
    loaded: Loaded,
}

impl Loading {
    /// A conversation with `messages` messages, written in turn by `first` and `users`, and read by all `users`.
    async fn conversation(&mut self, id: ConversationId, first: UserId, users: &[UserId], messages: u64) -> Result<()> {
        let mut conversation = Conversation::new(id);
        let mut events = Vec::new();
        if !id.is_direct() {
            let title = format!("Group {id}");
            let action = Action::CreateGroup { title, members: users.to_vec(), earlier_history: false };
            events.push(self.apply(&mut conversation, first, None, action)?);
        }
        let writers = users.len() as u64 + 1;
        for number in 0..messages {
            let writer = if number % writers == 0 { first } else { users[(number % writers - 1) as usize] };
            let text = format!("message {number} in {id}, of the length that people write on average, more or less");
            let action = Action::Send { text, reply_to: None, mentions: Vec::new() };
            events.push(self.apply(&mut conversation, writer, Some(Tag::new(number / writers + 1)?), action)?);
        }
        let Some(begin) = events.first() else { bail!("a conversation without an event") };
        let partition = partition_of(id, EMBEDDED_PARTITIONS) as usize;
        let mut membership = Membership::default();
        membership.enter(begin, false);
        let batch = &mut self.batches[partition];
        let read = conversation.head.marker();
        let row = |user, position| MembershipRow { user, conversation: id, membership: membership.clone(), position };
        batch.memberships.push(row(first, batch.position));
        for user in users {
            batch.memberships.push(row(*user, batch.position));
            batch.read.push((*user, id, read));
        }
        self.loaded.conversations += 1;
        self.loaded.memberships += users.len() as u64 + 1;
        self.loaded.events += events.len() as u64;
        let position = batch.position;
        batch.events.extend(events.into_iter().map(|event| EventRow { conversation: id, event, position }));
        if !id.is_direct() {
            batch.rosters.push(RosterRow { conversation: id, roster: conversation.roster, position });
        }
        batch.heads.push((id, conversation.head));
        if batch.read.len() >= MARKERS {
            self.write(partition).await?;
        }
        Ok(())
    }

    fn apply(&mut self, conversation: &mut Conversation, sender: UserId, tag: Option<Tag>, action: Action) -> Result<Event> {
        let id = loop {
            match self.ids.next(self.now) {
                Ok(id) => break id,
                Err(Unavailable::Exhausted) => self.now += 1,
                Err(other) => return Err(other.into()),
            }
        };
        let batch = &mut self.batches[partition_of(conversation.id, EMBEDDED_PARTITIONS) as usize];
        batch.position += 1;
        let (conversation_id, device) = (conversation.id, DeviceId(sender.0));
        let command = Command { conversation: conversation_id, sender, device, tag, id: EventId(id), action };
        match fold::apply(conversation, batch.position, command, None) {
            Outcome::Applied { event, .. } => Ok(event),
            other => bail!("{other:?} in {conversation_id}"),
        }
    }

    /// Hands the batch of a partition to the history, when there is room.
    async fn write(&mut self, partition: usize) -> Result<()> {
        let next =
            HistoryBatch { partition: partition as u32, position: self.batches[partition].position, ..HistoryBatch::default() };
        let batch = std::mem::replace(&mut self.batches[partition], next);
        let place = self.room.clone().acquire_owned().await?;
        while let Some(written) = self.writes.try_join_next() {
            written??;
        }
        let history = self.history.clone();
        self.writes.spawn(async move {
            let _place = place;
            Ok(history.commit(batch).await?)
        });
        Ok(())
    }

    async fn written(&mut self) -> Result<()> {
        while let Some(written) = self.writes.join_next().await {
            written??;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<Loaded> {
        // Batches are stored in any order; the last ones come last, since each says how far its partition is.
        self.written().await?;
        for partition in 0..self.batches.len() {
            self.write(partition).await?;
        }
        self.written().await?;
        let positions = self.batches.iter().map(|batch| batch.position).collect();
        self.loaded.positions = positions;
        Ok(self.loaded)
    }
}
