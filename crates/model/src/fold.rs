//! The fold: from a conversation and a command to the conversation's next event.
//!
//! It depends on its arguments alone. Replaying commands from any kept state gives the same events again, which is what
//! makes recovery, takeover and even two workers on one partition harmless.

use crate::event::Amendments;
use crate::limits::{EDITS_PER_MESSAGE, GROUP_MEMBERS};
use crate::permission::{require, role_needed};
use crate::snowflake::time_of;
use crate::tag::Seen;
use crate::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, Marker, Member, Mention, Refusal, Role, Seq, Tag,
    UserId,
};

/// What became of a command.
// Nearly every command is applied: a box would cost an allocation for each, and save nothing.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It made this event, and the conversation is one event longer.
    Applied {
        /// The event.
        event: Event,
        /// A read marker to be kept because the window that held it was forgotten (see [`crate::tag::TagWindows::note`]).
        forgotten: Option<(UserId, Marker)>,
    },
    /// It was applied before. The answer is the event with this device and tag, at or before `at_most`.
    Duplicate {
        /// Whose tag.
        device: DeviceId,
        /// The tag.
        tag: Tag,
        /// The last place where the event can be.
        at_most: Seq,
    },
    /// It changed nothing.
    Refused(Refusal),
}

/// What the fold has to know of the earlier event that a command is about.
///
/// Read from the event's row, which may already show what happened later (in a replay): so everything in it is compared
/// with the place that the new event is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    seq: Seq,
    author: UserId,
    /// `None` when the event is not a message.
    amendments: Option<Amendments>,
}

impl Target {
    /// What `event` is as a target.
    pub fn of(event: &Event) -> Self {
        let amendments = match &event.body {
            EventBody::Message { amendments, .. } => Some(amendments.clone()),
            _ => None,
        };
        Target { seq: event.seq, author: event.sender, amendments }
    }
}

/// Applies `command`, which has `position` in its partition's queue. `target` is the event at
/// [`Action::target`](crate::Action::target), if it is stored.
///
/// The command was checked with [`Action::check`](crate::Action::check).
pub fn apply(conversation: &mut Conversation, position: u64, command: Command, target: Option<&Target>) -> Outcome {
    if let Some(tag) = command.tag {
        match conversation.head.tags.look_up(command.device, tag) {
            Seen::New => {}
            Seen::Before { at_most } => return Outcome::Duplicate { device: command.device, tag, at_most },
            Seen::TooOld => return Outcome::Refused(Refusal::StaleTag),
        }
    }
    let Command { sender, device, tag, id, action, .. } = command;
    let body = match decide(conversation, sender, action, target) {
        Ok(body) => body,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let head = &mut conversation.head;
    head.seq += 1;
    head.at = head.at.max(time_of(id.0));
    head.position = position;
    if body.is_message() {
        head.ordinal += 1;
        head.last_message = head.seq;
    }
    let event = Event { seq: head.seq, ordinal: head.ordinal, id, at: head.at, sender, device, tag, body };
    let written = event.body.is_message().then(|| event.marker());
    let forgotten = tag.and_then(|tag| head.tags.note(sender, device, tag, event.seq, written));
    change_roster(conversation, &event);
    Outcome::Applied { event, forgotten: forgotten.map(|window| (window.user, window.written)) }
}

/// Does an objection to `command` stand? Not when its tag was used before: then it was stored when nobody objected, and gets its
/// first answer again.
pub fn objected(conversation: &Conversation, command: &Command) -> bool {
    command.tag.is_none_or(|tag| conversation.head.tags.look_up(command.device, tag) == Seen::New)
}

/// The event's body, or why there is none. Changes nothing.
fn decide(conversation: &Conversation, sender: UserId, action: Action, target: Option<&Target>) -> Result<EventBody, Refusal> {
    let role = role_of(conversation, sender, &action)?;
    require(role, role_needed(&action))?;
    let next = conversation.head.seq + 1;
    let roster = &conversation.roster;
    Ok(match action {
        Action::Send { text, reply_to, mentions } => {
            if let Some(seq) = reply_to.filter(|seq| *seq == 0 || *seq >= next) {
                return Err(Refusal::UnknownMessage { seq });
            }
            let mentions = of_members(conversation, mentions);
            EventBody::Message { text, reply_to, mentions, amendments: Amendments::default() }
        }
        Action::Edit { target: seq, text, mentions } => {
            let (author, amendments) = message_at(seq, next, target)?;
            if author != sender {
                return Err(Refusal::NotYourMessage);
            }
            if amendments.edits.iter().filter(|edit| **edit < next).count() >= EDITS_PER_MESSAGE {
                return Err(Refusal::TooManyEdits);
            }
            EventBody::Edit { target: seq, text, mentions: of_members(conversation, mentions) }
        }
        Action::Redact { target: seq } => {
            let (author, _) = message_at(seq, next, target)?;
            if author != sender && (conversation.id.is_direct() || role < Role::Admin) {
                return Err(Refusal::NotYourMessage);
            }
            EventBody::Redaction { target: seq }
        }
        Action::React { target: seq, emoji, add } => {
            message_at(seq, next, target)?;
            EventBody::Reaction { target: seq, emoji, added: add }
        }
        Action::CreateGroup { title, mut members, earlier_history } => {
            if next != 1 {
                return Err(Refusal::GroupExists);
            }
            members.retain(|member| *member != sender);
            members.sort_unstable();
            members.dedup();
            room_for(members.len() + 1)?;
            EventBody::GroupCreated { title, members, earlier_history }
        }
        Action::AddMembers { mut members } => {
            members.retain(|member| roster.member(*member).is_none());
            members.sort_unstable();
            members.dedup();
            if members.is_empty() {
                return Err(Refusal::NobodyToAdd);
            }
            room_for(roster.members.len() + members.len())?;
            EventBody::MembersAdded { members }
        }
        Action::RemoveMember { member } => {
            if member == sender {
                return Err(Refusal::CannotRemoveSelf);
            }
            let removed = roster.member(member).ok_or(Refusal::UnknownMember)?;
            // One's equals cannot be put out, so that two admins cannot put each other out.
            require(role, if removed.role == Role::Member { Role::Admin } else { Role::Owner })?;
            EventBody::MemberRemoved { member }
        }
        Action::Leave => {
            let successor = if role == Role::Owner { roster.successor() } else { None };
            EventBody::MemberLeft { successor }
        }
        Action::SetRole { member, role: new_role } => {
            roster.member(member).ok_or(Refusal::UnknownMember)?;
            if member == sender && new_role != Role::Owner {
                return Err(Refusal::OwnerRequired);
            }
            EventBody::RoleChanged { member, role: new_role }
        }
        Action::SetTitle { title } => EventBody::TitleChanged { title },
        Action::SetEarlierHistory { earlier_history } => EventBody::EarlierHistoryChanged { earlier_history },
    })
}

/// The sender's role, as far as `action` makes sense in such a conversation at all.
fn role_of(conversation: &Conversation, sender: UserId, action: &Action) -> Result<Role, Refusal> {
    let of_any_conversation =
        matches!(action, Action::Send { .. } | Action::Edit { .. } | Action::Redact { .. } | Action::React { .. });
    match conversation.id {
        ConversationId::Direct(..) if conversation.has_member(sender) => {
            if of_any_conversation {
                Ok(Role::Member)
            } else {
                Err(Refusal::NotAGroup)
            }
        }
        ConversationId::Direct(..) => Err(Refusal::NotAMember),
        ConversationId::Group(_) if matches!(action, Action::CreateGroup { .. }) => Ok(Role::Owner),
        ConversationId::Group(_) => conversation.roster.member(sender).map(|member| member.role).ok_or(Refusal::NotAMember),
    }
}

/// The author and amendments of the message at `seq`, for an event that is to have the place `next`.
fn message_at(seq: Seq, next: Seq, target: Option<&Target>) -> Result<(UserId, &Amendments), Refusal> {
    let found = target.filter(|target| target.seq == seq && seq < next);
    let unknown = Refusal::UnknownMessage { seq };
    let (author, amendments) = found.and_then(|target| Some((target.author, target.amendments.as_ref()?))).ok_or(unknown)?;
    if amendments.redaction.is_some_and(|redaction| redaction < next) {
        return Err(Refusal::MessageRedacted);
    }
    Ok((author, amendments))
}

/// Is there room for `members` in one group?
pub fn room_for(members: usize) -> Result<(), Refusal> {
    if members > GROUP_MEMBERS { Err(Refusal::GroupFull { would_be: members }) } else { Ok(()) }
}

fn of_members(conversation: &Conversation, mut mentions: Vec<Mention>) -> Vec<Mention> {
    mentions.retain(|mention| conversation.has_member(mention.user));
    mentions
}

/// What `event` does to title and members. Clients that follow a group's log call it too.
pub fn change_roster(conversation: &mut Conversation, event: &Event) {
    let roster = &mut conversation.roster;
    let enter = |user, role| Member { user, role, since: event.seq };
    match &event.body {
        EventBody::GroupCreated { title, members, earlier_history } => {
            roster.title.clone_from(title);
            roster.earlier_history = *earlier_history;
            roster.insert(enter(event.sender, Role::Owner));
            members.iter().for_each(|member| roster.insert(enter(*member, Role::Member)));
        }
        EventBody::MembersAdded { members } => members.iter().for_each(|member| roster.insert(enter(*member, Role::Member))),
        EventBody::MemberRemoved { member } => roster.remove(*member),
        EventBody::MemberLeft { successor } => {
            roster.remove(event.sender);
            if let Some(successor) = successor {
                roster.set_role(*successor, Role::Owner);
            }
        }
        EventBody::RoleChanged { member, role } => {
            if *role == Role::Owner {
                roster.set_role(event.sender, Role::Admin);
            }
            roster.set_role(*member, *role);
        }
        EventBody::TitleChanged { title } => roster.title.clone_from(title),
        EventBody::EarlierHistoryChanged { earlier_history } => roster.earlier_history = *earlier_history,
        EventBody::Message { .. } | EventBody::Edit { .. } | EventBody::Redaction { .. } | EventBody::Reaction { .. } => {}
    }
}

#[cfg(test)]
mod tests;
