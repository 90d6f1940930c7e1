//! Idle sessions: what one costs, and whether a server that holds very many still answers.

mod holder;
mod writers;

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use banter_model::UserId;
use banter_protocol::limits::HEARTBEAT_MS;
use banter_server::auth::tokens::AccessTokens;
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use self::holder::{Holder, Seen, Shared};
use self::writers::Writing;
use crate::crowd::{self, Tally};
use crate::kernel_memory::KernelMemory;
use crate::server::{self, Server};
use crate::{Common, process};

/// Descriptors that a process needs besides those of its sessions.
const DESCRIPTORS_BESIDES: u64 = 100;
/// How often the threads are looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How often it is said how far it is.
const SAY: Duration = Duration::from_secs(30);
/// How long messages on their way are waited for.
const LAST_ONES: Duration = Duration::from_secs(10);
/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// Idle sessions that send heartbeats, from as many addresses as it takes.
#[derive(Args)]
pub struct Idle {
    /// How many.
    #[arg(long, default_value_t = 19_000)]
    sessions: u64,
    /// How many of them each user has.
    #[arg(long, default_value_t = 1)]
    sessions_per_user: u64,
    /// Sessions that one thread of the generator holds at most: each has a descriptor table of its own.
    #[arg(long, default_value_t = crowd::PER_TABLE)]
    per_thread: u64,
    /// Connections opened at the same time.
    #[arg(long, default_value_t = 200)]
    at_once: usize,
    /// Seconds between two heartbeats of a session, spread evenly over all. The protocol asks for one at least this often.
    #[arg(long, default_value_t = HEARTBEAT_MS / 1_000)]
    heartbeat: u64,
    /// Seconds to wait after the last one came, and after the last one went, so that what is not idle settles.
    #[arg(long, default_value_t = 15)]
    settle: u64,
    /// Users who write to the idle while all are there.
    #[arg(long, default_value_t = 20)]
    writers: u64,
    /// Messages a second that they write together.
    #[arg(long, default_value_t = 100.0)]
    rate: f64,
    /// Seconds that they write.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Seconds after which the sessions must all be there.
    #[arg(long, default_value_t = 1_800)]
    patience: u64,
}

/// What memory there was at one moment.
struct Memory {
    server: u64,
    server_anonymous: u64,
    generator: u64,
    kernel: KernelMemory,
}

impl Memory {
    fn now(server: &Server) -> Result<Self> {
        let (resident, anonymous) = process::resident(server.pid())?;
        let (generator, _) = process::resident(std::process::id())?;
        Ok(Memory { server: resident, server_anonymous: anonymous, generator, kernel: KernelMemory::now()? })
    }

    /// What the processes grew by since `before`.
    fn processes(&self, before: &Memory) -> i64 {
        (self.server + self.generator) as i64 - (before.server + before.generator) as i64
    }
}

impl Idle {
    /// Opens the sessions, compares memory before, with all of them and after, and writes to some of them.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.sessions > 0 && self.sessions_per_user > 0 && self.writers > 0 && self.heartbeat > 0, "none is too few");
        self.check_limit(common)?;
        let users = self.sessions.div_ceil(self.sessions_per_user);
        let folder = server::new_folder(common)?;
        let key = server::people(folder.path(), users + self.writers).await?;
        let server = Server::start_on(common, folder, Vec::new(), key, Some(self.sessions + self.writers))?;
        let SocketAddr::V4(address) = server.address else { bail!("the server does not listen on IPv4") };
        tokio::time::sleep(Duration::from_secs(1)).await;
        let shares = crowd::share(self.sessions, 1, self.per_thread);
        let shared = Arc::new(Shared {
            address,
            tokens: AccessTokens::new(&key),
            sessions_per_user: self.sessions_per_user,
            at_once: (self.at_once / shares.len()).max(1),
            heartbeat: Duration::from_secs(self.heartbeat),
            begun: Instant::now(),
            open: AtomicU64::new(0),
            received: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let empty = Memory::now(&server)?;
        let start = Instant::now();
        let mut threads = Vec::new();
        for (thread, share) in shares.into_iter().enumerate() {
            let shared = shared.clone();
            threads.push(crowd::start(format!("idle-{thread}"), move || Holder::new(shared, thread, share)?.run())?);
        }
        let thread_count = threads.len();
        let threads = &mut threads;
        self.wait_for_all(&shared, threads, start).await?;
        let opening = start.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        let full = Memory::now(&server)?;
        let cpu = (process::cpu_seconds(server.pid())?, process::cpu_seconds(std::process::id())?, Instant::now());
        let first = UserId(users + 1);
        let writing = Writing { writers: self.writers, first, users, rate: self.rate, seconds: self.seconds };
        let stored = writers::write(&shared, writing).await?;
        let expected = stored * self.sessions_per_user;
        let until = Instant::now() + LAST_ONES;
        while shared.received.load(Ordering::Acquire) < expected && Instant::now() < until {
            tokio::time::sleep(LOOK).await;
        }
        let seconds = cpu.2.elapsed().as_secs_f64();
        let server_cpu = (process::cpu_seconds(server.pid())? - cpu.0) / seconds;
        let generator_cpu = (process::cpu_seconds(std::process::id())? - cpu.1) / seconds;
        let still_open = shared.open.load(Ordering::Acquire);
        shared.over.store(true, Ordering::Release);
        let seen = join(threads)?;
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        let after = Memory::now(&server)?;

        let sessions = self.sessions as f64;
        let each = |full: u64, empty: u64| ((full as f64 - empty as f64) / sessions).round();
        let figures = json!({
            "sessions": still_open,
            "users": users,
            "threads of the generator, each with its own descriptor table": thread_count,
            "seconds between heartbeats": self.heartbeat,
            "start of the server, ms": server.start_time.as_secs_f64() * 1_000.0,
            "sessions opened a second": sessions / opening,
            "sessions that could not be opened at first, or were lost": seen.failures.total(),
            "of these, lost": seen.lost,
            "reasons": seen.failures,
            "heartbeats sent": seen.pings,
            "heartbeats answered": seen.pongs,
            "server, empty, MiB": empty.server as f64 / MIB,
            "server, with the sessions, MiB": full.server as f64 / MIB,
            "server, after they went, MiB": after.server as f64 / MIB,
            "process memory per session, bytes": each(full.server, empty.server),
            "anonymous memory per session, bytes": each(full.server_anonymous, empty.server_anonymous),
            "kernel memory per session, one end, bytes": full.kernel.per_end(&empty.kernel, self.sessions, full.processes(&empty)),
            "kernel memory left after they went, one end, bytes":
                after.kernel.per_end(&empty.kernel, self.sessions, after.processes(&empty)),
            "generator memory per session, bytes": each(full.generator, empty.generator),
            "messages stored while all were connected": stored,
            "receipts missing": expected.saturating_sub(shared.received.load(Ordering::Acquire)),
            "from due to receipt, ms": process::quantiles(&seen.receipts),
            "processors used by the server meanwhile": server_cpu,
            "processors used by the generator meanwhile": generator_cpu,
            "what it needed": needs(self.sessions, thread_count, address, &full, &empty),
        });
        match figures {
            Value::Object(figures) => Ok(figures),
            _ => Ok(Map::new()),
        }
    }

    /// Can the server hold as many?
    fn check_limit(&self, common: &Common) -> Result<()> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        ensure!(
            self.sessions + self.writers + DESCRIPTORS_BESIDES <= limit || server::takes_sessions(common)?,
            "{} sessions need as many descriptors of the server, and the limit here is {limit}: ask for fewer, raise it (ulimit -n), \
             or measure a server that takes --sessions",
            self.sessions
        );
        Ok(())
    }

    async fn wait_for_all(&self, shared: &Shared, threads: &mut Vec<JoinHandle<Result<Seen>>>, start: Instant) -> Result<()> {
        let mut said = Instant::now();
        loop {
            let open = shared.open.load(Ordering::Acquire);
            if open >= self.sessions {
                return Ok(());
            }
            // Threads end by themselves only when they fail.
            if threads.iter().any(JoinHandle::is_finished) || start.elapsed() > Duration::from_secs(self.patience) {
                shared.over.store(true, Ordering::Release);
                let seen = join(threads)?;
                bail!("{open} of {} sessions in {:.0} s; {:?}", self.sessions, start.elapsed().as_secs_f64(), seen.failures);
            }
            if said.elapsed() > SAY {
                eprintln!("{open} of {} sessions", self.sessions);
                said = Instant::now();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// Waits for the threads to end, and adds up what they saw.
fn join(threads: &mut Vec<JoinHandle<Result<Seen>>>) -> Result<Seen> {
    let mut all = Seen { receipts: Histogram::new(3)?, failures: Tally::default(), lost: 0, pings: 0, pongs: 0 };
    for thread in threads.drain(..) {
        let seen = thread.join().map_err(|_| anyhow!("a thread panicked"))??;
        all.receipts.add(&seen.receipts).context("receipts")?;
        all.failures.add(&seen.failures);
        (all.lost, all.pings, all.pongs) = (all.lost + seen.lost, all.pings + seen.pings, all.pongs + seen.pongs);
    }
    Ok(all)
}

fn needs(sessions: u64, threads: usize, address: SocketAddrV4, full: &Memory, empty: &Memory) -> Value {
    json!({
        "memory, both ends, MiB": (empty.kernel.available() as f64 - full.kernel.available() as f64) / MIB,
        "open files of the system (fs.file-max)": 2 * sessions,
        "watches of the user's epolls (fs.epoll.max_user_watches)": 2 * sessions,
        "descriptors of a table (RLIMIT_NOFILE), for the generator": sessions.div_ceil(threads as u64) + 500,
        "loopback addresses to connect from": threads,
        "addresses to connect to": address.to_string(),
    })
}
