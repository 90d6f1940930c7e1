//! History: the store of logs.

pub mod plan;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::snowflake::time_of;
use banter_model::{
    Conversation, ConversationId, DeviceId, Event, EventId, Head, Marker, Membership, Millis, Roster, Seq, Tag, UserId,
};
use serde::{Deserialize, Serialize};

use crate::StoreError;

pub mod movable;

/// The store of logs, and of what is folded from them.
///
/// Reads may come from any number of tasks at once. Writes of one partition come from one worker; where the queue replays its
/// commands ([`crate::PartitionReader::replays`]), for a while also from a second one that does not know of the first. Such a
/// history keeps with each row the position that it was written for, and a write for an older one changes nothing.
///
/// A history whose [`History::commit`] is several writes (see [`plan`]) may hold events above a head, of a batch that is not
/// whole. They are not part of the log: who reads asks for no place above the head that they read before.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// The state of a conversation; `None` before its first event.
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError>;

    /// Where the logs of `ids` end, in the order asked; `None` before the first event.
    async fn heads(&self, ids: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError>;

    /// Title and members of a group; `None` before its first event.
    async fn roster(&self, id: ConversationId) -> Result<Option<Roster>, StoreError>;

    /// One event, amended as it is now.
    async fn event(&self, id: ConversationId, seq: Seq) -> Result<Option<Event>, StoreError>;

    /// Events from `first` to `last`, both included, beginning at the end that `order` says, until `page` is full. Returned
    /// in that order. Holds at least one event if there is one, whatever its size.
    async fn events(
        &self,
        id: ConversationId,
        first: Seq,
        last: Seq,
        order: Order,
        page: PageSize,
    ) -> Result<Vec<Event>, StoreError>;

    /// What `user` may see of a conversation; `None` if they never were a member.
    async fn membership(&self, user: UserId, id: ConversationId) -> Result<Option<Membership>, StoreError>;

    /// At most `limit` of the conversations that `user` is or was in, in order of their ids (as bytes), from after `after` on.
    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Membership)>, StoreError>;

    /// The same, each with its head and how far its people have got: what a listing of conversations looks at. No head is older than
    /// what its membership says.
    async fn listing(&self, user: UserId, after: Option<ConversationId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let memberships = self.memberships(user, after, limit).await?;
        let ids: Vec<ConversationId> = memberships.iter().map(|(id, _)| *id).collect();
        let heads = self.heads(&ids).await?;
        let mut listed = Vec::with_capacity(ids.len());
        for ((conversation, membership), head) in memberships.into_iter().zip(heads) {
            let progress = self.progress(user, conversation).await?;
            let peer = match conversation.peer_of(user) {
                Some(peer) => Some(self.progress(peer, conversation).await?),
                None => None,
            };
            listed.push(Listed { conversation, membership, head, progress, peer });
        }
        Ok(listed)
    }

    /// How far `user` has got in a conversation.
    async fn progress(&self, user: UserId, id: ConversationId) -> Result<Progress, StoreError>;

    /// Moves `user`'s registers forward; each only grows. `now` is noted if one grew. Returns where they are now. Survives
    /// the death of the process; a power cut may take back the last moments.
    async fn advance(&self, user: UserId, id: ConversationId, advance: Advance, now: Millis) -> Result<Progress, StoreError>;

    /// At most `limit` places after `after` where `user` is mentioned in a message, in order.
    async fn mentions(&self, user: UserId, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError>;

    /// Position of a command of `partition`: it and all before it in its epoch are part of what is stored, whole. 0 before the
    /// first.
    async fn position(&self, partition: u32) -> Result<u64, StoreError>;

    /// The positions of many partitions, in the order asked, with as few questions to the engine as it takes.
    async fn positions(&self, partitions: &[u32]) -> Result<Vec<u64>, StoreError> {
        let mut positions = Vec::with_capacity(partitions.len());
        for partition in partitions {
            positions.push(self.position(*partition).await?);
        }
        Ok(positions)
    }

    /// How many questions of one who asks are worth having under way at the same time: 1 where rows are in this process, more where each
    /// question is a round trip.
    fn questions_at_once(&self) -> usize {
        1
    }

    /// Stores `batch`: synced to disk when this returns. After an error nothing of it is stored, but where the queue replays its
    /// commands any part of it may be, now or later: the same commands come again.
    async fn commit(&self, batch: HistoryBatch) -> Result<(), StoreError>;

    /// For workers: the state of a conversation to go on from. As [`History::conversation`], but what the redo list of its row
    /// says is written first, unless it was ([`plan::is_settled`]). `settled` is a position of the partition up to which everything
    /// is stored.
    async fn resume(&self, id: ConversationId, settled: u64) -> Result<Option<Conversation>, StoreError> {
        let _ = settled;
        self.conversation(id).await
    }

    /// For workers: one event as it is now, with the position that its row was last written for.
    async fn event_at(&self, id: ConversationId, seq: Seq) -> Result<Option<StoredEvent>, StoreError> {
        Ok(self.event(id, seq).await?.map(|event| StoredEvent { event, position: 0 }))
    }

    /// The event that `device` made with `tag`, which is at `at_most` or a little before it. Looks through at most
    /// [`PAGES_SCANNED_FOR_TAG`] pages; `None` if it is further down.
    async fn find_tag(&self, id: ConversationId, device: DeviceId, tag: Tag, at_most: Seq) -> Result<Option<Event>, StoreError> {
        let mut last = at_most;
        for _ in 0..PAGES_SCANNED_FOR_TAG {
            let page = self.events(id, 1, last, Order::NewestFirst, PageSize::LARGEST).await?;
            let Some(oldest) = page.last().map(|event| event.seq) else { break };
            if let Some(event) = page.into_iter().find(|event| event.device == device && event.tag == Some(tag)) {
                return Ok(Some(event));
            }
            last = oldest - 1;
        }
        Ok(None)
    }

    /// For workers: the event with this id, which is at `at_most` or before it, as far back as [`History::find_tag`] looks.
    async fn find_id(&self, id: ConversationId, event: EventId, at_most: Seq) -> Result<Option<Event>, StoreError> {
        let mut last = at_most;
        for _ in 0..PAGES_SCANNED_FOR_TAG {
            let page = self.events(id, 1, last, Order::NewestFirst, PageSize::LARGEST).await?;
            let Some((oldest, at)) = page.last().map(|event| (event.seq, event.at)) else { break };
            if let Some(event) = page.into_iter().find(|found| found.id == event) {
                return Ok(Some(event));
            }
            // No event is shown as earlier than its id was given, and times do not go back.
            if at < time_of(event.0) {
                break;
            }
            last = oldest - 1;
        }
        Ok(None)
    }
}

/// How many pages of the largest size [`History::find_tag`] looks through: at most 3,200 events, and about 16 MiB of text. A
/// duplicate costs its sender next to nothing, and a worker stands still while it is looked for.
pub const PAGES_SCANNED_FOR_TAG: usize = 16;

/// From which end a range is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// From the lowest seq.
    OldestFirst,
    /// From the highest seq.
    NewestFirst,
}

/// How much a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize {
    /// Most events.
    pub events: usize,
    /// Most bytes of text.
    pub bytes: usize,
}

/// A page of at most so many events costs little more than one of them: where the history is in this process, it is read without another
/// thread.
pub const FEW_EVENTS: usize = 8;

impl PageSize {
    /// The largest page there is.
    pub const LARGEST: PageSize = PageSize { events: banter_model::limits::PAGE_EVENTS, bytes: banter_model::limits::PAGE_BYTES };
}

/// How far a user has got in a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The read marker's register (see [`banter_model::marker::read_up_to`]).
    pub read: Marker,
    /// It arrived on a device of theirs up to here.
    pub delivered: Seq,
    /// When one of these last grew, in milliseconds since the Unix epoch.
    pub changed_at: Millis,
}

impl Stored for Progress {}

impl Progress {
    /// The registers after `advance`: each the greater of what it was and what it is asked to be. `now` is noted if one
    /// grew.
    pub fn advanced(self, advance: Advance, now: Option<Millis>) -> Progress {
        let (read, delivered) = (self.read.max(advance.read), self.delivered.max(advance.delivered));
        let grew = (read, delivered) != (self.read, self.delivered);
        let changed_at = now.filter(|_| grew).map_or(self.changed_at, |now| now.max(self.changed_at));
        Progress { read, delivered, changed_at }
    }
}

/// A conversation of a user's, as far as a listing has to look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub conversation: ConversationId,
    /// What the user may see of it.
    pub membership: Membership,
    /// Where its log ends; `None` before its first event.
    pub head: Option<Head>,
    /// How far the user has got.
    pub progress: Progress,
    /// For a direct conversation: how far the other one has got.
    pub peer: Option<Progress>,
}

/// What to move forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Advance {
    /// Read up to here.
    pub read: Marker,
    /// Delivered up to here.
    pub delivered: Seq,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// The event, amended as it is now.
    pub event: Event,
    /// Position of the last command that touched its row; 0 where no position is kept, because a batch is stored whole or not
    /// at all and no row is ever ahead of the worker.
    pub position: u64,
}

/// What a worker stores of a batch of commands of one partition.
///
/// Each row comes with the position of the last command that touched it, and its value depends on nothing but the log up to
/// there, however the commands were put together into batches. Later entries of the same row win over earlier ones, and have
/// greater positions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryBatch {
    /// The partition.
    pub partition: u32,
    /// Position of the batch's last command.
    pub position: u64,
    /// New events, as their commands made them.
    pub events: Vec<EventRow>,
    /// Events that later ones amended, in earlier batches' logs or in this one's.
    pub amended: Vec<EventRow>,
    /// Heads of the conversations touched: of all that anything else is about. Their position is [`Head::position`].
    pub heads: Vec<(ConversationId, Head)>,
    /// Rosters that changed.
    pub rosters: Vec<RosterRow>,
    /// Memberships that changed.
    pub memberships: Vec<MembershipRow>,
    /// Mentions that came or went.
    pub mentions: Vec<MentionChange>,
    /// Read markers to move forward: those of forgotten tag windows. They need no position: the greatest wins.
    pub read: Vec<(UserId, ConversationId, Marker)>,
}

/// The row of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRow {
    /// Where.
    pub conversation: ConversationId,
    /// The event.
    pub event: Event,
    /// Position of the command that made or last amended it.
    pub position: u64,
}

/// The row of a roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RosterRow {
    /// Of which group.
    pub conversation: ConversationId,
    /// The roster.
    pub roster: Roster,
    /// Position of the last command that changed it.
    pub position: u64,
}

/// The row of a membership.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipRow {
    /// Whose.
    pub user: UserId,
    /// Of which conversation.
    pub conversation: ConversationId,
    /// The membership.
    pub membership: Membership,
    /// Position of the last command that changed it.
    pub position: u64,
}

/// A mention that came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MentionChange {
    /// Who is mentioned.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// In which message.
    pub seq: Seq,
    /// Came, or went.
    pub added: bool,
    /// Position of the command that made it come or go.
    pub position: u64,
}
