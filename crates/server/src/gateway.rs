//! The gateway: holds the sessions, takes their frames, and hands out what is for them.

pub mod hub;
