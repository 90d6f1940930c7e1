//! Moving an installation: out into a file, in from a file, and from one installation straight into another.
//!
//! An installation is its people, its logs, and what stands beside them ([`Installation`]); this crate knows it by traits only, so it moves
//! between any two engines. What moves is a stream of [records](record::Record) in one order ([`reader`]), a bounded number at a
//! time. A target notes how far it has come ([`target`]), so a move that was killed at any moment goes on where it was, and until the end no
//! server is started on it. At the end what arrived is read back and compared with what was sent, by counts and checksums
//! ([`tally`]).
//!
//! **Positions.** Sync points of devices and the heads of conversations hold positions of the queue. They stay as they are, and the
//! target's queue gives only greater ones: where it has as many partitions, each goes on from where the source's was; where it
//! has another number, each goes on from the greatest of all. So no command is taken for one that was applied before the move, and what
//! is written after it is after every sync point of before. A sync point of another number of partitions is refused, and the
//! device asks for everything.

mod error;
mod export;
mod identity;
mod import;
mod installation;
mod lines;
mod migrate;
mod news;
pub mod reader;
pub mod record;
pub mod tally;
pub mod target;

pub use error::MoveError;
pub use export::export;
pub use identity::{FolderIdentity, Identity};
pub use import::import;
pub use installation::{Installation, Queue};
pub use migrate::migrate;
pub use news::{News, Tell};

/// Version of the line format that is written, and the newest that is understood.
pub const FORMAT: u32 = 1;
