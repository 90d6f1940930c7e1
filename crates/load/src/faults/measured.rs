//! What a fault did to the people: how long nothing was acknowledged, how long nothing arrived.

use serde_json::{Value, json};

use super::probes::Tried;
use crate::checker::Entry;
use crate::journalled::device::Device;
use crate::journalled::times::{What, longest_pause};

/// A device that got nothing for so long counts as one that noticed, in milliseconds. Devices do something about twice a second.
const NOTICED_MS: u64 = 3_000;

/// When a fault was, in milliseconds from the beginning of the run.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    /// It began.
    pub began: u64,
    /// It was ended: what had been killed answered again, what had been stopped went on.
    pub ended: u64,
    /// Every device was acknowledged and told something again, or it was waited for in vain.
    pub back: Option<u64>,
    /// The end of what is looked at.
    pub until: u64,
}

/// What one kind of news did meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Paused {
    /// The longest time in which no device got any, in milliseconds.
    pub all_ms: u64,
    /// From the beginning of the fault to the end of that time, in milliseconds.
    pub all_over_after_ms: u64,
    /// The longest time in which one of the devices got none, in milliseconds.
    pub one_ms: u64,
    /// Devices that got none for more than three seconds.
    pub noticed: usize,
}

/// What a fault did.
#[derive(Debug, Clone)]
pub struct Measured {
    /// The fault's name.
    pub name: String,
    /// When it was.
    pub span: Span,
    /// The longest that a command waited for its acknowledgement, in milliseconds.
    pub slowest_ms: u64,
    /// What that command was, where it waited for long.
    pub slowest: Option<String>,
    /// Acknowledgements.
    pub sending: Paused,
    /// Events told to devices.
    pub receiving: Paused,
    /// Commands that were refused for good, as far as the devices know.
    pub refused: Vec<String>,
    /// What was tried meanwhile.
    pub tried: Tried,
}

/// The pauses of `devices` in one kind of news.
pub fn paused(devices: &[Device], what: What, span: Span) -> Paused {
    let Span { began, until, .. } = span;
    let each: Vec<Vec<u64>> = devices.iter().map(|device| device.life.times.between(what, began, until)).collect();
    let lengths = || each.iter().map(|times| longest_pause(times, began, until).length());
    let mut all: Vec<u64> = each.iter().flatten().copied().collect();
    all.sort_unstable();
    let of_all = longest_pause(&all, began, until);
    Paused {
        all_ms: of_all.length(),
        all_over_after_ms: of_all.to - began,
        one_ms: lengths().max().unwrap_or(0),
        noticed: lengths().filter(|length| *length > NOTICED_MS).count(),
    }
}

/// The longest that a command of `devices` waited that was acknowledged meanwhile.
pub fn slowest(devices: &[Device], span: Span) -> (u64, Option<String>) {
    devices.iter().map(|device| device.life.times.longest_wait(span.began, span.until)).max().unwrap_or_default()
}

/// The codes with which commands were refused since the journals had these `lengths`.
pub fn refused(devices: &[Device], lengths: &[usize]) -> Vec<String> {
    let mut codes = Vec::new();
    for (device, length) in devices.iter().zip(lengths) {
        for entry in device.life.journal.lock().iter().skip(*length) {
            match entry {
                Entry::Refused { code, .. } => codes.push(code.clone()),
                Entry::NotAccepted { why, .. } => codes.push(format!("not accepted: {why}")),
                Entry::Ended(why) => codes.push(format!("the client gave up: {why}")),
                _ => {}
            }
        }
    }
    codes.sort_unstable();
    codes.dedup();
    codes
}

impl Measured {
    /// As figures.
    pub fn figures(&self) -> Value {
        let paused = |paused: &Paused| {
            json!({
                "nobody for, ms": paused.all_ms,
                "over after, ms": paused.all_over_after_ms,
                "one device for, ms": paused.one_ms,
                "devices over 3 s": paused.noticed,
            })
        };
        json!({
            "lasted, ms": self.span.ended - self.span.began,
            "all back after its end, ms": self.span.back.map(|back| back.saturating_sub(self.span.ended)),
            "slowest acknowledgement, ms": self.slowest_ms,
            "slowest": self.slowest,
            "sending": paused(&self.sending),
            "receiving": paused(&self.receiving),
            "refused": self.refused,
            "reading": self.tried.reading.figures(),
            "login": self.tried.login.figures(),
            "session": self.tried.session.figures(),
        })
    }

    /// A line of the table.
    pub fn line(&self) -> String {
        let seconds = |ms: u64| format!("{:.1}", ms as f64 / 1_000.0);
        let paused = |paused: &Paused| {
            format!(
                "{:>6} {:>6} {:>6} {:>4}",
                seconds(paused.all_ms),
                seconds(paused.all_over_after_ms),
                seconds(paused.one_ms),
                paused.noticed
            )
        };
        format!(
            "{:<18} {:>6} {:>7} | {} | {} | {:>6} | {:>12} | {:>12} | {:>12} | {}",
            self.name,
            seconds(self.span.ended - self.span.began),
            seconds(self.slowest_ms),
            paused(&self.sending),
            paused(&self.receiving),
            self.span.back.map_or("never".to_owned(), |back| seconds(back.saturating_sub(self.span.ended))),
            self.tried.reading.summary(),
            self.tried.login.summary(),
            self.tried.session.summary(),
            self.refused.join(", "),
        )
    }
}

/// The head of the table. Times in seconds: for how long the fault lasted; the longest that a command waited for its
/// acknowledgement; for sending and for receiving the longest time in which no device
/// got anything, when that was over, the longest time of one device, and how many had more than three; how long after its end the last was back.
pub fn head() -> String {
    let paused = format!("{:>6} {:>6} {:>6} {:>4}", "nobody", "over", "one", ">3s");
    format!(
        "{:<18} {:>6} {:>7} | {paused} | {paused} | {:>6} | {:>12} | {:>12} | {:>12} | refused\n{:<33} | {:<25} | {:<25} |",
        "fault", "lasted", "slowest", "back", "reading", "login", "session", "", "sending", "receiving"
    )
}
