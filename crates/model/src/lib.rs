//! The conversation log, and every rule about it.
//!
//! This crate decides; it does no I/O, reads no clock and draws no random number: time and ids come in as arguments.
//! Server, client and tests call the same functions, so a rule (a limit, a permission, an order) is decided once.
//!
//! Start with [`fold::apply`]: it takes a [`Conversation`] and a [`Command`] and says what becomes of it.

pub mod amend;
pub mod command;
pub mod conversation;
pub mod conversation_id;
pub mod discovery;
pub mod encoding;
pub mod event;
pub mod fold;
pub mod id;
pub mod limits;
pub mod marker;
pub mod membership;
pub mod mention;
pub mod name;
pub mod partition;
pub mod permission;
pub mod position;
pub mod refusal;
pub mod snowflake;
pub mod tag;
pub mod text;

pub use command::{Action, Command, Objection};
pub use conversation::{Conversation, Head, Member, Role, Roster};
pub use conversation_id::ConversationId;
pub use event::{Event, EventBody, Mention, Reactions};
pub use fold::{Outcome, Target};
pub use id::{DeviceId, EventId, GroupId, UserId};
pub use marker::Marker;
pub use membership::Membership;
pub use refusal::Refusal;
pub use tag::Tag;

/// An event's place in its conversation: 1, 2, 3 ... without a gap. 0 stands before the first event.
pub type Seq = u64;

/// How many messages there are up to and including an event.
pub type Ordinal = u64;

/// Milliseconds since the Unix epoch.
pub type Millis = u64;
