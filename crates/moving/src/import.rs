//! In from a file.

use std::path::Path;

use banter_store::directory::movable::RECORDS_AT_ONCE;
use sha2::{Digest, Sha256};

use crate::lines::{Line, Lines};
use crate::record::{Record, hex};
use crate::tally::Tallies;
use crate::target::{Reached, Target};
use crate::{Installation, MoveError, News, Tell};

/// Bytes of lines that are put in at once, about.
const BYTES_AT_ONCE: u64 = 1 << 20;

/// Moves everything in the export at `path` into `to`, which is empty or was being filled from the same file when that was killed. The
/// file is read whole and checked before anything is written. Returns what was moved. Blocks its thread while it reads the file.
///
/// # Errors
/// When it did not come to its end; calling it again goes on.
pub async fn import(path: &Path, to: &Installation, tell: Tell<'_>) -> Result<Tallies, MoveError> {
    tell(News::Said(format!("Checks {}.", path.display())));
    let sent = check(path, tell)?;
    let mut lines = Lines::open(path)?;
    let (_, header) = lines.header()?;
    let (mut target, reached) = Target::begin(to, hex(&Sha256::digest(header))).await?;
    let arrived = match reached {
        Some(Reached::Records(records)) => {
            tell(News::Said(format!("Goes on with the import that did not end, after {records} records.")));
            records
        }
        _ => 0,
    };
    let mut moved = Tallies::default();
    let (mut part, mut begins) = (Vec::new(), lines.bytes());
    let mut count = 0;
    while let Some(Line::Record(record)) = lines.next()? {
        count += 1;
        moved.add(&record, lines.text());
        if count <= arrived {
            begins = lines.bytes();
            continue;
        }
        part.push(*record);
        if part.len() == RECORDS_AT_ONCE || lines.bytes() - begins >= BYTES_AT_ONCE {
            begins = lines.bytes();
            target.put(std::mem::take(&mut part), Reached::Records(count)).await?;
            tell(News::Moved(&moved));
        }
    }
    target.put(part, Reached::Records(count)).await?;
    tell(News::Said("Reads the target, to compare.".to_owned()));
    target.finish(&sent, tell).await?;
    Ok(sent)
}

/// Reads the whole file: what it holds, if it is whole and as it was written.
fn check(path: &Path, tell: Tell<'_>) -> Result<Tallies, MoveError> {
    let mut lines = Lines::open(path)?;
    lines.header()?;
    let mut tallies = Tallies::default();
    loop {
        match lines.next()? {
            Some(Line::Record(record)) => {
                if matches!(*record, Record::Installation(_)) != (tallies.count() == 0) {
                    let reason = "the installation itself is the first record, and is there once".to_owned();
                    return Err(MoveError::NotAnExport { path: path.to_owned(), reason });
                }
                tallies.add(&record, lines.text());
                if tallies.count().is_multiple_of(RECORDS_AT_ONCE as u64) {
                    tell(News::Compared(&tallies));
                }
            }
            Some(Line::End(end)) => {
                let kinds = tallies.differences(&end.end);
                if !kinds.is_empty() {
                    return Err(MoveError::Damaged { path: path.to_owned(), kinds });
                }
                tallies.check_logs()?;
                return Ok(tallies);
            }
            None => return Err(MoveError::CutOff { path: path.to_owned() }),
        }
    }
}
