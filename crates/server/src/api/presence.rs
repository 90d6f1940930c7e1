//! Who is online.

use std::sync::Arc;

use axum::extract::State;
use banter_protocol::api::Presences;

use super::errors::ApiError;
use super::extract::{Authenticated, Ids, Json, Query};
use crate::node::Node;

/// Who is online.
#[utoipa::path(get, path = "/v1/presence", tag = "people", params(Ids), responses((status = 200, body = Presences)))]
pub(super) async fn presence(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Query(ids): Query<Ids>,
) -> Result<Json<Presences>, ApiError> {
    let users = node.presence.of(who.user, &ids.parse()?).await?;
    Ok(Json(Presences { users }))
}
