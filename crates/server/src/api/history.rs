//! Pages of history.

use std::sync::Arc;

use axum::extract::State;
use banter_model::limits::PAGE_EVENTS;
use banter_model::{ConversationId, Seq};
use banter_protocol::ErrorCode;
use banter_protocol::api::Page;

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path, Query};
use crate::conversations::page::{DEFAULT_EVENTS, Place, page};
use crate::conversations::view::View;
use crate::node::Node;

/// Which part of a log is asked for: one of `after`, `before` and `around`, or none of them for the newest.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PageQuery {
    /// What comes after this place.
    after: Option<Seq>,
    /// What comes before this place.
    before: Option<Seq>,
    /// This place, and what is before and after it.
    around: Option<Seq>,
    /// At most so many events, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

impl PageQuery {
    fn place(&self) -> Result<Place, ApiError> {
        match (self.after, self.before, self.around) {
            (None, None, None) => Ok(Place::Newest),
            (Some(seq), None, None) => Ok(Place::After(seq)),
            (None, Some(seq), None) => Ok(Place::Before(seq)),
            (None, None, Some(seq)) => Ok(Place::Around(seq)),
            _ => Err(ApiError::new(ErrorCode::InvalidParameter, "give one of `after`, `before` and `around`, or none")),
        }
    }

    fn limit(&self) -> Result<usize, ApiError> {
        let limit = self.limit.unwrap_or(DEFAULT_EVENTS);
        if limit == 0 || limit > PAGE_EVENTS {
            return Err(ApiError::new(ErrorCode::InvalidParameter, format!("`limit` is from 1 to {PAGE_EVENTS}")));
        }
        Ok(limit)
    }
}

/// A page of a conversation's events, in order.
#[utoipa::path(
    get,
    path = "/v1/conversations/{conversation}/events",
    tag = "conversations",
    params(("conversation" = String, Path, description = "The conversation."), PageQuery),
    responses((status = 200, body = Page))
)]
pub(super) async fn events(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(conversation): Path<ConversationId>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page>, ApiError> {
    let (place, limit) = (query.place()?, query.limit()?);
    let view = View::open(&*node.history, who.user, conversation).await?;
    Ok(Json(page(&*node.history, &view, place, limit).await?))
}
