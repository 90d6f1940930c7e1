//! `banter-load`: what a server carries. Each subcommand starts a server of its own in a new data folder, measures, and prints a table and,
//! with `--json`, one JSON object.

mod idle;
mod pairs;
mod process;
mod server;
mod wire;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Load generator for banter.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every subcommand takes.
#[derive(Args, Clone)]
struct Common {
    /// The server's binary; the `banter` beside this one when absent.
    #[arg(long, global = true)]
    server: Option<PathBuf>,
    /// Where to make the data folder; the system's temporary folder when absent. Sync times are those of its disk.
    #[arg(long, global = true)]
    folder: Option<PathBuf>,
    /// Print the figures as one JSON object too.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Pairs of users: one writes to the other, as fast as it goes or at a fixed rate.
    Pairs(pairs::Pairs),
    /// Idle sessions: what one costs in memory, and how fast they come.
    Idle(idle::Idle),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    server::raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        match arguments.command {
            Command::Pairs(pairs) => pairs.run(&arguments.common).await,
            Command::Idle(idle) => idle.run(&arguments.common).await,
        }
    })?;
    print(&figures, arguments.common.json);
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print(figures: &serde_json::Map<String, serde_json::Value>, json: bool) {
    for (name, value) in figures {
        println!("{name:<44} {value}");
    }
    if json {
        println!("{}", serde_json::Value::Object(figures.clone()));
    }
}
