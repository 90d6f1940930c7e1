//! Which embedded LSM engine for the history: fjall or RocksDB. See docs/decisions/0001-history-engine.md for what it found and how to run it.

mod commit;
mod crash;
mod data;
mod engine;
#[cfg(feature = "fjall")]
mod fjall_store;
mod history;
mod probe;
#[cfg(feature = "rocksdb")]
mod rocksdb_store;

use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use engine::{Compression, Engine, Settings, Sync};

const USAGE: &str = "usage: banter-bench-lsm <commit|load|pages|footprint|crash|tear> --engine <fjall|rocksdb> --path <folder>
  all:        --block <KiB, 16> --compression <none|lz4|zstd> --cache <MiB, 64> --memtable <MiB, 16> --journal <MiB, 128>
  commit:     --sync <data|all> --sizes <1,16,256,1024> --writers <1> --seconds <5>
  load:       --messages <10000000> --settle <yes|no>
  pages:      --messages <as loaded> --pages <3000>
  footprint:  --cold <no|yes>
  crash:      --rounds <30>
  tear:       --rounds <20>";

/// The options of the command line, by name.
struct Arguments(HashMap<String, String>);

impl Arguments {
    fn read(words: impl Iterator<Item = String>) -> Result<Self> {
        let words: Vec<String> = words.collect();
        let mut found = HashMap::new();
        for pair in words.chunks(2) {
            let [name, value] = pair else { bail!("{} has no value", pair[0]) };
            found.insert(name.strip_prefix("--").with_context(|| format!("what is {name}?"))?.to_owned(), value.clone());
        }
        Ok(Self(found))
    }

    fn text<'a>(&'a self, name: &str, otherwise: &'a str) -> &'a str {
        self.0.get(name).map_or(otherwise, String::as_str)
    }

    fn number<T: FromStr>(&self, name: &str, otherwise: T) -> Result<T> {
        self.0.get(name).map_or(Ok(otherwise), |text| text.parse().map_err(|_| anyhow!("--{name}: not a number: {text}")))
    }

    fn engine(&self) -> Result<Engine> {
        match self.text("engine", "") {
            "fjall" => Ok(Engine::Fjall),
            "rocksdb" => Ok(Engine::Rocksdb),
            other => bail!("no engine {other:?}"),
        }
    }

    fn settings(&self) -> Result<Settings> {
        let base = Settings::at(self.0.get("path").context("--path is missing")?);
        Ok(Settings {
            block_kib: self.number("block", base.block_kib)?,
            cache_mib: self.number("cache", base.cache_mib)?,
            memtable_mib: self.number("memtable", base.memtable_mib)?,
            journal_mib: self.number("journal", base.journal_mib)?,
            compression: match self.text("compression", "lz4") {
                "none" => Compression::None,
                "lz4" => Compression::Lz4,
                "zstd" => Compression::Zstd,
                other => bail!("no compression {other:?}"),
            },
            sync: match self.text("sync", "data") {
                "data" => Sync::Data,
                "all" => Sync::All,
                other => bail!("no sync {other:?}"),
            },
            ..base
        })
    }
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let command = words.next().context(USAGE)?;
    let arguments = Arguments::read(words).context(USAGE)?;
    let engine = arguments.engine().context(USAGE)?;
    let settings = arguments.settings().context(USAGE)?;
    let messages = arguments.number("messages", 10_000_000)?;
    match command.as_str() {
        "commit" => {
            let sizes = arguments.text("sizes", "1,16,256,1024").split(',').map(str::parse).collect::<Result<Vec<usize>, _>>()?;
            let time = Duration::from_secs(arguments.number("seconds", 5)?);
            commit::run(engine, &settings, &sizes, arguments.number("writers", 1)?, time)
        }
        "load" => {
            let settle = arguments.text("settle", "yes") == "yes";
            history::load(engine, &Settings { sync: Sync::Buffer, ..settings }, messages, settle)
        }
        "pages" => history::pages(engine, &settings, messages, arguments.number("pages", 3000)?),
        "footprint" => history::footprint(engine, &settings, arguments.text("cold", "no") == "yes"),
        "crash" => crash::run(engine, &settings, arguments.number("rounds", 30)?),
        "tear" => crash::tear(engine, &settings, arguments.number("rounds", 20)?),
        "crash-child" => crash::child(engine, &settings),
        other => bail!("no command {other}\n{USAGE}"),
    }
}
