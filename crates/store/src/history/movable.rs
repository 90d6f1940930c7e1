//! What a move to another installation needs of a history: every record in it, taken out and put back as it is.

use async_trait::async_trait;
use banter_model::{ConversationId, Event, Head, Membership, Roster, Seq, UserId};
use serde::{Deserialize, Serialize};

use super::{PageSize, Progress};
use crate::StoreError;

/// A history whose records can be gone through and put back.
///
/// Nobody writes meanwhile but the move: records come from a server that is stopped, and go to one that was never started.
#[async_trait]
pub trait MovableHistory: Send + Sync + 'static {
    /// The records of one kind after `after`, in an order of the engine's own that is the same each time, until `page` is full
    /// (its bytes are those of the records, about). Holds at least one if there is one; is empty after the last.
    ///
    /// Each is as readers would see it: nothing above the head of its conversation, nothing that is yet to be amended.
    async fn records(&self, after: &HistoryPlace, page: PageSize) -> Result<Vec<HistoryRecord>, StoreError>;

    /// Stores records in place of those with the same key. All are durable when this returns; when it fails, any part of them may be
    /// stored. Doing it again changes nothing. Whatever a worker writes later wins over them.
    async fn restore(&self, records: Vec<HistoryRecord>) -> Result<(), StoreError>;

    /// How far a move into this history has come, as [`MovableHistory::set_move_note`] left it; `None` when none is under way.
    async fn move_note(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Notes how far a move has come, durably; `None` when it has ended. While there is a note, no server may be started on the history:
    /// the engine refuses to open it for one.
    async fn set_move_note(&self, note: Option<&[u8]>) -> Result<(), StoreError>;
}

/// A record of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryRecord {
    /// An entry of a log.
    Event(EventRecord),
    /// What a log adds up to.
    Conversation(ConversationRecord),
    /// What a user may see of a conversation.
    Membership(MembershipRecord),
    /// How far a user has got.
    Progress(ProgressRecord),
    /// A place where a user is mentioned.
    Mention(MentionRecord),
    /// How far a partition of the queue is.
    Position(PositionRecord),
}

/// An entry of a log, amended as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRecord {
    /// Whose log.
    pub conversation: ConversationId,
    /// The entry.
    pub event: Event,
}

/// What a log adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversationRecord {
    /// Whose log.
    pub conversation: ConversationId,
    /// Where it ends.
    pub head: Head,
    /// Title and members of a group; empty for a direct conversation.
    pub roster: Roster,
}

/// What a user may see of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipRecord {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// What they may see.
    pub membership: Membership,
}

/// How far a user has got in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgressRecord {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// How far.
    pub progress: Progress,
}

/// A place where a user is mentioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MentionRecord {
    /// Who.
    pub user: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// In which message.
    pub seq: Seq,
}

/// Position of the last command of a partition that is part of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionRecord {
    /// The partition.
    pub partition: u32,
    /// The position.
    pub position: u64,
}

/// Where one is among the records: after this record of this kind, or before the first of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryPlace {
    /// Among the entries of all logs.
    Events(Option<(ConversationId, Seq)>),
    /// Among the conversations.
    Conversations(Option<ConversationId>),
    /// Among the memberships of all users.
    Memberships(Option<(UserId, ConversationId)>),
    /// Among the registers of all users.
    Progress(Option<(UserId, ConversationId)>),
    /// Among the mentions of all users.
    Mentions(Option<(UserId, ConversationId, Seq)>),
    /// Among the partitions.
    Positions(Option<u32>),
}

impl HistoryPlace {
    /// The beginning of each kind. Entries come before the conversations they add up to.
    pub const KINDS: [HistoryPlace; 6] = [
        HistoryPlace::Positions(None),
        HistoryPlace::Events(None),
        HistoryPlace::Conversations(None),
        HistoryPlace::Memberships(None),
        HistoryPlace::Progress(None),
        HistoryPlace::Mentions(None),
    ];

    /// The place right after `record`.
    pub fn after(record: &HistoryRecord) -> HistoryPlace {
        match record {
            HistoryRecord::Event(EventRecord { conversation, event }) => HistoryPlace::Events(Some((*conversation, event.seq))),
            HistoryRecord::Conversation(record) => HistoryPlace::Conversations(Some(record.conversation)),
            HistoryRecord::Membership(record) => HistoryPlace::Memberships(Some((record.user, record.conversation))),
            HistoryRecord::Progress(record) => HistoryPlace::Progress(Some((record.user, record.conversation))),
            HistoryRecord::Mention(record) => HistoryPlace::Mentions(Some((record.user, record.conversation, record.seq))),
            HistoryRecord::Position(record) => HistoryPlace::Positions(Some(record.partition)),
        }
    }
}
