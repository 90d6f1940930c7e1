//! The reading side of conversations: summaries, pages, markers, what changed since a sync point. Used by the API and the
//! gateway alike, so that both tell the same.

pub mod error;
pub mod listing;
pub mod markers;
pub mod page;
pub mod points;
pub mod progress;
mod receipt_questions;
pub mod receipts;
pub mod recent;
pub mod relations;
pub mod summary;
pub mod sync;
pub mod sync_point;
pub mod view;

pub use error::ReadingError;
