//! A full disk: writes are refused, reads go on, and nothing that was acknowledged is lost.
//!
//! On a small file system in memory, which takes root to mount; without it the tests say so and end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use banter_model::{ConversationId, GroupId, UserId};
use banter_store::behaviour::Random;
use banter_store::behaviour::history::{message, row};
use banter_store::data_folder::{DataFolder, DataFolderError, Severity, examine};
use banter_store::embedded::history::{HistoryOptions, WriteState};
use banter_store::history::Advance;
use banter_store::{History, HistoryBatch, StoreError};

use crate::{open_with, options};

const GROUP: ConversationId = ConversationId::Group(GroupId(1));

/// A mounted file system; unmounted when dropped.
struct Mount {
    base: tempfile::TempDir,
}

impl Mount {
    /// `None`, after saying why, where it cannot be mounted.
    fn new(mib: u64) -> Option<Mount> {
        let base = tempfile::tempdir().unwrap();
        let size = format!("size={mib}m");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(base.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Some(Mount { base }),
            Ok(output) => {
                eprintln!("skipped, a tmpfs cannot be mounted: {}", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                eprintln!("skipped, mount cannot be run: {error}");
                None
            }
        }
    }

    fn folder(&self) -> PathBuf {
        self.base.path().join("data")
    }

    /// A file that takes room.
    fn ballast(&self) -> PathBuf {
        self.base.path().join("ballast")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failed test may still have files open.
        let _ = Command::new("umount").arg("-l").arg(self.base.path()).status();
    }
}

fn text(position: u64) -> String {
    let mut random = Random::new(position);
    (0..50_000).map(|_| char::from(b'!' + random.below(90) as u8)).collect()
}

fn batch(position: u64) -> HistoryBatch {
    let events = vec![row(GROUP, position, message(position, &text(position)))];
    HistoryBatch { partition: 3, position, events, ..HistoryBatch::default() }
}

async fn holds(history: &impl History, last: u64) {
    assert_eq!(history.position(3).await.unwrap(), last);
    for position in 1..=last {
        assert!(history.event(GROUP, position).await.unwrap() == Some(message(position, &text(position))), "event {position}");
    }
}

fn always_checked(reserve_bytes: u64) -> HistoryOptions {
    HistoryOptions { reserve_bytes, space_checked_every: Duration::ZERO, ..options() }
}

fn fill(path: &Path, mib: usize) {
    std::fs::write(path, vec![1; mib << 20]).unwrap();
}

#[tokio::test]
async fn a_read_only_file_system_is_named_as_such() {
    let Some(mount) = Mount::new(16) else { return };
    drop(DataFolder::open(mount.folder()).unwrap());
    assert!(Command::new("mount").args(["-o", "remount,ro"]).arg(mount.base.path()).status().unwrap().success());
    let error = DataFolder::open(mount.folder()).unwrap_err();
    assert!(matches!(error, DataFolderError::NotWritable { .. }), "unexpected: {error}");
    let error = DataFolder::open(mount.base.path().join("other")).unwrap_err();
    assert!(matches!(error, DataFolderError::NotWritable { .. }), "unexpected: {error}");
    let findings = examine(&mount.folder(), 1);
    assert!(findings.iter().any(|finding| finding.severity == Severity::Fault), "{findings:?}");
}

#[tokio::test]
async fn below_the_reserve_nothing_is_written_until_there_is_room_again() {
    let Some(mount) = Mount::new(64) else { return };
    let history = open_with(&mount.folder(), always_checked(16 << 20));
    history.commit(batch(1)).await.unwrap();
    fill(&mount.ballast(), 52);
    let advance = Advance { delivered: 1, ..Advance::default() };
    for _ in 0..3 {
        assert!(matches!(history.commit(batch(2)).await, Err(StoreError::Full)));
        assert!(matches!(history.advance(UserId(9), GROUP, advance, 1).await, Err(StoreError::Full)));
        holds(&history, 1).await;
    }
    assert_eq!(history.write_state(), WriteState::Full);
    std::fs::remove_file(mount.ballast()).unwrap();
    history.commit(batch(2)).await.unwrap();
    assert_eq!(history.write_state(), WriteState::Writing);
    holds(&history, 2).await;
}

#[tokio::test]
async fn when_the_engine_itself_runs_out_of_room_nothing_acknowledged_is_lost() {
    let Some(mount) = Mount::new(48) else { return };
    let history = open_with(&mount.folder(), always_checked(0));
    let mut last = 0;
    let error = loop {
        match history.commit(batch(last + 1)).await {
            Ok(()) => last += 1,
            Err(error) => break error,
        }
        assert!(last < 10_000, "a file system of 48 MiB took 500 MB");
    };
    assert!(matches!(error, StoreError::Full | StoreError::ReadOnly(_)), "unexpected: {error}");
    // Reading goes on, and no write is taken any more, room or not.
    holds(&history, last).await;
    assert!(matches!(history.commit(batch(last + 1)).await, Err(StoreError::ReadOnly(_))));
    assert!(matches!(history.write_state(), WriteState::Failed(_)));
    drop(history);

    assert!(Command::new("mount").args(["-o", "remount,size=256m"]).arg(mount.base.path()).status().unwrap().success());
    let history = open_with(&mount.folder(), always_checked(0));
    let position = history.position(3).await.unwrap();
    assert!(position == last || position == last + 1, "{last} acknowledged, {position} there");
    holds(&history, position).await;
    history.commit(batch(position + 1)).await.unwrap();
    holds(&history, position + 1).await;
}
