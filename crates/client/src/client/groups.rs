//! Groups, by conversation.

use banter_model::{ConversationId, GroupId, Refusal, Role, UserId};
use banter_protocol::api::{ChangeGroup, CreateGroup, SetRole};

use super::Client;
use crate::Error;

/// The group of a conversation; refused where it is direct.
pub fn group_of(conversation: ConversationId) -> Result<GroupId, Error> {
    match conversation {
        ConversationId::Group(group) => Ok(group),
        ConversationId::Direct(..) => Err(Refusal::NotAGroup.into()),
    }
}

impl Client {
    /// Makes a group. It is safe to try again with the same `key` (up to 64 bytes) when no answer came: it makes one group.
    pub async fn create_group(
        &self,
        title: &str,
        members: Vec<UserId>,
        earlier_history: bool,
        key: &str,
    ) -> Result<ConversationId, Error> {
        let body = CreateGroup { title: title.to_owned(), members, earlier_history, key: key.to_owned() };
        self.api().create_group(&body).await
    }

    /// Brings users in.
    pub async fn add_members(&self, group: ConversationId, members: Vec<UserId>) -> Result<(), Error> {
        self.api().add_members(group_of(group)?, members).await.map(|_| ())
    }

    /// Puts a member out.
    pub async fn remove_member(&self, group: ConversationId, member: UserId) -> Result<(), Error> {
        self.api().remove_member(group_of(group)?, member).await.map(|_| ())
    }

    /// Goes out of a group.
    pub async fn leave(&self, group: ConversationId) -> Result<(), Error> {
        self.api().leave(group_of(group)?).await.map(|_| ())
    }

    /// Gives a group another title.
    pub async fn rename(&self, group: ConversationId, title: &str) -> Result<(), Error> {
        let body = ChangeGroup { title: Some(title.to_owned()), earlier_history: None };
        self.api().change_group(group_of(group)?, &body).await.map(|_| ())
    }

    /// Gives a member another role.
    pub async fn set_role(&self, group: ConversationId, member: UserId, role: Role) -> Result<(), Error> {
        self.api().set_role(group_of(group)?, member, &SetRole { role }).await.map(|_| ())
    }
}
