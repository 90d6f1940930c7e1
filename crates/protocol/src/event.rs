//! An event as a device sees it.

use banter_model::{DeviceId, EventBody, EventId, Mention, Millis, Ordinal, Reactions, Role, Seq, Tag, UserId};
use serde::{Deserialize, Serialize};

/// An entry of a conversation's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Event {
    /// Its place: 1, 2, 3 ... without a gap.
    pub seq: Seq,
    /// Messages up to and including it.
    pub ordinal: Ordinal,
    /// Unique across the system.
    pub id: EventId,
    /// When, in milliseconds since the Unix epoch; never runs backwards within a conversation.
    pub at: Millis,
    /// Who did it.
    pub sender: UserId,
    /// From which device.
    pub device: DeviceId,
    /// That device's tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<Tag>,
    /// What was done.
    pub content: Content,
}

/// What was done. See [`banter_model::EventBody`] for what each means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// A message, as it is now.
    Message {
        /// Its text; empty once redacted.
        text: String,
        /// The message it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reply_to: Option<Seq>,
        /// Members named in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Mention>>"))]
        mentions: Vec<Mention>,
        /// When it was last edited.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        edited_at: Option<Millis>,
        /// Was it deleted for everyone?
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        #[cfg_attr(test, ts(optional, as = "Option<bool>"))]
        redacted: bool,
        /// The emoji on it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Reactions>>"))]
        reactions: Vec<Reactions>,
        /// The latest event that is already part of what is shown here.
        #[serde(default, skip_serializing_if = "is_zero")]
        #[cfg_attr(test, ts(optional, as = "Option<Seq>"))]
        amended_up_to: Seq,
    },
    /// A message was written anew.
    Edit {
        /// The message.
        target: Seq,
        /// Its new text; empty once redacted.
        text: String,
        /// Members named in it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[cfg_attr(test, ts(optional, as = "Option<Vec<Mention>>"))]
        mentions: Vec<Mention>,
    },
    /// A message was deleted for everyone.
    Redaction {
        /// The message.
        target: Seq,
    },
    /// An emoji was put on a message or taken away.
    Reaction {
        /// The message.
        target: Seq,
        /// The emoji.
        emoji: String,
        /// Put there, or taken away.
        added: bool,
    },
    /// The group began.
    GroupCreated {
        /// Its title.
        title: String,
        /// Members besides the sender.
        members: Vec<UserId>,
        /// Do later newcomers see what was said before them?
        earlier_history: bool,
    },
    /// Users came in.
    MembersAdded {
        /// Who.
        members: Vec<UserId>,
    },
    /// A member was put out.
    MemberRemoved {
        /// Who.
        member: UserId,
    },
    /// The sender went out.
    MemberLeft {
        /// The owner from here on, if the sender was the owner.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        successor: Option<UserId>,
    },
    /// A member has another role.
    RoleChanged {
        /// Who.
        member: UserId,
        /// The role.
        role: Role,
    },
    /// The group has another title.
    TitleChanged {
        /// The title.
        title: String,
    },
    /// Whether newcomers see what was said before them was set.
    EarlierHistoryChanged {
        /// Do they?
        earlier_history: bool,
    },
}

fn is_zero(seq: &Seq) -> bool {
    *seq == 0
}

impl From<banter_model::Event> for Event {
    fn from(event: banter_model::Event) -> Self {
        let banter_model::Event { seq, ordinal, id, at, sender, device, tag, body } = event;
        Event { seq, ordinal, id, at, sender, device, tag, content: body.into() }
    }
}

impl From<EventBody> for Content {
    fn from(body: EventBody) -> Self {
        match body {
            EventBody::Message { text, reply_to, mentions, amendments } => Content::Message {
                text,
                reply_to,
                mentions,
                edited_at: amendments.edited_at,
                redacted: amendments.redaction.is_some(),
                reactions: amendments.reactions,
                amended_up_to: amendments.up_to,
            },
            EventBody::Edit { target, text, mentions } => Content::Edit { target, text, mentions },
            EventBody::Redaction { target } => Content::Redaction { target },
            EventBody::Reaction { target, emoji, added } => Content::Reaction { target, emoji, added },
            EventBody::GroupCreated { title, members, earlier_history } => {
                Content::GroupCreated { title, members, earlier_history }
            }
            EventBody::MembersAdded { members } => Content::MembersAdded { members },
            EventBody::MemberRemoved { member } => Content::MemberRemoved { member },
            EventBody::MemberLeft { successor } => Content::MemberLeft { successor },
            EventBody::RoleChanged { member, role } => Content::RoleChanged { member, role },
            EventBody::TitleChanged { title } => Content::TitleChanged { title },
            EventBody::EarlierHistoryChanged { earlier_history } => Content::EarlierHistoryChanged { earlier_history },
        }
    }
}

impl From<Event> for banter_model::Event {
    /// The same event for the rules of `banter_model` (a client applies `amend` and `change_roster` with them). Which edits
    /// a message had is not on the wire, so that list is empty.
    fn from(event: Event) -> Self {
        let Event { seq, ordinal, id, at, sender, device, tag, content } = event;
        let body = match content {
            Content::Message { text, reply_to, mentions, edited_at, redacted, reactions, amended_up_to } => EventBody::Message {
                text,
                reply_to,
                mentions,
                amendments: banter_model::event::Amendments {
                    up_to: amended_up_to,
                    edits: Vec::new(),
                    edited_at,
                    redaction: redacted.then_some(amended_up_to),
                    reactions,
                },
            },
            Content::Edit { target, text, mentions } => EventBody::Edit { target, text, mentions },
            Content::Redaction { target } => EventBody::Redaction { target },
            Content::Reaction { target, emoji, added } => EventBody::Reaction { target, emoji, added },
            Content::GroupCreated { title, members, earlier_history } => {
                EventBody::GroupCreated { title, members, earlier_history }
            }
            Content::MembersAdded { members } => EventBody::MembersAdded { members },
            Content::MemberRemoved { member } => EventBody::MemberRemoved { member },
            Content::MemberLeft { successor } => EventBody::MemberLeft { successor },
            Content::RoleChanged { member, role } => EventBody::RoleChanged { member, role },
            Content::TitleChanged { title } => EventBody::TitleChanged { title },
            Content::EarlierHistoryChanged { earlier_history } => EventBody::EarlierHistoryChanged { earlier_history },
        };
        banter_model::Event { seq, ordinal, id, at, sender, device, tag, body }
    }
}
