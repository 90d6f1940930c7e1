//! Why a command is refused, each reason with a stable code.

use crate::Role;
use crate::limits::{EDITS_PER_MESSAGE, GROUP_MEMBERS, TEXT_CHARACTERS};
use crate::name::InvalidName;

/// Why a command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    /// The text has too many characters.
    #[error("a message has at most {TEXT_CHARACTERS} characters, this one has {characters}")]
    TextTooLong {
        /// How many it has.
        characters: usize,
    },
    /// The text is empty or only white space.
    #[error("a message needs a text that is not only white space")]
    TextEmpty,
    /// The text has a control character.
    #[error("a message cannot hold the control character U+{code_point:04X}; tab and line ends are allowed")]
    ControlCharacter {
        /// Its code point.
        code_point: u32,
    },
    /// A title or reaction is not allowed.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The sender is not in the conversation, or there is no such conversation: the two are not told apart to strangers.
    #[error("there is no such conversation, or you are not a member of it")]
    NotAMember,
    /// The action is for groups only.
    #[error("that can be done in a group only, this is a direct conversation")]
    NotAGroup,
    /// The group exists already.
    #[error("the group exists already")]
    GroupExists,
    /// The sender's role does not allow it.
    #[error("that needs the role {needs} in this group; yours is {has}")]
    NotPermitted {
        /// The lowest role that may.
        needs: Role,
        /// The sender's role.
        has: Role,
    },
    /// The group would have too many members.
    #[error("a group has at most {GROUP_MEMBERS} members, this would make {would_be}")]
    GroupFull {
        /// How many it would have.
        would_be: usize,
    },
    /// Nobody was named, or all who were named are members already.
    #[error("name at least one user who is not a member yet")]
    NobodyToAdd,
    /// The user named is not a member.
    #[error("that user is not a member of the group")]
    UnknownMember,
    /// Somebody cannot remove themself: leaving says who follows as the owner.
    #[error("to go out of a group, leave it")]
    CannotRemoveSelf,
    /// An owner hands the role on instead of dropping it.
    #[error("a group has one owner: make somebody else the owner instead")]
    OwnerRequired,
    /// There is no such event before this one, or it is not visible to the sender.
    #[error("there is no message {seq} in this conversation")]
    UnknownMessage {
        /// The place named.
        seq: crate::Seq,
    },
    /// Only the author edits; only the author or an admin deletes.
    #[error("only its author can edit a message; its author and the group's admins can delete it")]
    NotYourMessage,
    /// The message was deleted for everyone.
    #[error("the message was deleted")]
    MessageRedacted,
    /// The message was edited too often.
    #[error("a message can be edited at most {EDITS_PER_MESSAGE} times")]
    TooManyEdits,
    /// The other one of the direct conversation does not exist.
    #[error("there is no such user")]
    UnknownUser,
    /// The other one takes nothing from the sender.
    #[error("this user takes no messages from you")]
    MayNotWrite,
    /// The tag is below the device's window: nobody can say whether it was applied.
    #[error("the tag is too far below this device's latest in the conversation: pull its history to see whether it was applied")]
    StaleTag,
}

impl Refusal {
    /// The code on the wire. It never changes once released.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::TextTooLong { .. } => "text_too_long",
            Refusal::TextEmpty => "text_empty",
            Refusal::ControlCharacter { .. } => "control_character",
            Refusal::Name(InvalidName::Handle) => "invalid_handle",
            Refusal::Name(InvalidName::DisplayName) => "invalid_display_name",
            Refusal::Name(InvalidName::About) => "invalid_about",
            Refusal::Name(InvalidName::Title) => "invalid_title",
            Refusal::Name(InvalidName::Password) => "invalid_password",
            Refusal::Name(InvalidName::Reaction) => "invalid_reaction",
            Refusal::NotAMember => "not_a_member",
            Refusal::NotAGroup => "not_a_group",
            Refusal::GroupExists => "group_exists",
            Refusal::NotPermitted { .. } => "not_permitted",
            Refusal::GroupFull { .. } => "group_full",
            Refusal::NobodyToAdd => "nobody_to_add",
            Refusal::UnknownMember => "unknown_member",
            Refusal::CannotRemoveSelf => "cannot_remove_self",
            Refusal::OwnerRequired => "owner_required",
            Refusal::UnknownMessage { .. } => "unknown_message",
            Refusal::NotYourMessage => "not_your_message",
            Refusal::MessageRedacted => "message_redacted",
            Refusal::TooManyEdits => "too_many_edits",
            Refusal::UnknownUser => "unknown_user",
            Refusal::MayNotWrite => "may_not_write",
            Refusal::StaleTag => "stale_tag",
        }
    }
}
