//! Mixed traffic: most of it direct, some of it in groups of all sizes, few who are online, and as much read as written.

pub mod growth;
mod http;
pub mod interval;
mod sessions;
mod sizes;
mod traffic;
mod verify;
mod world;

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use self::interval::Interval;
use self::sessions::ROOM_DIGITS;
use self::traffic::{Plan, Tokens, Traffic};
use self::verify::{Expected, Reader};
use self::world::{Shape, World};
use crate::groups::lane::{STAMP_DIGITS, nanos};
use crate::groups::meter::{Reading, Stretch};
use crate::groups::{open_all, pace};
use crate::{Common, process, server::Server};

/// A world, and what goes on in it.
#[derive(Args, Clone, Debug)]
pub struct Load {
    #[command(flatten)]
    shape: Shape,
    /// Messages a second; latency counts from when a message or a page was due.
    #[arg(long)]
    rate: Option<f64>,
    /// Messages under way at the same time where there is no rate.
    #[arg(long, default_value_t = 256)]
    window: usize,
    /// Pages read for each message written.
    #[arg(long, default_value_t = 1.0)]
    reads: f64,
    /// Events of a page.
    #[arg(long, default_value_t = 50)]
    page: usize,
    /// Kept HTTP connections that read pages, one at a time each.
    #[arg(long, default_value_t = 16)]
    readers: usize,
    /// Conversations whose logs are read and checked at the end.
    #[arg(long, default_value_t = 100)]
    verify: usize,
}

/// Direct conversations and groups, written in and read.
#[derive(Args, Clone, Debug)]
pub struct Mixed {
    #[command(flatten)]
    load: Load,
    /// Seconds to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Seconds to run before that.
    #[arg(long, default_value_t = 2)]
    warm_up: u64,
}

/// What a run measured.
pub struct Measured {
    /// For the table.
    pub figures: Map<String, Value>,
    /// Messages stored a second.
    pub messages: f64,
    /// Processor time of the server for each message, in microseconds; reading is part of it.
    pub microseconds: f64,
    /// Counts and times.
    pub interval: Interval,
    /// Logs that are not as they should be.
    pub faults: usize,
}

impl Mixed {
    /// Runs it.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        Ok(self.measure(common).await?.figures)
    }

    /// Runs it, and says what it measured.
    pub async fn measure(&self, common: &Common) -> Result<Measured> {
        let running = self.load.begin(common, Duration::from_secs(self.warm_up + self.seconds)).await?;
        tokio::time::sleep_until((running.start + Duration::from_secs(self.warm_up)).into()).await;
        Interval::take(&running.interval)?;
        let before = Reading::take(&running.server).await?;
        tokio::time::sleep_until(running.until.into()).await;
        let mut interval = Interval::take(&running.interval)?;
        let after = Reading::take(&running.server).await?;
        let stretch = before.until(&after);
        let messages = stretch.change("banter_events_total");
        let microseconds = stretch.server_seconds() * 1e6 / messages.max(1.0);
        let (resident, _) = process::resident(running.server.pid())?;
        let mut figures = self.load.figures(&running, &interval, &stretch);
        figures.insert("server memory, MiB".to_owned(), json!(resident as f64 / f64::from(1 << 20)));
        let last = running.finish(&self.load).await?;
        // What was due in time and came late counts too.
        interval.add(&last.interval)?;
        figures.extend(times(&interval));
        figures.extend(last.figures);
        Ok(Measured { figures, messages: messages / stretch.seconds(), microseconds, interval, faults: last.faults.len() })
    }
}

/// A run that is under way.
pub struct Running {
    /// The server.
    pub server: Server,
    /// When traffic begins.
    pub start: Instant,
    /// When it ends.
    pub until: Instant,
    /// What happened since this was last taken.
    pub interval: Arc<Mutex<Interval>>,
    seed: u64,
    users: usize,
    receivers_online: f64,
    sizes: Value,
    tokens: Tokens,
    traffic: JoinHandle<Result<Vec<Expected>>>,
}

/// What came after the end.
pub struct Last {
    /// What came late.
    pub interval: Interval,
    /// The outcome of the check.
    pub figures: Map<String, Value>,
    /// What is wrong with the logs; empty when all is well.
    pub faults: Vec<String>,
}

impl Load {
    /// Messages a second; `rate` where none was asked for.
    pub fn with_rate(mut self, rate: f64) -> Self {
        self.rate.get_or_insert(rate);
        self
    }

    /// Makes the world, starts the server, opens the sessions, and begins the traffic, which ends after `duration`.
    pub async fn begin(&self, common: &Common, duration: Duration) -> Result<Running> {
        let stamp = STAMP_DIGITS + ROOM_DIGITS;
        ensure!(self.shape.length >= stamp, "a text needs {stamp} characters for its time and place");
        ensure!(self.readers > 0 || self.reads <= 0.0, "somebody has to read the pages");
        ensure!(self.window > 0 && self.rate.is_none_or(|rate| rate > 0.0), "a window and a rate are above 0");
        let world = World::new(&self.shape)?;
        let (seed, users, receivers_online, sizes) = (world.seed, world.users, world.receivers_online(), world.sizes());
        let server = Server::start_after(common, users as u64, world.entries()).await?;
        let mut tokens = Tokens::new(&server.key);
        let online = server.users.iter().take(world.sessions);
        let online = online.map(|user| tokens.of(user.id).to_owned()).collect();
        let sessions = open_all(server.address, online).await?;
        let interval = Arc::new(Mutex::new(Interval::new()?));
        // Another stream of random numbers than the one that made the world.
        let random = StdRng::seed_from_u64(seed.rotate_left(32));
        let (address, shared, readers) = (server.address, interval.clone(), self.readers);
        let mut traffic = Traffic::new(world, random, Tokens::new(&server.key), address, sessions, readers, shared)?;
        let traffic = tokio::task::spawn_blocking(move || traffic.settle().map(|()| traffic)).await??;
        let start = Instant::now() + Duration::from_millis(200);
        let until = start + duration;
        let due = self.rate.map(|rate| {
            let ((turn, due), waker) = (mpsc::channel(), traffic.waker());
            std::thread::spawn(move || {
                // Traffic that failed says so itself.
                pace::pace(start, until, rate, |at| turn.send(nanos(at - start)).is_ok() && waker.wake().is_ok());
            });
            due
        });
        let Load { window, reads, page, .. } = *self;
        let plan = Plan { start, until, window, reads, page, length: self.shape.length };
        let traffic = tokio::task::spawn_blocking(move || traffic.run(&plan, due));
        Ok(Running { server, start, until, interval, seed, users, receivers_online, sizes, tokens, traffic })
    }

    /// What is known of a stretch besides the times.
    fn figures(&self, running: &Running, interval: &Interval, stretch: &Stretch<'_>) -> Map<String, Value> {
        let seconds = stretch.seconds();
        let messages = stretch.change("banter_events_total");
        let figures = json!({
            "seed": running.seed.to_string(),
            "conversations": self.shape.conversations,
            "messages in each beforehand": self.shape.history,
            "users": running.users,
            "sessions": self.shape.sessions,
            "receivers online, of a hundred": running.receivers_online,
            "sizes of the groups": running.sizes,
            "messages stored a second": messages / seconds,
            "receipts a second": interval.receipts.len() as f64 / seconds,
            "pages read a second": interval.reads.len() as f64 / seconds,
            "processors used by the server": stretch.server_processors(),
            "processors used by the generator": stretch.generator_processors(),
            "server microseconds per message, reading included": stretch.server_seconds() * 1e6 / messages.max(1.0),
            "commands per round": stretch.per("banter_commands_total", "banter_rounds_total"),
            "events per sync": stretch.per("banter_events_total", "banter_history_syncs_total"),
        });
        match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        }
    }
}

impl Running {
    /// Waits for the end of the traffic, and checks the logs.
    pub async fn finish(mut self, load: &Load) -> Result<Last> {
        let expected = self.traffic.await??;
        let interval = Interval::take(&self.interval)?;
        let mut random = StdRng::seed_from_u64(self.seed);
        let count = load.verify.min(expected.len());
        let sample: Vec<Expected> = rand::seq::index::sample(&mut random, expected.len(), count)
            .into_iter()
            .map(|place| expected[place].clone())
            .collect();
        let address = self.server.address;
        let faults = tokio::task::spawn_blocking(move || {
            let mut reader = Reader::connect(address)?;
            let mut faults = Vec::new();
            for expected in &sample {
                let token = self.tokens.of(banter_model::UserId(expected.writer.0)).to_owned();
                faults.extend(verify::verify(&mut reader, expected, &token)?);
            }
            anyhow::Ok(faults)
        })
        .await??;
        let mut figures = Map::new();
        figures.insert("conversations checked at the end".to_owned(), count.into());
        figures.insert("what is wrong with them".to_owned(), json!(faults));
        Ok(Last { interval, figures, faults })
    }
}

/// The times and errors of a stretch, for the table.
pub fn times(interval: &Interval) -> Map<String, Value> {
    let mut figures = Map::new();
    figures.insert("from due to receipt, ms".to_owned(), process::quantiles(&interval.receipts));
    figures.insert("from due to answer, ms".to_owned(), process::quantiles(&interval.answers));
    figures.insert("from due to page, ms".to_owned(), process::quantiles(&interval.reads));
    figures.insert("errors".to_owned(), json!(interval.errors));
    figures
}
