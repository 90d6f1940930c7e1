//! What a worker gives back to the gateways after a batch is stored.

use std::sync::Arc;

use banter_model::{ConversationId, Event, EventBody, EventId, Mention, Millis, Ordinal, Seq, Tag, UserId};
use banter_store::Origin;

use crate::gateway::EncodedFrame;
use crate::worker::Failure;

/// The way from the workers to the gateways. Never waits: a gateway that does not keep up tells its sessions to resync.
pub trait Delivery: Send + Sync + 'static {
    /// Hands out, in order, what came of a round.
    fn deliver(&self, round: Applied);
}

/// What came of a round of commands.
#[derive(Debug, Clone)]
pub struct Applied {
    /// Of which partition.
    pub partition: u32,
    /// Its last command's position, when events of it were stored.
    pub stored_up_to: Option<u64>,
    /// What came of each command, in order.
    pub outcomes: Vec<Outcome>,
}

/// What came of one command.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Who waits for the answer.
    pub origin: Origin,
    /// Who sent the command.
    pub sender: UserId,
    /// Where.
    pub conversation: ConversationId,
    /// The device's number for it.
    pub tag: Option<Tag>,
    /// What the command counted for in its session's room (see [`banter_model::Action::weight`]).
    pub weight: u32,
    /// The event it made, now or before, or why it made none.
    pub answer: Result<Stored, Failure>,
    /// For the others, when it made an event now.
    pub news: Option<News>,
}

/// An event that is stored, as its writer is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its place.
    pub seq: Seq,
    /// Messages up to it.
    pub ordinal: Ordinal,
    /// Its id.
    pub id: EventId,
    /// Its time.
    pub at: Millis,
    /// Members that were found in its text.
    pub mentions: Vec<Mention>,
}

impl Stored {
    /// What the writer of `event` is told.
    pub fn of(event: &Event) -> Stored {
        let mentions = match &event.body {
            EventBody::Message { mentions, .. } | EventBody::Edit { mentions, .. } => mentions.clone(),
            _ => Vec::new(),
        };
        Stored { seq: event.seq, ordinal: event.ordinal, id: event.id, at: event.at, mentions }
    }
}

/// An event for everybody but the session that wrote it.
#[derive(Debug, Clone)]
pub struct News {
    /// The `event` frame, encoded once.
    pub frame: EncodedFrame,
    /// The members after the event; shared by the events of a conversation while nobody comes or goes.
    pub members: Arc<[UserId]>,
    /// Who went out with the event: the last that they see.
    pub gone: Option<UserId>,
    /// Did it change a group's title or members? Also said of an event that was stored before.
    pub roster_changed: bool,
}
