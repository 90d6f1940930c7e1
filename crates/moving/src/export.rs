//! Out into a file.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use banter_model::Millis;

use crate::lines::{About, End, Header, Line, Lines};
use crate::reader::{Place, Reader, fingerprint};
use crate::tally::Tallies;
use crate::{FORMAT, Installation, MoveError, News, Tell};

/// Writes everything of `from` into the file at `path` (readable for this user only: it holds password hashes, the secret key and every
/// message). Until it is whole it is called `path` with `.part` after it; one that is there already from an export of the same state that
/// was killed is gone on with. Returns what was written. `from` is only read. Blocks its thread while it writes.
///
/// # Errors
/// When it did not come to its end; calling it again goes on.
pub async fn export(from: &Installation, path: &Path, now: Millis, tell: Tell<'_>) -> Result<Tallies, MoveError> {
    let failed = |source| MoveError::File { path: path.to_owned(), source };
    if path.try_exists().map_err(failed)? {
        return Err(MoveError::Exists { path: path.to_owned() });
    }
    let unfinished = unfinished(path);
    let source = fingerprint(from).await?;
    let begun = begun(&unfinished, &source)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&unfinished)
        .map_err(MoveError::file(&unfinished))?;
    let Begun { mut tallies, place, bytes } = match begun {
        Some(begun) => {
            tell(News::Said(format!("Goes on with the export that did not end, after {} records.", begun.tallies.count())));
            begun
        }
        None => Begun { tallies: Tallies::default(), place: Place::Beginning, bytes: 0 },
    };
    file.set_len(bytes).and_then(|()| file.seek(SeekFrom::Start(bytes))).map_err(failed)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    if bytes == 0 {
        let header = Header { banter_export: About { format: FORMAT, created_at: now, source } };
        write_line(&mut writer, &to_line(&header)).map_err(failed)?;
    }
    let mut reader = Reader::new(from, place);
    loop {
        let part = reader.next().await?;
        if part.is_empty() {
            break;
        }
        for record in &part {
            let line = record.line();
            write_line(&mut writer, &line).map_err(failed)?;
            tallies.add(record, &line);
        }
        tell(News::Moved(&tallies));
    }
    tallies.check_logs()?;
    write_line(&mut writer, &to_line(&End { end: tallies.by_kind().clone() })).map_err(failed)?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().and_then(|()| fs::rename(&unfinished, path)).map_err(failed)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(tallies)
}

/// The name of an export at `path` until it is whole.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

/// What an export that was killed has left.
struct Begun {
    tallies: Tallies,
    place: Place,
    /// How many bytes of it are good.
    bytes: u64,
}

/// Reads what is there of an export of `source`; `None` when it is to begin anew.
fn begun(path: &Path, source: &str) -> Result<Option<Begun>, MoveError> {
    if !path.try_exists().map_err(MoveError::file(path))? {
        return Ok(None);
    }
    let mut lines = Lines::open(path)?;
    match lines.header() {
        Ok((header, _)) if header.banter_export.source == source => {}
        // Of another state, or cut off in its first line.
        Ok(_) | Err(MoveError::NotAnExport { .. } | MoveError::NewerFormat { .. } | MoveError::Line { .. }) => return Ok(None),
        Err(error) => return Err(error),
    }
    let mut begun = Begun { tallies: Tallies::default(), place: Place::Beginning, bytes: lines.bytes() };
    loop {
        match lines.next() {
            Ok(Some(Line::Record(record))) => {
                begun.tallies.add(&record, lines.text());
                begun.place = Place::after(&record);
                begun.bytes = lines.bytes();
            }
            // The end is written again. What cannot be read is where a power cut left something else than was written.
            Ok(Some(Line::End(_)) | None) | Err(MoveError::Line { .. }) => return Ok(Some(begun)),
            Err(error) => return Err(error),
        }
    }
}

fn write_line(writer: &mut impl Write, line: &str) -> std::io::Result<()> {
    writer.write_all(line.as_bytes())?;
    writer.write_all(b"\n")
}

fn to_line(value: &impl serde::Serialize) -> String {
    // It fails for maps whose keys are no text, and there are none.
    serde_json::to_string(value).expect("header and end are JSON")
}
