//! What runs measured of one node, read from their files.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::record::{Machine, Record};

/// The files that a capacity model is made from, and the command that makes each.
pub const FILES: [&str; 5] = ["pairs", "idle", "groups", "history", "storm"];

/// Figures of one node. Every one was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Where the pairs ran; all files are of machines with as many cores.
    pub machine: Machine,
    /// The commits and dates of the runs, by file.
    pub runs: Vec<(String, String, String)>,
    /// Direct messages that the embedded server carries a second, each stored, answered and delivered.
    pub messages_a_second: f64,
    /// Processors that it kept busy with them.
    pub processors: f64,
    /// Processor time of one more delivery of a message, in microseconds.
    pub delivery_us: f64,
    /// Memory of the process for a session, in bytes.
    pub session_bytes: f64,
    /// Memory of the kernel for it, in bytes.
    pub session_kernel_bytes: f64,
    /// Sessions that can be opened a second.
    pub opened_a_second: f64,
    /// Bytes on disk of a message.
    pub message_bytes: f64,
    /// Bytes of its text, compressed.
    pub text_bytes: f64,
    /// p99 of a cold random page, in milliseconds.
    pub cold_page_ms: f64,
    /// Sessions that come back and are in sync, a second, after all were cut at once.
    pub synced_a_second: f64,
}

impl Figures {
    /// Reads `pairs.json` (as fast as it goes), `idle.json`, `groups.json`, `history.json` and `storm.json` of `folder`.
    pub fn read(folder: &Path) -> Result<Figures> {
        let record = |name: &str| -> Result<Record> {
            let record = Record::read(&folder.join(format!("{name}.json")))
                .with_context(|| format!("make it with `banter-load {name} --json {}/{name}.json`", folder.display()))?;
            ensure!(record.command == name, "{name}.json was made by `banter-load {}`", record.command);
            Ok(record)
        };
        let records = FILES.map(record);
        let [pairs, idle, groups, history, storm] = records;
        let (pairs, idle, groups, history, storm) = (pairs?, idle?, groups?, history?, storm?);
        ensure!(!pairs.options.contains_key("rate"), "pairs.json is of a run at a fixed rate; it has to go as fast as it goes");
        let all = [&pairs, &idle, &groups, &history, &storm];
        for other in all {
            ensure!(
                other.machine.cores == pairs.machine.cores,
                "{}.json is of a machine with {} cores, pairs.json of one with {}",
                other.command,
                other.machine.cores,
                pairs.machine.cores
            );
        }
        let runs = all.map(|run| (run.command.clone(), run.commit.clone().unwrap_or_else(|| "unknown".into()), run.date.clone()));
        Ok(Figures {
            runs: runs.to_vec(),
            messages_a_second: number(&pairs, &["messages received a second"])?,
            processors: number(&pairs, &["processors used by the server"])?,
            delivery_us: number(&groups, &["server microseconds per delivery"])?,
            session_bytes: number(&idle, &["process memory per session, bytes"])?,
            session_kernel_bytes: number(
                &idle,
                &["kernel memory per session, one end, bytes", "all that is not available any more, without the processes"],
            )?,
            opened_a_second: number(&idle, &["sessions opened a second"])?,
            message_bytes: number(&history, &["bytes of a message", "on disk"])?,
            text_bytes: number(&history, &["bytes of a message", "text alone, compressed in blocks of 1,000 (LZ4)"])?,
            cold_page_ms: number(&history, &["random pages, cold", "ms", "p99"])?,
            synced_a_second: number(&storm, &["sessions"])? / number(&storm, &["time until all are in sync, s"])?,
            machine: pairs.machine,
        })
    }

    /// Processor time of a direct message, embedded, all of its way: in microseconds.
    pub fn message_us(&self) -> f64 {
        self.processors / self.messages_a_second * 1e6
    }
}

/// The figure at `path`, greater than 0.
fn number(record: &Record, path: &[&str]) -> Result<f64> {
    let named = || format!("{}.json has no figure {}", record.command, path.join(": "));
    let (first, rest) = path.split_first().with_context(named)?;
    let start = record.figures.get(*first).with_context(named)?;
    let value =
        rest.iter().try_fold(start, |value, name| value.get(name)).and_then(|value| value.as_f64()).with_context(named)?;
    ensure!(value.is_finite() && value > 0.0, "{}.json: {} is {value}", record.command, path.join(": "));
    Ok(value)
}
