//! stub
use banter_model::{ConversationId, Seq, UserId};
use banter_protocol::ErrorBody;
use crate::node::Node;
/// x
pub async fn read(node: &Node, user: UserId, conversation: ConversationId, seq: Seq, except: Option<u64>) -> Result<(), ErrorBody> { let _ = (node, user, conversation, seq, except); Ok(()) }
/// x
pub async fn delivered(node: &Node, user: UserId, conversation: ConversationId, seq: Seq) -> Result<(), ErrorBody> { let _ = (node, user, conversation, seq); Ok(()) }
