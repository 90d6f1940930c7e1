//! Reads pages and tells what they took.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use banter_model::Seq;
use banter_store::History;
use banter_store::embedded::history::EmbeddedHistory;
use banter_store::history::{Order, PageSize};
use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use super::disk::{Files, Reading};
use super::plan::{Plan, Planned};
use crate::process;

/// Messages on a page.
const PAGE: usize = 50;

/// Where pages are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the end of a conversation, as when it is opened.
    Newest,
    /// Anywhere: each message of the history is as likely to be the first on the page.
    Random,
}

/// Pages to be read.
pub struct Pages<'a> {
    /// From here.
    pub history: &'a EmbeddedHistory,
    /// What is in it.
    pub plan: &'a Plan,
    /// The process that reads: this one.
    pub folder: &'a Path,
    /// How many.
    pub count: usize,
    /// What the places are drawn from.
    pub seed: u64,
}

impl Pages<'_> {
    /// Reads pages, each after taking `forget` out of the page cache if there is one.
    pub async fn read(&self, place: Place, forget: Option<&Files>) -> Result<Value> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let long: Vec<&Planned> = self.plan.conversations.iter().filter(|planned| planned.messages >= PAGE as u64).collect();
        ensure!(!long.is_empty(), "no conversation has {PAGE} messages");
        // Where each begins in the row of all their messages.
        let mut all = 0;
        let starts: Vec<u64> = long
            .iter()
            .map(|planned| {
                all += planned.messages;
                all - planned.messages
            })
            .collect();
        let mut times = Histogram::new(3)?;
        let (mut events, pid) = (0, std::process::id());
        let before = Reading::of(pid, self.folder)?;
        for _ in 0..self.count {
            let (planned, first) = match place {
                Place::Newest => {
                    let planned = long[random.random_range(0..long.len())];
                    (planned, planned.messages - PAGE as u64 + 1)
                }
                Place::Random => {
                    let message = random.random_range(0..all);
                    let planned = long[starts.partition_point(|start| *start <= message) - 1];
                    (planned, random.random_range(1..=planned.messages - PAGE as u64 + 1))
                }
            };
            if let Some(files) = forget {
                files.forget()?;
            }
            let last: Seq = first + PAGE as u64 - 1;
            let size = PageSize { events: PAGE, bytes: PageSize::LARGEST.bytes };
            let begun = Instant::now();
            let page = self.history.events(planned.id, first, last, Order::NewestFirst, size).await?;
            times.record(process::micros(begun.elapsed()))?;
            ensure!(page.len() == PAGE, "{} holds {} of the {PAGE} events from {first} on", planned.id, page.len());
            events += page.len();
        }
        let read = Reading::of(pid, self.folder)?.since(before);
        let per_page = |count: u64| count as f64 / self.count as f64;
        Ok(json!({
            "pages": self.count, "events a page": events / self.count.max(1),
            "ms": process::quantiles(&times),
            "read calls a page": per_page(read.calls),
            "KiB from the disk a page": per_page(read.bytes) / 1024.0,
            "reads of the whole device a page": read.device.map(per_page),
        }))
    }
}
