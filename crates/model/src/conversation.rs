//! The state of a conversation: a pure fold of its log.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::tag::TagWindows;
use crate::{ConversationId, Marker, Millis, Ordinal, Seq, UserId};

/// What the log of a conversation adds up to. Kept as two parts, since the head changes with every event and the roster seldom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its name.
    pub id: ConversationId,
    /// Where the log ends.
    pub head: Head,
    /// Who is in it.
    pub roster: Roster,
}

/// Where the log ends, and what is needed to append to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last event; 0 while there is none.
    pub seq: Seq,
    /// Messages so far.
    pub ordinal: Ordinal,
    /// Time of the last event.
    pub at: Millis,
    /// The last message; 0 while there is none.
    pub last_message: Seq,
    /// Position in the partition's queue of the last command that made an event here: what sync points compare with.
    pub position: u64,
    /// Who sent what lately.
    pub tags: TagWindows,
}

impl Head {
    /// The end of the log as a marker.
    pub fn marker(&self) -> Marker {
        Marker { seq: self.seq, ordinal: self.ordinal }
    }
}

/// Title and members of a group. A direct conversation's is empty: its members are its name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster {
    /// The group's title.
    pub title: String,
    /// Do newcomers see what was said before them?
    pub earlier_history: bool,
    /// The members, in order of their ids.
    pub members: Vec<Member>,
}

/// A member of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// What they may do.
    pub role: Role,
    /// The event that brought them in.
    pub since: Seq,
}

/// What a member may do (see [`crate::permission`]). Greater is mightier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub enum Role {
    /// Writes and reads.
    Member,
    /// Also changes members, title and settings.
    Admin,
    /// One in each group: also makes admins, and cannot be put out.
    Owner,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Owner => "owner",
        })
    }
}

impl Conversation {
    /// The conversation before its first event.
    pub fn new(id: ConversationId) -> Self {
        Conversation { id, head: Head::default(), roster: Roster::default() }
    }

    /// Is `user` in it now?
    pub fn has_member(&self, user: UserId) -> bool {
        match self.id {
            ConversationId::Direct(low, high) => user == low || user == high,
            ConversationId::Group(_) => self.roster.member(user).is_some(),
        }
    }

    /// Everybody in it now, in order of their ids.
    pub fn members(&self) -> impl Iterator<Item = UserId> + '_ {
        let direct = match self.id {
            ConversationId::Direct(low, high) => Some([low, high]),
            ConversationId::Group(_) => None,
        };
        direct.into_iter().flatten().chain(self.roster.members.iter().map(|member| member.user))
    }
}

impl Roster {
    /// The member `user`, if they are one.
    pub fn member(&self, user: UserId) -> Option<&Member> {
        self.members.binary_search_by_key(&user, |member| member.user).ok().map(|index| &self.members[index])
    }

    pub(crate) fn insert(&mut self, member: Member) {
        if let Err(index) = self.members.binary_search_by_key(&member.user, |member| member.user) {
            self.members.insert(index, member);
        }
    }

    pub(crate) fn remove(&mut self, user: UserId) {
        self.members.retain(|member| member.user != user);
    }

    pub(crate) fn set_role(&mut self, user: UserId, role: Role) {
        for member in self.members.iter_mut().filter(|member| member.user == user) {
            member.role = role;
        }
    }

    /// The owner. There is one as long as there are members.
    pub fn owner(&self) -> Option<&Member> {
        self.members.iter().find(|member| member.role == Role::Owner)
    }

    /// Who becomes the owner when the owner goes: the admin, else the member, who has been in longest (the lower id among equals).
    pub fn successor(&self) -> Option<UserId> {
        let others = self.members.iter().filter(|member| member.role != Role::Owner);
        others.min_by_key(|member| (std::cmp::Reverse(member.role), member.since, member.user)).map(|member| member.user)
    }
}
