//! Whom a user blocks.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::UserId;
use banter_protocol::api::Blocks;
use banter_protocol::frame::AccountPart;

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path};
use super::friends::{friendship_changed, relation_to};
use super::profile::profile_of;
use crate::clock::now;
use crate::node::Node;

/// Whom I block.
#[utoipa::path(get, path = "/v1/blocks", tag = "people", responses((status = 200, body = Blocks)))]
pub(super) async fn blocks(State(node): State<Arc<Node>>, who: Authenticated) -> Result<Json<Blocks>, ApiError> {
    let users = node.directory.blocks(who.user).await?.into_iter().map(profile_of).collect();
    Ok(Json(Blocks { users }))
}

/// Block somebody. A friendship or request between the two ends.
#[utoipa::path(
    put,
    path = "/v1/blocks/{user}",
    tag = "people",
    params(("user" = String, Path, description = "Whom.")),
    responses((status = 204))
)]
pub(super) async fn block(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(other): Path<UserId>,
) -> Result<StatusCode, ApiError> {
    let relation = relation_to(&node, who.user, other).await?;
    if !relation.blocked_by_me {
        let acquainted = node.directory.friends(who.user).await?.iter().any(|(user, _)| user.id == other);
        node.directory.block(who.user, other, now()).await?;
        block_changed(&node, who.user, other);
        // Without a friendship that ended, the other is told nothing: they are not to notice.
        if acquainted {
            friendship_changed(&node, who.user, other);
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Unblock somebody.
#[utoipa::path(
    delete,
    path = "/v1/blocks/{user}",
    tag = "people",
    params(("user" = String, Path, description = "Whom.")),
    responses((status = 204))
)]
pub(super) async fn unblock(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(other): Path<UserId>,
) -> Result<StatusCode, ApiError> {
    if node.directory.unblock(who.user, other).await? {
        block_changed(&node, who.user, other);
    }
    Ok(StatusCode::NO_CONTENT)
}

fn block_changed(node: &Node, user: UserId, other: UserId) {
    node.notices.forget(&[user, other]);
    node.presence.audience_changed(user);
    node.notices.account(user, AccountPart::Blocks);
}
