//! Events: what a conversation's log is made of.

use serde::{Deserialize, Serialize};

use crate::{DeviceId, EventId, Marker, Millis, Ordinal, Role, Seq, Tag, UserId};

/// An entry in a conversation's log, as it is stored. Messages are amended in place by later events (see [`crate::amend`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its place: 1, 2, 3 ... without a gap.
    pub seq: Seq,
    /// Messages up to and including it.
    pub ordinal: Ordinal,
    /// Unique across the system, sortable by time.
    pub id: EventId,
    /// Time shown, which never runs backwards within a conversation.
    pub at: Millis,
    /// Who did it.
    pub sender: UserId,
    /// From which device.
    pub device: DeviceId,
    /// The device's own number for it; `None` for what the API does on a user's behalf.
    pub tag: Option<Tag>,
    /// What was done.
    pub body: EventBody,
}

impl Event {
    /// The event's place as a marker.
    pub fn marker(&self) -> Marker {
        Marker { seq: self.seq, ordinal: self.ordinal }
    }
}

/// What was done.
///
/// New kinds are added at the end: the binary encoding numbers them in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EventBody {
    /// People wrote something. The only kind that counts as a message.
    Message {
        /// The text as it is now; empty once redacted.
        text: String,
        /// The message it answers.
        reply_to: Option<Seq>,
        /// Members named in the text.
        mentions: Vec<Mention>,
        /// What later events did to it.
        amendments: Amendments,
    },
    /// The author wrote the message at `target` anew.
    Edit {
        /// The message.
        target: Seq,
        /// Its new text; empty once the message was redacted.
        text: String,
        /// Members named in the new text.
        mentions: Vec<Mention>,
    },
    /// The message at `target` was deleted for everyone.
    Redaction {
        /// The message.
        target: Seq,
    },
    /// Somebody put an emoji on the message at `target`, or took it away.
    Reaction {
        /// The message.
        target: Seq,
        /// The emoji.
        emoji: String,
        /// Put there, or taken away.
        added: bool,
    },
    /// The group's first event. The sender is its owner.
    GroupCreated {
        /// Its title.
        title: String,
        /// The members besides the sender, in order of their ids.
        members: Vec<UserId>,
        /// Do later newcomers see what was said before them?
        earlier_history: bool,
    },
    /// Users came in.
    MembersAdded {
        /// Who, in order of their ids.
        members: Vec<UserId>,
    },
    /// A member was put out.
    MemberRemoved {
        /// Who.
        member: UserId,
    },
    /// The sender went out.
    MemberLeft {
        /// Who is the owner now, if the sender was.
        successor: Option<UserId>,
    },
    /// A member has another role. When it is [`Role::Owner`], the owner before is an admin from here on.
    RoleChanged {
        /// Who.
        member: UserId,
        /// The role now.
        role: Role,
    },
    /// The group has another title.
    TitleChanged {
        /// The title now.
        title: String,
    },
    /// Whether newcomers see what was said before them was set.
    EarlierHistoryChanged {
        /// Do they?
        earlier_history: bool,
    },
}

impl EventBody {
    /// Does it count as a message, that is, in ordinals and unread counts?
    pub fn is_message(&self) -> bool {
        matches!(self, EventBody::Message { .. })
    }

    /// The message that it amends, if it amends one.
    pub fn target(&self) -> Option<Seq> {
        match self {
            EventBody::Edit { target, .. } | EventBody::Redaction { target } | EventBody::Reaction { target, .. } => {
                Some(*target)
            }
            _ => None,
        }
    }

    /// Bytes of text in it, what a page's size is counted by.
    pub fn text_bytes(&self) -> usize {
        match self {
            EventBody::Message { text, .. } | EventBody::Edit { text, .. } => text.len(),
            _ => 0,
        }
    }
}

/// What later events did to a message. Each is noted with its place, so that a replay changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amendments {
    /// The latest event applied to the message; what is not after it was applied before.
    pub up_to: Seq,
    /// Its edits: where a redaction finds every copy of the text.
    pub edits: Vec<Seq>,
    /// When it was last edited.
    pub edited_at: Option<Millis>,
    /// The event that deleted it for everyone.
    pub redaction: Option<Seq>,
    /// The emoji on it, in the order in which each first came.
    pub reactions: Vec<Reactions>,
}

/// Who put one emoji on a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Reactions {
    /// The emoji.
    pub emoji: String,
    /// Who, in the order they did.
    pub users: Vec<UserId>,
}

/// A member named in a text, with the place of the `@handle`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Mention {
    /// Who.
    pub user: UserId,
    /// Where the `@` is, in characters from the start of the text.
    pub start: u32,
    /// How long `@handle` is, in characters.
    pub length: u32,
}
