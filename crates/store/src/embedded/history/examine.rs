//! Looking over a history without opening it: opening makes the engine tidy up.

use std::fs;
use std::io;
use std::path::Path;

use super::journal::{self, State};
use super::tables::{META_NUMBER, damaged};
use crate::data_folder::Finding;

/// The engine's file that holds its version, and what it says for the one that is understood.
const ENGINE_VERSION: (&str, &[u8]) = ("version", b"FJL\x03");

/// Looks over the history at `path`, which is there. The journals are checked only when nobody is writing them (`unused`).
pub(crate) fn examine(path: &Path, unused: bool, findings: &mut Vec<Finding>) -> io::Result<()> {
    match fs::read(path.join(ENGINE_VERSION.0)) {
        Ok(version) if version == ENGINE_VERSION.1 => {
            findings.push(Finding::fine("the history is there, its engine's format is 3"))
        }
        Ok(_) => findings
            .push(Finding::fault("the history was written by another version of its engine: run the banter that wrote it")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            findings.push(Finding::fault(
                "the history is damaged, the file `version` is missing: restore the data folder from a backup",
            ));
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    check_owner(path, findings)?;
    findings.push(Finding::fine(
        "the history's tables are not checked: each block is checked when it is read, and damage is told then",
    ));
    if !unused {
        findings.push(Finding::fine(
            "the history's journals are being written and were not checked: stop the server to have them checked",
        ));
        return Ok(());
    }
    let journals = journal::check_all(path, META_NUMBER)?;
    for (file, state) in &journals {
        match state {
            State::Whole => {}
            State::Torn { .. } => findings.push(Finding::fine(
                "the history ends in the middle of a write that was never acknowledged: the server cuts it off when it starts",
            )),
            State::Damaged { at } => findings.push(Finding::fault(damaged(file, *at))),
        }
    }
    if journals.is_empty() {
        findings.push(Finding::fault("the history is damaged, it has no journal: restore the data folder from a backup"));
    } else {
        findings.push(Finding::fine(format!("{} of the history's journals were checked", journals.len())));
    }
    Ok(())
}

/// A server that was once run as another user (root, say) leaves files that it cannot write afterwards.
fn check_owner(path: &Path, findings: &mut Vec<Finding>) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let folder = fs::metadata(path)?.uid();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let owner = entry.metadata()?.uid();
        if owner != folder {
            findings.push(Finding::warning(format!(
                "{} belongs to user {owner}, the history to user {folder}: chown -R the data folder to the user that runs the server",
                entry.path().display()
            )));
            break;
        }
    }
    Ok(())
}
