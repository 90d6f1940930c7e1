//! The file of an export: a header, a line for each record, and an end with counts and checksums.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use banter_model::Millis;
use serde::{Deserialize, Serialize};

use crate::record::{Kind, Record};
use crate::tally::Tally;
use crate::{FORMAT, MoveError};

/// Longest line that is read, in bytes. The longest that is written is the head of a conversation in which very many devices wrote, or
/// a text of 100,000 characters that are all escaped: about a megabyte.
const LONGEST: u64 = 16 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub banter_export: About,
}

/// What the first line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct About {
    /// Version of the format.
    pub format: u32,
    /// When the export began.
    pub created_at: Millis,
    /// What the source was.
    pub source: String,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub end: BTreeMap<Kind, Tally>,
}

/// A line after the first.
#[derive(Debug)]
pub(crate) enum Line {
    Record(Box<Record>),
    End(End),
}

/// Reads an export line by line.
pub(crate) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    /// The line as it stands, without its end.
    text: Vec<u8>,
    /// Lines read.
    number: u64,
    /// Bytes of them.
    bytes: u64,
}

impl Lines {
    /// Opens the file.
    pub fn open(path: &Path) -> Result<Lines, MoveError> {
        let file = File::open(path).map_err(MoveError::file(path))?;
        Ok(Lines { path: path.to_owned(), file: BufReader::with_capacity(1 << 20, file), text: Vec::new(), number: 0, bytes: 0 })
    }

    /// Reads the first line: what it says, and the line itself.
    pub fn header(&mut self) -> Result<(Header, String), MoveError> {
        let path = self.path.clone();
        let not = |reason: String| MoveError::NotAnExport { path: path.clone(), reason };
        let Some(text) = self.next_text()? else { return Err(not("it has no whole first line".to_owned())) };
        let header: Header = serde_json::from_str(text).map_err(|error| not(error.to_string()))?;
        let text = text.to_owned();
        match header.banter_export.format {
            FORMAT => Ok((header, text)),
            found if found > FORMAT => Err(MoveError::NewerFormat { path: self.path.clone(), found }),
            found => Err(not(format!("there is no format {found}"))),
        }
    }

    /// Reads a line; `None` at the end of the file, also when that is in the middle of a line.
    pub fn next(&mut self) -> Result<Option<Line>, MoveError> {
        let Some(text) = self.next_text()? else { return Ok(None) };
        let line = if text.starts_with(r#"{"end":"#) {
            serde_json::from_str(text).map(Line::End)
        } else {
            serde_json::from_str(text).map(|record| Line::Record(Box::new(record)))
        };
        line.map(Some).map_err(|error| self.wrong(error.to_string()))
    }

    /// The line that was read last, without its end.
    pub fn text(&self) -> &str {
        // Checked when it was read.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Bytes of the lines read.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn next_text(&mut self) -> Result<Option<&str>, MoveError> {
        self.text.clear();
        let read = (&mut self.file).take(LONGEST).read_until(b'\n', &mut self.text);
        let read = read.map_err(MoveError::file(&self.path))? as u64;
        if self.text.pop() != Some(b'\n') {
            return if read == LONGEST { Err(self.wrong(format!("it is longer than {LONGEST} bytes"))) } else { Ok(None) };
        }
        self.number += 1;
        self.bytes += read;
        match std::str::from_utf8(&self.text) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(self.wrong("it is not UTF-8".to_owned())),
        }
    }

    fn wrong(&self, reason: String) -> MoveError {
        MoveError::Line { path: self.path.clone(), number: self.number, reason }
    }
}
