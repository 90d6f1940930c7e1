//! Counts and checksums of what was moved, the same in whatever order it comes.

use std::collections::BTreeMap;

use banter_store::history::movable::HistoryRecord;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::MoveError;
use crate::record::{Kind, Record};

/// How many records of a kind there are, and their checksum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// The sum, modulo 2^128, of the first 128 bits of the SHA-256 of each one's line. A sum, so that order is nothing; and not
    /// an exclusive or, in which two that are the same would vanish.
    #[serde(serialize_with = "to_hex", deserialize_with = "of_hex")]
    pub checksum: u128,
}

/// One tally for each kind of which there is any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies {
    kinds: BTreeMap<Kind, Tally>,
    /// The events that there are by the heads of the conversations.
    heads: u64,
}

impl Tallies {
    /// Counts a record, of which `line` is the line.
    pub fn add(&mut self, record: &Record, line: &str) {
        let hash = Sha256::digest(line.as_bytes());
        let first = hash.iter().take(16).fold(0, |number: u128, byte| number << 8 | u128::from(*byte));
        let tally = self.kinds.entry(record.kind()).or_default();
        tally.count += 1;
        tally.checksum = tally.checksum.wrapping_add(first);
        if let Record::History(HistoryRecord::Conversation(conversation)) = record {
            self.heads = self.heads.saturating_add(conversation.head.seq);
        }
    }

    /// Counts records.
    pub fn add_all(&mut self, records: &[Record]) {
        records.iter().for_each(|record| self.add(record, &record.line()));
    }

    /// That of a kind.
    pub fn of(&self, kind: Kind) -> Tally {
        self.kinds.get(&kind).copied().unwrap_or_default()
    }

    /// Each kind of which there is any.
    pub fn kinds(&self) -> impl Iterator<Item = (Kind, Tally)> + '_ {
        self.kinds.iter().map(|(kind, tally)| (*kind, *tally))
    }

    /// How many records there are in all.
    pub fn count(&self) -> u64 {
        self.kinds.values().map(|tally| tally.count).sum()
    }

    /// The kinds in which `other` is different.
    pub fn differences(&self, other: &BTreeMap<Kind, Tally>) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.kinds.keys().chain(other.keys()).copied().collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds.retain(|kind| self.of(*kind) != other.get(kind).copied().unwrap_or_default());
        kinds
    }

    /// The same by kind: what the end of an export says.
    pub fn by_kind(&self) -> &BTreeMap<Kind, Tally> {
        &self.kinds
    }

    /// Are the logs without a gap? Then they have as many events as their heads say.
    ///
    /// # Errors
    /// When they have not.
    pub fn check_logs(&self) -> Result<(), MoveError> {
        let (heads, events) = (self.heads, self.of(Kind::Event).count);
        if heads == events { Ok(()) } else { Err(MoveError::Gaps { heads, events }) }
    }
}

fn to_hex<S: Serializer>(checksum: &u128, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format!("{checksum:032x}"))
}

fn of_hex<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let text = String::deserialize(deserializer)?;
    u128::from_str_radix(&text, 16).map_err(|_| de::Error::custom("a checksum is 32 hexadecimal digits"))
}
