//! The Rust SDK of banter.

pub mod api;
mod error;
pub mod storage;
pub mod sync;

pub use error::Error;
