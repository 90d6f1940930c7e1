//! What changed since a sync point.

use banter_model::UserId;
use banter_protocol::frame::SyncQuestion;
use banter_protocol::{ErrorBody, ServerFrame};

use crate::node::Node;

/// Answers a sync question of `user`: a [`ServerFrame::Sync`], or why not (a point or `more` that this server never gave).
pub async fn answer(node: &Node, user: UserId, question: &SyncQuestion) -> Result<ServerFrame, ErrorBody> {
    let _ = (node, user, question);
    unreachable!()
}
