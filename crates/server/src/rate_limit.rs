//! Limits on what can be guessed or flooded.

pub mod gcra;

/// Every limit, with what is known of who used how much of it.
pub struct RateLimits {}
