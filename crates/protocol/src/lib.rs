//! What goes over the wire: frames between device and gateway, bodies of the HTTP API, error and close codes.
//!
//! `docs/protocol.md` tells the same for people. Ids are decimal strings in JSON, places and tags are numbers below 2^53,
//! times are milliseconds since the Unix epoch. Unknown fields and frame types are refused, never guessed at.

pub mod api;
pub mod close_code;
pub mod error;
pub mod event;
pub mod frame;
pub mod limits;
pub mod sync;
#[cfg(test)]
mod typescript;

pub use error::{ErrorBody, ErrorCode};
pub use event::{Content, Event};
pub use frame::{ClientFrame, ServerFrame};
pub use sync::ConversationSummary;
