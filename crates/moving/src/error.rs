//! Why a move did not come to its end.

use std::io;
use std::path::{Path, PathBuf};

use banter_store::StoreError;
use banter_store::directory::DirectoryError;

use crate::record::Kind;

/// The move did not come to its end. What was moved so far stays, and the same move goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// The directory.
    #[error("the directory: {0}")]
    Directory(#[from] DirectoryError),
    /// The history.
    #[error("the history: {0}")]
    History(#[from] StoreError),
    /// What stands beside them, or a file.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// What the engine that keeps the identity of an installation says.
    #[error("{0}")]
    Identity(String),
    /// The target holds people or logs that no move under way has put there.
    #[error("the target is not empty: move into an installation on which no server was ever started")]
    NotEmpty,
    /// The target is half filled with something else.
    #[error(
        "another move into the target has not ended, or the source has changed since this one began: empty the target and begin again"
    )]
    OtherMove,
    /// The key that tokens are signed with is another one there.
    #[error("the target has another secret key than the source, which would sign everybody out: give it the source's")]
    OtherSecretKey,
    /// The target's queue would give positions that were given before.
    #[error(
        "positions of the target's queue begin at {begins} in partition {partition}, and have to begin at {needed} or later: \
         set its epoch (`queue.epoch`) to {}, with a topic that is new", needed_epoch(*needed)
    )]
    QueueBehind {
        /// The partition.
        partition: u32,
        /// Where it stands.
        begins: u64,
        /// Where the source's was.
        needed: u64,
    },
    /// A conversation is ahead of its queue.
    #[error(
        "a conversation is at position {head}, and the source's partitions are at {stored} at most: let its workers apply all that is \
         queued, then stop it and begin again"
    )]
    NotDrained {
        /// The conversation's.
        head: u64,
        /// The greatest of the partitions'.
        stored: u64,
    },
    /// Logs have gaps.
    #[error("the conversations have {heads} events by their heads, and {events} are there: the source is damaged")]
    Gaps {
        /// Those that should be there.
        heads: u64,
        /// Those that are.
        events: u64,
    },
    /// What arrived is not what was sent.
    #[error("what arrived is not what was sent ({}): empty the target and begin again", listed(.0))]
    Different(Vec<Kind>),
    /// The file is no export.
    #[error("{} is no export of banter: {reason}", path.display())]
    NotAnExport {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A newer banter wrote the file.
    #[error("{} has format {found}, and this program knows formats up to {}: use a newer one", path.display(), crate::FORMAT)]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u32,
    },
    /// A line of the file cannot be read.
    #[error("{}, line {number}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        number: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file ends too early.
    #[error("{} ends in the middle: make the export again", path.display())]
    CutOff {
        /// The file.
        path: PathBuf,
    },
    /// The file is not what was written.
    #[error("{} was changed or damaged since it was written ({}): make the export again", path.display(), listed(kinds))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Of which kinds counts or checksums are not what they should be.
        kinds: Vec<Kind>,
    },
    /// There is a file of that name.
    #[error("{} exists: give another name, or delete it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
}

impl MoveError {
    /// What the system said of a file.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> MoveError {
        let path = path.to_owned();
        |source| MoveError::File { path, source }
    }
}

/// The lowest epoch whose positions are all after `position` (the epoch is what is above their low 48 bits).
fn needed_epoch(position: u64) -> u64 {
    (position >> 48) + 1
}

fn listed(kinds: &[Kind]) -> String {
    let names: Vec<String> = kinds.iter().map(Kind::to_string).collect();
    names.join(", ")
}
