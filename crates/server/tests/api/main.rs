//! The HTTP API over the embedded engines: every endpoint, what it does and what it refuses.

mod accounts;
mod conversations;
mod groups;
mod pages;
mod people;
mod requests;
mod support;
mod sync;
