//! Signing up, logging in and out, tokens, the password, the end of an account.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::discovery::ClientPlace;
use banter_model::limits::{DEVICES_PER_USER, SYNC_CONVERSATIONS};
use banter_model::name::{InvalidName, check_display_name, check_password, normalise_handle};
use banter_model::{Action, ConversationId, DeviceId, Refusal, UserId};
use banter_protocol::api::{ChangePassword, DeleteAccount, LoggedIn, Login, Refresh, SignUp, Tokens};
use banter_protocol::frame::{AccountPart, PresenceState, UserPresence};
use banter_protocol::{ErrorCode, ServerFrame};
use banter_store::directory::{Device, DirectoryError, FriendState, NewUser, Rotation};

use super::discovery::{At, chat_servers};
use super::errors::ApiError;
use super::extract::{Authenticated, From, Json};
use crate::auth::refresh_tokens::REFRESH_LEEWAY_MS;
use crate::clock::now;
use crate::node::Node;
use crate::worker::Failure;

/// Sign up: makes an account and logs in.
#[utoipa::path(
    post, path = "/v1/accounts", tag = "accounts", security(()), request_body = SignUp, responses((status = 201, body = LoggedIn))
)]
pub(super) async fn sign_up(
    State(node): State<Arc<Node>>,
    From(address): From,
    At(place): At,
    Json(wish): Json<SignUp>,
) -> Result<(StatusCode, Json<LoggedIn>), ApiError> {
    let handle = normalise_handle(&wish.handle)?;
    check_password(&wish.password)?;
    let display_name = wish.display_name.unwrap_or_else(|| handle.clone());
    check_display_name(&display_name)?;
    let device_name = device_name(wish.device_name)?;
    node.rate_limits.sign_up(address, now())?;
    // Looked at before the costly hash; the directory decides for good.
    if node.directory.user_by_handle(&handle).await?.is_some() {
        return Err(DirectoryError::HandleTaken.into());
    }
    let password_hash = node.passwords.hash(wish.password).await?;
    let user = UserId(node.ids.next().await?);
    let new = NewUser { id: user, handle, display_name, password_hash, created_at: now() };
    node.directory.create_user(new).await?;
    Ok((StatusCode::CREATED, Json(log_in(&node, user, device_name, &place).await?)))
}

/// Log in on a new device.
#[utoipa::path(
    post, path = "/v1/login", tag = "accounts", security(()), request_body = Login, responses((status = 200, body = LoggedIn))
)]
pub(super) async fn login(
    State(node): State<Arc<Node>>,
    From(address): From,
    At(place): At,
    Json(wish): Json<Login>,
) -> Result<Json<LoggedIn>, ApiError> {
    let device_name = device_name(wish.device_name)?;
    let Ok(handle) = normalise_handle(&wish.handle) else { return Err(wrong_credentials()) };
    node.rate_limits.login(address, &handle, now())?;
    let user = node.directory.user_by_handle(&handle).await?.map(|user| user.id);
    // For nobody (no user has id 0) the same questions are asked and the same work is done: the time tells nothing.
    let hash = node.directory.password_hash(user.unwrap_or_default()).await?;
    let right = node.passwords.verify(wish.password, hash.clone()).await?;
    let user = user.filter(|_| right).ok_or_else(wrong_credentials)?;
    let logged_in = log_in(&node, user, device_name, &place).await?;
    // A password changed meanwhile logs out the devices that it finds, and this one may have come after.
    if node.directory.password_hash(user).await? != hash {
        node.directory.delete_device(user, logged_in.device, now()).await?;
        node.notices.sign_out(user, &[logged_in.device]);
        return Err(wrong_credentials());
    }
    Ok(Json(logged_in))
}

/// Swap a refresh token for new tokens.
#[utoipa::path(
    post, path = "/v1/refresh", tag = "accounts", security(()), request_body = Refresh, responses((status = 200, body = Tokens))
)]
pub(super) async fn refresh(
    State(node): State<Arc<Node>>,
    From(address): From,
    Json(wish): Json<Refresh>,
) -> Result<Json<Tokens>, ApiError> {
    let now = now();
    node.rate_limits.refresh(address, now)?;
    let invalid = |message: String| ApiError::new(ErrorCode::InvalidRefreshToken, message);
    let (device, generation) = node.refresh_tokens.read(&wish.refresh_token).map_err(|error| invalid(error.to_string()))?;
    match node.directory.rotate_refresh(device, generation, now, REFRESH_LEEWAY_MS).await? {
        Rotation::Rotated { user, generation } => Ok(Json(tokens(&node, user, device, generation))),
        Rotation::Reused { user } => {
            tracing::warn!(%user, %device, "a refresh token was used twice: the device is revoked");
            node.notices.sign_out(user, &[device]);
            Err(invalid("the refresh token was used before, so its device was revoked: log in".to_owned()))
        }
        Rotation::Unknown => Err(invalid("the device of the refresh token was logged out: log in".to_owned())),
    }
}

/// Log out: ends this device.
#[utoipa::path(post, path = "/v1/logout", tag = "accounts", responses((status = 204)))]
pub(super) async fn logout(State(node): State<Arc<Node>>, who: Authenticated) -> Result<StatusCode, ApiError> {
    node.directory.delete_device(who.user, who.device, now()).await?;
    node.notices.sign_out(who.user, &[who.device]);
    Ok(StatusCode::NO_CONTENT)
}

/// Change the password. Logs out all other devices.
#[utoipa::path(
    post, path = "/v1/password", tag = "accounts", request_body = ChangePassword, responses((status = 204))
)]
pub(super) async fn change_password(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Json(wish): Json<ChangePassword>,
) -> Result<StatusCode, ApiError> {
    check_password(&wish.new)?;
    check_own_password(&node, who.user, wish.current).await?;
    let hash = node.passwords.hash(wish.new).await?;
    node.directory.set_password_hash(who.user, &hash).await?;
    let removed = node.directory.delete_other_devices(who.user, Some(who.device), now()).await?;
    node.notices.sign_out(who.user, &removed);
    Ok(StatusCode::NO_CONTENT)
}

/// Delete the account. What was written stays, as a deleted user's.
#[utoipa::path(
    delete, path = "/v1/account", tag = "accounts", request_body = DeleteAccount, responses((status = 204))
)]
pub(super) async fn delete_account(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Json(wish): Json<DeleteAccount>,
) -> Result<StatusCode, ApiError> {
    let Authenticated { user, device } = who;
    check_own_password(&node, user, wish.password).await?;
    leave_all_groups(&node, user, device).await?;
    let acquaintances = node.directory.friends(user).await?;
    let deleted_at = now();
    node.directory.delete_user(user, deleted_at).await?;
    node.notices.forget(&[user]);
    // Asked afterwards: a login at the same moment is among them.
    let removed = node.directory.removed_devices(deleted_at).await?;
    let devices: Vec<_> = removed.into_iter().filter(|(_, owner, _)| *owner == user).map(|(device, ..)| device).collect();
    node.notices.sign_out(user, &devices);
    // A friend may have added the user to a group in between. Now that the user is gone, nobody can any more.
    leave_all_groups(&node, user, device).await?;
    // The directory does not know any more who the friends were, so they are told from here.
    let hidden = UserPresence { user, state: PresenceState::Hidden, last_seen: None };
    let all: Vec<UserId> = acquaintances.iter().map(|(other, _)| other.id).collect();
    node.notices.tell(&all, &ServerFrame::Account { changed: AccountPart::Friends }, None);
    let friends = acquaintances.iter().filter(|(_, state)| *state == FriendState::Friends);
    let friends: Vec<UserId> = friends.map(|(other, _)| other.id).collect();
    node.notices.tell(&friends, &ServerFrame::Presence { users: vec![hidden] }, None);
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a device and its tokens.
async fn log_in(node: &Node, user: UserId, name: String, place: &ClientPlace) -> Result<LoggedIn, ApiError> {
    let device = DeviceId(node.ids.next().await?);
    let now = now();
    let new = Device { id: device, user, name, created_at: now, used_at: now };
    let removed = node.directory.create_device(new, DEVICES_PER_USER).await?;
    node.notices.sign_out(user, &removed);
    // A new device has the first generation of refresh tokens.
    Ok(LoggedIn { user, device, tokens: tokens(node, user, device, 1), servers: chat_servers(node, place) })
}

fn tokens(node: &Node, user: UserId, device: DeviceId, generation: u64) -> Tokens {
    let (access_token, access) = node.tokens.issue(user, device, now());
    Tokens { access_token, expires_at: access.expires_at, refresh_token: node.refresh_tokens.issue(device, generation) }
}

fn device_name(name: Option<String>) -> Result<String, ApiError> {
    let name = name.unwrap_or_default();
    if !name.is_empty() {
        // Shown in a list as names are, and bounded as they are.
        check_display_name(&name).map_err(|_: InvalidName| {
            ApiError::new(ErrorCode::InvalidDisplayName, "a device's name has at most 64 characters, and no control characters")
        })?;
    }
    Ok(name)
}

fn wrong_credentials() -> ApiError {
    ApiError::new(ErrorCode::WrongCredentials, "handle or password is wrong")
}

async fn check_own_password(node: &Node, user: UserId, password: String) -> Result<(), ApiError> {
    node.rate_limits.password(user, now())?;
    let hash = node.directory.password_hash(user).await?;
    if node.passwords.verify(password, hash).await? {
        Ok(())
    } else {
        Err(ApiError::new(ErrorCode::WrongCredentials, "the password is wrong"))
    }
}

async fn leave_all_groups(node: &Node, user: UserId, device: DeviceId) -> Result<(), ApiError> {
    let mut after = None;
    loop {
        let memberships = node.history.memberships(user, after, SYNC_CONVERSATIONS).await?;
        let last_page = memberships.len() < SYNC_CONVERSATIONS;
        for (conversation, membership) in memberships {
            after = Some(conversation);
            if !matches!(conversation, ConversationId::Group(_)) || !membership.is_current() {
                continue;
            }
            match node.commands.run(user, device, conversation, Action::Leave).await {
                // Somebody put the user out meanwhile.
                Ok(_) | Err(Failure::Refused(Refusal::NotAMember)) => {}
                Err(failure) => return Err(failure.into()),
            }
        }
        if last_page {
            return Ok(());
        }
    }
}
