//! Bench 1: small atomic batches, each synced before the next.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::data::{self, Random};
use crate::engine::{self, Batch, Engine, Settings, Store};
use crate::probe;

const CONVERSATIONS: u64 = 20_000;
const TEXTS: u64 = 4096;

/// One writer's share of the conversations, with the seq each has reached.
struct Writer {
    id: u64,
    writers: u64,
    random: Random,
    seqs: Vec<u64>,
}

impl Writer {
    fn new(id: u64, writers: u64) -> Self {
        let own = CONVERSATIONS / writers;
        Self { id, writers, random: Random::new(id + 1), seqs: vec![0; own as usize] }
    }

    /// A batch of `size` messages, and a head row for each conversation that it touches.
    fn batch(&mut self, size: usize, texts: &[Vec<u8>]) -> Batch {
        let mut touched = Vec::with_capacity(size);
        let mut batch = Batch { rows: Vec::with_capacity(size), heads: Vec::new() };
        for _ in 0..size {
            let own = self.random.conversation(self.seqs.len() as u64);
            let conversation = own * self.writers + self.id;
            let seq = &mut self.seqs[own as usize];
            *seq += 1;
            let text = &texts[(conversation.wrapping_add(*seq) % TEXTS) as usize];
            batch.rows.push((data::row_key(conversation, *seq), text.clone()));
            touched.push(own);
        }
        touched.sort_unstable();
        touched.dedup();
        for own in touched {
            let conversation = own * self.writers + self.id;
            batch.heads.push((data::head_key(conversation), data::head(conversation, self.seqs[own as usize])));
        }
        batch
    }

    /// Commits batches for `time`, returns how long each commit took.
    fn run(&mut self, store: &dyn Store, size: usize, time: Duration, texts: &[Vec<u8>]) -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        let start = Instant::now();
        while start.elapsed() < time {
            let batch = self.batch(size, texts);
            let begin = Instant::now();
            store.commit(&batch)?;
            times.push(begin.elapsed());
        }
        Ok(times)
    }

    /// Every message of this writer is there, in order and as written; every head row says the last seq.
    fn check(&self, store: &dyn Store, texts: &[Vec<u8>]) -> Result<()> {
        for (own, last) in self.seqs.iter().enumerate().filter(|(_, last)| **last > 0) {
            let conversation = own as u64 * self.writers + self.id;
            let rows = store.page(&data::row_key(conversation, 0), &data::row_key(conversation, u64::MAX))?;
            ensure!(rows.len() as u64 == *last, "conversation {conversation}: {} of {last} messages", rows.len());
            for (seq, (key, value)) in (1..).zip(&rows) {
                ensure!(key[..] == data::row_key(conversation, seq), "conversation {conversation}: not {seq}");
                ensure!(value == &texts[(conversation.wrapping_add(seq) % TEXTS) as usize], "wrong text");
            }
            ensure!(store.head(&data::head_key(conversation))? == Some(data::head(conversation, *last)), "wrong head");
        }
        Ok(())
    }
}

/// Runs it for each size of batch, each on a new database, and reads everything back at the end.
pub fn run(engine: Engine, settings: &Settings, sizes: &[usize], writers: u64, time: Duration) -> Result<()> {
    let texts: Vec<Vec<u8>> = (0..TEXTS).map(|seq| data::text(0, seq)).collect();
    println!("{engine:?}, {:?}, {writers} writer(s), {} MiB memtables", settings.sync, settings.memtable_mib);
    println!(
        "{:>6} {:>10} {:>12} {:>8} {:>8} {:>8} {:>8}",
        "batch", "batches/s", "messages/s", "p50 ms", "p99 ms", "p99.9", "max ms"
    );
    for &size in sizes {
        let _ = fs::remove_dir_all(&settings.path);
        let store = engine::open(engine, settings)?;
        let store = store.as_ref();
        let mut all: Vec<Writer> = (0..writers).map(|id| Writer::new(id, writers)).collect();
        let start = Instant::now();
        let mut times = std::thread::scope(|scope| -> Result<Vec<Duration>> {
            let texts = texts.as_slice();
            let running: Vec<_> =
                all.iter_mut().map(|writer| scope.spawn(move || writer.run(store, size, time, texts))).collect();
            let mut times = Vec::new();
            for thread in running {
                times.extend(thread.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??);
            }
            Ok(times)
        })?;
        let rate = times.len() as f64 / start.elapsed().as_secs_f64();
        for writer in &all {
            writer.check(store, &texts)?;
        }
        let [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1.0].map(|share| probe::quantile(&mut times, share));
        println!("{size:>6} {rate:>10.0} {:>12.0} {p50:>8.3} {p99:>8.3} {p999:>8.3} {max:>8.1}", rate * size as f64);
    }
    Ok(())
}
