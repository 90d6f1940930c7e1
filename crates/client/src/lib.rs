//! The Rust SDK of banter: a client that keeps the promise of the server to the end. What it has acknowledged is stored, each event is
//! seen once and in order, whatever dies in between.
//!
//! [`Client`] is the front door. Below it, each usable on its own: [`sync`] (the engine, pure), [`storage`] (what a device remembers),
//! [`connection`] (one session), [`api`] (HTTP).

pub mod api;
mod client;
pub mod command_line;
pub mod connection;
mod error;
pub mod storage;
pub mod sync;
#[cfg(test)]
mod test_server;

pub use client::{Client, Notifications, Place, Profile, Status, Ticket};
pub use error::Error;
