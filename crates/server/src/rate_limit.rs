//! Limits on what can be guessed or flooded.

/// Every limit, with what is known of who used how much of it.
pub struct RateLimits {}
