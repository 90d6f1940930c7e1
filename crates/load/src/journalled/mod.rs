//! Devices under test that keep a journal: people with clients of the SDK, who write, edit, react and read, and the end of a run, in
//! which everything settles and is put together for the [checker](crate::checker). [`chaos`](crate::chaos) and
//! [`faults`](crate::faults) are runs of them.

pub mod device;
pub mod people;
pub mod settle;
pub mod times;
pub mod writer;

use std::collections::BTreeSet;

use crate::checker::{Entry, Record, Violation};

/// In the folder of a run with violations: what the devices of the conversations in question noted.
pub const JOURNALS: &str = "journals.txt";

/// Violations printed whole.
const PRINTED: usize = 20;

/// Prints what is wrong.
pub fn print_violations(violations: &[Violation]) {
    for violation in violations.iter().take(PRINTED) {
        say(&violation.to_string());
    }
    if violations.len() > PRINTED {
        say(&format!("... and {} more", violations.len() - PRINTED));
    }
}

/// What the devices noted of the conversations that something is wrong in.
pub fn journals(record: &Record, violations: &[Violation]) -> String {
    let wrong: BTreeSet<_> = violations.iter().filter_map(|violation| violation.conversation).collect();
    let mut text: String = violations.iter().map(|violation| format!("{violation}\n")).collect();
    for device in &record.devices {
        text.push_str(&format!("\ndevice {} of user {}\n", device.device, device.user));
        // Which command got which tag is noted without the conversation.
        let concerns = |entry: &&Entry| entry.conversation().is_none_or(|conversation| wrong.contains(&conversation));
        text.extend(device.journal.iter().filter(concerns).map(|entry| format!("{entry:?}\n")));
    }
    text
}

/// Commands that were acknowledged, each once.
pub fn acknowledged(record: &Record) -> usize {
    let mut acknowledged = BTreeSet::new();
    for device in &record.devices {
        for entry in &device.journal {
            if let Entry::Acknowledged(stored) = entry {
                acknowledged.insert((device.device, stored.conversation, stored.tag));
            }
        }
    }
    acknowledged.len()
}

/// Entries of all journals that `which` is true for.
pub fn entries(record: &Record, which: impl Fn(&Entry) -> bool) -> usize {
    record.devices.iter().flat_map(|device| &device.journal).filter(|entry| which(entry)).count()
}

/// Prints a line of a run.
#[allow(clippy::print_stdout)]
pub fn say(line: &str) {
    println!("{line}");
}
