//! The reading side of conversations: summaries, pages, markers, what changed since a sync point.

pub mod receipts;
pub mod relations;
pub mod sync;
