//! Conversations, history and groups.

use banter_model::{ConversationId, GroupId, Seq, UserId};
use banter_protocol::ConversationSummary;
use banter_protocol::api::{
    AddMembers, ChangeGroup, Changed, Conversations, CreateGroup, GroupCreated, MarkRead, Markers, Page, ReadMarker, SetRole,
};
use reqwest::Method;

use super::{Api, encode};
use crate::Error;
use crate::sync::Window;

impl Api {
    /// The user's conversations, one part: the rest with the answer's `more`.
    pub async fn conversations(&self, more: Option<&str>) -> Result<Conversations, Error> {
        match more {
            Some(more) => {
                let url = reqwest::Url::parse_with_params("http://x/v1/conversations", [("more", more)]);
                let url = url.map_err(|error| Error::new(Error::INVALID_ARGUMENT, error.to_string()))?;
                self.get(&format!("{}?{}", url.path(), url.query().unwrap_or_default())).await
            }
            None => self.get("/v1/conversations").await,
        }
    }

    /// One conversation.
    pub async fn conversation(&self, conversation: ConversationId) -> Result<ConversationSummary, Error> {
        self.get(&format!("/v1/conversations/{conversation}")).await
    }

    /// A page of at most `limit` events (at most 200).
    pub async fn page(&self, conversation: ConversationId, window: Window, limit: usize) -> Result<Page, Error> {
        let part = match window {
            Window::Newest => String::new(),
            Window::After(seq) => format!("after={seq}&"),
            Window::Before(seq) => format!("before={seq}&"),
            Window::Around(seq) => format!("around={seq}&"),
        };
        self.get(&format!("/v1/conversations/{conversation}/events?{part}limit={limit}")).await
    }

    /// How far each member has got.
    pub async fn markers(&self, conversation: ConversationId) -> Result<Markers, Error> {
        self.get(&format!("/v1/conversations/{conversation}/markers")).await
    }

    /// Moves the user's read marker; it never moves back.
    pub async fn mark_read(&self, conversation: ConversationId, seq: Seq) -> Result<ReadMarker, Error> {
        self.ask(Method::PUT, &format!("/v1/conversations/{conversation}/read"), &MarkRead { seq }).await
    }

    /// Makes a group. The same `key` again gives the same group again.
    pub async fn create_group(&self, body: &CreateGroup) -> Result<ConversationId, Error> {
        let created: GroupCreated = self.ask(Method::POST, "/v1/groups", body).await?;
        Ok(created.conversation)
    }

    /// Changes the title, or whether newcomers see what was said before them.
    pub async fn change_group(&self, group: GroupId, body: &ChangeGroup) -> Result<Changed, Error> {
        self.ask(Method::PATCH, &format!("/v1/groups/{group}"), body).await
    }

    /// Brings users in.
    pub async fn add_members(&self, group: GroupId, members: Vec<UserId>) -> Result<Changed, Error> {
        self.ask(Method::POST, &format!("/v1/groups/{group}/members"), &AddMembers { members }).await
    }

    /// Puts a member out.
    pub async fn remove_member(&self, group: GroupId, member: UserId) -> Result<Changed, Error> {
        super::decode(self.send(Method::DELETE, &format!("/v1/groups/{group}/members/{member}"), None).await?).await
    }

    /// Gives a member another role.
    pub async fn set_role(&self, group: GroupId, member: UserId, body: &SetRole) -> Result<Changed, Error> {
        let body = encode(body)?;
        let path = format!("/v1/groups/{group}/members/{member}/role");
        super::decode(self.send(Method::PUT, &path, Some(body)).await?).await
    }

    /// Goes out of a group.
    pub async fn leave(&self, group: GroupId) -> Result<Changed, Error> {
        self.post(&format!("/v1/groups/{group}/leave")).await
    }
}
