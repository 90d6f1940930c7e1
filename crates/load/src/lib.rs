//! What a server carries, and what it keeps when it dies. The binary `banter-load` measures; [`chaos`] and [`faults`] kill, and [`checker`] verifies
//! what is left, in the tests too.

pub mod capacity;
pub mod chaos;
pub mod checker;
pub mod counters;
pub mod crowd;
pub mod faults;
pub mod fleet;
pub mod groups;
pub mod history;
pub mod idle;
pub mod journalled;
pub mod kernel_memory;
pub mod mixed;
pub mod pairs;
pub mod process;
pub mod proxy;
pub mod record;
pub mod relay;
pub mod server;
pub mod simulate;
pub mod soak;
pub mod storm;
pub mod wire;

use std::path::PathBuf;

use clap::Args;

/// What every subcommand takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// The server's binary; the `banter` beside this one when absent.
    #[arg(long, global = true)]
    pub server: Option<PathBuf>,
    /// Where to make the data folder; the system's temporary folder when absent. Sync times are those of its disk.
    #[arg(long, global = true)]
    pub folder: Option<PathBuf>,
    /// Write the figures to this file too, with the options and the machine they were made with.
    #[arg(long, global = true, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
