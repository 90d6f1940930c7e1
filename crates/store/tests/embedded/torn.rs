//! A power cut in the middle of a write: the write is dropped whole, and nothing else.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use banter_model::{ConversationId, Event, GroupId, UserId};
use banter_store::behaviour::history::{head, message, row};
use banter_store::behaviour::{Random, seed};
use banter_store::data_folder::{DataFolder, Severity, examine};
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions, OpenError};
use banter_store::history::{Advance, Order, PageSize};
use banter_store::{History, HistoryBatch};

use crate::{open_with, options};

const GROUP: ConversationId = ConversationId::Group(GroupId(1));

/// What a power cut can leave of a write that was not synced.
#[derive(Debug, Clone, Copy)]
enum Damage {
    /// The file ends within it.
    Cut,
    /// The rest of it was never written, and reads as zeros.
    Zeros,
    /// A page within it was never written, and later ones were.
    Hole,
    /// A page within it holds what was there before: anything.
    Garbage,
}

const ALL: [Damage; 4] = [Damage::Cut, Damage::Zeros, Damage::Hole, Damage::Garbage];

fn event(position: u64, large: bool) -> Event {
    let mut random = Random::new(position);
    let length = if large { 60_000 } else { 1 + random.below(300) };
    message(position, &(0..length).map(|_| char::from(b'!' + random.below(90) as u8)).collect::<String>())
}

fn batch(position: u64, large: bool) -> HistoryBatch {
    HistoryBatch {
        partition: 3,
        position,
        events: vec![row(GROUP, position, event(position, large))],
        heads: vec![(GROUP, head(position))],
        ..HistoryBatch::default()
    }
}

/// No memtable becomes a table here: before it does, the engine syncs the journal, and then nothing of it can be torn.
fn open(folder: &Path) -> EmbeddedHistory {
    open_with(folder, HistoryOptions { memtable_bytes: 64 << 20, ..options() })
}

/// The journal that is written to.
fn journal(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder.join("history")).unwrap();
    let journals = entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "jnl"));
    journals.max_by_key(|path| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap()).unwrap()
}

/// Where what is written in a journal ends.
fn end(journal: &Path) -> u64 {
    let mut bytes = Vec::new();
    fs::File::open(journal).unwrap().read_to_end(&mut bytes).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1)
}

/// Damages what is written from `from` to `to`.
fn injure(journal: &Path, from: u64, to: u64, damage: Damage, random: &mut Random) {
    let mut file = OpenOptions::new().write(true).open(journal).unwrap();
    let at = from + random.below(to - from);
    let page = (at / 4_096 * 4_096).max(from)..(at / 4_096 * 4_096 + 4_096).min(to);
    let (from, bytes) = match damage {
        Damage::Cut => return file.set_len(at).unwrap(),
        Damage::Zeros => (at, vec![0; (to - at) as usize]),
        Damage::Hole => (page.start, vec![0; (page.end - page.start) as usize]),
        Damage::Garbage => (page.start, page.map(|_| random.below(256) as u8).collect()),
    };
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&bytes).unwrap();
}

async fn holds(folder: &Path, last: u64, large: bool) {
    let history = open(folder);
    assert_eq!(history.position(3).await.unwrap(), last);
    let size = PageSize { events: 1_000, bytes: usize::MAX };
    let events = history.events(GROUP, 1, u64::MAX, Order::OldestFirst, size).await.unwrap();
    assert!(events.into_iter().eq((1..=last).map(|position| event(position, large))), "not the events up to {last}");
    assert_eq!(history.heads(&[GROUP]).await.unwrap(), [Some(head(last))]);
    // And it goes on from there.
    history.commit(batch(last + 1, large)).await.unwrap();
    drop(history);
    let history = open(folder);
    assert_eq!(history.position(3).await.unwrap(), last + 1);
    assert_eq!(history.event(GROUP, last + 1).await.unwrap(), Some(event(last + 1, large)));
}

#[tokio::test]
async fn a_torn_write_is_dropped_whole() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    for (large, damage) in ALL.into_iter().flat_map(|damage| [(false, damage), (true, damage)]) {
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let last = 3 + random.below(10);
            let history = open(folder.path());
            for position in 1..last {
                history.commit(batch(position, large)).await.unwrap();
            }
            let journal = journal(folder.path());
            let synced = end(&journal);
            // Neither is synced when the power goes.
            let markers = random.below(3);
            for delivered in 1..=markers {
                history.advance(UserId(9), GROUP, Advance { delivered, ..Advance::default() }, delivered).await.unwrap();
            }
            history.commit(batch(last, large)).await.unwrap();
            drop(history);
            injure(&journal, synced, end(&journal), damage, &mut random);
            eprintln!("{damage:?}, large: {large}, {markers} markers before");
            holds(folder.path(), last - 1, large).await;
        }
    }
}

#[tokio::test]
async fn damage_to_what_was_acknowledged_is_refused() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    for damage in [Damage::Hole, Damage::Garbage] {
        for _ in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            let history = open(folder.path());
            for position in 1..=3 {
                history.commit(batch(position, false)).await.unwrap();
            }
            let journal = journal(folder.path());
            let from = end(&journal);
            history.commit(batch(4, false)).await.unwrap();
            let to = end(&journal);
            for position in 5..=8 {
                history.commit(batch(position, false)).await.unwrap();
            }
            drop(history);
            injure(&journal, from, to, damage, &mut random);
            let before = fs::read(&journal).unwrap();
            let findings = examine(folder.path(), 1);
            assert!(findings.iter().any(|finding| finding.severity == Severity::Fault), "{findings:?}");
            let opened = EmbeddedHistory::open(Arc::new(DataFolder::open(folder.path()).unwrap()), options());
            assert!(matches!(opened.err(), Some(OpenError::Damaged(_))), "{damage:?}");
            assert!(fs::read(&journal).unwrap() == before, "a damaged journal was changed");
        }
    }
}
