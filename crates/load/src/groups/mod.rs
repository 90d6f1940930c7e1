//! Groups: one writes, everybody else receives.

pub mod connections;
pub mod lane;
pub mod meter;
pub mod pace;
pub mod positions;
pub mod prepared;

use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use banter_model::limits::GROUP_MEMBERS;
use banter_model::{Action, ConversationId, GroupId, UserId};
use clap::Args;
use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::lane::{Counts, Lane, Plan, STAMP_DIGITS, UNANSWERED, nanos};
use self::meter::Reading;
use self::positions::Positions;
use self::prepared::Entry;
use crate::{Common, process, server::Server, wire};

/// Connections that are opened at the same time.
const OPENED_AT_ONCE: usize = 100;

/// Groups in which every member has a session.
#[derive(Args)]
pub struct Groups {
    /// How many groups.
    #[arg(long, default_value_t = 10)]
    groups: usize,
    /// Members of a group.
    #[arg(long, default_value_t = GROUP_MEMBERS)]
    members: usize,
    /// Members of a group that write.
    #[arg(long, default_value_t = 4)]
    writers: usize,
    /// Messages of a group that are sent and not yet received by every member.
    #[arg(long, default_value_t = 64)]
    window: u64,
    /// Characters of a text.
    #[arg(long, default_value_t = 100)]
    length: usize,
    /// Messages a second of all groups together; as fast as it goes when absent. Latency counts from when a message was due.
    #[arg(long)]
    rate: Option<f64>,
    /// Threads of the generator; a group belongs to one of them.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Latency is measured of each so-many-th message.
    #[arg(long, default_value_t = 16)]
    sample: u64,
    /// Microseconds for which receipts gather before the generator reads them, so that it takes more in one read.
    #[arg(long, default_value_t = 0)]
    gather: u64,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds to run before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

impl Groups {
    /// Runs the groups.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.length >= STAMP_DIGITS, "a text needs {STAMP_DIGITS} characters for its time");
        ensure!((2..=GROUP_MEMBERS).contains(&self.members), "a group has 2 to {GROUP_MEMBERS} members here");
        ensure!((1..=self.members).contains(&self.writers), "1 to {} of them write", self.members);
        ensure!(
            (1..=(self.writers * UNANSWERED) as u64).contains(&self.window),
            "a writer has at most {UNANSWERED} messages under way: ask for a smaller window, or for more writers"
        );
        ensure!(self.groups > 0 && self.threads > 0, "at least one group and one thread");
        let entries = (0..self.groups).map(|group| self.creation(group));
        let server = Server::start_after(common, (self.groups * self.members) as u64, entries).await?;
        let probe = process::sync_times(server.folder.path(), 2_000, 4_096)?;
        let tokens = server.users.iter().map(|user| user.token.clone()).collect();
        let mut streams = open_all(server.address, tokens).await?.into_iter();
        let threads = self.threads.min(self.groups);
        let mut lanes = (0..threads).map(|_| Lane::new(self.members, self.sample)).collect::<Result<Vec<_>>>()?;
        for group in 0..self.groups {
            lanes[group % threads].add(id(group), streams.by_ref().take(self.members).collect(), self.writers)?;
        }
        let settled = lanes.into_iter().map(|mut lane| tokio::task::spawn_blocking(move || lane.settle().map(|()| lane)));
        let mut lanes = Vec::new();
        for lane in settled.collect::<Vec<_>>() {
            lanes.push(lane.await??);
        }

        let start = Instant::now() + Duration::from_millis(200);
        let from = start + Duration::from_secs(self.warm_up);
        let until = from + Duration::from_secs(self.seconds);
        let plan = Plan {
            start,
            measured: nanos(from - start)..nanos(until - start),
            window: self.window,
            length: self.length,
            gather: Duration::from_micros(self.gather),
        };
        let mut turns = Vec::new();
        let mut running = Vec::new();
        for lane in lanes {
            let due = self.rate.map(|_| {
                let (turn, due) = mpsc::channel();
                turns.push((turn, lane.waker()));
                due
            });
            let (plan, counts) = (plan.clone(), Arc::new(Counts::default()));
            let counted = counts.clone();
            running.push((counts, tokio::task::spawn_blocking(move || lane.run(&plan, due, &counted))));
        }
        if let Some(rate) = self.rate {
            let groups = self.groups;
            let mut turn = (0..groups).cycle();
            std::thread::spawn(move || {
                pace::pace(start, until, rate, |at| {
                    let group = turn.next().unwrap_or_default();
                    let (lane, waker) = &turns[group % threads];
                    // A lane that failed says so itself.
                    lane.send((group / threads, nanos(at - start))).is_ok() && waker.wake().is_ok()
                });
            });
        }
        let total = |pick: fn(&Counts) -> u64| running.iter().map(|(counts, _)| pick(counts)).sum::<u64>() as f64;
        let deliveries = |counts: &Counts| counts.deliveries.load(Ordering::Relaxed);
        let reads = |counts: &Counts| counts.reads.load(Ordering::Relaxed);
        tokio::time::sleep_until(from.into()).await;
        let before = (Reading::take(&server).await?, total(deliveries), total(reads));
        tokio::time::sleep_until(until.into()).await;
        let after = (Reading::take(&server).await?, total(deliveries), total(reads));
        let (received, read) = (after.1 - before.1, after.2 - before.2);
        let mut positions = Positions::new(self.members - 1)?;
        let mut answers: Histogram<u64> = Histogram::new(3)?;
        for (_, lane) in running {
            let (lane_positions, lane_answers) = lane.await??;
            positions.add(&lane_positions)?;
            answers.add(&lane_answers)?;
        }
        let stretch = before.0.until(&after.0);
        let (resident, _) = process::resident(server.pid())?;
        let mut figures = Map::new();
        let mut note = |name: &str, value: Value| figures.insert(name.to_owned(), value);
        note("groups", self.groups.into());
        note("members", self.members.into());
        note("writers of a group", self.writers.into());
        note("window of a group", self.window.into());
        note("characters", self.length.into());
        note("messages a second, by the server's own count", json!(stretch.change("banter_events_total") / stretch.seconds()));
        note("deliveries received a second", json!(received / stretch.seconds()));
        note("from due to answer, ms", process::quantiles(&answers));
        note("fdatasync of 4 KiB on this disk, ms", process::quantiles(&probe));
        note(
            "encodings per message, its answer is one",
            json!(stretch.per("banter_frames_encoded_total", "banter_events_total")),
        );
        note("frames queued per message", json!(stretch.per("banter_frames_queued_total", "banter_events_total")));
        note("write calls per delivery", json!(stretch.change("banter_socket_writes_total") / received.max(1.0)));
        note("deliveries per read of a receiver", json!(received / read.max(1.0)));
        note("commands per round", json!(stretch.per("banter_commands_total", "banter_rounds_total")));
        note("events per sync", json!(stretch.per("banter_events_total", "banter_history_syncs_total")));
        note("processors used by the server", json!(stretch.server_processors()));
        note("processors used by the generator", json!(stretch.generator_processors()));
        note("server microseconds per delivery", json!(stretch.server_seconds() * 1e6 / received.max(1.0)));
        note("server memory, MiB", json!(resident as f64 / f64::from(1 << 20)));
        figures.extend(positions.figures());
        Ok(figures)
    }

    fn creation(&self, group: usize) -> Entry {
        let users = group * self.members + 1..=(group + 1) * self.members;
        let mut users = users.map(|user| UserId(user as u64));
        let sender = users.next().unwrap_or(UserId(1));
        let action = Action::CreateGroup { title: format!("group {group}"), members: users.collect(), earlier_history: false };
        Entry { conversation: id(group), sender, tag: None, action }
    }
}

fn id(group: usize) -> ConversationId {
    ConversationId::Group(GroupId(group as u64 + 1))
}

/// Opens a session for each token, some at a time. In the order of the tokens; the welcome is not read yet.
pub(crate) async fn open_all(address: SocketAddr, tokens: Vec<String>) -> Result<Vec<TcpStream>> {
    let places = Arc::new(Semaphore::new(OPENED_AT_ONCE));
    let mut opening = JoinSet::new();
    let mut opened: Vec<Option<TcpStream>> = tokens.iter().map(|_| None).collect();
    for (number, token) in tokens.into_iter().enumerate() {
        let place = places.clone().acquire_owned().await?;
        opening.spawn(async move {
            let stream = wire::connect(address, number as u64, &token).await;
            drop(place);
            anyhow::Ok((number, stream?.into_std()?))
        });
    }
    while let Some(stream) = opening.join_next().await {
        let (number, stream) = stream??;
        opened[number] = Some(stream);
    }
    Ok(opened.into_iter().flatten().collect())
}
