//! Durability shown: the real server is killed (SIGKILL) again and again while devices write through the SDK, devices are killed
//! too, and the network between them may be faulty. Then everything settles, and the [checker](crate::checker) compares what every
//! device was told and promised with what stands.

mod report;
mod victim;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::Common;
use crate::checker::{Record, Violation, check};
use crate::journalled::device::{Order, Shared};
use crate::journalled::people::{Cast, People};
use crate::journalled::times::What;
use crate::journalled::{JOURNALS, journals, say, settle};
use crate::proxy::Proxy;
use crate::server::binary;
use victim::Victim;

/// The longest that a server lives that is killed while it starts.
const STARTING_MS: u64 = 120;

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
    people: People,
    kills: usize,
    device_kills: usize,
    duplicates: u64,
    /// Milliseconds from the start of a server to its first acknowledgement.
    to_first_answer: Vec<u64>,
    /// When the server that runs was started, and was ready, in milliseconds from the beginning.
    started: Option<(u64, u64)>,
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
        say(&format!("seed {seed}: {self:?}"));
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
        let shared = Arc::new(Shared::default());
        let cast = Cast {
            handles: "user".to_owned(),
            users: self.users,
            devices_per_user: self.devices_per_user,
            rate: self.rate,
            seed,
        };
        let people = People::sign_up(cast, folder.path(), &format!("http://{base}"), &shared).await?;
        let mut run = Run {
            options: self.clone(),
            random: StdRng::seed_from_u64(seed),
            victim,
            proxy,
            shared,
            people,
            kills: 0,
            device_kills: 0,
            duplicates: 0,
            to_first_answer: Vec::new(),
            started: None,
        };
        let result = run.all(seed, server).await;
        run.people.order_all(|| Order::End);
        match result {
            Ok((mut outcome, record)) => {
                if !outcome.violations.is_empty() {
                    std::fs::write(folder.path().join(JOURNALS), journals(&record, &outcome.violations))?;
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

impl Run {
    async fn all(&mut self, seed: u64, server: SocketAddr) -> Result<(Outcome, Record)> {
        settle::wait_synced(&self.people.devices).await?;
        self.people.begin_direct();
        // One group is there from the beginning; the others are made while servers die.
        let mut groups = 0;
        if self.options.groups > 0 {
            self.people.make_group(groups, &mut self.random).await?;
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
                self.people.make_group(groups, &mut self.random).await?;
                groups += 1;
            }
        }
        sleep(Duration::from_millis(500)).await;
        self.shared.writing.store(false, Ordering::Relaxed);
        if let Some(proxy) = &self.proxy {
            proxy.set_faulty(false);
        }
        self.note_first_answer();
        let views = settle::settle(&self.people, &format!("http://{server}")).await?;
        self.duplicates += self.victim.counter("banter_duplicates_total").await.unwrap_or(0);
        let record = self.people.record(views).await?;
        let violations = check(&record);
        let figures = self.figures(&record);
        Ok((Outcome { seed, violations, figures, kept: None }, record))
    }

    /// Lets the server live for a random time, and kills devices meanwhile.
    async fn live_a_while(&mut self) -> Result<()> {
        let whole = self.random.random_range(0.0..2.0) * self.options.seconds;
        let parts = self.random.random_range(1..4);
        for part in 0..parts {
            sleep(Duration::from_secs_f64(whole / f64::from(parts))).await;
            if part > 0 || self.random.random_bool(0.5) {
                let device = &self.people.devices[self.random.random_range(0..self.people.devices.len())];
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
        let started = self.shared.now();
        self.victim.spawn()?;
        self.victim.ready().await.with_context(|| format!("after {} kills", self.kills))?;
        self.started = Some((started, self.shared.now()));
        self.people.order_all(|| Order::Reconnect);
        Ok(())
    }

    /// A server that is killed before it acknowledges anything has no such time.
    fn note_first_answer(&mut self) {
        let Some((started, ready)) = self.started.take() else { return };
        let firsts = self.people.devices.iter().filter_map(|device| device.life.times.first_after(What::Acknowledged, ready));
        self.to_first_answer.extend(firsts.min().map(|first| first - started));
    }
}
