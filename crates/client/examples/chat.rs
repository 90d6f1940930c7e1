//! `banter chat` as a program of its own.

use std::process::ExitCode;

use banter_client::command_line::{Arguments, run};
use clap::Parser;

/// The command-line client of banter.
#[derive(Parser)]
struct Chat {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    run(Chat::parse().arguments).await
}
