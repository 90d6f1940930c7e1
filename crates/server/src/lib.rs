//! The banter server: the shells around the model. One module for each role, `api`, `gateway`, `worker` and `presence`; what they share
//! beside them. Data flows one way: gateway -> queue -> worker -> history -> delivery -> gateway.

pub mod api;
mod at_once;
pub mod auth;
pub mod clock;
pub mod commands;
pub mod config;
pub mod conversations;
pub mod delivery;
pub mod descriptors;
pub mod discovery;
pub mod doctor;
pub mod gateway;
mod held;
pub mod listener;
pub mod metrics;
pub mod moving;
pub mod node;
pub mod notices;
pub mod origins;
pub mod presence;
pub mod rate_limit;
pub mod readiness;
pub mod registry;
pub mod secret_key;
pub mod serve;
pub mod stores;
pub mod web_app;
pub mod worker;
