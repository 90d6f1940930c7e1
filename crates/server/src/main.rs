//! `banter`: the server, its doctor, and the command-line client, in one binary.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use banter_server::descriptors;
use banter_server::presence::GRACE;
use banter_server::rate_limit::{ProxyHeader, RateLimitConfig};
use banter_server::serve::{ServeOptions, Server};
use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

/// A fifth more messages from the same processors than with the system's allocator: docs/decisions/0006-allocator.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A self-hosted chat system.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a server with everything in one data folder.
    Serve(Serve),
    /// Says what is wrong with a data folder. Changes nothing.
    Doctor(Doctor),
    /// The command-line client.
    Chat(banter_client::command_line::Arguments),
    #[command(flatten)]
    Moving(banter_server::moving::Moving),
}

#[derive(Args)]
struct Serve {
    /// The data folder; made if it is missing.
    #[arg(long, env = "BANTER_DATA", default_value = "banter-data")]
    data: PathBuf,
    /// The address to listen on. Port 0 takes a free port.
    #[arg(long, env = "BANTER_LISTEN", default_value = "127.0.0.1:8480")]
    listen: SocketAddr,
    /// Take client addresses from this header, which the proxy in front writes: `x-forwarded-for` or `forwarded`.
    #[arg(long, env = "BANTER_TRUST_PROXY", value_name = "HEADER")]
    trust_proxy: Option<ProxyHeader>,
    /// No limits on sign-ups, logins, requests and frames. For load runs on a closed network.
    #[arg(long, env = "BANTER_UNLIMITED")]
    unlimited: bool,
    /// Milliseconds after which a lost connection counts as offline.
    #[arg(long, env = "BANTER_PRESENCE_GRACE_MS", default_value_t = GRACE.as_millis() as u64)]
    presence_grace_ms: u64,
    /// Most sessions at once. More than descriptors can be opened (`ulimit -n`) makes threads that open as many each.
    #[arg(long, env = "BANTER_SESSIONS", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    sessions: Option<u32>,
    /// How many threads of their own hold the sessions, instead of as many as `--sessions` needs; 0 leaves them to the other threads.
    #[arg(long, env = "BANTER_SHARDS", value_parser = clap::value_parser!(u16).range(0..=1_024))]
    shards: Option<u16>,
    /// Free space, in MiB, that is kept on the disk: with less left, messages are refused and reading goes on.
    #[arg(long, env = "BANTER_RESERVE_MIB", default_value_t = banter_store::embedded::history::HistoryOptions::default().reserve_bytes >> 20)]
    reserve_mib: u64,
}

#[derive(Args)]
struct Doctor {
    /// The data folder.
    #[arg(long, env = "BANTER_DATA", default_value = "banter-data")]
    data: PathBuf,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("BANTER_LOG").unwrap_or_else(|_| EnvFilter::new("warn,sqlx=error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("the runtime cannot start: {error}")),
    };
    match arguments.command {
        Command::Serve(serve) => runtime.block_on(serve.run()),
        Command::Doctor(doctor) => runtime.block_on(doctor.run()),
        Command::Chat(chat) => runtime.block_on(banter_client::command_line::run(chat)),
        Command::Moving(moving) => match runtime.block_on(moving.run()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        },
    }
}

fn fail(message: &str) -> ExitCode {
    // With standard error closed there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "banter: {message}");
    ExitCode::FAILURE
}

impl Serve {
    async fn run(self) -> ExitCode {
        descriptors::raise_limit();
        let mut options = ServeOptions::new(self.data, self.listen);
        if self.unlimited {
            options.rate_limits = RateLimitConfig::unlimited();
            options.frame_rate = banter_server::gateway::FrameRate::UNLIMITED;
        }
        options.rate_limits.trusted_proxy = self.trust_proxy;
        options.presence_grace = Duration::from_millis(self.presence_grace_ms);
        options.history.reserve_bytes = self.reserve_mib << 20;
        options.sessions = self.sessions.map(|sessions| sessions as usize);
        options.shards = self.shards.map(usize::from);
        let data = options.data.clone();
        let server = match Server::open(options).await {
            Ok(server) => server,
            Err(error) => return fail(&error.to_string()),
        };
        let line = format!("banter is ready: http://{} (data in {})\n", server.address(), data.display());
        // Somebody may have closed standard output, which is no reason not to serve.
        let _ = std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush());
        match server.run(stop_signal()).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error.to_string()),
        }
    }
}

/// Done when the process is asked to stop.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

impl Doctor {
    async fn run(self) -> ExitCode {
        banter_server::doctor::run(&self.data).await
    }
}
