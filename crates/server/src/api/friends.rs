//! Friends and friend requests.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::UserId;
use banter_protocol::ErrorCode;
use banter_protocol::api::{Friends, Friendship, FriendshipState};
use banter_protocol::frame::AccountPart;
use banter_store::directory::{FriendState, Relation};

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path};
use super::profile::profile_of;
use crate::clock::now;
use crate::node::Node;

/// Friends and friend requests, by handle.
#[utoipa::path(get, path = "/v1/friends", tag = "people", responses((status = 200, body = Friends)))]
pub(super) async fn friends(State(node): State<Arc<Node>>, who: Authenticated) -> Result<Json<Friends>, ApiError> {
    let mut answer = Friends { friends: Vec::new(), incoming: Vec::new(), outgoing: Vec::new() };
    for (user, state) in node.directory.friends(who.user).await? {
        let list = match state {
            FriendState::Friends => &mut answer.friends,
            FriendState::Incoming => &mut answer.incoming,
            FriendState::Outgoing => &mut answer.outgoing,
        };
        list.push(profile_of(user));
    }
    Ok(Json(answer))
}

/// Ask somebody to be a friend; if they asked before, accept.
#[utoipa::path(
    post,
    path = "/v1/friends/{user}",
    tag = "people",
    params(("user" = String, Path, description = "The other.")),
    responses((status = 200, body = Friendship))
)]
pub(super) async fn request_friend(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(other): Path<UserId>,
) -> Result<Json<Friendship>, ApiError> {
    let relation = relation_to(&node, who.user, other).await?;
    node.rate_limits.friend_request(who.user, now())?;
    if relation.friends {
        return Ok(Json(Friendship { state: FriendshipState::Friends }));
    }
    // Who takes messages from friends only still takes requests: else nobody could become one.
    if relation.blocked_by_them || relation.blocked_by_me {
        return Err(ApiError::new(ErrorCode::MayNotWrite, "this user takes no requests from you, or is blocked by you"));
    }
    let state = node.directory.request_friend(who.user, other, now()).await?;
    if state == FriendState::Friends {
        friendship_changed(&node, who.user, other);
        return Ok(Json(Friendship { state: FriendshipState::Friends }));
    }
    tell_both(&node, who.user, other);
    Ok(Json(Friendship { state: FriendshipState::Requested }))
}

/// Accept a friend request.
#[utoipa::path(
    post,
    path = "/v1/friends/{user}/accept",
    tag = "people",
    params(("user" = String, Path, description = "Who asked.")),
    responses((status = 200, body = Friendship))
)]
pub(super) async fn accept_friend(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(other): Path<UserId>,
) -> Result<Json<Friendship>, ApiError> {
    let relation = relation_to(&node, who.user, other).await?;
    if !relation.friends {
        if !node.directory.accept_friend(who.user, other, now()).await? {
            return Err(ApiError::new(ErrorCode::NoFriendRequest, "this user has not asked you"));
        }
        friendship_changed(&node, who.user, other);
    }
    Ok(Json(Friendship { state: FriendshipState::Friends }))
}

/// Decline a request, take one back, or end a friendship.
#[utoipa::path(
    delete,
    path = "/v1/friends/{user}",
    tag = "people",
    params(("user" = String, Path, description = "The other.")),
    responses((status = 204))
)]
pub(super) async fn remove_friend(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(other): Path<UserId>,
) -> Result<StatusCode, ApiError> {
    if node.directory.remove_friend(who.user, other).await? {
        friendship_changed(&node, who.user, other);
    }
    Ok(StatusCode::NO_CONTENT)
}

/// What `user` is to `other` at this moment, who has to be somebody else.
pub(super) async fn relation_to(node: &Node, user: UserId, other: UserId) -> Result<Relation, ApiError> {
    if user == other {
        return Err(ApiError::new(ErrorCode::NotYourself, "that needs another user than yourself"));
    }
    // A change is decided by what is stored now, not by what is remembered.
    let relation = node.directory.relations(user, &[other]).await?.pop();
    relation.ok_or_else(|| ApiError::new(ErrorCode::UnknownUser, "there is no such user"))
}

/// A friendship or request between the two came or went.
pub(super) fn friendship_changed(node: &Node, user: UserId, other: UserId) {
    node.notices.forget(&[user, other]);
    node.presence.audience_changed(user);
    node.presence.audience_changed(other);
    tell_both(node, user, other);
}

fn tell_both(node: &Node, user: UserId, other: UserId) {
    for user in [user, other] {
        node.notices.account(user, AccountPart::Friends);
    }
}
