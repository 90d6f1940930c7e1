//! Embedded engines: what a single server needs, in its own process and its own data folder.

pub mod cluster;
pub mod history;
pub mod id_floor;
pub mod queue;
pub mod sessions;
