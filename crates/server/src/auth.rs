//! Who is who: passwords, access tokens, refresh tokens, removed devices.

pub mod removed_devices;
pub mod tokens;
