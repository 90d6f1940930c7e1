//! The file that says what a folder is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sync_folder;

/// Version of the folder's layout that is written, and the newest that is understood.
pub const FORMAT: u32 = 1;

/// Its name.
pub(super) const FORMAT_FILE: &str = "format";
/// Its name until it is whole.
pub(super) const FORMAT_FILE_NEW: &str = "format.new";
/// Its first line.
pub(super) const TITLE: &str = "banter data folder";
/// The line which says that all parts were there.
const COMPLETE: &str = "complete";

/// What a file named `format` is.
pub(super) enum Format {
    /// Ours.
    Known(FormatFile),
    /// Somebody else's file of that name.
    Foreign,
}

/// What the folder's own `format` file says.
#[derive(Clone, Copy)]
pub(super) struct FormatFile {
    /// The version of the layout.
    pub version: u32,
    /// All parts were there once.
    pub complete: bool,
}

/// Reads the format file of the folder `path`; `None` if it has none.
pub(super) fn read_format(path: &Path) -> io::Result<Option<Format>> {
    let mut text = String::new();
    match File::open(path.join(FORMAT_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        // A file that is not text is not ours: reading it as text then gives no version.
        file => file?.take(1_000).read_to_string(&mut text).or_else(|error| match error.kind() {
            io::ErrorKind::InvalidData => Ok(0),
            _ => Err(error),
        })?,
    };
    let mut lines = text.strip_prefix(TITLE).unwrap_or_default().trim_start().lines();
    let version = lines.next().and_then(|line| line.strip_prefix("format ")?.trim().parse().ok());
    let complete = lines.any(|line| line == COMPLETE);
    Ok(Some(version.map_or(Format::Foreign, |version| Format::Known(FormatFile { version, complete }))))
}

/// Written whole under another name first, so that a crash never leaves half a file under the right one.
pub(super) fn write_format(path: &Path, complete: bool) -> io::Result<()> {
    let new = path.join(FORMAT_FILE_NEW);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    writeln!(file, "{TITLE}\nformat {FORMAT}")?;
    if complete {
        writeln!(file, "{COMPLETE}")?;
    }
    file.sync_all()?;
    fs::rename(new, path.join(FORMAT_FILE))?;
    sync_folder(path)
}
