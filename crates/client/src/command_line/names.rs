//! From ids to names and back.

use std::collections::{BTreeSet, HashMap};

use banter_model::name::normalise_handle;
use banter_model::{ConversationId, UserId};
use banter_protocol::api::Profile;
use banter_protocol::{Content, ConversationSummary, Event};

use super::output::clean;
use crate::Error;
use crate::api::Api;
use crate::storage::Store;

/// Names of users, as far as they are known.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: HashMap<UserId, String>,
    store: Option<Store>,
}

impl Names {
    /// No names yet; handles that are learnt are kept in `store`, and taken from there without a server.
    pub fn kept_in(store: &Store) -> Self {
        Names { known: HashMap::new(), store: Some(store.clone()) }
    }

    /// Asks the server for the names that are not known yet. Without a server and in no store, ids are shown.
    pub async fn learn(&mut self, api: &Api, users: impl IntoIterator<Item = UserId>) {
        let unknown: BTreeSet<UserId> = users.into_iter().filter(|user| !self.known.contains_key(user)).collect();
        if unknown.is_empty() {
            return;
        }
        let unknown: Vec<UserId> = unknown.into_iter().collect();
        match api.users(&unknown).await {
            Ok(profiles) => {
                remember(self.store.as_ref(), &profiles).await;
                self.known.extend(profiles.into_iter().map(|profile| {
                    let display_name = || clean(&profile.display_name);
                    (profile.user, profile.handle.as_deref().map_or_else(display_name, at))
                }));
            }
            Err(error) => {
                tracing::debug!(%error, "no names");
                for user in unknown {
                    if let Some(store) = &self.store
                        && let Ok(Some(handle)) = store.handle_of(user).await
                    {
                        self.known.insert(user, at(&handle));
                    }
                }
            }
        }
    }

    /// Whom these events name.
    pub async fn learn_from(&mut self, api: &Api, events: &[Event]) {
        self.learn(api, events.iter().flat_map(named)).await;
    }

    /// The user's name: safe to print.
    pub fn of(&self, user: UserId) -> String {
        self.known.get(&user).cloned().unwrap_or_else(|| format!("user {user}"))
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

/// A conversation by its id, or by the handle or id of the other one. Where the server does not answer, a handle that was seen before is
/// found in the store.
pub(super) async fn conversation(api: &Api, store: &Store, me: UserId, text: &str) -> Result<ConversationId, Error> {
    if let Ok(conversation) = text.parse() {
        return Ok(conversation);
    }
    let own = || Error::new("not_yourself", "that needs another user than oneself");
    if let Ok(user) = text.parse() {
        return ConversationId::direct(me, user).ok_or_else(own);
    }
    let user = match api.user_by_handle(text).await {
        Ok(profile) => {
            remember(Some(store), std::slice::from_ref(&profile)).await;
            profile.user
        }
        Err(error) if error.is_transient() => {
            let handle = normalise_handle(text).unwrap_or_else(|_| text.to_owned());
            store.user_of_handle(&handle).await?.ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    ConversationId::direct(me, user).ok_or_else(own)
}

/// Keeps the handles of `profiles` for when the server does not answer. Without them, only that case is the poorer.
async fn remember(store: Option<&Store>, profiles: &[Profile]) {
    let Some(store) = store else { return };
    let handles = profiles.iter().filter_map(|profile| Some((profile.user, profile.handle.as_deref()?)));
    if let Err(error) = store.remember_handles(handles).await {
        tracing::warn!(%error, "handles could not be kept");
    }
}

/// A handle as it is shown.
fn at(handle: &str) -> String {
    format!("@{}", clean(handle))
}
