//! A user's conversations, and how far everybody has read.

use std::sync::Arc;

use axum::extract::State;
use banter_model::ConversationId;
use banter_protocol::ConversationSummary;
use banter_protocol::api::{Conversations, MarkRead, Markers, ReadMarker};

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path, Query};
use crate::conversations::ReadingError;
use crate::conversations::sync_point::More;
use crate::conversations::{listing, markers as reading_markers, receipts, summary, sync};
use crate::node::Node;

/// Where a listing goes on.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListingQuery {
    /// The `more` of the part before.
    more: Option<String>,
}

/// My conversations, in parts.
#[utoipa::path(
    get,
    path = "/v1/conversations",
    tag = "conversations",
    params(ListingQuery),
    responses((status = 200, body = Conversations))
)]
pub(super) async fn conversations(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Query(query): Query<ListingQuery>,
) -> Result<Json<Conversations>, ApiError> {
    let (after, point) = match query.more {
        Some(text) => {
            let More { after, point } = sync::read_more(&node, &text)?;
            (Some(after), point)
        }
        None => (None, node.points.current(None).await.map_err(ReadingError::from)?),
    };
    let part = listing::part(&node, who.user, None, after).await?;
    let more = part.more.map(|after| More { after, point }.encode());
    Ok(Json(Conversations { conversations: part.conversations, more }))
}

/// One conversation.
#[utoipa::path(
    get,
    path = "/v1/conversations/{conversation}",
    tag = "conversations",
    params(("conversation" = String, Path, description = "The conversation.")),
    responses((status = 200, body = ConversationSummary))
)]
pub(super) async fn conversation(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(conversation): Path<ConversationId>,
) -> Result<Json<ConversationSummary>, ApiError> {
    Ok(Json(summary::summary(&node, who.user, conversation).await?))
}

/// How far each member has got.
#[utoipa::path(
    get,
    path = "/v1/conversations/{conversation}/markers",
    tag = "conversations",
    params(("conversation" = String, Path, description = "The conversation.")),
    responses((status = 200, body = Markers))
)]
pub(super) async fn markers(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(conversation): Path<ConversationId>,
) -> Result<Json<Markers>, ApiError> {
    Ok(Json(reading_markers::markers(&node, who.user, conversation).await?))
}

/// Move my read marker. It only grows.
#[utoipa::path(
    put,
    path = "/v1/conversations/{conversation}/read",
    tag = "conversations",
    params(("conversation" = String, Path, description = "The conversation.")),
    request_body = MarkRead,
    responses((status = 200, body = ReadMarker))
)]
pub(super) async fn mark_read(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(conversation): Path<ConversationId>,
    Json(wish): Json<MarkRead>,
) -> Result<Json<ReadMarker>, ApiError> {
    Ok(Json(receipts::mark_read(&node, who.user, conversation, wish.seq, None).await?))
}
