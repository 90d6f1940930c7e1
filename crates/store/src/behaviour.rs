//! Behaviour tests.

pub mod directory;
