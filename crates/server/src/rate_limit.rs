//! Limits on what can be guessed or flooded.
//!
//! Each limit is a [GCRA](gcra): so many at once, then one every so often. Normal users never meet one.

pub mod client_address;
pub mod config;
pub mod gcra;
mod keyed;

use banter_model::{Millis, UserId};

pub use client_address::{ClientAddress, ProxyHeader};
pub use config::{Quota, RateLimitConfig};
use keyed::KeyedLimit;

/// Too many: wait this long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many of these: try again in {retry_after} s")]
pub struct Limited {
    /// Whole seconds after which the next one is let through, at least 1.
    pub retry_after: u64,
}

/// Every limit, with what is known of who used how much of it.
///
/// Times are arguments. Memory is bounded by [`RateLimitConfig::keys`] for each limit.
pub struct RateLimits {
    trusted_proxy: Option<ProxyHeader>,
    sign_up: KeyedLimit<ClientAddress>,
    login_from_address: KeyedLimit<ClientAddress>,
    login_to_handle_from_address: KeyedLimit<(Box<str>, ClientAddress)>,
    login_to_handle: KeyedLimit<Box<str>>,
    refresh: KeyedLimit<ClientAddress>,
    password: KeyedLimit<UserId>,
    friend_requests: KeyedLimit<UserId>,
    handle_look_ups: KeyedLimit<UserId>,
    group_creations: KeyedLimit<UserId>,
    requests: KeyedLimit<UserId>,
}

impl RateLimits {
    /// Limits as `config` has them, none of them used yet.
    pub fn new(config: &RateLimitConfig) -> Self {
        let keys = config.keys;
        RateLimits {
            trusted_proxy: config.trusted_proxy,
            sign_up: KeyedLimit::new(config.sign_up, keys),
            login_from_address: KeyedLimit::new(config.login_from_address, keys),
            login_to_handle_from_address: KeyedLimit::new(config.login_to_handle_from_address, keys),
            login_to_handle: KeyedLimit::new(config.login_to_handle, keys),
            refresh: KeyedLimit::new(config.refresh, keys),
            password: KeyedLimit::new(config.password, keys),
            friend_requests: KeyedLimit::new(config.friend_requests, keys),
            handle_look_ups: KeyedLimit::new(config.handle_look_ups, keys),
            group_creations: KeyedLimit::new(config.group_creations, keys),
            requests: KeyedLimit::new(config.requests, keys),
        }
    }

    /// The header in which a proxy is believed when it names the client's address.
    pub fn trusted_proxy(&self) -> Option<ProxyHeader> {
        self.trusted_proxy
    }

    /// An account is asked for from `address`.
    pub fn sign_up(&self, address: ClientAddress, now: Millis) -> Result<(), Limited> {
        self.sign_up.check(address, now)
    }

    /// Somebody at `address` tries a password of `handle` (in its one spelling).
    pub fn login(&self, address: ClientAddress, handle: &str, now: Millis) -> Result<(), Limited> {
        self.login_from_address.check(address, now)?;
        // The narrow ones first: what they refuse takes nothing from those who log in from elsewhere.
        self.login_to_handle_from_address.check((handle.into(), address), now)?;
        self.login_to_handle.check(handle.into(), now)
    }

    /// A refresh token is used from `address`.
    pub fn refresh(&self, address: ClientAddress, now: Millis) -> Result<(), Limited> {
        self.refresh.check(address, now)
    }

    /// A device of `user` tries the user's password.
    pub fn password(&self, user: UserId, now: Millis) -> Result<(), Limited> {
        self.password.check(user, now)
    }

    /// `user` asks somebody to be a friend.
    pub fn friend_request(&self, user: UserId, now: Millis) -> Result<(), Limited> {
        self.friend_requests.check(user, now)
    }

    /// `user` looks up somebody by handle.
    pub fn handle_look_up(&self, user: UserId, now: Millis) -> Result<(), Limited> {
        self.handle_look_ups.check(user, now)
    }

    /// `user` makes a group.
    pub fn group_creation(&self, user: UserId, now: Millis) -> Result<(), Limited> {
        self.group_creations.check(user, now)
    }

    /// `user` asks anything of the API.
    pub fn request(&self, user: UserId, now: Millis) -> Result<(), Limited> {
        self.requests.check(user, now)
    }
}
