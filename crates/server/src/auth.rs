//! Who is who: passwords, access tokens, refresh tokens, removed devices.

pub mod passwords;
pub mod refresh_tokens;
pub mod removed_devices;
pub(crate) mod signature;
pub mod tokens;
