//! The gateway of a real server over real sockets: sessions, and what goes through them.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod full_disk;
mod groups;
mod markers;
mod opening;
mod people;
mod polling;
mod presence;
mod pressure;
#[path = "../support/mod.rs"]
mod support;
mod tags;
mod wire;
mod writing;
