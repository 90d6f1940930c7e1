//! The sync engine: what a device must do so that what was acknowledged is stored, and each event is seen once and in order.
//!
//! It is pure: no I/O, no clock, no random number. [`Engine::handle`] takes what happened and the time (milliseconds of any clock
//! that never runs backwards), [`Engine::take_effects`] gives what is to be done, [`Engine::deadline`] says when to call with
//! [`Input::Tick`]. Whoever drives it stores before sending and telling (see [`Effect`]). This is the contract, which every client
//! of banter keeps, in whatever language:
//!
//! **Writing.** A command gets the next tag of its conversation, and is on the disk with its tag before it is sent for the first time;
//! a tag is never used for anything else. Tags in flight in one conversation are less than 32 apart, counted from the lowest
//! unanswered. Commands of a conversation are sent in order of tags; nothing new overtakes one that has to wait. After every
//! reconnect and `resync`, everything unanswered is sent again with the same tags before anything new. `error` with `retry_after` means the
//! same frame later; without, it is final. `stale_tag` means that the server cannot tell: when the conversation is caught up, the
//! stored history does (by device and tag). An own event that comes with a page answers its command as `sent` does.
//!
//! **Receiving.** Per conversation, `have` is how far the application was told, without a gap, from where the device started to follow.
//! An `event` or own `sent` at `have + 1` is appended; what is not above `have` is ignored; anything else raises what the log is
//! known to reach, and the gap is pulled. [`FAR_BEHIND`] events behind or less: pages after `have`. Further: the newest page first,
//! stored and shown at once ([`Notification::Ahead`]), then pages backwards until the gap is closed; then the application is told of all in
//! order. Which places are stored is kept as ranges. A page's `from` and `to` count as covered even where events are missing: the
//! user may not see those.
//!
//! **Amendments.** An event that amends a message is applied to the stored message when the application is told of the event, so in
//! order, by `banter_model::amend`, which does nothing when the message shows it already (`amended_up_to`). A page's messages are as
//! they were when it was read; amendments that were told meanwhile are applied to them when they are stored. A hole in a page is time that
//! the user was out: what is stored from before it may have been amended unseen, so it is no longer known.
//!
//! **Where to follow from.** A device that made the account follows every conversation from its first event. A later one starts at
//! the end of the logs of its first sync, and from the first event of what begins later. In a group that shows earlier history,
//! what was said before the user came in is not news.
//!
//! **Syncing.** `resume` with the sync point asks what changed; while there is `more`, ask again with it and the same `since`; the
//! `point` of the last part is stored. Since a part is asked for only once the one before is taken in, a last part means that all are.
//! `resync` starts over. Summaries raise what is known; nothing in them lowers anything.
//!
//! **Markers.** `read` and `delivered` are sent at most once a second per conversation, and again after a reconnect if they went out
//! shortly before the session broke. Unread = head ordinal - read ordinal.
//!
//! **Group rosters** come whole with summaries and are kept by `fold::change_roster`; a roster that an event cannot be applied to in
//! order is asked for again with a sync.

mod amending;
mod effect;
mod engine;
mod live;
mod outbox;
mod pulling;
mod ranges;
mod receiving;
mod state;
mod syncing;
#[cfg(test)]
pub(crate) mod tests;
mod writing;

pub use amending::{amend, redact_edit};
pub use effect::{ConnectionState, Effect, FetchError, Input, Notification, Snapshot, Stored, Window, Write};
pub use engine::Engine;
pub use outbox::{ENTRIES_PER_CONVERSATION, target_of};
pub use pulling::FAR_BEHIND;
pub use ranges::Ranges;
pub use state::{ConversationState, Reach};
pub use writing::QueueError;
