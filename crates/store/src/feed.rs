//! The feed: what happened, in order, for readers that follow at their own pace: push, search, and whatever comes later.
//!
//! A [`Fact`] says that an event was stored, and enough of it to decide whether it is worth reading. Readers have names, and each name has
//! a place of its own, which is kept. What the feed promises to a name that is registered:
//!
//! - **At least once.** Every event that is stored after [`Feed::register`] returned is handed out, and again until it is
//!   confirmed. What is lost all the same, because the reader fell so far behind that the feed had to drop it, is told
//!   ([`FeedError::Lost`]).
//! - **In the order of each log.** Of one conversation, the facts that are handed out for the first time come with seqs that grow. So a
//!   reader that keeps the greatest seq that it has dealt with in a conversation, and passes over what is not greater, deals
//!   with each event once. Facts of events that were handed out before may come between them.
//! - **Nobody waits for it** who waits for a message: what is written, and how far behind a reader may be, is bounded.
//!
//! Embedded, the history writes the facts in the same write as the events. In a fleet workers write them after the events are
//! stored ([`FeedWriter`]).

use std::time::Duration;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::{ConversationId, Event, EventBody, EventId, Seq};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// An event was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// In which conversation.
    pub conversation: ConversationId,
    /// Its place.
    pub seq: Seq,
    /// Its id, which tells when it was sent.
    pub id: EventId,
    /// What was done.
    pub kind: EventKind,
}

impl Fact {
    /// The fact that `event` of `conversation` was stored.
    pub fn of(conversation: ConversationId, event: &Event) -> Fact {
        Fact { conversation, seq: event.seq, id: event.id, kind: EventKind::of(&event.body) }
    }
}

/// What was done, without what it was done with. New kinds are added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventKind {
    /// People wrote something.
    Message,
    /// The message at `target` was written anew.
    Edit {
        /// The message.
        target: Seq,
    },
    /// The message at `target` was deleted for everyone.
    Redaction {
        /// The message.
        target: Seq,
    },
    /// An emoji was put on the message at `target`, or taken away.
    Reaction {
        /// The message.
        target: Seq,
    },
    /// The group was made.
    GroupCreated,
    /// Users came in.
    MembersAdded,
    /// A member was put out.
    MemberRemoved,
    /// A member went out.
    MemberLeft,
    /// A member has another role.
    RoleChanged,
    /// The group has another title.
    TitleChanged,
    /// Whether newcomers see what was said before them was set.
    EarlierHistoryChanged,
}

impl EventKind {
    /// The kind of an event with this body.
    pub fn of(body: &EventBody) -> EventKind {
        match *body {
            EventBody::Message { .. } => EventKind::Message,
            EventBody::Edit { target, .. } => EventKind::Edit { target },
            EventBody::Redaction { target } => EventKind::Redaction { target },
            EventBody::Reaction { target, .. } => EventKind::Reaction { target },
            EventBody::GroupCreated { .. } => EventKind::GroupCreated,
            EventBody::MembersAdded { .. } => EventKind::MembersAdded,
            EventBody::MemberRemoved { .. } => EventKind::MemberRemoved,
            EventBody::MemberLeft { .. } => EventKind::MemberLeft,
            EventBody::RoleChanged { .. } => EventKind::RoleChanged,
            EventBody::TitleChanged { .. } => EventKind::TitleChanged,
            EventBody::EarlierHistoryChanged { .. } => EventKind::EarlierHistoryChanged,
        }
    }
}

/// Facts as they are stored together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts(pub Vec<Fact>);

impl Stored for Facts {}

/// The feed does not do what is asked.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// A name has 1 to 64 of the characters `a` to `z`, `0` to `9` and `-`.
    #[error("{0:?} is no name of a reader: it has 1 to 64 of the characters a to z, 0 to 9 and -")]
    Name(String),
    /// No reader of that name is registered.
    #[error("no reader {0} is registered")]
    Unregistered(String),
    /// The reader of that name is open already, where there can be one only.
    #[error("the reader {0} is open already")]
    InUse(String),
    /// The reader fell so far behind that what comes next was dropped. Told once; what is still there comes then.
    #[error("the reader {name} fell behind, and {facts} facts that it did not get were dropped")]
    Lost {
        /// Which reader.
        name: String,
        /// How many at least.
        facts: u64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks the name of a reader.
///
/// # Errors
/// [`FeedError::Name`].
pub fn check_name(name: &str) -> Result<(), FeedError> {
    let is_fine = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    match (1..=64).contains(&name.len()) && name.bytes().all(is_fine) {
        true => Ok(()),
        false => Err(FeedError::Name(name.to_owned())),
    }
}

/// The feed.
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// Registers readers of this name: from when this returns everything is kept for them until they confirm it. If there are such,
    /// nothing happens.
    async fn register(&self, name: &str) -> Result<(), FeedError>;

    /// Forgets the name and its place, and keeps nothing for it any more. If there is none, nothing happens. Its readers are to be dropped
    /// before.
    async fn unregister(&self, name: &str) -> Result<(), FeedError>;

    /// A reader of this name, which begins after what is confirmed. In a fleet several of one name, of several processes, share the
    /// partitions; embedded there is one at a time.
    ///
    /// # Errors
    /// [`FeedError::Unregistered`] (at the latest when it reads), [`FeedError::InUse`].
    async fn reader(&self, name: &str) -> Result<Box<dyn FeedReader>, FeedError>;

    /// The writing end of a partition, for the worker that applies the commands after `position`. `None` where the history
    /// writes the facts itself.
    fn writer(&self, partition: u32, position: u64) -> Option<Box<dyn FeedWriter>>;
}

/// The reading end.
#[async_trait]
pub trait FeedReader: Send + 'static {
    /// Waits for facts, then takes what is there, at least one and at most `limit` (which is not 0). `None` when the feed is closed. The
    /// future may be dropped and asked for again: nothing is lost by it.
    ///
    /// # Errors
    /// The next facts cannot be read, or are lost ([`FeedError::Lost`]). It may be asked again.
    async fn next(&mut self, limit: usize) -> Result<Option<Vec<Fact>>, FeedError>;

    /// Everything that was handed out is dealt with, and is not handed out again. Survives the death of the process; a power cut
    /// may take back the last moments. In a fleet it is less exact: what was written together with facts that are not handed out yet comes
    /// again with them, and while partitions move between the readers of a name, what is confirmed is kept with the next confirmation only.
    async fn confirm(&mut self) -> Result<(), FeedError>;
}

/// The writing end of a partition, where the feed is apart from the history. Dropping it takes back what is not kept yet,
/// as far as that is possible.
///
/// Nothing is lost as long as the position that the history has of the partition is never beyond [`FeedWriter::kept_up_to`]: the
/// next worker gets the commands after it again, and writes what they made once more.
#[async_trait]
pub trait FeedWriter: Send + 'static {
    /// Takes what the commands after the last time and up to `position` made, in order, and returns at once. `false` if there is
    /// no room: nothing was taken then. What is taken is written behind, and again until that succeeds.
    fn try_append(&mut self, position: u64, facts: &[Fact]) -> bool;

    /// The feed keeps everything that was taken up to this position.
    fn kept_up_to(&self) -> u64;

    /// Waits until [`FeedWriter::kept_up_to`] has grown beyond `position`. The future may be dropped.
    async fn kept_beyond(&mut self, position: u64);

    /// Waits until everything that was taken is kept, but no longer than `wait`.
    async fn settle(&mut self, wait: Duration);
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;

    use super::*;
    use crate::behaviour::history::message;

    #[test]
    fn the_form_is_fixed() {
        let conversation = ConversationId::Group(GroupId(1));
        let fact = Fact { kind: EventKind::Redaction { target: 3 }, ..Fact::of(conversation, &message(300, "text")) };
        let bytes = Facts(vec![fact]).encode();
        let id = message(300, "text").id.0;
        assert_eq!(Facts::decode(&bytes), Ok(Facts(vec![fact])));
        assert_eq!((fact.seq, fact.id.0), (300, id));
        // The version; one fact; a group; 1; the seq; the id is a test's own; a redaction of 3.
        assert_eq!((&bytes[..2], &bytes[bytes.len() - 2..]), (&[1, 1][..], &[2, 3][..]), "the stored form changed: {bytes:?}");
        assert!(bytes.len() < 40, "a fact takes {} bytes", bytes.len());
    }

    #[test]
    fn names_are_plain() {
        assert!(["push", "search-2", &"a".repeat(64)].iter().all(|name| check_name(name).is_ok()));
        assert!(["", "Push", "a b", "a/b", "é", &"a".repeat(65)].iter().all(|name| check_name(name).is_err()));
    }
}
