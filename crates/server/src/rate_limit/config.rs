//! How much is let through.

use std::time::Duration;

use super::ProxyHeader;

/// So many at once, then one every so often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// How many at once, after a pause; at least 1.
    pub burst: u32,
    /// One more after each such time; zero is no limit at all.
    pub every: Duration,
}

impl Quota {
    /// No limit.
    pub const UNLIMITED: Quota = Quota { burst: u32::MAX, every: Duration::ZERO };

    /// `burst` at once, then one every `every`.
    pub const fn new(burst: u32, every: Duration) -> Self {
        Quota { burst, every }
    }
}

/// Every limit of the API. The defaults are out of the way of people, also of an office behind one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitConfig {
    /// Take the client's address from the last entry of this header. Only behind a proxy that writes it: else anybody could
    /// claim any address.
    pub trusted_proxy: Option<ProxyHeader>,
    /// Most keys (addresses, handles, users) that each limit remembers.
    pub keys: usize,
    /// Accounts from one address.
    pub sign_up: Quota,
    /// Logins from one address, right or wrong.
    pub login_from_address: Quota,
    /// Logins to one handle from one address, right or wrong: what guessing a password has to live with.
    pub login_to_handle_from_address: Quota,
    /// Logins to one handle, right or wrong, from anywhere: what guessing from many addresses has to live with. Far more than
    /// one address may, for whoever uses it up makes the handle's owner wait.
    pub login_to_handle: Quota,
    /// Refreshed tokens from one address.
    pub refresh: Quota,
    /// Passwords tried by one user who is logged in (to change it or to delete the account).
    pub password: Quota,
    /// Friend requests of one user.
    pub friend_requests: Quota,
    /// Handles looked up by one user.
    pub handle_look_ups: Quota,
    /// Groups made by one user.
    pub group_creations: Quota,
    /// Requests of one user, of all kinds.
    pub requests: Quota,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        RateLimitConfig {
            trusted_proxy: None,
            keys: 100_000,
            sign_up: Quota::new(30, Duration::from_secs(60)),
            login_from_address: Quota::new(60, Duration::from_secs(2)),
            login_to_handle_from_address: Quota::new(20, Duration::from_secs(15)),
            login_to_handle: Quota::new(300, Duration::from_secs(1)),
            refresh: Quota::new(1_000, Duration::from_millis(20)),
            password: Quota::new(10, Duration::from_secs(30)),
            friend_requests: Quota::new(50, Duration::from_secs(30)),
            handle_look_ups: Quota::new(100, Duration::from_secs(1)),
            group_creations: Quota::new(30, Duration::from_secs(60)),
            requests: Quota::new(1_000, Duration::from_millis(20)),
        }
    }
}

impl RateLimitConfig {
    /// No limits: for load runs and for tests of other things.
    pub fn unlimited() -> Self {
        RateLimitConfig {
            trusted_proxy: None,
            keys: 0,
            sign_up: Quota::UNLIMITED,
            login_from_address: Quota::UNLIMITED,
            login_to_handle_from_address: Quota::UNLIMITED,
            login_to_handle: Quota::UNLIMITED,
            refresh: Quota::UNLIMITED,
            password: Quota::UNLIMITED,
            friend_requests: Quota::UNLIMITED,
            handle_look_ups: Quota::UNLIMITED,
            group_creations: Quota::UNLIMITED,
            requests: Quota::UNLIMITED,
        }
    }
}
