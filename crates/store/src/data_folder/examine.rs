//! Looking over a data folder without changing it, for `banter doctor`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::{
    FORMAT, Format, FormatFile, IDS, LOCK_FILE, directory, foreign_entry, free_space, history, lock_holder, missing_parts,
    process, read_format, secret_key,
};
use crate::embedded::history::examine as examine_history;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be.
    Fine,
    /// A server runs, but somebody should look at it.
    Warning,
    /// A server does not start, or does not take messages.
    Fault,
}

/// Something that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was found and, if it is not fine, what to do.
    pub text: String,
}

impl Finding {
    /// It is as it should be.
    pub(crate) fn fine(text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Fine, text: text.into() }
    }

    /// Somebody should look at it.
    pub(crate) fn warning(text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, text: text.into() }
    }

    /// It has to be mended.
    pub(crate) fn fault(text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Fault, text: text.into() }
    }
}

/// Looks over the data folder at `path`; `reserve` is the free space in bytes below which a server takes no messages
/// ([`HistoryOptions::reserve_bytes`](crate::embedded::history::HistoryOptions::reserve_bytes)). Findings come in the order in which they were looked at.
///
/// It creates nothing and changes no file. The engines are not opened, for that alone would make them tidy up: the
/// history's journals are read and checked, and only when no server is running (a running one is writing them). The lock is
/// held meanwhile, so that no server starts in the middle.
pub fn examine(path: &Path, reserve: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Err(error) = look(path, reserve, &mut findings) {
        findings.push(Finding::fault(format!(
            "{} cannot be read: {error}. Run this as the user that runs the server",
            path.display()
        )));
    }
    findings
}

fn look(path: &Path, reserve: u64, findings: &mut Vec<Finding>) -> io::Result<()> {
    let meta = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.push(Finding::warning(format!(
                "there is no data folder at {}: the server creates it when it starts",
                path.display()
            )));
            return Ok(());
        }
        meta => meta?,
    };
    if !meta.is_dir() {
        findings.push(Finding::fault(format!("{} is not a folder: move the file away or give another path", path.display())));
        return Ok(());
    }
    // Nothing is advised for a folder that is somebody else's.
    let Some(file) = format(path, findings)? else { return Ok(()) };
    private(path, &meta, findings);
    space(path, reserve, findings)?;
    // Held until the end.
    let user = user(path, findings)?;
    parts(path, file.complete, !matches!(user, User::Server), findings)
}

/// Who may read it, and whose it is.
fn private(path: &Path, meta: &fs::Metadata, findings: &mut Vec<Finding>) {
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        findings.push(Finding::warning(format!(
            "others on this machine can get into the data folder (mode {mode:03o}): chmod 700 {}",
            path.display()
        )));
    }
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        findings.push(Finding::warning(format!(
            "the data folder belongs to user {}, and this is user {me}: what is said about access may differ for the server",
            meta.uid()
        )));
    }
    if let Err(error) = rustix::fs::access(path, rustix::fs::Access::WRITE_OK) {
        findings.push(Finding::fault(format!("the data folder is not writable for this user: {}", io::Error::from(error))));
    }
}

/// What its format file says, if it is a data folder that this program can look into.
fn format(path: &Path, findings: &mut Vec<Finding>) -> io::Result<Option<FormatFile>> {
    let shown = path.display();
    let finding = match read_format(path)? {
        Some(Format::Known(file)) => {
            findings.push(Finding::fine(format!("the data folder is {shown}")));
            let version = file.version;
            let finding = match version {
                FORMAT => Finding::fine(format!("its format is {FORMAT}, which is current")),
                0..FORMAT => Finding::fine(format!("its format is {version}; the server brings it to {FORMAT} when it starts")),
                _ => Finding::fault(format!(
                    "its format is {version}, and this program knows formats up to {FORMAT}: run the banter that wrote it, or a newer one"
                )),
            };
            let readable = finding.severity == Severity::Fine;
            findings.push(finding);
            return Ok(readable.then_some(file));
        }
        Some(Format::Foreign) => {
            Finding::fault(format!("the file `format` in {shown} is not banter's: this is not a data folder, give another path"))
        }
        None => match foreign_entry(path)? {
            Some(found) => Finding::fault(format!("{shown} is not a data folder, and not empty ({found}): give another path")),
            None => Finding::warning(format!("{shown} is empty: the server sets it up when it starts")),
        },
    };
    findings.push(finding);
    Ok(None)
}

fn space(path: &Path, reserve: u64, findings: &mut Vec<Finding>) -> io::Result<()> {
    let free = free_space(path)?;
    let (free_mib, reserve_mib) = (free >> 20, reserve >> 20);
    findings.push(if free < reserve {
        Finding::fault(format!(
            "{free_mib} MiB are free and {reserve_mib} MiB are kept in reserve: no messages are taken until there is more room"
        ))
    } else if free < reserve.saturating_mul(4) {
        Finding::warning(format!(
            "{free_mib} MiB are free; below {reserve_mib} MiB no messages are taken: make room or get a larger disk soon"
        ))
    } else {
        Finding::fine(format!("{free_mib} MiB are free"))
    });
    Ok(())
}

/// Who uses the folder now.
enum User {
    /// A server.
    Server,
    /// This, if there is a lock to hold.
    Us(#[expect(dead_code, reason = "it is held, not read")] Option<File>),
}

fn user(path: &Path, findings: &mut Vec<Finding>) -> io::Result<User> {
    let mut file = match File::open(path.join(LOCK_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.push(Finding::warning("its lock file is missing: the server makes a new one when it starts"));
            return Ok(User::Us(None));
        }
        file => file?,
    };
    match file.try_lock() {
        Ok(()) => {
            findings.push(Finding::fine("no server is using it now"));
            Ok(User::Us(Some(file)))
        }
        Err(TryLockError::WouldBlock) => {
            let holder = process(lock_holder(&mut file));
            findings.push(Finding::fine(format!("a server is using it now{holder}")));
            Ok(User::Server)
        }
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn parts(path: &Path, complete: bool, unused: bool, findings: &mut Vec<Finding>) -> io::Result<()> {
    let missing = missing_parts(path)?;
    if complete {
        findings.extend(
            missing
                .iter()
                .map(|part| Finding::fault(format!("{part} was there and is gone: restore the whole data folder from a backup"))),
        );
        if !path.join(IDS).try_exists()? {
            findings.push(Finding::warning(
                "the file `ids` is gone, and the server makes a new one when it starts: before that, see that this machine's clock \
                 was not set back, or ids of messages and users might repeat",
            ));
        }
    } else if !missing.is_empty() {
        findings.push(Finding::warning(format!(
            "no server has started here up to the end, so {} not there yet: the server makes what is missing when it starts",
            missing.join(" and ") + if missing.len() == 1 { " is" } else { " are" }
        )));
    }
    if history(path).try_exists()? {
        examine_history(&history(path), unused, findings)?;
    }
    match fs::metadata(directory(path)) {
        Ok(meta) => findings.push(Finding::fine(format!("the directory of people is there ({} KiB)", meta.len() >> 10))),
        // Told above.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    match fs::metadata(secret_key(path)) {
        Ok(meta) if meta.permissions().mode() & 0o077 != 0 => findings.push(Finding::fault(format!(
            "others on this machine can read the key that tokens are signed with: chmod 600 {}, and sign everybody out if somebody may have read it",
            secret_key(path).display()
        ))),
        Ok(_) => findings.push(Finding::fine("the key that tokens are signed with is there")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_folder::DataFolder;

    fn faults(path: &Path) -> Vec<String> {
        let faults = examine(path, 0).into_iter().filter(|finding| finding.severity == Severity::Fault);
        faults.map(|finding| finding.text).collect()
    }

    #[test]
    fn what_was_lost_is_a_fault_and_what_was_never_there_is_not() {
        let base = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(base.path()).unwrap();
        assert_eq!(faults(base.path()), [""; 0]);
        fs::write(folder.directory(), "").unwrap();
        fs::write(folder.secret_key(), "").unwrap();
        fs::set_permissions(folder.secret_key(), fs::Permissions::from_mode(0o600)).unwrap();
        fs::create_dir(folder.history()).unwrap();
        folder.mark_complete().unwrap();
        fs::remove_dir(folder.history()).unwrap();
        let found = examine(base.path(), 0);
        let text = |severity| found.iter().filter(move |finding| finding.severity == severity).map(|finding| &finding.text);
        assert!(text(Severity::Fault).any(|text| text.starts_with("history was there and is gone")), "{found:?}");
        assert_eq!(text(Severity::Fault).count(), 1, "{found:?}");
        assert!(text(Severity::Warning).any(|text| text.starts_with("the file `ids` is gone")), "{found:?}");
    }

    #[test]
    fn nothing_is_advised_for_somebody_elses_folder() {
        let base = tempfile::tempdir().unwrap();
        fs::write(base.path().join("passwd"), "").unwrap();
        fs::set_permissions(base.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let found = examine(base.path(), 0);
        assert!(found.iter().all(|finding| !finding.text.contains("chmod")), "{found:?}");
        assert_eq!(faults(base.path()).len(), 1, "{found:?}");
    }
}
