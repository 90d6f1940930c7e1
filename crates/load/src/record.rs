//! What a run leaves in a file: its figures, and all that is needed to make them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use clap::ArgMatches;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Options that say where something is on the machine of the run: they mean nothing elsewhere.
const PLACES: [&str; 3] = ["json", "folder", "server"];

/// A run, as it stands in a file of figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The subcommand.
    pub command: String,
    /// Its options, defaults included; those that name places on the machine left out.
    pub options: Map<String, Value>,
    /// The commit that was checked out where the run was started, with `-dirty` if files differed from it; absent when git does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// When it ended, in UTC (RFC 3339).
    pub date: String,
    /// Where it ran.
    pub machine: Machine,
    /// What was measured.
    pub figures: Map<String, Value>,
}

/// The machine of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Processors that the run could use.
    pub cores: u64,
    /// What they are, if the system says so.
    pub processor: String,
    /// Memory in all, in bytes.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
}

impl Machine {
    /// This machine, as far as it tells about itself.
    pub fn here() -> Self {
        let field = |file: &str, name: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let kibibytes = field("/proc/meminfo", "MemTotal").and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
        Machine {
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            processor: field("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_bytes: kibibytes.unwrap_or_default() * 1024,
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl Record {
    /// A run of `command` that ended now.
    pub fn new(command: &str, options: Map<String, Value>, figures: Map<String, Value>) -> Self {
        Record {
            command: command.to_owned(),
            options,
            commit: commit(),
            date: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            machine: Machine::here(),
            figures,
        }
    }

    /// Reads the file of a run.
    pub fn read(path: &Path) -> Result<Record> {
        let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is not the record of a run", path.display()))
    }

    /// Writes it, replacing what is there.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The options of `command` as `arguments` have them.
    pub fn options(command: &clap::Command, arguments: &ArgMatches) -> Map<String, Value> {
        let ids = command.get_arguments().map(|argument| argument.get_id().as_str());
        let values = ids.filter(|id| !PLACES.contains(id)).filter_map(|id| {
            // Absent without a default; or `--help`, which has no value.
            let texts = arguments.try_get_raw(id).ok()??.map(|value| value.to_string_lossy().into_owned());
            let mut values = texts.map(typed);
            Some((id.to_owned(), if values.len() == 1 { values.next()? } else { Value::Array(values.collect()) }))
        });
        values.collect()
    }
}

/// A number or truth value where the text is one.
fn typed(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(text),
    }
}

/// Is there somewhere to write `path`? Asked before a run, not after it.
pub fn check_place(path: Option<&PathBuf>) -> Result<()> {
    let Some(folder) = path.map(|path| path.parent().filter(|folder| !folder.as_os_str().is_empty())) else { return Ok(()) };
    ensure!(folder.is_none_or(Path::is_dir), "there is no folder for {path:?}");
    Ok(())
}

fn commit() -> Option<String> {
    let git = Command::new("git")
        .args(["describe", "--always", "--dirty", "--exclude=*", "--abbrev=12"])
        .stderr(Stdio::null())
        .output();
    let output = git.ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    #[derive(Args)]
    struct Some {
        #[arg(long, default_value_t = 100)]
        pairs: u64,
        #[arg(long)]
        rate: Option<f64>,
        #[arg(long)]
        name: Option<String>,
        #[arg(long)]
        folder: Option<PathBuf>,
        #[arg(long)]
        plain: bool,
    }

    #[test]
    fn options_are_recorded_with_their_defaults_and_without_places() {
        let command = Some::augment_args(clap::Command::new("some"));
        let matches = command.clone().get_matches_from(["some", "--rate", "0.5", "--name", "x", "--folder", "/somewhere"]);
        let some = Some::from_arg_matches(&matches).unwrap();
        assert_eq!((some.pairs, some.rate, some.name.as_deref(), some.plain), (100, Option::Some(0.5), Option::Some("x"), false));
        assert!(some.folder.is_some());
        let options = Value::Object(Record::options(&command, &matches));
        assert_eq!(options, serde_json::json!({"pairs": 100, "rate": 0.5, "name": "x", "plain": false}));
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let figures = Map::from_iter([("messages received a second".to_owned(), 12.5.into())]);
        let record = Record::new("pairs", Map::new(), figures);
        assert!(record.machine.cores > 0 && record.machine.memory_bytes > 0 && !record.machine.kernel.is_empty());
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record);
        check_place(Option::Some(&path)).unwrap();
        check_place(Option::Some(&folder.path().join("missing").join("run.json"))).unwrap_err();
        check_place(Option::Some(&PathBuf::from("run.json"))).unwrap();
    }
}
