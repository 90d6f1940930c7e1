//! Which chat servers a login is told of.

use banter_protocol::api::ChatServer;

use crate::node::Node;
use crate::rate_limit::ClientAddress;

/// The chat servers for a client at `address`, best first. A single server knows only itself: "where you asked".
pub fn chat_servers(_node: &Node, _address: ClientAddress) -> Vec<ChatServer> {
    vec![ChatServer { url: String::new() }]
}
