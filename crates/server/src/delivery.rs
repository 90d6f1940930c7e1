//! Between the nodes of a fleet: what workers have for the sessions of others, and notices.
//!
//! Each node holds one stream to every node with sessions or requests ([`links`], [`link`]). What is for it goes into a bounded queue and is sent in
//! order. When the queue overflows or the stream breaks, something may be lost; then the first thing that is said afterwards is
//! "missed", and the receiver has its sessions look everything up again. So nothing here is ever waited for, and nothing is stored.

mod authentication;
pub mod encoding;
pub mod incoming;
pub mod link;
pub mod links;
pub mod outgoing;
pub mod routing;
mod tls;

/// The messages, made from `proto/delivery.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod wire {
    tonic::include_proto!("banter.delivery.v1");
}

pub use authentication::NodeKey;
pub use tls::NodeTls;
