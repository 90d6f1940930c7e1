//! `banter-load`: what a server carries. Each subcommand starts a server of its own in a new data folder, measures, and prints a table and,
//! with `--json`, one JSON object.

use banter_load::mixed::{self, growth};
use banter_load::{Common, chaos, groups, idle, pairs, soak};
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
    /// Groups in which everybody has a session: deliveries a second, and latency by position in the fan-out.
    Groups(groups::Groups),
    /// Mixed traffic: direct conversations and groups of all sizes, few of their members online, and as much read as written.
    Mixed(mixed::Mixed),
    /// What a message costs when there is ten times as much of everything.
    Growth(growth::Growth),
    /// Mixed traffic for hours, with memory and times as a plot.
    Soak(soak::Soak),
    /// Idle sessions: what one costs in memory, and how fast they come.
    Idle(idle::Idle),
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
            Command::Groups(groups) => groups.run(&arguments.common).await,
            Command::Mixed(mixed) => mixed.run(&arguments.common).await,
            Command::Growth(growth) => growth.run(&arguments.common).await,
            Command::Soak(soak) => soak.run(&arguments.common).await,
            Command::Idle(idle) => idle.run(&arguments.common).await,
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
