//! `banter-load`: what a server carries. Each subcommand starts a server of its own in a new data folder, measures, prints a table and,
//! with `--json <FILE>`, writes a file of figures.

use banter_load::mixed::{self, growth};
use banter_load::record::{self, Record};
use banter_load::{Common, capacity, chaos, faults, fleet, groups, history, idle, pairs, relay, simulate, soak, storm};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

/// The server has it too, and the relay that it is compared with is this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
    /// The same pairs against a bare relay without a chat in it, in turn with banter.
    Relay(relay::Relay),
    /// The same pairs on a fleet that runs already, beside an embedded server.
    Fleet(fleet::Fleet),
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
    /// A long history: what it takes on the disk, what a page costs, and how fast the server is back.
    History(history::LongHistory),
    /// Very many sessions are cut and come back at once, to what they missed.
    Storm(storm::Storm),
    /// Kills the server again and again while devices write, then checks that nothing acknowledged is lost.
    Chaos(chaos::Chaos),
    /// Kills and stops each role and engine of a running fleet in turn, measures how long people notice, then checks like `chaos`.
    Faults(faults::Faults),
    /// Simulates the workers of a fleet, with everything that can happen to them: does a replay do no harm?
    Simulate(simulate::Simulate),
    /// Computes docs/capacity.md from the files of runs.
    Capacity(capacity::Capacity),
    /// The relay itself, as `relay` starts it.
    #[command(hide = true)]
    RelayProcess(relay::RelayProcess),
}

fn main() -> anyhow::Result<()> {
    let program = Arguments::command();
    let matches = program.clone().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    banter_server::descriptors::raise_limit();
    let common = &arguments.common;
    record::check_place(common.json.as_ref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(async {
        match arguments.command {
            Command::Pairs(pairs) => pairs.run(common).await,
            Command::Relay(relay) => relay.run(common).await,
            Command::Fleet(fleet) => fleet.run(common).await,
            Command::Groups(groups) => groups.run(common).await,
            Command::Mixed(mixed) => mixed.run(common).await,
            Command::Growth(growth) => growth.run(common).await,
            Command::Soak(soak) => soak.run(common).await,
            Command::Idle(idle) => idle.run(common).await,
            Command::History(history) => history.run(common).await,
            Command::Storm(storm) => storm.run(common).await,
            Command::Chaos(chaos) => chaos.run(common).await,
            Command::Faults(faults) => faults.run(common).await,
            Command::Simulate(simulate) => simulate.run(),
            Command::Capacity(capacity) => capacity.run(),
            Command::RelayProcess(process) => process.run().await,
        }
    })?;
    print(&figures);
    if let (Some(path), Some((command, options))) = (&common.json, matches.subcommand()) {
        let options = program.find_subcommand(command).map(|command| Record::options(command, options)).unwrap_or_default();
        Record::new(command, options, figures).write(path)?;
    }
    Ok(())
}

#[allow(clippy::print_stdout)]
fn print(figures: &serde_json::Map<String, serde_json::Value>) {
    for (name, value) in figures {
        println!("{name:<60} {value}");
    }
}
