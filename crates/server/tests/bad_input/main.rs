//! Bad input of every kind against a real server: the documented refusal comes, it is counted, nothing has changed, and others are
//! served. `docs/protocol.md` has the table.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod bodies;
mod document;
mod flood;
mod frames;
mod others;
mod requests;
mod scene;
mod slow;
#[path = "../support/mod.rs"]
mod support;
mod texts;
mod tokens;
mod websocket;
