//! `banter`: the server, its doctor, and the command-line client, in one binary.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use banter_server::config::{self, Config, ConfigError, Overrides};
use banter_server::serve::{ServeError, ServeOptions, Server};
use banter_server::stores::Stores;
use banter_server::{descriptors, doctor};
use banter_store::cluster::Role;
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
    /// The configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The command-line client.
    Chat(banter_client::command_line::Arguments),
    #[command(flatten)]
    Moving(banter_server::moving::Moving),
}

/// Where the configuration comes from. Every key is also a variable of the environment, `BANTER_<SECTION>_<KEY>` (those of `[node]`
/// without their section), and `--set section.key=value`; flags win over the environment, and that over the file.
#[derive(Args)]
struct Settings {
    /// The configuration file (TOML). Without it, and without the variables of a fleet, everything is in one data folder.
    #[arg(long, env = "BANTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// Sets a key of the configuration.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    settings: Settings,
    /// The data folder; made if it is missing [env: BANTER_DATA] [default: banter-data].
    #[arg(long)]
    data: Option<String>,
    /// The address to listen on. Port 0 takes a free port [env: BANTER_LISTEN] [default: 127.0.0.1:8480].
    #[arg(long)]
    listen: Option<String>,
    /// What this node of a fleet does: api, gateway, worker, presence, with commas between them [env: BANTER_ROLES] [default: all].
    #[arg(long)]
    roles: Option<String>,
    /// Take client addresses from this header, which the proxy in front writes: `x-forwarded-for` or `forwarded` [env: BANTER_TRUST_PROXY].
    #[arg(long, value_name = "HEADER")]
    trust_proxy: Option<String>,
    /// No limits on sign-ups, logins, requests and frames. For load runs on a closed network [env: BANTER_UNLIMITED].
    #[arg(long)]
    unlimited: bool,
    /// Milliseconds after which a lost connection counts as offline [env: BANTER_PRESENCE_GRACE_MS] [default: 10000].
    #[arg(long)]
    presence_grace_ms: Option<u64>,
    /// Most sessions at once. More than descriptors can be opened (`ulimit -n`) makes threads that open as many each [env: BANTER_SESSIONS].
    #[arg(long)]
    sessions: Option<u32>,
    /// How many threads of their own hold the sessions, instead of as many as `--sessions` needs; 0 leaves them to the other threads
    /// [env: BANTER_SHARDS].
    #[arg(long)]
    shards: Option<u16>,
    /// Free space, in MiB, that is kept on the disk: with less left, messages are refused and reading goes on [env: BANTER_RESERVE_MIB].
    #[arg(long)]
    reserve_mib: Option<u64>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Connects to everything that the configuration names, and says what is wrong and what is unsafe. Changes nothing.
    Check(Settings),
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
        Command::Config(ConfigCommand::Check(settings)) => {
            runtime.block_on(async { doctor::report(&config::findings(settings.load(Overrides::default())).await) })
        }
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

impl Settings {
    /// Reads the configuration, `overrides` being what flags of their own say.
    fn load(&self, mut overrides: Overrides) -> Result<Config, ConfigError> {
        self.set.iter().try_for_each(|assignment| overrides.assign(assignment))?;
        Config::load(self.config.as_deref(), &overrides)
    }
}

impl Serve {
    fn configuration(&self) -> Result<Config, ConfigError> {
        let mut overrides = Overrides::default();
        let texts = [
            ("node.data", self.data.clone()),
            ("node.listen", self.listen.clone()),
            ("node.roles", self.roles.clone()),
            ("node.trust_proxy", self.trust_proxy.clone()),
            ("node.unlimited", self.unlimited.then(|| "true".to_owned())),
            ("node.presence_grace_ms", self.presence_grace_ms.map(|value| value.to_string())),
            ("node.sessions", self.sessions.map(|value| value.to_string())),
            ("node.shards", self.shards.map(|value| value.to_string())),
            ("node.reserve_mib", self.reserve_mib.map(|value| value.to_string())),
        ];
        for (key, value) in texts {
            if let Some(value) = value {
                overrides.set(key, value);
            }
        }
        self.settings.load(overrides)
    }

    async fn run(self) -> ExitCode {
        descriptors::raise_limit();
        let opened = async {
            let config = self.configuration()?;
            let options = ServeOptions::of(&config)?;
            match config.fleet()? {
                Some(fleet) => {
                    let roles: Vec<&str> = config.node.roles.iter().map(Role::name).collect();
                    let what = format!("{}, one of a fleet", roles.join(" "));
                    let server = Server::over(options, |profile| Stores::fleet(&config, &fleet, profile)).await?;
                    Ok::<_, ServeError>((server, what))
                }
                None => {
                    let what = format!("data in {}", options.data.display());
                    Ok((Server::open(options).await?, what))
                }
            }
        };
        let (server, what) = match opened.await {
            Ok(opened) => opened,
            Err(error) => return fail(&error.to_string()),
        };
        let line = format!("banter is ready: http://{} ({what})\n", server.address());
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
