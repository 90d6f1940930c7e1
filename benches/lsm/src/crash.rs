//! Bench 4: is everything that was acknowledged there after a crash, and nothing by halves?

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::data::{self, Random};
use crate::engine::{self, Batch, Engine, Settings, Store};

/// The head row that holds the number of the last batch.
const COUNTER: u64 = u64::MAX;
/// Conversations that the batches write to. Every batch writes one head row for each.
const CONVERSATIONS: u64 = 4;

/// Batch `number`: its messages have the numbers of the batch and of the place in it as their seq, so a scan shows what is missing.
fn batch(number: u64, large: bool) -> Batch {
    let mut random = Random::new(number);
    let size = if large { 1 } else { 1 + random.below(300) };
    let mut batch = Batch::default();
    for place in 0..size {
        let conversation = place % CONVERSATIONS;
        let mut value = data::text(number, place);
        if large {
            // What does not compress at all: the worst case for a journal that compresses.
            value = (0..8192).flat_map(|_| random.next().to_le_bytes()).collect();
        }
        batch.rows.push((data::row_key(conversation, (number << 16) | place), value));
    }
    for conversation in 0..CONVERSATIONS {
        batch.heads.push((data::head_key(conversation), data::head(conversation, number)));
    }
    batch.heads.push((data::head_key(COUNTER), number.to_le_bytes().to_vec()));
    batch
}

/// The number of the last batch.
fn counter(store: &dyn Store) -> Result<u64> {
    match store.head(&data::head_key(COUNTER))? {
        Some(value) => Ok(u64::from_le_bytes(value.as_slice().try_into().context("not a counter")?)),
        None => Ok(0),
    }
}

/// The store holds batches 1 to `counter`, whole, and nothing else. Returns the counter.
fn verify(store: &dyn Store, large: bool) -> Result<u64> {
    let last = counter(store)?;
    for conversation in (0..CONVERSATIONS).filter(|_| last > 0) {
        let head = store.head(&data::head_key(conversation))?;
        ensure!(head == Some(data::head(conversation, last)), "a head is not of batch {last}");
    }
    let mut expected: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for number in 1..=last {
        expected.extend(batch(number, large).rows.into_iter().map(|(key, value)| (key.to_vec(), value)));
    }
    expected.sort_unstable();
    let mut at = 0;
    store.scan(&mut |key, value| {
        let row = expected.get(at).context("a row after the last batch")?;
        ensure!(row.0 == key && row.1 == value, "row {at} is not the one of its batch");
        at += 1;
        Ok(())
    })?;
    ensure!(at == expected.len(), "{at} of {} rows", expected.len());
    Ok(last)
}

/// The child: commits batches until it is killed, and says the number of each one acknowledged.
pub fn child(engine: Engine, settings: &Settings) -> Result<()> {
    let store = engine::open(engine, settings)?;
    let mut out = std::io::stdout();
    let mut number = counter(store.as_ref())?;
    loop {
        writeln!(out, "{number}")?;
        out.flush()?;
        number += 1;
        store.commit(&batch(number, false))?;
    }
}

/// The parent: kills the child `rounds` times at random moments, and verifies the store after each.
pub fn run(engine: Engine, settings: &Settings, rounds: u32) -> Result<()> {
    let _ = fs::remove_dir_all(&settings.path);
    let mut random = Random::new(u64::from(rounds));
    let (mut unacknowledged, mut slowest, mut last) = (0, Duration::ZERO, 0);
    for round in 1..=rounds {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["crash-child", "--engine", &format!("{engine:?}").to_lowercase(), "--path"])
            .arg(&settings.path)
            .args(["--memtable", &settings.memtable_mib.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let out = child.stdout.take().context("no output")?;
        let mut lines = BufReader::new(out).lines();
        let first = lines.next().context("the child did not start")??;
        let reader = std::thread::spawn(move || lines.map_while(Result::ok).last().unwrap_or(first));
        std::thread::sleep(Duration::from_millis(50 + random.below(350)));
        // SIGKILL.
        child.kill()?;
        child.wait()?;
        let acknowledged: u64 = reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?.parse()?;
        let start = Instant::now();
        let store = engine::open(engine, settings)?;
        slowest = slowest.max(start.elapsed());
        last = verify(store.as_ref(), false).with_context(|| format!("round {round}"))?;
        ensure!(last == acknowledged || last == acknowledged + 1, "round {round}: {acknowledged} acknowledged, {last} there");
        unacknowledged += last - acknowledged;
    }
    println!(
        "{engine:?}: {rounds} kills, {last} batches, all acknowledged ones there, none by halves; {unacknowledged} more were stored unacknowledged; slowest reopening {:.0} ms",
        slowest.as_secs_f64() * 1000.0
    );
    Ok(())
}

/// What a power cut can leave of the last, unsynced batch in the journal.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The file ends within it.
    Cut,
    /// The rest of it was never written and reads as zeros.
    Zeros,
    /// One page in the middle was never written, later ones were.
    Hole,
}

/// Damages the tail of the journal in each way, `rounds` times: the store must open, with whole batches, short of at most the last.
pub fn tear(engine: Engine, settings: &Settings, rounds: u32) -> Result<()> {
    for (large, name) in [(false, "small rows"), (true, "one row of 64 KiB")] {
        for damage in [Damage::Cut, Damage::Zeros, Damage::Hole] {
            let (mut refused, mut wrong, mut lost, mut reason) = (0, 0, 0, String::new());
            for round in 0..rounds {
                let mut random = Random::new(u64::from(round));
                let _ = fs::remove_dir_all(&settings.path);
                let count = 20 + random.below(20);
                let store = engine::open(engine, settings)?;
                let mut end = 0;
                for number in 1..=count {
                    end = used(&newest_journal(&settings.path)?, end)?;
                    store.commit(&batch(number, large))?;
                }
                drop(store);
                injure(&newest_journal(&settings.path)?, end, damage, &mut random)?;
                match engine::open(engine, settings) {
                    Err(error) => (refused, reason) = (refused + 1, format!(" ({error:#})")),
                    Ok(store) => match verify(store.as_ref(), large) {
                        Ok(last) if last + 1 >= count => lost += count - last,
                        Ok(last) => (wrong, reason) = (wrong + 1, format!(" ({last} of {count} batches)")),
                        Err(error) => (wrong, reason) = (wrong + 1, format!(" ({error:#})")),
                    },
                }
            }
            println!(
                "{engine:?}, {name}, {damage:?}: {rounds} rounds, {lost} last batches dropped whole, {wrong} wrong, {refused} refused to open{reason}"
            );
        }
    }
    Ok(())
}

/// The journal that is being written: the one with the highest number.
fn newest_journal(path: &Path) -> Result<PathBuf> {
    let number = |path: &PathBuf| path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
    fs::read_dir(path)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl" || extension == "log"))
        .max_by_key(number)
        .context("no journal")
}

/// How much of a journal is written, at least `from`: up to its last byte that is not zero.
fn used(journal: &Path, from: u64) -> Result<u64> {
    let mut bytes = Vec::new();
    let mut file = fs::File::open(journal)?;
    file.seek(SeekFrom::Start(from))?;
    // No batch of this bench is larger than this.
    file.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(from + bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last as u64 + 1))
}

/// Damages what was written after `from`.
fn injure(journal: &Path, from: u64, damage: Damage, random: &mut Random) -> Result<()> {
    let end = used(journal, from)?;
    let mut file = OpenOptions::new().write(true).open(journal)?;
    let at = from + random.below(end - from);
    let zeros = match damage {
        Damage::Cut => {
            file.set_len(at)?;
            return Ok(());
        }
        Damage::Zeros => (at, end),
        Damage::Hole => {
            let page = at / 4096 * 4096;
            (page.max(from), (page + 4096).min(end))
        }
    };
    file.seek(SeekFrom::Start(zeros.0))?;
    file.write_all(&vec![0; usize::try_from(zeros.1 - zeros.0)?])?;
    Ok(())
}
