//! The registry of sessions: on which gateways a user has one.
//!
//! It says where to send something and who is online. It may be lost at any time and is then written anew by the gateways, who
//! know their own sessions best; whoever asks and gets no answer sends to all gateways instead.

mod registrar;
mod suspects;

use async_trait::async_trait;
use banter_model::UserId;

pub use registrar::{LocalSessions, Registrar};
pub use suspects::Suspects;

use crate::cluster::NodeIncarnation;

/// Most users in one call of [`Sessions::gateways`] or [`Sessions::update`].
pub const USERS_AT_ONCE: usize = 10_000;

/// The registry is kept in this many shards, by user. Part of its format.
pub const SHARDS: u32 = 1024;

/// The shard of `user`, below [`SHARDS`]. Part of the registry's format.
pub fn shard_of(user: UserId) -> u32 {
    // Ids end with a counter that starts at 0 each millisecond: mixed by the multiplier of Fibonacci hashing, the high bits are good.
    (user.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (u64::BITS - SHARDS.ilog2())) as u32
}

/// The registry does not answer. Whoever asked does without it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SessionsError {
    /// It is not reached, or was not in time; told at once while it is known to be away.
    #[error("the registry of sessions is away: {0}")]
    Away(String),
    /// It answered with an error.
    #[error("the registry of sessions failed: {0}")]
    Failed(String),
}

/// How many users of one gateway a shard holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardCount {
    /// The shard.
    pub shard: u32,
    /// Users.
    pub users: u64,
}

/// Where users have sessions. Entries are those of a gateway in one of its lives: an entry counts if
/// [`living`](crate::cluster::living) finds its member.
///
/// Every call answers within a bounded time, and at once while the engine is known to be away. After an error a call may have
/// been carried out in part; all of them can be repeated.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Enters gateway `at` in the list of those that have ever registered anybody ([`Sessions::nodes`]). To be called before its
    /// first [`Sessions::update`], else its entries would never be swept.
    async fn announce(&self, at: NodeIncarnation) -> Result<(), SessionsError>;

    /// From now on the users in `here` have a session on the gateway `at`, and those in `gone` have none. At most
    /// [`USERS_AT_ONCE`] of both together; nobody is in both. Returns what the shards that were touched hold of this gateway
    /// afterwards.
    async fn update(&self, at: NodeIncarnation, here: &[UserId], gone: &[UserId]) -> Result<Vec<ShardCount>, SessionsError>;

    /// On which gateways the users have sessions, dead ones not yet swept included: pairs in the order of `users`, none for a user
    /// without a session. One round trip, however many users (at most [`USERS_AT_ONCE`]).
    async fn gateways(&self, users: &[UserId]) -> Result<Vec<(UserId, NodeIncarnation)>, SessionsError>;

    /// How many users are registered at gateway `at`, for every shard in order.
    async fn counts(&self, at: NodeIncarnation) -> Result<Vec<ShardCount>, SessionsError>;

    /// The users of one shard that are registered at gateway `at`, in no order.
    async fn registered(&self, at: NodeIncarnation, shard: u32) -> Result<Vec<UserId>, SessionsError>;

    /// Every gateway that announced itself and is not swept.
    async fn nodes(&self) -> Result<Vec<NodeIncarnation>, SessionsError>;

    /// Removes up to about `limit` users' entries of a gateway that is dead, and returns these users; they may have sessions
    /// elsewhere. When nothing is left it removes the gateway from [`Sessions::nodes`] and returns nobody. Each user is
    /// returned to one caller only, also when several sweep.
    async fn sweep(&self, dead: NodeIncarnation, limit: usize) -> Result<Vec<UserId>, SessionsError>;
}
