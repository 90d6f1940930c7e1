//! What a fleet for 50 million daily users would be made of: computed from the files of runs, not by hand.

pub mod assumptions;
pub mod figures;
pub mod model;
mod report;
mod table;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde_json::{Map, Value};

use figures::Figures;

/// Computes the capacity document from the figures of runs.
#[derive(Args, Clone, Debug)]
pub struct Capacity {
    /// Where the files of the runs are: pairs.json, idle.json, groups.json, history.json, storm.json.
    #[arg(long, default_value = "docs/figures")]
    figures: PathBuf,
    /// The document to write; standard output gets a summary in any case.
    #[arg(long)]
    write: Option<PathBuf>,
}

impl Capacity {
    /// Computes, writes, and returns the counts of nodes.
    pub fn run(&self) -> Result<Map<String, Value>> {
        let figures = Figures::read(&self.figures)?;
        if let Some(path) = &self.write {
            fs::write(path, document(&figures)).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        Ok(report::summary(&figures))
    }
}

/// The document, in Markdown.
pub fn document(figures: &Figures) -> String {
    report::document(figures)
}
