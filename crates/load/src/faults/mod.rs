//! The faults of a fleet: with devices writing through the SDK, each role and each engine is killed and stopped in turn. For each fault it is
//! measured how long people notice it; at the end the [checker](crate::checker) compares what every device was told and promised with what
//! stands.

mod control;
mod measured;
mod probes;
mod table;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use banter_client::api::{Api, log_in};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Map, Value};
use tokio::time::sleep;

use crate::Common;
use crate::checker::{Entry, Record, check};
use crate::journalled::device::{Order, Shared};
use crate::journalled::people::{Cast, People};
use crate::journalled::times::What;
use crate::journalled::{JOURNALS, acknowledged, entries, journals, print_violations, say, settle};
use control::Control;
use measured::{Measured, Span};
use probes::{Prober, Tried};
use table::Fault;

/// The longest that it is waited after a fault until every device is back.
const BACK: Duration = Duration::from_secs(150);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(100);
/// After everybody is back, and before the first fault, nothing happens for so long.
const CALM: Duration = Duration::from_secs(5);
/// What is measured without a fault, for comparison.
const WITHOUT: Duration = Duration::from_secs(15);

/// Kills and stops each role and engine of a running fleet in turn, measures how long people notice, then checks like `chaos`.
#[derive(Args, Clone, Debug)]
pub struct Faults {
    /// Where the fleet is: what people type in. `scripts/fleet up --three --direct --unlimited` prints it.
    #[arg(long)]
    pub address: String,
    /// The program that does it: `<program> kill|start|pause|resume|cut|mend NAME [NUMBER]`.
    #[arg(long, default_value = "scripts/fleet")]
    pub control: PathBuf,
    /// Which faults, by their names or parts of them (`pause-kafka-1`, `kill`, `redis`), with commas between; all when absent.
    #[arg(long, value_delimiter = ',')]
    pub faults: Vec<String>,
    /// For how many seconds what is killed stays dead.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// For how many seconds what is stopped stands still, and what is cut stays cut.
    #[arg(long, default_value_t = 60)]
    pub pause_seconds: u64,
    /// Users.
    #[arg(long, default_value_t = 10)]
    pub users: usize,
    /// Devices of each.
    #[arg(long, default_value_t = 2)]
    pub devices_per_user: usize,
    /// Groups, besides the direct conversations.
    #[arg(long, default_value_t = 3)]
    pub groups: usize,
    /// What all devices together do in a second: writing, editing, reacting, reading.
    #[arg(long, default_value_t = 40.0)]
    pub rate: f64,
    /// What is random about the run; a new one when absent.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// The parts of a run.
struct Run {
    options: Faults,
    control: Control,
    people: People,
    shared: Arc<Shared>,
    prober: Prober,
}

impl Faults {
    /// Runs, prints a line for each fault, and fails if a promise is broken. The figures are of the faults and of what was checked.
    ///
    /// # Errors
    /// When the run cannot be made, when devices do not come back, or with what the checker finds.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.users >= 3 && self.devices_per_user >= 1 && self.groups >= 1 && self.rate > 0.0, "three users and a group");
        let faults = table::named(&self.faults)?;
        let seed = self.seed.unwrap_or_else(|| rand::rng().random());
        say(&format!("seed {seed}"));
        let folder = match &common.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let shared = Arc::new(Shared::default());
        let cast = Cast {
            // Whoever ran this before at the same server has others.
            handles: format!("f{:08x}_", rand::rng().random::<u32>()),
            users: self.users,
            devices_per_user: self.devices_per_user,
            rate: self.rate,
            seed,
        };
        let people = People::sign_up(cast, folder.path(), &self.address, &shared).await?;
        settle::wait_synced(&people.devices).await?;
        people.begin_direct();
        let mut random = StdRng::seed_from_u64(seed);
        for number in 0..self.groups {
            people.make_group(number, &mut random).await?;
        }
        let prober = prober(&people, &self.address).await?;
        let run = Run { options: self.clone(), control: Control(self.control.clone()), people, shared, prober };
        let result = run.all(&faults).await;
        run.people.order_all(|| Order::End);
        let (figures, record, never_back) = match result {
            Ok(done) => done,
            Err(error) => return Err(error.context(format!("seed {seed}, kept in {}", folder.keep().display()))),
        };
        let violations = check(&record);
        print_violations(&violations);
        if !violations.is_empty() {
            std::fs::write(folder.path().join(JOURNALS), journals(&record, &violations))?;
            say(&format!("the devices' stores and {JOURNALS} are in {}", folder.keep().display()));
        }
        ensure!(violations.is_empty(), "{} violations, seed {seed}", violations.len());
        ensure!(never_back.is_empty(), "not every device came back after {}", never_back.join(", "));
        Ok(figures)
    }
}

/// Somebody who reads: the first user, in a conversation of theirs.
async fn prober(people: &People, address: &str) -> Result<Prober> {
    let logged_in = log_in(address, &people.cast.login(0)).await?;
    let reader = Api::new(address, Some(logged_in.tokens), None)?;
    let next = people.devices[people.cast.devices_per_user].life.user;
    let conversation = banter_model::ConversationId::direct(logged_in.user, next).context("two users are one")?;
    Ok(Prober { base: address.to_owned(), handles: people.cast.handles.clone(), reader, conversation })
}

impl Run {
    async fn all(&self, faults: &[Fault]) -> Result<(Map<String, Value>, Record, Vec<String>)> {
        self.shared.writing.store(true, Ordering::Relaxed);
        sleep(CALM).await;
        say(&measured::head());
        let mut figures = Map::new();
        let mut never_back = Vec::new();
        let without = self.without().await?;
        say(&without.line());
        figures.insert(without.name.clone(), without.figures());
        for (number, fault) in faults.iter().enumerate() {
            let measured = self.fault(fault, number + 1).await?;
            say(&measured.line());
            if let Some(slowest) = &measured.slowest {
                say(&format!(
                    "    the slowest, after {} ms: {slowest}; the fault was from {:?}",
                    measured.slowest_ms, measured.span
                ));
            }
            if measured.span.back.is_none() {
                never_back.push(measured.name.clone());
            }
            figures.insert(measured.name.clone(), measured.figures());
        }
        self.shared.writing.store(false, Ordering::Relaxed);
        let views = settle::settle(&self.people, &self.options.address).await?;
        let record = self.people.record(views).await?;
        figures.insert("commands acknowledged".to_owned(), acknowledged(&record).into());
        let told = entries(&record, |entry| matches!(entry, Entry::Told(..)));
        figures.insert("events told to devices".to_owned(), told.into());
        Ok((figures, record, never_back))
    }

    /// The same without a fault.
    async fn without(&self) -> Result<Measured> {
        let login = self.prober.somebody(0).await?;
        let (lengths, trying) = (self.journals(), self.prober.begin(&login));
        let began = self.shared.now();
        sleep(WITHOUT).await;
        let ended = self.shared.now();
        let span = Span { began, ended, back: Some(ended), until: ended };
        Ok(self.measured("none".to_owned(), span, &lengths, trying.end().await))
    }

    async fn fault(&self, fault: &Fault, number: usize) -> Result<Measured> {
        let login = self.prober.somebody(number).await?;
        let lengths = self.journals();
        let began = self.shared.now();
        let broken = self.control.breaks(fault).await;
        let trying = self.prober.begin(&login);
        if broken.is_ok() {
            sleep(fault.lasts(Duration::from_secs(self.options.seconds), Duration::from_secs(self.options.pause_seconds))).await;
        }
        let tried = trying.end().await;
        // Also when only a part of it was broken.
        let mended = self.control.mends(fault).await;
        broken?;
        mended?;
        let ended = self.shared.now();
        let back = self.all_back(ended).await?;
        sleep(CALM).await;
        let span = Span { began, ended, back, until: self.shared.now() };
        Ok(self.measured(fault.to_string(), span, &lengths, tried))
    }

    /// Waits until every device is in sync, was acknowledged and told something since `ended`, and has the answers to all that it wrote before.
    /// Says when that was; `None` when it is waited for in vain.
    async fn all_back(&self, ended: u64) -> Result<Option<u64>> {
        loop {
            let mut missing = None;
            for device in &self.people.devices {
                let times = &device.life.times;
                let news = [What::Acknowledged, What::Told].map(|what| times.first_after(what, ended).is_some());
                if let Some((since, what)) = times.waiting_since_before(ended) {
                    missing = Some(format!("{} waits since {since} for {what}", device.life.name));
                } else if news != [true, true] || !device.report().await?.synced {
                    missing = Some(format!("{} is not in sync, or without news {news:?}", device.life.name));
                }
            }
            let Some(missing) = missing else { return Ok(Some(self.shared.now())) };
            if self.shared.now() > ended + BACK.as_millis() as u64 {
                say(&format!("not back after {} s: {missing}", BACK.as_secs()));
                return Ok(None);
            }
            sleep(LOOK).await;
        }
    }

    fn measured(&self, name: String, span: Span, lengths: &[usize], tried: Tried) -> Measured {
        let devices = &self.people.devices;
        let sending = measured::paused(devices, What::Acknowledged, span);
        let receiving = measured::paused(devices, What::Told, span);
        let (slowest_ms, slowest) = measured::slowest(devices, span);
        Measured { name, span, slowest_ms, slowest, sending, receiving, refused: measured::refused(devices, lengths), tried }
    }

    /// How long the journals are.
    fn journals(&self) -> Vec<usize> {
        self.people.devices.iter().map(|device| device.life.journal.lock().len()).collect()
    }
}
