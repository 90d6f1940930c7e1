//! What the roles of one process share.

use std::sync::Arc;

use banter_store::{Cluster, CommandQueue, Directory, History};
use tokio::sync::Semaphore;

use crate::auth::passwords::Passwords;
use crate::auth::refresh_tokens::RefreshTokens;
use crate::auth::removed_devices::RemovedDevices;
use crate::auth::tokens::AccessTokens;
use crate::clock::Ids;
use crate::commands::Commands;
use crate::conversations::points::Points;
use crate::conversations::relations::Relations;
use crate::discovery::Discovery;
use crate::gateway::hub::Hub;
use crate::metrics::Metrics;
use crate::notices::Notices;
use crate::origins::WebOrigins;
use crate::presence::Presence;
use crate::rate_limit::RateLimits;
use crate::readiness::Readiness;

/// The parts of this process, each of which knows only what it needs.
pub struct Node {
    /// The leased number of this node: in its ids, and where answers go back to.
    pub number: u16,
    /// People.
    pub directory: Arc<dyn Directory>,
    /// Logs.
    pub history: Arc<dyn History>,
    /// The way to the workers.
    pub queue: Arc<dyn CommandQueue>,
    /// Ids of this node.
    pub ids: Arc<Ids>,
    /// Commands of the API.
    pub commands: Arc<Commands>,
    /// Sessions of this gateway.
    pub hub: Arc<Hub>,
    /// Who is online.
    pub presence: Arc<Presence>,
    /// Tells sessions, wherever they are.
    pub notices: Arc<Notices>,
    /// Signs and checks access tokens.
    pub tokens: AccessTokens,
    /// Signs and reads refresh tokens.
    pub refresh_tokens: RefreshTokens,
    /// Hashes and verifies passwords.
    pub passwords: Passwords,
    /// Devices whose access tokens are no longer good.
    pub removed_devices: Arc<RemovedDevices>,
    /// Who may reach whom, remembered for a while.
    pub relations: Arc<Relations>,
    /// Room for listings of conversations, of which each holds much while it is made.
    pub listings: Semaphore,
    /// How far the partitions are, and where something happened lately.
    pub points: Points,
    /// Which nodes there are.
    pub cluster: Arc<dyn Cluster>,
    /// Which chat servers there are.
    pub discovery: Discovery,
    /// Does it take new clients?
    pub readiness: Readiness,
    /// Pages of other origins that may ask.
    pub web_origins: WebOrigins,
    /// Limits on what can be guessed or flooded.
    pub rate_limits: RateLimits,
    /// Counters.
    pub metrics: Arc<Metrics>,
}
