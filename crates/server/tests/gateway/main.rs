//! The gateway of a real server over real sockets: sessions, and what goes through them.

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
