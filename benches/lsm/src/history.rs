//! Benches 2 and 3: a data set much larger than the cache, cold pages out of it, reopening, memory.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::data::{self, Random};
use crate::engine::{self, Batch, Engine, Settings};
use crate::probe::{self, Counters};

const BATCH: usize = 1000;
const PAGE: u64 = 50;
/// Pages between two drops of the page cache. All of them together touch far less than one page in a hundred of the data.
const PAGES_PER_DROP: usize = 100;

/// The conversations of `messages` messages that arrive in random order, and how many each gets.
fn arrivals(messages: u64) -> (impl Iterator<Item = (u64, u64)>, u64) {
    let conversations = (messages / 100).max(1);
    let mut random = Random::new(42);
    let mut seqs = vec![0u64; conversations as usize];
    let arrivals = (0..messages).map(move |_| {
        let conversation = random.conversation(conversations);
        seqs[conversation as usize] += 1;
        (conversation, seqs[conversation as usize])
    });
    (arrivals, conversations)
}

/// Writes the data set. With `settle` compaction is waited for; without, the process just ends, leaving full journals.
pub fn load(engine: Engine, settings: &Settings, messages: u64, settle: bool) -> Result<()> {
    let _ = fs::remove_dir_all(&settings.path);
    let store = engine::open(engine, settings)?;
    let start = Instant::now();
    let mut batch = Batch::default();
    let mut bytes = 0;
    let (arrivals, _) = arrivals(messages);
    for (conversation, seq) in arrivals {
        let (key, value) = (data::row_key(conversation, seq), data::text(conversation, seq));
        bytes += key.len() + value.len();
        batch.rows.push((key, value));
        batch.heads.push((data::head_key(conversation), data::head(conversation, seq)));
        if batch.rows.len() == BATCH {
            store.commit(&std::mem::take(&mut batch))?;
        }
    }
    store.commit(&batch)?;
    let loaded = start.elapsed();
    if !settle {
        println!("{engine:?}: {messages} messages left unsettled after {:.1} s", loaded.as_secs_f64());
        std::process::exit(0);
    }
    store.settle()?;
    let settled = start.elapsed();
    drop(store);
    let disk = probe::disk_bytes(&settings.path)?;
    println!(
        "{engine:?}, {} KiB, {:?}: {messages} messages, {:.0} bytes each; loaded in {:.0} s ({:.0}/s), settled in {:.0} s; on disk {:.0} MiB, {:.1} bytes a message",
        settings.block_kib,
        settings.compression,
        bytes as f64 / messages as f64,
        loaded.as_secs_f64(),
        messages as f64 / loaded.as_secs_f64(),
        settled.as_secs_f64(),
        disk as f64 / f64::from(1 << 20),
        disk as f64 / messages as f64,
    );
    Ok(())
}

/// Reopens the data set and reads random pages, everything cold except what the engine's own cache holds.
pub fn pages(engine: Engine, settings: &Settings, messages: u64, pages: usize) -> Result<()> {
    let (arrivals, conversations) = arrivals(messages);
    let mut lengths = vec![0u64; conversations as usize];
    arrivals.for_each(|(conversation, seq)| lengths[conversation as usize] = seq);
    let long: Vec<u64> = (0..conversations).filter(|&conversation| lengths[conversation as usize] >= PAGE).collect();
    ensure!(!long.is_empty(), "no conversation has a page");

    probe::drop_page_cache()?;
    let before = probe::resident_mib()?;
    let start = Instant::now();
    let store = engine::open(engine, settings)?;
    let opened = start.elapsed();
    let after = probe::resident_mib()?;

    let mut random = Random::new(7);
    let mut times = Vec::with_capacity(pages);
    let mut total = Counters::default();
    // The first pages fill the engine's cache with what it keeps of indices, and are not counted.
    let warm = pages / 5;
    for page in 0..warm + pages {
        if page % PAGES_PER_DROP == 0 {
            probe::drop_page_cache()?;
        }
        let conversation = long[random.below(long.len() as u64) as usize];
        let first = 1 + random.below(lengths[conversation as usize] - PAGE + 1);
        let keys = (data::row_key(conversation, first), data::row_key(conversation, first + PAGE - 1));
        let counters = Counters::now(&settings.path)?;
        let begin = Instant::now();
        let rows = store.page(&keys.0, &keys.1)?;
        let time = begin.elapsed();
        let counters = Counters::now(&settings.path)?.since(counters);
        ensure!(rows.len() as u64 == PAGE, "{} rows", rows.len());
        for (seq, (key, value)) in (first..).zip(&rows) {
            ensure!(key[..] == data::row_key(conversation, seq) && *value == data::text(conversation, seq), "wrong row");
        }
        if page >= warm {
            times.push(time);
            total = total.plus(counters);
        }
    }
    let memory = probe::resident_mib()?;
    for conversation in (0..conversations).step_by(997).filter(|&conversation| lengths[conversation as usize] > 0) {
        let head = store.head(&data::head_key(conversation))?.context("no head")?;
        ensure!(head == data::head(conversation, lengths[conversation as usize]), "wrong head");
    }
    let each = |count: u64| count as f64 / pages as f64;
    println!(
        "{engine:?}, {} KiB, {:?}: open {:.0} ms; {pages} cold pages: p50 {:.3} ms, p99 {:.3} ms; a page: {:.2} device reads, {:.1} KiB, {:.2} read calls; memory {:.0} MiB at open (+{:.0}), {:.0} MiB after (+{:.0})",
        settings.block_kib,
        settings.compression,
        opened.as_secs_f64() * 1000.0,
        probe::quantile(&mut times, 0.5),
        probe::quantile(&mut times, 0.99),
        each(total.requests),
        each(total.bytes) / 1024.0,
        // Reading the counters takes calls of its own: see `calls_of_a_probe`.
        each(total.calls) - calls_of_a_probe(&settings.path)?,
        after.0,
        after.1 - before.1,
        memory.0,
        memory.1 - before.1,
    );
    Ok(())
}

/// Read calls that `Counters::now` itself makes between two readings.
fn calls_of_a_probe(path: &Path) -> Result<f64> {
    let mut total = 0;
    for _ in 0..100 {
        let before = Counters::now(path)?;
        total += Counters::now(path)?.since(before).calls;
    }
    Ok(total as f64 / 100.0)
}

/// Opens a database, as a new process would at its start, and says how long it took and what memory it takes.
pub fn footprint(engine: Engine, settings: &Settings, cold: bool) -> Result<()> {
    if cold && settings.path.exists() {
        probe::drop_page_cache()?;
    }
    let before = probe::resident_mib()?;
    let start = Instant::now();
    let store = engine::open(engine, settings)?;
    let opened = start.elapsed();
    let after = probe::resident_mib()?;
    std::thread::sleep(Duration::from_secs(1));
    let later = probe::resident_mib()?;
    println!(
        "{engine:?}: open {:.1} ms; resident {:.1} MiB before, {:.1} MiB after opening, {:.1} MiB a second later (own memory {:.1}, {:.1}, {:.1})",
        opened.as_secs_f64() * 1000.0,
        before.0,
        after.0,
        later.0,
        before.1,
        after.1,
        later.1
    );
    drop(store);
    Ok(())
}
