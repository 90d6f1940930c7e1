//! Several nodes in one process: their logs, queue and directory are the embedded ones, shared; what they tell each other goes over real
//! connections.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod delivery;
mod encryption;
mod nodes;
mod notices;
mod origins;
mod presence;
mod proxy;
mod stopping;
#[path = "../support/mod.rs"]
mod support;
