//! A long history: what it takes on the disk, what a page costs, and how fast the server is back.

mod disk;
mod loader;
mod pages;
mod plan;
mod restart;
mod text;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use banter_server::secret_key;
use banter_store::History;
use banter_store::data_folder::DataFolder;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use clap::Args;
use serde_json::{Map, Value, json};

use self::disk::Files;
use self::pages::{Pages, Place};
use self::plan::{Plan, Shape};
use self::text::Texts;
use crate::{Common, process};

/// Blocks of texts that are compressed to see what they take by themselves.
const TEXT_BLOCKS: usize = 100;
/// The most that a message may take besides 1.3 times its compressed text, in bytes.
const OVERHEAD_BYTES: f64 = 24.0;
/// What the compressed text may take more in the history.
const TEXT_FACTOR: f64 = 1.3;
/// How long the engine is given to catch up after the load.
const CATCHING_UP: Duration = Duration::from_secs(600);

/// Writes many messages, or takes the folder where they were written before, and measures.
#[derive(Args)]
pub struct LongHistory {
    #[command(flatten)]
    shape: Shape,
    /// Pages of each kind.
    #[arg(long, default_value_t = 1_000)]
    pages: usize,
    /// Empty the whole machine's page cache (as root) and not only that of the folder's files.
    #[arg(long)]
    drop_caches: bool,
}

impl LongHistory {
    /// Loads if there is nothing yet, and measures. With `--folder` the data folder is that one, and it stays.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let temporary = tempfile::tempdir()?;
        let path = common.folder.as_deref().unwrap_or(temporary.path());
        let plan = Arc::new(Plan::new(&self.shape)?);
        let texts = Arc::new(Texts::new(self.shape.seed));
        let mut figures = Map::new();
        figures.insert("messages".into(), self.shape.messages.into());
        figures.insert("conversations".into(), plan.conversations.len().into());
        figures.insert("messages of the longest".into(), plan.conversations[0].messages.into());
        let (history, loading) = self.load(path, &plan, &texts).await?;
        figures.insert("loading".into(), loading);
        figures.insert("engine after the load".into(), caught_up(&history).await?);

        let pages = |seed| Pages { history: &history, plan: &plan, folder: path, count: self.pages, seed };
        let newest = pages(1).read(Place::Newest, None).await?;
        pages(2).read(Place::Random, None).await?;
        let warm = pages(2).read(Place::Random, None).await?;
        history.close().await?;
        drop(history);
        // Its own cache is to be empty as well. Opening it also removes tables that compaction has replaced.
        let history = self.open(path).await?;
        self.sizes(path, &texts, &mut figures)?;
        let emptied = disk::empty_cache(path, self.drop_caches)?;
        let files = Files::open(path)?;
        let pages = |seed| Pages { history: &history, plan: &plan, folder: path, count: self.pages, seed };
        let cold_newest = pages(3).read(Place::Newest, Some(&files)).await?;
        let cold = pages(4).read(Place::Random, Some(&files)).await?;
        history.close().await?;
        drop(history);
        figures.insert("newest pages".into(), newest);
        figures.insert("random pages, warm".into(), warm);
        figures.insert("newest pages, cold".into(), cold_newest);
        figures.insert("random pages, cold".into(), cold);
        figures.insert("page cache emptied by".into(), emptied.words().into());

        disk::empty_cache(path, self.drop_caches)?;
        figures.insert("restart, cold".into(), restart::restart(common, path).await?);
        figures.insert("restart, warm".into(), restart::restart(common, path).await?);
        Ok(figures)
    }

    async fn open(&self, path: &Path) -> Result<Arc<EmbeddedHistory>> {
        let folder = Arc::new(DataFolder::open(path)?);
        Ok(Arc::new(tokio::task::spawn_blocking(move || EmbeddedHistory::open(folder, HistoryOptions::default())).await??))
    }

    /// The history, loaded now or before.
    async fn load(&self, path: &Path, plan: &Arc<Plan>, texts: &Arc<Texts>) -> Result<(Arc<EmbeddedHistory>, Value)> {
        let folder = Arc::new(DataFolder::open(path)?);
        // What makes it a folder that a server opens.
        secret_key::load(&folder.secret_key())?;
        SqlDirectory::open_sqlite(&folder.directory()).await?.close().await;
        drop(folder);
        let history = self.open(path).await?;
        let planned = &plan.conversations[0];
        let head = history.heads(&[planned.id]).await?.pop().flatten();
        if let Some(head) = head {
            ensure!(
                head.ordinal == planned.messages,
                "{} holds {} messages of the longest conversation, not {}: give the figures it was loaded with, or another folder",
                path.display(),
                head.ordinal,
                planned.messages
            );
            return Ok((history, json!("done before")));
        }
        let loaded = loader::load(history.clone(), plan.clone(), texts.clone(), self.shape.seed).await?;
        ensure!(loaded.messages == self.shape.messages, "{} messages were written", loaded.messages);
        let counters = history.counters();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        let seconds = loaded.time.as_secs_f64();
        Ok((
            history.clone(),
            json!({
                "seconds": seconds, "messages a second": loaded.messages as f64 / seconds,
                "events a sync": count(&counters.events) as f64 / count(&counters.syncs).max(1) as f64,
            }),
        ))
    }

    /// What is on the disk, and what it may be.
    fn sizes(&self, path: &Path, texts: &Texts, figures: &mut Map<String, Value>) -> Result<()> {
        let text = text::size(texts, self.shape.seed ^ 2, TEXT_BLOCKS)?;
        let allowed = TEXT_FACTOR * text.compressed + OVERHEAD_BYTES;
        let bytes = disk::space(path)? as f64 / self.shape.messages as f64;
        figures.insert(
            "bytes of a message".into(),
            json!({
                "text": text.plain,
                "text alone, compressed in blocks of 1,000 (LZ4)": text.compressed,
                "allowed": allowed,
                "on disk": bytes,
                "on disk / allowed": bytes / allowed,
            }),
        );
        figures.insert(
            "characters of a text".into(),
            json!({ "p10": text.lengths.value_at_quantile(0.1), "p50": text.lengths.value_at_quantile(0.5),
                    "p90": text.lengths.value_at_quantile(0.9) }),
        );
        Ok(())
    }
}

/// Waits until the engine has nothing left to do, and tells what it holds.
async fn caught_up(history: &EmbeddedHistory) -> Result<Value> {
    let at_once = history.engine();
    let begun = Instant::now();
    let mut idle = 0;
    while idle < 5 && begun.elapsed() < CATCHING_UP {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let engine = history.engine();
        idle = if engine.compactions_running == 0 && engine.memtables_waiting == 0 { idle + 1 } else { 0 };
    }
    let engine = history.engine();
    let (resident, _) = process::resident(std::process::id())?;
    Ok(json!({
        "seconds until nothing was left to do": begun.elapsed().as_secs_f64(),
        "fresh runs of events, at once": at_once.fresh_runs, "fresh runs of events, after that": engine.fresh_runs,
        "memtables waiting, at once": at_once.memtables_waiting,
        "tables of events by level": engine.tables_by_level,
        "bytes of events": engine.event_bytes, "bytes of other rows": engine.other_bytes, "bytes of journals": engine.journal_bytes,
        "index and filters of events in memory, MiB": engine.pinned_bytes as f64 / f64::from(1 << 20),
        "memory of this process, MiB": resident as f64 / f64::from(1 << 20),
    }))
}
