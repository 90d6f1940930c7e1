//! Durability shown: the real server is killed (SIGKILL) again and again while devices write through the SDK, devices are killed
//! too, and the network between them may be faulty. Then everything settles, and the [checker](crate::checker) compares what every
//! device was told and promised with what stands.

mod device;
mod report;
mod settle;
mod victim;
mod writer;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use banter_client::{Place, Profile};
use banter_model::{ConversationId, UserId};
use banter_protocol::api::{Login, SignUp};
use clap::Args;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Common;
use crate::checker::{Record, Violation, check};
use crate::proxy::Proxy;
use crate::server::binary;
use device::{Device, Life, Order, Shared};
use victim::Victim;
use writer::Writing;

/// The password of everybody in a run.
const PASSWORD: &str = "only for this run";
/// The longest that a server lives that is killed while it starts.
const STARTING_MS: u64 = 120;
/// How long a group is tried to be made.
const GROUP: Duration = Duration::from_secs(60);

/// Kills the server again and again while devices write, then checks that nothing acknowledged is lost.
#[derive(Args, Clone, Debug)]
pub struct Chaos {
    /// Users.
    #[arg(long, default_value_t = 20)]
    pub users: usize,
    /// Devices of each.
    #[arg(long, default_value_t = 2)]
    pub devices_per_user: usize,
    /// Groups, besides the direct conversations.
    #[arg(long, default_value_t = 6)]
    pub groups: usize,
    /// How often the server is killed.
    #[arg(long, default_value_t = 20)]
    pub kills: usize,
    /// Seconds from one kill to the next, on the average: random, from none to twice as many.
    #[arg(long, default_value_t = 1.5)]
    pub seconds: f64,
    /// What is random about the run; a new one when absent. Threads and processes run as they will all the same.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Put a faulty proxy between devices and server.
    #[arg(long)]
    pub proxy: bool,
    /// Let no WebSocket through.
    #[arg(long)]
    pub polling_only: bool,
    /// What all devices together do in a second: writing, editing, reacting, reading.
    #[arg(long, default_value_t = 200.0)]
    pub rate: f64,
}

impl Default for Chaos {
    fn default() -> Self {
        Chaos {
            users: 20,
            devices_per_user: 2,
            groups: 6,
            kills: 20,
            seconds: 1.5,
            seed: None,
            proxy: false,
            polling_only: false,
            rate: 200.0,
        }
    }
}

/// What came of a run.
pub struct Outcome {
    /// The seed of the run.
    pub seed: u64,
    /// Broken promises; empty if all is well.
    pub violations: Vec<Violation>,
    /// What was counted.
    pub figures: Map<String, Value>,
    /// What was kept of a run with violations: the data folder, the devices' folders, and the journals.
    pub kept: Option<PathBuf>,
}

/// The parts of a run.
struct Run {
    options: Chaos,
    random: StdRng,
    victim: Victim,
    proxy: Option<Proxy>,
    shared: Arc<Shared>,
    devices: Vec<Device>,
    kills: usize,
    device_kills: usize,
    duplicates: u64,
    /// Milliseconds from the start of a server to its first acknowledgement.
    to_first_answer: Vec<u64>,
    /// When the server that runs was started, in milliseconds from the beginning.
    started: Option<u64>,
}

impl Chaos {
    /// Runs, prints what is wrong, and fails if anything is.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let outcome = self.try_run(common).await?;
        report::report(&outcome);
        ensure!(outcome.violations.is_empty(), "{} violations, seed {}", outcome.violations.len(), outcome.seed);
        Ok(outcome.figures)
    }

    /// Runs. An error means that the run could not be made, or that something did not come to pass in a generous time.
    pub async fn try_run(&self, common: &Common) -> Result<Outcome> {
        ensure!(
            self.users >= 2 && self.devices_per_user >= 1 && self.rate > 0.0,
            "at least two users with a device and a rate are needed"
        );
        let seed = self.seed.unwrap_or_else(|| rand::rng().random());
        report::say(&format!("seed {seed}: {self:?}"));
        let folder = match &common.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let mut victim = Victim::new(binary(common)?, folder.path());
        victim.spawn()?;
        let server = victim.ready().await?;
        let proxy =
            if self.proxy || self.polling_only { Some(Proxy::start(server, seed, self.polling_only).await?) } else { None };
        let base = proxy.as_ref().map_or(server, |proxy| proxy.address);
        let shared = Arc::new(Shared {
            began: Instant::now(),
            writing: AtomicBool::new(false),
            first_acknowledged: AtomicU64::new(1),
            websockets: AtomicU64::new(0),
            pollings: AtomicU64::new(0),
        });
        let devices = devices(self, seed, folder.path(), base, &shared).await?;
        let mut run = Run {
            options: self.clone(),
            random: StdRng::seed_from_u64(seed),
            victim,
            proxy,
            shared,
            devices,
            kills: 0,
            device_kills: 0,
            duplicates: 0,
            to_first_answer: Vec::new(),
            started: None,
        };
        let result = run.all(seed, server).await;
        run.devices.iter().for_each(|device| device.order(Order::End));
        match result {
            Ok((mut outcome, record)) => {
                if !outcome.violations.is_empty() {
                    std::fs::write(folder.path().join(report::JOURNALS), report::journals(&record, &outcome.violations))?;
                    outcome.kept = Some(folder.keep());
                }
                Ok(outcome)
            }
            Err(error) => {
                let complaints = run.victim.complaints();
                Err(error
                    .context(format!("seed {seed}, kept in {}; the server complained: {complaints}", folder.keep().display())))
            }
        }
    }
}

/// Makes the users and their devices. All devices are logged in before anything is written, so that each follows everything.
async fn devices(options: &Chaos, seed: u64, folder: &Path, base: SocketAddr, shared: &Arc<Shared>) -> Result<Vec<Device>> {
    let base = format!("http://{base}");
    let interval = Duration::from_secs_f64((options.users * options.devices_per_user) as f64 / options.rate);
    let mut tasks = JoinSet::new();
    for user in 0..options.users {
        let (base, folder, shared, count) = (base.clone(), folder.to_owned(), shared.clone(), options.devices_per_user);
        tasks.spawn(async move {
            let mut lives = Vec::new();
            for number in 0..count {
                let (handle, place) = (format!("user{user}"), folder.join(format!("device-{user}-{number}")));
                let (home, password) = (Place::Folder(place.clone()), PASSWORD.to_owned());
                let profile = if number == 0 {
                    Profile::sign_up(home, &base, &SignUp { handle, password, display_name: None, device_name: None }).await?
                } else {
                    Profile::log_in(home, &base, &Login { handle, password, device_name: None }).await?
                };
                profile.store().close().await;
                let account = profile.account();
                let random = seed ^ ((user * count + number) as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                lives.push(Life {
                    user: account.user,
                    device: account.device,
                    name: format!("u{user}d{number}"),
                    folder: place,
                    journal: Mutex::new(Vec::new()),
                    writing: Mutex::new(Writing::new(random, interval)),
                    shared: shared.clone(),
                });
            }
            anyhow::Ok((user, lives))
        });
    }
    let mut made = Vec::new();
    while let Some(lives) = tasks.join_next().await {
        made.push(lives??);
    }
    made.sort_by_key(|(user, _)| *user);
    made.into_iter().flat_map(|(_, lives)| lives).map(|life| Device::start(Arc::new(life))).collect()
}

impl Run {
    async fn all(&mut self, seed: u64, server: SocketAddr) -> Result<(Outcome, Record)> {
        settle::wait_synced(&self.devices).await?;
        self.begin_direct();
        // One group is there from the beginning; the others are made while servers die.
        let mut groups = 0;
        if self.options.groups > 0 {
            self.make_group(groups).await?;
            groups += 1;
        }
        if let Some(proxy) = &self.proxy {
            proxy.set_faulty(self.options.proxy);
        }
        self.shared.writing.store(true, Ordering::Relaxed);
        while self.kills < self.options.kills {
            self.live_a_while().await?;
            self.kill().await?;
            if groups < self.options.groups {
                self.make_group(groups).await?;
                groups += 1;
            }
        }
        sleep(Duration::from_millis(500)).await;
        self.shared.writing.store(false, Ordering::Relaxed);
        if let Some(proxy) = &self.proxy {
            proxy.set_faulty(false);
        }
        self.note_first_answer();
        let views = settle::settle(&self.devices, self.options.users, server).await?;
        self.duplicates += self.victim.counter("banter_duplicates_total").await.unwrap_or(0);
        let mut record = Record { devices: Vec::new(), views };
        for device in &self.devices {
            record.devices.push(device.record(device.contents().await?));
        }
        let violations = check(&record);
        let figures = self.figures(&record);
        Ok((Outcome { seed, violations, figures, kept: None }, record))
    }

    /// Everybody writes to the next two.
    fn begin_direct(&self) {
        let users: Vec<UserId> =
            self.devices.iter().step_by(self.options.devices_per_user).map(|device| device.life.user).collect();
        let mut pairs = BTreeSet::new();
        for (index, user) in users.iter().enumerate() {
            pairs.extend((1..=2).filter_map(|step| ConversationId::direct(*user, users[(index + step) % users.len()])));
        }
        for conversation in pairs {
            for device in self.devices.iter().filter(|device| conversation.peer_of(device.life.user).is_some()) {
                device.order(Order::Join(conversation));
            }
        }
    }

    async fn make_group(&mut self, number: usize) -> Result<()> {
        let count = self.options.users;
        let owner = self.random.random_range(0..count);
        let mut members: BTreeSet<UserId> = BTreeSet::new();
        let most = if number == 0 { count } else { self.random.random_range(1..count) };
        for _ in 0..most * 2 {
            let user = self.random.random_range(0..count);
            members.insert(self.devices[user * self.options.devices_per_user].life.user);
        }
        let maker = &self.devices[owner * self.options.devices_per_user];
        members.remove(&maker.life.user);
        let (title, members): (_, Vec<UserId>) = (format!("group {number}"), members.into_iter().collect());
        let earlier_history = self.random.random_bool(0.5);
        let began = Instant::now();
        let conversation = loop {
            let (reply, answer) = oneshot::channel();
            maker.order(Order::Group { title: title.clone(), members: members.clone(), earlier_history, reply });
            match answer.await {
                Ok(Ok(conversation)) => break conversation,
                Ok(Err(error)) if !error.is_transient() => bail!("a group cannot be made: {error}"),
                // No answer, or the device was killed: the same key makes the same group.
                _ => ensure!(began.elapsed() < GROUP, "waiting for a group to be made"),
            }
            sleep(Duration::from_millis(50)).await;
        };
        for device in
            self.devices.iter().filter(|device| device.life.user == maker.life.user || members.contains(&device.life.user))
        {
            device.order(Order::Join(conversation));
        }
        Ok(())
    }

    /// Lets the server live for a random time, and kills devices meanwhile.
    async fn live_a_while(&mut self) -> Result<()> {
        let whole = self.random.random_range(0.0..2.0) * self.options.seconds;
        let parts = self.random.random_range(1..4);
        for part in 0..parts {
            sleep(Duration::from_secs_f64(whole / f64::from(parts))).await;
            if part > 0 || self.random.random_bool(0.5) {
                let device = &self.devices[self.random.random_range(0..self.devices.len())];
                device.order(if self.random.random_bool(0.5) { Order::Kill } else { Order::Drop });
                self.device_kills += 1;
            }
        }
        Ok(())
    }

    /// Kills the server, perhaps again while it starts, and brings it up.
    async fn kill(&mut self) -> Result<()> {
        self.duplicates += self.victim.counter("banter_duplicates_total").await.unwrap_or(0);
        self.victim.kill().await?;
        self.note_first_answer();
        self.kills += 1;
        while self.kills < self.options.kills && self.random.random_bool(0.3) {
            self.victim.spawn()?;
            sleep(Duration::from_millis(self.random.random_range(0..STARTING_MS))).await;
            self.victim.kill().await?;
            self.kills += 1;
        }
        sleep(Duration::from_millis(self.random.random_range(0..300))).await;
        let started = self.shared.began.elapsed().as_millis() as u64;
        self.victim.spawn()?;
        self.victim.ready().await.with_context(|| format!("after {} kills", self.kills))?;
        self.shared.first_acknowledged.store(0, Ordering::Relaxed);
        self.started = Some(started);
        for device in &self.devices {
            device.order(Order::Reconnect);
        }
        Ok(())
    }

    /// A server that is killed before it acknowledges anything has no such time.
    fn note_first_answer(&mut self) {
        let first = self.shared.first_acknowledged.load(Ordering::Relaxed);
        if let Some(started) = self.started.take().filter(|_| first > 0) {
            self.to_first_answer.push(first.saturating_sub(started));
        }
    }
}
