//! Embedded engines: what a single server needs, in its own process and its own data folder.

pub mod history;
pub mod queue;
