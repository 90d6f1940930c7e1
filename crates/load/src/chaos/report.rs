//! What a run prints, and what it keeps of a failure.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use banter_model::ConversationId;
use serde_json::{Map, Value, json};

use super::{Outcome, Run};
use crate::checker::{Entry, Record, Violation};

/// In the folder of a run with violations: what the devices of the conversations in question noted.
pub(super) const JOURNALS: &str = "journals.txt";

/// Violations printed whole.
const PRINTED: usize = 20;

impl Run {
    /// What was counted.
    pub(super) fn figures(&self, record: &Record) -> Map<String, Value> {
        let mut acknowledged = BTreeSet::new();
        for device in &record.devices {
            for entry in &device.journal {
                if let Entry::Acknowledged(stored) = entry {
                    acknowledged.insert((device.device, stored.conversation, stored.tag));
                }
            }
        }
        let lives: usize =
            record.devices.iter().map(|device| count(&device.journal, |entry| matches!(entry, Entry::Opened))).sum();
        let told: usize =
            record.devices.iter().map(|device| count(&device.journal, |entry| matches!(entry, Entry::Told(..)))).sum();
        let mut seen = BTreeSet::new();
        let events: usize = record.views.iter().filter(|view| seen.insert(view.conversation)).map(|view| view.events.len()).sum();
        let mut figures = json!({
            "devices": self.devices.len(),
            "conversations": seen.len(),
            "events in the logs": events,
            "commands acknowledged": acknowledged.len(),
            "events told to devices": told,
            "kills of the server": self.kills,
            "kills of devices": self.device_kills,
            "lives of devices": lives,
            "sessions over WebSocket": self.shared.websockets.load(Ordering::Relaxed),
            "sessions over long polling": self.shared.pollings.load(Ordering::Relaxed),
            "duplicates that the servers counted, at least": self.duplicates,
            "from start to first acknowledgement, ms, longest": self.to_first_answer.iter().max(),
        });
        if let (Some(proxy), Some(figures)) = (&self.proxy, figures.as_object_mut()) {
            let counts = proxy.counts();
            for (name, count) in [
                ("connections through the proxy", &counts.connections),
                ("connections cut", &counts.cut),
                ("connections stalled", &counts.stalled),
                ("connections delayed", &counts.delayed),
                ("connections duplicated", &counts.duplicated),
                ("connections half open", &counts.half_open),
                ("WebSocket upgrades refused", &counts.upgrades_refused),
            ] {
                figures.insert(name.to_owned(), count.load(Ordering::Relaxed).into());
            }
        }
        match figures {
            Value::Object(figures) => figures,
            _ => Map::new(),
        }
    }
}

/// What the devices noted of the conversations that something is wrong in.
pub(super) fn journals(record: &Record, violations: &[Violation]) -> String {
    let wrong: BTreeSet<ConversationId> = violations.iter().filter_map(|violation| violation.conversation).collect();
    let mut text: String = violations.iter().map(|violation| format!("{violation}\n")).collect();
    for device in &record.devices {
        text.push_str(&format!("\ndevice {} of user {}\n", device.device, device.user));
        // Which command got which tag is noted without the conversation.
        let concerns = |entry: &&Entry| entry.conversation().is_none_or(|conversation| wrong.contains(&conversation));
        text.extend(device.journal.iter().filter(concerns).map(|entry| format!("{entry:?}\n")));
    }
    text
}

fn count(journal: &[Entry], which: impl Fn(&Entry) -> bool) -> usize {
    journal.iter().filter(|entry| which(entry)).count()
}

/// Prints what is wrong.
pub(super) fn report(outcome: &Outcome) {
    for violation in outcome.violations.iter().take(PRINTED) {
        say(&violation.to_string());
    }
    if outcome.violations.len() > PRINTED {
        say(&format!("... and {} more", outcome.violations.len() - PRINTED));
    }
    if let Some(kept) = &outcome.kept {
        say(&format!("the logs, the devices' stores and {JOURNALS} are in {}", kept.display()));
    }
}

#[allow(clippy::print_stdout)]
/// Prints a line of a run.
pub(super) fn say(line: &str) {
    println!("{line}");
}
