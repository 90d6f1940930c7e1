//! Which chat servers a client is told of.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use banter_model::discovery::ClientPlace;
use banter_protocol::api::{ChatServer, Servers};

use super::extract::{Authenticated, From, Json};
use crate::node::Node;

/// Chat servers for this client, best first.
#[utoipa::path(get, path = "/v1/servers", tag = "accounts", responses((status = 200, body = Servers)))]
pub(super) async fn servers(State(node): State<Arc<Node>>, _who: Authenticated, At(place): At) -> Json<Servers> {
    Json(Servers { servers: chat_servers(&node, &place) })
}

/// The chat servers for a client at `place`, best first. A single server knows only itself: "where you asked".
pub(super) fn chat_servers(node: &Node, place: &ClientPlace) -> Vec<ChatServer> {
    node.discovery.servers(place, rand::random())
}

/// Where the client that asks is.
pub(super) struct At(pub(super) ClientPlace);

impl FromRequestParts<Arc<Node>> for At {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, node: &Arc<Node>) -> Result<Self, Self::Rejection> {
        let From(address) = From::from_request_parts(parts, node).await?;
        Ok(At(node.discovery.places().of(&parts.headers, address)))
    }
}
