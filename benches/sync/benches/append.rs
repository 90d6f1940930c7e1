//! A journal grows by a batch that has to be on the disk before it is answered. Sizes: a lone message, and the 215 events that go into
//! one sync under load. `BANTER_BENCH_FOLDER` names the folder whose disk is measured; the system's temporary folder when absent.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io::{Seek, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use io_uring::{IoUring, opcode, squeue, types};

/// Bytes of a batch.
const SIZES: [usize; 2] = [512, 64 << 10];
/// A journal begins anew after so much.
const JOURNAL: u64 = 64 << 20;

fn folder() -> tempfile::TempDir {
    match std::env::var_os("BANTER_BENCH_FOLDER").map(PathBuf::from) {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    }
    .expect("a folder for the journal")
}

/// A journal, and where its next batch goes.
struct Journal {
    file: File,
    end: u64,
}

impl Journal {
    fn new(folder: &tempfile::TempDir, flags: i32, allocated: bool) -> Journal {
        let path = folder.path().join("journal");
        let mut options = OpenOptions::new();
        let mut file = options.create(true).truncate(true).write(true).custom_flags(flags).open(path).expect("a journal");
        if allocated {
            // Written, not only reserved: a first write into reserved room changes the file's map of extents, which has to be synced.
            let zeros = vec![0; 1 << 20];
            for _ in 0..JOURNAL >> 20 {
                file.write_all(&zeros).expect("room on the disk");
            }
            file.sync_all().expect("a sync");
            file.rewind().expect("a seek");
        }
        Journal { file, end: 0 }
    }

    fn place(&mut self, bytes: usize) -> u64 {
        if self.end + bytes as u64 > JOURNAL {
            self.end = 0;
        }
        let place = self.end;
        self.end += bytes as u64;
        place
    }
}

fn append(criterion: &mut Criterion) {
    let folder = folder();
    for size in SIZES {
        let batch = vec![7_u8; size];
        let mut group = criterion.benchmark_group(format!("{size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        for (name, allocated) in [("write, fdatasync", false), ("write, fdatasync, file written before", true)] {
            let mut journal = Journal::new(&folder, 0, allocated);
            group.bench_function(name, |bencher| {
                bencher.iter(|| {
                    let place = journal.place(size);
                    journal.file.write_all_at(black_box(&batch), place).expect("a write");
                    journal.file.sync_data().expect("a sync");
                });
            });
        }
        let mut journal = Journal::new(&folder, libc::O_DSYNC, false);
        group.bench_function("O_DSYNC", |bencher| {
            bencher.iter(|| {
                let place = journal.place(size);
                journal.file.write_all_at(black_box(&batch), place).expect("a write");
            });
        });
        match IoUring::new(8) {
            Err(error) => eprintln!("no io_uring here: {error}"),
            Ok(mut ring) => {
                let mut journal = Journal::new(&folder, 0, false);
                group.bench_function("io_uring, write linked to fdatasync", |bencher| {
                    bencher.iter(|| linked(&mut ring, &mut journal, black_box(&batch)));
                });
            }
        }
        group.finish();
    }
}

/// One system call: writes, syncs, and waits for both.
fn linked(ring: &mut IoUring, journal: &mut Journal, batch: &[u8]) {
    let place = journal.place(batch.len());
    let file = types::Fd(journal.file.as_raw_fd());
    let write = opcode::Write::new(file, batch.as_ptr(), batch.len() as u32).offset(place).build();
    let sync = opcode::Fsync::new(file).flags(types::FsyncFlags::DATASYNC).build();
    // SAFETY: file and batch live until both entries are completed, which is waited for below.
    unsafe { ring.submission().push_multiple(&[write.flags(squeue::Flags::IO_LINK), sync]).expect("room for two entries") };
    ring.submit_and_wait(2).expect("two completions");
    let results: Vec<i32> = ring.completion().map(|entry| entry.result()).collect();
    assert_eq!(results, [batch.len() as i32, 0]);
}

criterion_group!(benches, append);
criterion_main!(benches);
