//! What a run counts and prints.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use serde_json::{Map, Value, json};

use super::{Outcome, Run};
use crate::checker::{Entry, Record};
use crate::journalled::{JOURNALS, acknowledged, entries, print_violations, say};

impl Run {
    /// What was counted.
    pub(super) fn figures(&self, record: &Record) -> Map<String, Value> {
        let mut seen = BTreeSet::new();
        let events: usize = record.views.iter().filter(|view| seen.insert(view.conversation)).map(|view| view.events.len()).sum();
        let mut figures = json!({
            "devices": self.people.devices.len(),
            "conversations": seen.len(),
            "events in the logs": events,
            "commands acknowledged": acknowledged(record),
            "events told to devices": entries(record, |entry| matches!(entry, Entry::Told(..))),
            "kills of the server": self.kills,
            "kills of devices": self.device_kills,
            "lives of devices": entries(record, |entry| matches!(entry, Entry::Opened)),
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

/// Prints what is wrong.
pub(super) fn report(outcome: &Outcome) {
    print_violations(&outcome.violations);
    if let Some(kept) = &outcome.kept {
        say(&format!("the logs, the devices' stores and {JOURNALS} are in {}", kept.display()));
    }
}
