//! Checking the engine's journals before the engine reads them.
//!
//! A power cut can leave the last, unsynced write in any shape: cut off, or with pages missing in its middle. The engine
//! drops it in the first case, and refuses to open in the second. Damage *before* the last synced write is no torn write
//! but a broken disk; there the engine may drop in silence everything that follows. So the journals are read here first:
//! a torn tail is cut off (a copy stays beside the journal), and damage that touches acknowledged writes is refused.
//!
//! The two are told apart by how [`super::committer`] writes: a commit is synced before anything is written after it.
//! What was not synced is thus at most some writes that carry only read markers, and one commit as the very last. (A text
//! cannot pass for a batch in the search for what follows: it holds no control characters, and a batch begins with one.)
//!
//! The form of a journal (fjall 3): batches of `1, items u32, seqno u64`, then the items (`2, ...` or `4, keyspace u64`),
//! then `3, checksum of the items (XXH3) u64, "FJL" 3`; little-endian; zeros after the last.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: &[u8] = b"FJL\x03";
/// The shortest batch without items: a start and an end.
const SHORTEST: usize = 13 + 13;

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Whole batches, then nothing.
    Whole,
    /// Whole batches up to `good`, then what is left of writes that were never acknowledged.
    Torn {
        /// Where the first damaged batch begins.
        good: usize,
    },
    /// Acknowledged writes are damaged.
    Damaged {
        /// Where the first damaged batch begins.
        at: usize,
    },
}

/// A whole batch.
struct Batch {
    /// Where it ends.
    end: usize,
    /// Does it touch the keyspace that every commit touches?
    commit: bool,
}

/// Checks the journals in `folder`, from the newest, which is written to, to the oldest. `commit_keyspace` is the number of
/// the keyspace that every commit touches.
pub(super) fn check_all(folder: &Path, commit_keyspace: u64) -> io::Result<Vec<(PathBuf, State)>> {
    let mut checked = Vec::new();
    // A journal is synced before the next one is begun, so what is in a later one vouches for all of an earlier one.
    let mut followed = false;
    for path in journals(folder)?.into_iter().rev() {
        let bytes = read(&path)?;
        let state = check(&bytes, commit_keyspace, followed);
        followed |= batch(&bytes, 0, commit_keyspace).is_some() || state != State::Whole;
        checked.push((path, state));
    }
    Ok(checked)
}

/// The journals in `folder`, in the order in which they were written.
fn journals(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
        if let (Some(number), Some("jnl")) = (number, path.extension().and_then(|extension| extension.to_str())) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// The bytes of a journal, without what was never written: the engine makes it 64 MiB long at once, most of it a hole.
fn read(journal: &Path) -> io::Result<Vec<u8>> {
    use rustix::fs::{SeekFrom, seek};
    let mut file = File::open(journal)?;
    let mut end = 0;
    // Where the file system knows no holes, all of it is data up to the end.
    while let Ok(data) = seek(&file, SeekFrom::Data(end)) {
        end = seek(&file, SeekFrom::Hole(data))?;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(end).unwrap_or(0));
    file.rewind()?;
    file.take(end).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Checks the bytes of a journal. `followed` says that something was written to a later one.
fn check(bytes: &[u8], commit_keyspace: u64, followed: bool) -> State {
    let mut at = 0;
    while let Some(batch) = batch(bytes, at, commit_keyspace) {
        at = batch.end;
    }
    if bytes[at..].iter().all(|byte| *byte == 0) {
        State::Whole
    } else if followed || synced_after(bytes, at, commit_keyspace) {
        State::Damaged { at }
    } else {
        State::Torn { good: at }
    }
}

/// Cuts a torn tail off, after copying it to a file `<journal>.torn`, and syncs that. Returns how long the tail was.
pub(super) fn cut(journal: &Path, good: usize) -> io::Result<usize> {
    let bytes = read(journal)?;
    let tail = &bytes[good..bytes.iter().rposition(|byte| *byte != 0).map_or(good, |last| last + 1)];
    let mut copy = journal.as_os_str().to_owned();
    copy.push(".torn");
    fs::write(&copy, tail)?;
    let file = OpenOptions::new().write(true).open(journal)?;
    file.set_len(good as u64)?;
    file.sync_all()?;
    Ok(tail.len())
}

/// Is there a commit after `at` that something follows? It was synced before that was written, and so was all before it.
fn synced_after(bytes: &[u8], at: usize, commit_keyspace: u64) -> bool {
    let mut commit_seen = false;
    let mut at = at + 1;
    while at + SHORTEST <= bytes.len() {
        match batch(bytes, at, commit_keyspace) {
            Some(_) if commit_seen => return true,
            Some(batch) => {
                commit_seen = batch.commit;
                at = batch.end;
            }
            None => at += 1,
        }
    }
    false
}

/// The whole batch that begins at `at`, if one does.
fn batch(bytes: &[u8], at: usize, commit_keyspace: u64) -> Option<Batch> {
    let mut reader = Reader { bytes, at };
    if reader.byte()? != START {
        return None;
    }
    let items = reader.number(4)?;
    reader.number(8)?;
    let from = reader.at;
    let mut commit = false;
    for _ in 0..items {
        commit |= reader.item()? == commit_keyspace;
    }
    let checksum = xxh3_64(&bytes[from..reader.at]);
    let whole = reader.byte()? == END && reader.number(8)? == checksum && reader.take(TRAILER.len() as u64)? == TRAILER;
    whole.then_some(Batch { end: reader.at, commit })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let end = self.at.checked_add(usize::try_from(length).ok()?)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A little-endian number of at most 8 bytes.
    fn number(&mut self, length: u64) -> Option<u64> {
        Some(self.take(length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// Passes over an item, returns its keyspace.
    fn item(&mut self) -> Option<u64> {
        match self.byte()? {
            ITEM => {
                self.byte()?;
                self.byte()?;
                let keyspace = self.number(8)?;
                let key = self.number(2)?;
                self.number(4)?;
                let value = self.number(4)?;
                self.take(key + value)?;
                Some(keyspace)
            }
            CLEAR => self.number(8),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMITS: u64 = 1;

    fn batch_of(keyspace: u64, value: &[u8]) -> Vec<u8> {
        let mut items = vec![ITEM, 0, 0];
        items.extend(keyspace.to_le_bytes());
        items.extend(3_u16.to_le_bytes());
        items.extend((value.len() as u32).to_le_bytes());
        items.extend((value.len() as u32).to_le_bytes());
        items.extend(b"key");
        items.extend(value);
        let mut bytes = vec![START, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        bytes.extend(&items);
        bytes.push(END);
        bytes.extend(xxh3_64(&items).to_le_bytes());
        bytes.extend(TRAILER);
        bytes
    }

    /// A journal of these batches, and where each begins.
    fn journal(batches: &[Vec<u8>]) -> (Vec<u8>, Vec<usize>) {
        let mut bytes = Vec::new();
        let starts = batches
            .iter()
            .map(|batch| {
                let start = bytes.len();
                bytes.extend(batch);
                start
            })
            .collect();
        bytes.extend([0; 100]);
        (bytes, starts)
    }

    #[test]
    fn whole_journals() {
        assert_eq!(check(&[], COMMITS, false), State::Whole);
        assert_eq!(check(&[0; 64], COMMITS, false), State::Whole);
        let (bytes, _) = journal(&[batch_of(1, b"one"), batch_of(2, b"two"), batch_of(1, b"three")]);
        assert_eq!(check(&bytes, COMMITS, false), State::Whole);
        assert_eq!(check(&bytes, COMMITS, true), State::Whole);
    }

    #[test]
    fn a_damaged_last_commit_is_torn_and_an_earlier_one_is_lost_data() {
        let (whole, starts) = journal(&[batch_of(1, b"first"), batch_of(1, b"second"), batch_of(1, b"third")]);
        for damaged in 0..3 {
            let mut bytes = whole.clone();
            bytes[starts[damaged] + 40] ^= 1;
            // With one commit after it, that one may never have been synced; with two, the first of them was.
            let expected = if damaged == 0 { State::Damaged { at: 0 } } else { State::Torn { good: starts[damaged] } };
            assert_eq!(check(&bytes, COMMITS, false), expected);
            assert_eq!(check(&bytes, COMMITS, true), State::Damaged { at: starts[damaged] });
        }
    }

    #[test]
    fn a_failed_write_at_the_end_of_a_journal_is_torn_unless_something_follows_in_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let (whole, starts) = journal(&[batch_of(1, b"first"), batch_of(1, b"second")]);
        let (oldest, older, newest) = (folder.path().join("9.jnl"), folder.path().join("10.jnl"), folder.path().join("11.jnl"));
        fs::write(&oldest, &whole).unwrap();
        fs::write(&older, &whole[..starts[1] + 40]).unwrap();
        fs::write(&newest, [0; 64]).unwrap();
        let torn = State::Torn { good: starts[1] };
        let checked = check_all(folder.path(), COMMITS).unwrap();
        assert_eq!(checked, [(newest.clone(), State::Whole), (older.clone(), torn), (oldest.clone(), State::Whole)]);
        assert_eq!(cut(&older, starts[1]).unwrap(), 40);
        assert!(check_all(folder.path(), COMMITS).unwrap().iter().all(|(_, state)| *state == State::Whole));

        fs::write(&older, &whole[..starts[1] + 40]).unwrap();
        fs::write(&newest, batch_of(5, b"marker")).unwrap();
        assert_eq!(check_all(folder.path(), COMMITS).unwrap()[1], (older, State::Damaged { at: starts[1] }));
    }

    #[test]
    fn unsynced_read_markers_before_the_last_commit_may_be_torn_with_it() {
        let (mut bytes, starts) =
            journal(&[batch_of(1, b"synced"), batch_of(5, b"marker"), batch_of(5, b"marker"), batch_of(1, b"torn?")]);
        bytes[starts[1] + 40] ^= 1;
        assert_eq!(check(&bytes, COMMITS, false), State::Torn { good: starts[1] });
    }

    #[test]
    fn cut_off_at_any_byte_only_the_last_batch_goes() {
        let (bytes, starts) = journal(&[batch_of(1, b"first"), batch_of(1, b"second")]);
        for end in starts[1] + 1..starts[1] + batch_of(1, b"second").len() {
            assert_eq!(check(&bytes[..end], COMMITS, false), State::Torn { good: starts[1] });
            let mut zeroed = bytes.clone();
            zeroed[end..].fill(0);
            assert_eq!(check(&zeroed, COMMITS, false), State::Torn { good: starts[1] });
        }
    }
}
