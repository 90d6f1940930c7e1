//! `banter-load`: what a server carries. Each subcommand starts a server of its own in a new data folder, measures, and prints a table and,
//! with `--json`, one JSON object.

use banter_load::{Common, chaos, history, idle, pairs};
use clap::{Parser, Subcommand};

/// Load generator for banter.
#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pairs of users: one writes to the other, as fast as it goes or at a fixed rate.
    Pairs(pairs::Pairs),
    /// Idle sessions: what one costs in memory, and how fast they come.
    Idle(idle::Idle),
    /// A long history: what it takes on the disk, what a page costs, and how fast the server is back.
    History(history::LongHistory),
    /// Kills the server again and again while devices write, then checks that nothing acknowledged is lost.
    Chaos(chaos::Chaos),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    banter_server::descriptors::raise_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        match arguments.command {
            Command::Pairs(pairs) => pairs.run(&arguments.common).await,
            Command::Idle(idle) => idle.run(&arguments.common).await,
            Command::History(history) => history.run(&arguments.common).await,
            Command::Chaos(chaos) => chaos.run(&arguments.common).await,
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
