//! The HTTP API over the embedded engines: every endpoint, what it does and what it refuses.

// Helpers of tests are not seen as tests by the lint.
#![allow(clippy::unwrap_used)]

mod accounts;
mod conversations;
mod groups;
mod order;
mod pages;
mod people;
mod requests;
mod support;
mod sync;
