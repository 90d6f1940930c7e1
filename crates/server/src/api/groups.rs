//! Groups: making them and changing who is in them. What is allowed is decided by the fold of the log.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::fold::room_for;
use banter_model::name::check_title;
use banter_model::{Action, ConversationId, GroupId, Refusal, UserId};
use banter_protocol::ErrorCode;
use banter_protocol::api::{AddMembers, ChangeGroup, Changed, CreateGroup, GroupCreated, SetRole};

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path};
use crate::clock::now;
use crate::conversations::view::View;
use crate::node::Node;
use crate::worker::Failure;

/// Most bytes in the key of a group to be made.
const KEY_BYTES: usize = 64;

/// Make a group. The same key again gives the same group again.
#[utoipa::path(
    post, path = "/v1/groups", tag = "groups", request_body = CreateGroup, responses((status = 201, body = GroupCreated))
)]
pub(super) async fn create_group(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Json(wish): Json<CreateGroup>,
) -> Result<(StatusCode, Json<GroupCreated>), ApiError> {
    if wish.key.is_empty() || wish.key.len() > KEY_BYTES {
        return Err(ApiError::new(ErrorCode::InvalidParameter, format!("a `key` has 1 to {KEY_BYTES} bytes")));
    }
    check_title(&wish.title)?;
    let members = others(wish.members, who.user);
    // The fold decides; but the directory is not asked about thousands of users who cannot come in anyway.
    room_for(members.len() + 1)?;
    node.rate_limits.group_creation(who.user, now())?;
    let fresh = GroupId(node.ids.next().await?);
    let group = node.directory.group_for_key(who.user, &wish.key, fresh).await?;
    let conversation = ConversationId::Group(group);
    let created = (StatusCode::CREATED, Json(GroupCreated { conversation }));
    if group != fresh && node.history.heads(&[conversation]).await?.iter().any(Option::is_some) {
        return Ok(created);
    }
    check_reachable(&node, who.user, &members).await?;
    let action = Action::CreateGroup { title: wish.title, members, earlier_history: wish.earlier_history };
    match node.commands.run(who.user, who.device, conversation, action).await {
        Ok(_) | Err(Failure::Refused(Refusal::GroupExists)) => Ok(created),
        Err(failure) => Err(failure.into()),
    }
}

/// Change a group's title, or whether newcomers see earlier history.
#[utoipa::path(
    patch,
    path = "/v1/groups/{group}",
    tag = "groups",
    params(("group" = String, Path, description = "The group's id.")),
    request_body = ChangeGroup,
    responses((status = 200, body = Changed))
)]
pub(super) async fn change_group(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(group): Path<GroupId>,
    Json(change): Json<ChangeGroup>,
) -> Result<Json<Changed>, ApiError> {
    let title = change.title.map(|title| Action::SetTitle { title });
    let earlier_history = change.earlier_history.map(|earlier_history| Action::SetEarlierHistory { earlier_history });
    let actions: Vec<_> = title.into_iter().chain(earlier_history).collect();
    let mut changed = None;
    for action in actions {
        changed = Some(run(&node, who, group, action).await?);
    }
    match changed {
        Some(changed) => Ok(changed),
        None => {
            // Nothing to change: the place of the last event says that it is as wished.
            let view = View::open(&*node.history, who.user, ConversationId::Group(group)).await?;
            Ok(Json(Changed { seq: view.end.seq }))
        }
    }
}

/// Add members. Those who are members already are passed over.
#[utoipa::path(
    post,
    path = "/v1/groups/{group}/members",
    tag = "groups",
    params(("group" = String, Path, description = "The group's id.")),
    request_body = AddMembers,
    responses((status = 200, body = Changed))
)]
pub(super) async fn add_members(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(group): Path<GroupId>,
    Json(wish): Json<AddMembers>,
) -> Result<Json<Changed>, ApiError> {
    let conversation = ConversationId::Group(group);
    let roster = node.history.roster(conversation).await?.ok_or(Refusal::NotAMember)?;
    roster.member(who.user).ok_or(Refusal::NotAMember)?;
    let mut members = others(wish.members, who.user);
    members.retain(|member| roster.member(*member).is_none());
    room_for(roster.members.len() + members.len())?;
    check_reachable(&node, who.user, &members).await?;
    run(&node, who, group, Action::AddMembers { members }).await
}

/// Put a member out.
#[utoipa::path(
    delete,
    path = "/v1/groups/{group}/members/{user}",
    tag = "groups",
    params(("group" = String, Path, description = "The group's id."), ("user" = String, Path, description = "Whom.")),
    responses((status = 200, body = Changed))
)]
pub(super) async fn remove_member(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path((group, member)): Path<(GroupId, UserId)>,
) -> Result<Json<Changed>, ApiError> {
    run(&node, who, group, Action::RemoveMember { member }).await
}

/// Give a member another role. Making somebody the owner makes oneself an admin.
#[utoipa::path(
    put,
    path = "/v1/groups/{group}/members/{user}/role",
    tag = "groups",
    params(("group" = String, Path, description = "The group's id."), ("user" = String, Path, description = "Whom.")),
    request_body = SetRole,
    responses((status = 200, body = Changed))
)]
pub(super) async fn set_role(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path((group, member)): Path<(GroupId, UserId)>,
    Json(wish): Json<SetRole>,
) -> Result<Json<Changed>, ApiError> {
    run(&node, who, group, Action::SetRole { member, role: wish.role }).await
}

/// Go out of a group.
#[utoipa::path(
    post,
    path = "/v1/groups/{group}/leave",
    tag = "groups",
    params(("group" = String, Path, description = "The group's id.")),
    responses((status = 200, body = Changed))
)]
pub(super) async fn leave_group(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(group): Path<GroupId>,
) -> Result<Json<Changed>, ApiError> {
    run(&node, who, group, Action::Leave).await
}

async fn run(node: &Node, who: Authenticated, group: GroupId, action: Action) -> Result<Json<Changed>, ApiError> {
    let stored = node.commands.run(who.user, who.device, ConversationId::Group(group), action).await?;
    Ok(Json(Changed { seq: stored.seq }))
}

/// `members` once each, without `user`.
fn others(mut members: Vec<UserId>, user: UserId) -> Vec<UserId> {
    members.sort_unstable();
    members.dedup();
    members.retain(|member| *member != user);
    members
}

/// Refuses unless `user` may write to each of `members`, who exist. Names the first of whom that is not so.
async fn check_reachable(node: &Node, user: UserId, members: &[UserId]) -> Result<(), ApiError> {
    if members.is_empty() {
        return Ok(());
    }
    let relations = node.directory.relations(user, members).await?;
    for member in members {
        let relation = relations.iter().find(|relation| relation.user == *member);
        let relation = relation.ok_or_else(|| ApiError::new(ErrorCode::UnknownUser, format!("there is no user {member}")))?;
        if !relation.may_write() {
            let message = format!("user {member} cannot be added by you");
            return Err(ApiError::new(ErrorCode::MayNotWrite, message));
        }
    }
    Ok(())
}
