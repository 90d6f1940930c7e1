//! What a server carries, and what it keeps when it dies. The binary `banter-load` measures; [`chaos`] kills, and [`checker`] verifies
//! what is left, in the tests too.

pub mod chaos;
pub mod checker;
pub mod history;
pub mod idle;
pub mod pairs;
pub mod process;
pub mod proxy;
pub mod server;
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
    /// Print the figures as one JSON object too.
    #[arg(long, global = true)]
    pub json: bool,
}
