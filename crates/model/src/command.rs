//! Commands: what a gateway hands to the queue, and the worker folds.

use serde::{Deserialize, Serialize};

use crate::event::Mention;
use crate::name::{check_reaction, check_title};
use crate::text::check_text;
use crate::{ConversationId, DeviceId, EventId, Refusal, Role, Seq, Tag, UserId};

/// Something a user wants done in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Where.
    pub conversation: ConversationId,
    /// Who.
    pub sender: UserId,
    /// From which device.
    pub device: DeviceId,
    /// The device's number for it; `None` for what the API does on a user's behalf (which is safe to repeat by itself).
    pub tag: Option<Tag>,
    /// Given by the gateway; carries the time.
    pub id: EventId,
    /// What.
    pub action: Action,
}

/// Bytes of text that count for one more (see [`Action::weight`]).
pub const WEIGHT_BYTES: usize = 4_096;

/// What a gateway found against a command in the directory.
///
/// It goes along with the command instead of being answered at once, for the command may have been stored before, and a repeated tag
/// gets its first answer: see [`crate::fold::objected`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Objection {
    /// The other one of the direct conversation does not exist (any more).
    UnknownUser,
    /// The other one takes nothing from the sender: blocked, or friends only.
    MayNotWrite,
    /// The gateway could not look. The command is to be sent again.
    Unchecked,
}

/// What is wanted.
///
/// New kinds are added at the end: the binary encoding numbers them in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Write a message.
    Send {
        /// The text.
        text: String,
        /// The message it answers.
        reply_to: Option<Seq>,
        /// Users named in the text, resolved by the gateway.
        mentions: Vec<Mention>,
    },
    /// Write one's own message anew.
    Edit {
        /// The message.
        target: Seq,
        /// The new text.
        text: String,
        /// Users named in it, resolved by the gateway.
        mentions: Vec<Mention>,
    },
    /// Delete a message for everyone.
    Redact {
        /// The message.
        target: Seq,
    },
    /// Put an emoji on a message, or take it away.
    React {
        /// The message.
        target: Seq,
        /// The emoji.
        emoji: String,
        /// Put there, or taken away.
        add: bool,
    },
    /// Make a group: the first command of its log.
    CreateGroup {
        /// Its title.
        title: String,
        /// Members besides the sender.
        members: Vec<UserId>,
        /// Do later newcomers see what was said before them?
        earlier_history: bool,
    },
    /// Bring users in.
    AddMembers {
        /// Who. Those who are members already are passed over.
        members: Vec<UserId>,
    },
    /// Put a member out.
    RemoveMember {
        /// Who.
        member: UserId,
    },
    /// Go out.
    Leave,
    /// Give a member another role.
    SetRole {
        /// Who.
        member: UserId,
        /// The role.
        role: Role,
    },
    /// Give the group another title.
    SetTitle {
        /// The title.
        title: String,
    },
    /// Set whether newcomers see what was said before them.
    SetEarlierHistory {
        /// Do they?
        earlier_history: bool,
    },
}

impl Action {
    /// Checks everything that can be checked without knowing the conversation. Gateways and clients call it before
    /// anything is queued; the fold relies on it.
    pub fn check(&self) -> Result<(), Refusal> {
        match self {
            Action::Send { text, .. } | Action::Edit { text, .. } => check_text(text),
            Action::React { emoji, .. } => Ok(check_reaction(emoji)?),
            Action::CreateGroup { title, .. } | Action::SetTitle { title } => Ok(check_title(title)?),
            _ => Ok(()),
        }
    }

    /// What it counts for where bounded room is shared out, in units of [`WEIGHT_BYTES`]: at least 1, and more for long texts.
    pub fn weight(&self) -> u32 {
        let bytes = match self {
            Action::Send { text, .. } | Action::Edit { text, .. } => text.len(),
            _ => 0,
        };
        // A text has at most 400,000 bytes.
        1 + u32::try_from(bytes / WEIGHT_BYTES).unwrap_or(u32::MAX - 1)
    }

    /// The earlier message that it is about, if it is about one.
    pub fn target(&self) -> Option<Seq> {
        match self {
            Action::Edit { target, .. } | Action::Redact { target } | Action::React { target, .. } => Some(*target),
            _ => None,
        }
    }
}
