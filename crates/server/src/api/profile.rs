//! Profiles and settings.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use banter_model::UserId;
use banter_model::name::{check_about, check_display_name, normalise_handle};
use banter_protocol::ErrorCode;
use banter_protocol::api::{Audience, ChangeProfile, ChangeSettings, Profile, Profiles, Settings, Writers};
use banter_protocol::frame::AccountPart;
use banter_store::directory::{self, User};

use super::errors::ApiError;
use super::extract::{Authenticated, Ids, Json, Path, Query};
use crate::clock::now;
use crate::node::Node;

/// The name shown of a user who is no more.
const DELETED: &str = "deleted user";

/// My profile.
#[utoipa::path(get, path = "/v1/profile", tag = "accounts", responses((status = 200, body = Profile)))]
pub(super) async fn profile(State(node): State<Arc<Node>>, who: Authenticated) -> Result<Json<Profile>, ApiError> {
    Ok(Json(existing(&node, who.user).await?))
}

/// Change my profile.
#[utoipa::path(
    patch, path = "/v1/profile", tag = "accounts", request_body = ChangeProfile, responses((status = 200, body = Profile))
)]
pub(super) async fn change_profile(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Json(change): Json<ChangeProfile>,
) -> Result<Json<Profile>, ApiError> {
    if let Some(name) = &change.display_name {
        check_display_name(name)?;
    }
    if let Some(about) = &change.about {
        check_about(about)?;
    }
    if change.display_name.is_some() || change.about.is_some() {
        node.directory.set_profile(who.user, change.display_name.as_deref(), change.about.as_deref()).await?;
        node.notices.account(who.user, AccountPart::Profile);
    }
    Ok(Json(existing(&node, who.user).await?))
}

/// My settings.
#[utoipa::path(get, path = "/v1/settings", tag = "accounts", responses((status = 200, body = Settings)))]
pub(super) async fn settings(State(node): State<Arc<Node>>, who: Authenticated) -> Result<Json<Settings>, ApiError> {
    Ok(Json(on_the_wire(stored_settings(&node, who.user).await?)))
}

/// Change my settings.
#[utoipa::path(
    patch, path = "/v1/settings", tag = "accounts", request_body = ChangeSettings, responses((status = 200, body = Settings))
)]
pub(super) async fn change_settings(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Json(change): Json<ChangeSettings>,
) -> Result<Json<Settings>, ApiError> {
    let before = stored_settings(&node, who.user).await?;
    let after = directory::Settings {
        presence: change.presence.map_or(before.presence, |audience| match audience {
            Audience::Everyone => directory::Audience::Everyone,
            Audience::Friends => directory::Audience::Friends,
            Audience::Nobody => directory::Audience::Nobody,
        }),
        friends_only: change.writers.map_or(before.friends_only, |writers| writers == Writers::Friends),
        read_receipts: change.read_receipts.unwrap_or(before.read_receipts),
    };
    if after != before {
        node.directory.set_settings(who.user, after).await?;
        node.notices.forget(&[who.user]);
        if after.presence != before.presence {
            node.presence.audience_changed(who.user);
        }
        node.notices.account(who.user, AccountPart::Settings);
    }
    Ok(Json(on_the_wire(after)))
}

/// Profiles by id: one for each id, in the same order. Ids that are no user's (any more) are answered as a deleted user.
#[utoipa::path(get, path = "/v1/users", tag = "people", params(Ids), responses((status = 200, body = Profiles)))]
pub(super) async fn users(
    State(node): State<Arc<Node>>,
    _who: Authenticated,
    Query(ids): Query<Ids>,
) -> Result<Json<Profiles>, ApiError> {
    let ids = ids.parse()?;
    let users: HashMap<UserId, User> = node.directory.users(&ids).await?.into_iter().map(|user| (user.id, user)).collect();
    let users = ids.into_iter().map(|id| users.get(&id).cloned().map_or_else(|| deleted(id), profile_of));
    Ok(Json(Profiles { users: users.collect() }))
}

/// A profile by handle.
#[utoipa::path(
    get,
    path = "/v1/handles/{handle}",
    tag = "people",
    params(("handle" = String, Path, description = "The handle, with or without `@`.")),
    responses((status = 200, body = Profile))
)]
pub(super) async fn user_by_handle(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(handle): Path<String>,
) -> Result<Json<Profile>, ApiError> {
    node.rate_limits.handle_look_up(who.user, now())?;
    let handle = normalise_handle(&handle)?;
    let user = node.directory.user_by_handle(&handle).await?;
    let user = user.ok_or_else(|| ApiError::new(ErrorCode::UnknownUser, format!("nobody has the handle {handle}")))?;
    Ok(Json(profile_of(user)))
}

/// A user as others see them.
pub(super) fn profile_of(user: User) -> Profile {
    let User { id, handle, display_name, about } = user;
    Profile { user: id, handle: Some(handle), display_name, about, deleted: false }
}

fn deleted(user: UserId) -> Profile {
    Profile { user, handle: None, display_name: DELETED.to_owned(), about: String::new(), deleted: true }
}

async fn existing(node: &Node, user: UserId) -> Result<Profile, ApiError> {
    let found = node.directory.users(&[user]).await?.pop();
    // Only in the moment in which another device deletes the account.
    found.map(profile_of).ok_or_else(|| ApiError::new(ErrorCode::UnknownUser, "the account was deleted"))
}

async fn stored_settings(node: &Node, user: UserId) -> Result<directory::Settings, ApiError> {
    let found = node.directory.settings(user).await?;
    found.ok_or_else(|| ApiError::new(ErrorCode::UnknownUser, "the account was deleted"))
}

fn on_the_wire(settings: directory::Settings) -> Settings {
    Settings {
        presence: match settings.presence {
            directory::Audience::Everyone => Audience::Everyone,
            directory::Audience::Friends => Audience::Friends,
            directory::Audience::Nobody => Audience::Nobody,
        },
        writers: if settings.friends_only { Writers::Friends } else { Writers::Everyone },
        read_receipts: settings.read_receipts,
    }
}
