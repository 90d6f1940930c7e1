//! The Rust SDK of banter.

pub mod sync;
