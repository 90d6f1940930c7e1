//! Read markers and "delivered up to": registers that only grow.

use serde::{Deserialize, Serialize};

use crate::{Head, Ordinal, Seq, UserId};

/// A place in a log together with the number of messages up to it. The greater one wins; the order of arrival is nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS))]
pub struct Marker {
    /// The place.
    pub seq: Seq,
    /// Messages up to and including it.
    pub ordinal: Ordinal,
}

/// How far `user` has read: the register, or the latest message they wrote themself, whichever is further.
pub fn read_up_to(register: Marker, head: &Head, user: UserId) -> Marker {
    register.max(head.tags.written_by(user))
}

/// Messages after `read`, when the log has `head` messages.
pub fn unread(head: Ordinal, read: Marker) -> u64 {
    head.saturating_sub(read.ordinal)
}
