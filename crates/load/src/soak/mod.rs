//! Hours of mixed traffic: does memory grow, do times, is everything there at the end?

mod plot;

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};

use self::plot::{Sample, draw};
use crate::groups::meter::Reading;
use crate::mixed::interval::Interval;
use crate::mixed::{Load, times};
use crate::{Common, process};

/// Mixed traffic for hours, sampled all the while. At 500 messages a second if no rate is given. Fails when a log is not as it should
/// be at the end.
#[derive(Args, Clone, Debug)]
pub struct Soak {
    #[command(flatten)]
    load: Load,
    /// How long, in minutes.
    #[arg(long, default_value_t = 240.0)]
    minutes: f64,
    /// Seconds from one sample to the next.
    #[arg(long, default_value_t = 10.0)]
    interval: f64,
    /// Where to write `soak.jsonl`, a JSON object for each sample, and `soak.svg`, memory and times as a plot. Made if it is missing.
    #[arg(long, default_value = ".")]
    output: PathBuf,
}

impl Soak {
    /// Runs it.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.interval > 0.0 && self.minutes * 60.0 >= self.interval, "at least one sample is taken");
        fs::create_dir_all(&self.output).with_context(|| self.output.display().to_string())?;
        let (lines, plot) = (self.output.join("soak.jsonl"), self.output.join("soak.svg"));
        let mut lines_file = File::create(&lines).with_context(|| lines.display().to_string())?;
        let load = self.load.clone().with_rate(500.0);
        let running = load.begin(common, Duration::from_secs_f64(self.minutes * 60.0)).await?;
        let mut all = Interval::new()?;
        let mut samples = Vec::new();
        tokio::time::sleep_until(running.start.into()).await;
        let first = Reading::take(&running.server).await?;
        let mut before = Reading::take(&running.server).await?;
        for number in 1_u32.. {
            let at = (running.start + Duration::from_secs_f64(self.interval * f64::from(number))).min(running.until);
            tokio::time::sleep_until(at.into()).await;
            let interval = Interval::take(&running.interval)?;
            let after = Reading::take(&running.server).await?;
            let stretch = before.until(&after);
            let (resident, anonymous) = process::resident(running.server.pid())?;
            let minutes = (Instant::now() - running.start).as_secs_f64() / 60.0;
            let sample = Sample::new(minutes, resident, anonymous, &interval);
            let mut line = times(&interval);
            line.insert("minutes".to_owned(), json!(minutes));
            line.insert("memory, bytes".to_owned(), json!(resident));
            line.insert("anonymous memory, bytes".to_owned(), json!(anonymous));
            line.insert("seconds".to_owned(), json!(stretch.seconds()));
            line.insert("messages".to_owned(), json!(stretch.change("banter_events_total")));
            line.insert("deliveries".to_owned(), json!(interval.receipts.len()));
            line.insert("pages".to_owned(), json!(interval.reads.len()));
            line.insert("processors used by the server".to_owned(), json!(stretch.server_processors()));
            writeln!(lines_file, "{}", Value::Object(line))?;
            all.add(&interval)?;
            samples.push(sample);
            // As it goes, so that one that is stopped early has its plot too.
            draw(&plot, &samples)?;
            before = after;
            if at == running.until {
                break;
            }
        }
        let stretch = first.until(&before);
        let (messages, seconds) = (stretch.change("banter_events_total"), stretch.seconds());
        let last = running.finish(&load).await?;
        all.add(&last.interval)?;
        ensure!(last.faults.is_empty(), "the logs are not as they should be: {}", last.faults.join("; "));
        let mut figures = times(&all);
        figures.insert("minutes".to_owned(), json!(seconds / 60.0));
        figures.insert("messages stored".to_owned(), json!(messages));
        figures.insert("receipts".to_owned(), json!(all.receipts.len()));
        figures.insert("pages read".to_owned(), json!(all.reads.len()));
        figures.insert("samples".to_owned(), json!(samples.len()));
        figures.insert("memory, MiB".to_owned(), plot::memory_figures(&samples));
        figures.insert("written to".to_owned(), json!([lines, plot]));
        figures.extend(last.figures);
        Ok(figures)
    }
}
