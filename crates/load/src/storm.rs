//! A storm: very many sessions, each with many conversations, are cut and come back at once, to what they missed.

mod devices;
mod layout;
mod loading;
mod pulling;
mod shared;
mod world;
mod writing;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use banter_server::conversations::sync_point::SyncPoint;
use clap::Args;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};

use self::devices::Devices;
use self::layout::Layout;
use self::shared::{Seen, Shared, stage};
use self::world::World;
use self::writing::{Changes, MOST_MESSAGES};
use crate::server::Server;
use crate::{Common, crowd, process};

/// Descriptors of one device: its session, and its connection for pages.
const DESCRIPTORS: u64 = 2;
/// How often the threads are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How often it is said how far it is.
const SAY: Duration = Duration::from_secs(30);
/// How long the gathering may take.
const GATHERING: Duration = Duration::from_secs(1_800);
/// Bytes of a MiB.
const MIB: f64 = (1 << 20) as f64;

/// Sessions that are cut and come back at once.
#[derive(Args)]
pub struct Storm {
    /// How many sessions, each of a user of its own.
    #[arg(long, default_value_t = 100_000)]
    sessions: u64,
    /// Groups of 100 members that each user is in.
    #[arg(long, default_value_t = 160)]
    groups: u64,
    /// Direct conversations of each user.
    #[arg(long, default_value_t = 40)]
    directs: u64,
    /// Messages in each conversation before the storm.
    #[arg(long, default_value_t = 2)]
    messages: u64,
    /// Groups of each user in which something is written while they are away.
    #[arg(long, default_value_t = 16)]
    changed_groups: u64,
    /// Direct conversations of each user in which something is written meanwhile.
    #[arg(long, default_value_t = 4)]
    changed_directs: u64,
    /// Messages in each of these.
    #[arg(long, default_value_t = 2)]
    missed: u64,
    /// Kill the server with SIGKILL and start it again, instead of resetting all connections at once.
    #[arg(long)]
    kill: bool,
    /// Sessions that one thread of the generator holds at most: each has a descriptor table of its own.
    #[arg(long, default_value_t = crowd::PER_TABLE)]
    per_thread: u64,
    /// Connections opened at the same time while the devices gather.
    #[arg(long, default_value_t = 200)]
    at_once: usize,
    /// Seconds to wait for things to settle before memory is looked at.
    #[arg(long, default_value_t = 15)]
    settle: u64,
    /// Seconds after which it is over, whoever is not in sync then.
    #[arg(long, default_value_t = 300)]
    patience: u64,
    /// How many storms, one after the other: the figures are those of the last. Before the first, the server's caches are empty.
    #[arg(long, default_value_t = 1)]
    rounds: u64,
    /// A folder that keeps what there is before the storm: made there by the first run, and only copied by those after it. How its tables
    /// are laid out stays as that run's build had it.
    #[arg(long)]
    world: Option<PathBuf>,
}

/// How long the server is up before the devices gather, and how long they stay before the next storm: more than what it takes for its
/// notes of what happened lately to count.
const UP_FOR: Duration = Duration::from_secs(35);

impl Storm {
    /// Fills a history, gathers the devices, cuts them, writes, and lets them come back.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let changes = Changes { groups: self.changed_groups, directs: self.changed_directs, messages: self.missed };
        ensure!(self.sessions > 0 && self.messages > 0, "a conversation has a message, and a storm a session");
        ensure!(changes.groups <= self.groups && changes.directs <= self.directs, "no more can change than there are");
        ensure!(changes.messages <= MOST_MESSAGES, "at most {MOST_MESSAGES} messages are missed in a conversation");
        let layout = Layout { sessions: self.sessions, groups: self.groups, directs: self.directs, messages: self.messages };
        let World { folder, key, loaded, made_in } = world::prepare(common, &layout, self.world.as_deref()).await?;
        let tokens = Arc::new(AccessTokens::new(&key));
        let mut server = Server::start_on(common, folder, Vec::new(), key, Some(self.sessions))?;
        let SocketAddr::V4(address) = server.address else { bail!("the server does not listen on IPv4") };
        let empty = process::resident(server.pid())?.0;
        // Devices are away from a server that has been up for a while. Those that were in sync before it started are looked at more
        // closely, as the first ones after a restart are (`--kill`).
        tokio::time::sleep(UP_FOR).await;
        let shares = crowd::share(self.sessions, DESCRIPTORS, self.per_thread);
        let shared = Arc::new(Shared {
            address,
            tokens: tokens.clone(),
            layout: layout.clone(),
            point: Mutex::default(),
            next_point: Mutex::default(),
            written: AtomicU64::new(0),
            missed: changes.per_user(),
            at_once: (self.at_once / shares.len()).max(1),
            stage: AtomicU8::new(stage::GATHER),
            done: AtomicU64::new(0),
            returned: Mutex::new(None),
        });
        let mut threads = Vec::new();
        for (thread, share) in shares.into_iter().enumerate() {
            let shared = shared.clone();
            threads.push(crowd::start(format!("storm-{thread}"), move || Devices::new(shared, thread, share)?.run())?);
        }
        let thread_count = threads.len();
        let gathering = self.wait(&shared, &mut threads, GATHERING).await?;
        ensure!(gathering.all, "only {} of {} sessions came", gathering.done, self.sessions);
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        // What the server would have answered just now: nothing was written since the history was made.
        *shared.next_point.lock() = SyncPoint { at: clock::now(), positions: loaded.positions.clone() }.encode();
        let mut round = self.round(common, &mut server, &shared, &mut threads, changes).await?;
        for number in 1..self.rounds {
            ensure!(round.storm.all, "only {} of {} sessions are in sync", round.storm.done, self.sessions);
            tokio::time::sleep(UP_FOR).await;
            // What a device would be told now: nothing was written since.
            let point = SyncPoint::decode(&shared.next_point.lock()).context("a sync point that is none")?;
            *shared.next_point.lock() = SyncPoint { at: clock::now(), ..point }.encode();
            shared.written.store(number * changes.messages, Ordering::Release);
            round = self.round(common, &mut server, &shared, &mut threads, changes).await?;
        }
        shared.stage.store(stage::OVER, Ordering::Release);
        let seen = join(&mut threads)?;
        let Round { storm, stored, restart, steady, before, peak, after, cpu, tcp } = round;
        let tcp = |name: &str| tcp.get(name).copied().unwrap_or(0);
        let seconds = storm.time.as_secs_f64();
        let figures = json!({
            "sessions": self.sessions,
            "conversations of each": self.groups + self.directs,
            "of these groups of 100, and direct": [self.groups, self.directs],
            "conversations in all": loaded.conversations,
            "memberships in all": loaded.memberships,
            "events before the storm": loaded.events,
            "made or copied in, s": made_in.as_secs_f64(),
            "cut by": if self.kill { "SIGKILL of the server" } else { "reset of all connections" },
            "start of the server at the last, ms": restart.as_secs_f64() * 1_000.0,
            "conversations of each that changed": self.changed_groups + self.changed_directs,
            "messages written meanwhile": stored,
            "events that each missed": changes.per_user(),
            "in sync": storm.done,
            "time until all are in sync, s": storm.all.then_some(seconds),
            "until the session stood, ms": process::quantiles(&seen.welcomed),
            "until the sync was answered, ms": process::quantiles(&seen.answered),
            "until in sync, ms": process::quantiles(&seen.in_sync),
            "devices that pulled another number of events than they missed": seen.wrong,
            "events pulled": seen.events,
            "pages pulled": seen.pages,
            "bytes of the sync answers per session": seen.sync_bytes / self.sessions,
            "errors and retries": seen.retries.total(),
            "by reason": seen.retries,
            "connections that found the listener's queue full": tcp("ListenOverflows"),
            "connections asked for once more after a second or longer": tcp("TCPSynRetrans"),
            "server, empty, MiB": empty as f64 / MIB,
            "server, steady with the sessions, MiB": steady as f64 / MIB,
            "server, while they are away, MiB": before as f64 / MIB,
            "server, peak in the storm, MiB": peak as f64 / MIB,
            "server, after it, MiB": after as f64 / MIB,
            "peak over steady": peak as f64 / steady.max(1) as f64,
            "processors used by the server": cpu.0 / seconds,
            "processors used by the generator": cpu.1 / seconds,
            "processor time of the server per session, ms": cpu.0 * 1_000.0 / self.sessions as f64,
        });
        let needed = json!({
            "threads of the generator, each with its own descriptor table": thread_count,
            "descriptors of a table (RLIMIT_NOFILE), for the generator": (self.sessions * DESCRIPTORS).div_ceil(thread_count as u64) + 500,
            "open files of the system (fs.file-max)": 2 * DESCRIPTORS * self.sessions,
            "loopback addresses to connect from": thread_count,
            "data folder, MiB": folder_bytes(server.folder.path())? as f64 / MIB,
        });
        let Value::Object(mut figures) = figures else { return Ok(Map::new()) };
        figures.insert("nothing heard while waiting for the answer, ms".to_owned(), process::quantiles(&seen.silences));
        figures.insert("what it needed".to_owned(), needed);
        Ok(figures)
    }

    /// Cuts all devices, writes what they miss, and lets them come back.
    async fn round(
        &self,
        common: &Common,
        server: &mut Server,
        shared: &Shared,
        threads: &mut Vec<JoinHandle<Result<Seen>>>,
        changes: Changes,
    ) -> Result<Round> {
        let steady = process::resident(server.pid())?.0;
        *shared.point.lock() = std::mem::take(&mut *shared.next_point.lock());
        if self.kill {
            server.kill_and_start(common, Some(self.sessions))?;
        }
        shared.done.store(0, Ordering::Release);
        shared.stage.store(stage::CUT, Ordering::Release);
        ensure!(self.wait(shared, threads, GATHERING).await?.all, "the sessions are not cut");
        let restart = server.start_time;
        let written = shared.written.load(Ordering::Acquire);
        let stored = writing::write(shared.address, &shared.tokens, &shared.layout, changes, written).await?;
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        let before = process::resident(server.pid())?.0;

        shared.done.store(0, Ordering::Release);
        let peak = Peak::begin(server.pid());
        let tcp_before = process::tcp_counters()?;
        let cpu_before = (process::cpu_seconds(server.pid())?, process::cpu_seconds(std::process::id())?);
        *shared.returned.lock() = Some(Instant::now());
        shared.stage.store(stage::RETURN, Ordering::Release);
        let storm = self.wait(shared, threads, Duration::from_secs(self.patience)).await?;
        let cpu = (process::cpu_seconds(server.pid())? - cpu_before.0, process::cpu_seconds(std::process::id())? - cpu_before.1);
        let peak = peak.end();
        let mut tcp = process::tcp_counters()?;
        tcp.iter_mut().for_each(|(name, count)| *count -= tcp_before.get(name).copied().unwrap_or(0));
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        let after = process::resident(server.pid())?.0;
        Ok(Round { storm, stored, restart, steady, before, peak, after, cpu, tcp })
    }

    /// Waits until all devices have what the stage is for, at most for `patience`.
    async fn wait(&self, shared: &Shared, threads: &mut Vec<JoinHandle<Result<Seen>>>, patience: Duration) -> Result<Waited> {
        let (begun, mut said) = (Instant::now(), Instant::now());
        loop {
            let (done, time) = (shared.done.load(Ordering::Acquire), begun.elapsed());
            if done >= self.sessions || time > patience {
                return Ok(Waited { done, all: done >= self.sessions, time });
            }
            // Threads end by themselves only when they fail.
            if threads.iter().any(JoinHandle::is_finished) {
                shared.stage.store(stage::OVER, Ordering::Release);
                join(threads)?;
                bail!("a thread ended before its time");
            }
            if said.elapsed() > SAY {
                eprintln!("{done} of {} sessions", self.sessions);
                said = Instant::now();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What one storm came to.
struct Round {
    storm: Waited,
    /// Messages written meanwhile.
    stored: u64,
    /// How long the server took to start.
    restart: Duration,
    /// Bytes of the server's memory: with all sessions, without them, at most while they came back, and after that.
    steady: u64,
    before: u64,
    peak: u64,
    after: u64,
    /// Seconds of processor time while they came back: the server's and the generator's.
    cpu: (f64, f64),
    /// What the system counted meanwhile.
    tcp: BTreeMap<String, u64>,
}

/// How a wait ended.
struct Waited {
    done: u64,
    all: bool,
    time: Duration,
}

/// The most resident memory that a process has while this is watched.
struct Peak {
    over: Arc<AtomicBool>,
    most: Arc<AtomicU64>,
}

impl Peak {
    fn begin(pid: u32) -> Self {
        let peak = Peak { over: Arc::default(), most: Arc::default() };
        let (over, most) = (peak.over.clone(), peak.most.clone());
        std::thread::spawn(move || {
            while !over.load(Ordering::Acquire) {
                if let Ok((resident, _)) = process::resident(pid) {
                    most.fetch_max(resident, Ordering::AcqRel);
                }
                std::thread::sleep(LOOK);
            }
        });
        peak
    }

    fn end(self) -> u64 {
        self.over.store(true, Ordering::Release);
        self.most.load(Ordering::Acquire)
    }
}

/// Waits for the threads to end, and adds up what they saw.
fn join(threads: &mut Vec<JoinHandle<Result<Seen>>>) -> Result<Seen> {
    let mut all = Seen::new()?;
    for thread in threads.drain(..) {
        all.add(&thread.join().map_err(|_| anyhow!("a thread panicked"))??)?;
    }
    Ok(all)
}

/// Bytes of all files of a folder.
fn folder_bytes(path: &std::path::Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() { folder_bytes(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(bytes)
}
