//! From ids to names and back.

use std::collections::{BTreeSet, HashMap};

use banter_model::{ConversationId, UserId};
use banter_protocol::{Content, ConversationSummary, Event};

use super::output::clean;
use crate::Error;
use crate::api::Api;

/// Names of users, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<UserId, String>);

impl Names {
    /// Asks the server for the names that are not known yet. Without a server, ids are shown.
    pub async fn learn(&mut self, api: &Api, users: impl IntoIterator<Item = UserId>) {
        let unknown: BTreeSet<UserId> = users.into_iter().filter(|user| !self.0.contains_key(user)).collect();
        if unknown.is_empty() {
            return;
        }
        let unknown: Vec<UserId> = unknown.into_iter().collect();
        match api.users(&unknown).await {
            Ok(profiles) => self.0.extend(profiles.into_iter().map(|profile| {
                let name = profile.handle.map_or_else(|| clean(&profile.display_name), |handle| format!("@{}", clean(&handle)));
                (profile.user, name)
            })),
            Err(error) => tracing::debug!(%error, "no names"),
        }
    }

    /// Whom these events name.
    pub async fn learn_from(&mut self, api: &Api, events: &[Event]) {
        self.learn(api, events.iter().flat_map(named)).await;
    }

    /// The user's name: safe to print.
    pub fn of(&self, user: UserId) -> String {
        self.0.get(&user).cloned().unwrap_or_else(|| format!("user {user}"))
    }

    /// What to call a conversation.
    pub fn title(&self, me: UserId, conversation: ConversationId, title: &str) -> String {
        match conversation.peer_of(me) {
            Some(peer) => self.of(peer),
            None => clean(title),
        }
    }

    /// What to call the conversation of a summary.
    pub fn title_of(&self, me: UserId, summary: &ConversationSummary) -> String {
        self.title(me, summary.conversation, summary.group.as_ref().map_or("(a group you left)", |group| &group.title))
    }
}

fn named(event: &Event) -> Vec<UserId> {
    let mut users = vec![event.sender];
    match &event.content {
        Content::GroupCreated { members, .. } | Content::MembersAdded { members } => users.extend(members),
        Content::MemberRemoved { member } | Content::RoleChanged { member, .. } => users.push(*member),
        Content::MemberLeft { successor } => users.extend(*successor),
        _ => {}
    }
    users
}

/// A user by handle (`@ada` or `ada`) or id.
pub(super) async fn user(api: &Api, text: &str) -> Result<UserId, Error> {
    match text.parse() {
        Ok(user) => Ok(user),
        Err(_) => Ok(api.user_by_handle(text).await?.user),
    }
}

/// Several of them.
pub(super) async fn users(api: &Api, texts: &[String]) -> Result<Vec<UserId>, Error> {
    let mut found = Vec::with_capacity(texts.len());
    for text in texts {
        found.push(user(api, text).await?);
    }
    Ok(found)
}

/// A conversation by its id, or by the handle or id of the other one.
pub(super) async fn conversation(api: &Api, me: UserId, text: &str) -> Result<ConversationId, Error> {
    if let Ok(conversation) = text.parse() {
        return Ok(conversation);
    }
    let own = || Error::new("not_yourself", "that needs another user than oneself");
    ConversationId::direct(me, user(api, text).await?).ok_or_else(own)
}
