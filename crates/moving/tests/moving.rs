//! Moving random installations between engines: out, in and across, with kills in between.

// What the tests share unwraps as tests do.
#![allow(clippy::unwrap_used)]

#[path = "moving/bounded.rs"]
mod bounded;
#[path = "moving/files.rs"]
mod files;
#[path = "moving/installations.rs"]
mod installations;
#[path = "moving/killed.rs"]
mod killed;
#[path = "moving/mortal.rs"]
mod mortal;
#[path = "moving/moves.rs"]
mod moves;
#[path = "moving/random.rs"]
mod random;
