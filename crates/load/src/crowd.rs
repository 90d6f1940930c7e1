//! Very many connections from one process.
//!
//! A process may have 20,000 descriptors on many machines, and no right to raise that; but the limit holds for a table of descriptors,
//! and a thread can have a table of its own. So the connections are spread over plain threads, each with its table, its epoll and a
//! few bytes for each connection.

mod frames;
mod heartbeats;
mod poll;
mod socket;
mod sources;
mod tally;
mod thread;

pub use frames::{Frame, joined, next_frame, upgrade_request};
pub use heartbeats::Heartbeats;
pub use poll::{Interest, Poll};
pub use socket::Socket;
pub use sources::Sources;
pub use tally::Tally;
pub use thread::{PER_TABLE, share, start};
