//! Threads with descriptor tables of their own.

use std::ops::Range;
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::sched::{CloneFlags, unshare};

/// Descriptors of a table that are not for connections: what the process had open when the thread began, and its epoll.
const BESIDES: u64 = 500;
/// Connections that one thread holds at most, where the limit is 20,000 descriptors.
pub const PER_TABLE: u64 = 19_000;

/// Shares `count` connections out evenly over as few threads as hold them, `descriptors` for each of them and at most `most` connections a
/// thread: which ones each thread has.
pub fn share(count: u64, descriptors: u64, most: u64) -> Vec<Range<u64>> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let each = (limit.saturating_sub(BESIDES).min(PER_TABLE) / descriptors.max(1)).min(most).max(1);
    let threads = count.div_ceil(each);
    (0..threads).map(|thread| count * thread / threads..count * (thread + 1) / threads).collect()
}

/// Starts a thread that does `work` with a descriptor table of its own.
///
/// `work` must bring no descriptors along, nor anything that holds some: what another thread opens, closes or opens anew after this is
/// not the same here. Those that were open when it began stay open until the thread ends.
pub fn start<T: Send + 'static>(
    name: String,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<JoinHandle<Result<T>>> {
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        unshare(CloneFlags::CLONE_FILES).context("no descriptor table of its own for a thread")?;
        work()
    });
    Ok(thread?)
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn connections_are_shared_out_evenly_and_whole() {
        let shares = share(100_003, 2, 5_000);
        assert_eq!(shares.first().map(|share| share.start), Some(0));
        assert_eq!(shares.last().map(|share| share.end), Some(100_003));
        assert!(shares.windows(2).all(|pair| pair[0].end == pair[1].start));
        let sizes: Vec<u64> = shares.iter().map(|share| share.end - share.start).collect();
        assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{sizes:?}");
        assert!(sizes.iter().all(|size| *size <= 5_000));
        assert_eq!(share(0, 1, PER_TABLE), []);
    }

    #[test]
    fn each_thread_has_a_table_of_its_own() {
        let (told, numbers) = mpsc::channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let told = told.clone();
                start("table".into(), move || {
                    let held = (0..50).map(|_| Ok(std::fs::File::open("/proc/self/status")?)).collect::<Result<Vec<_>>>()?;
                    told.send(held.iter().map(AsRawFd::as_raw_fd).max())?;
                    let links = std::fs::read_dir("/proc/thread-self/fd")?.count();
                    Ok(links)
                })
                .unwrap()
            })
            .collect();
        drop(told);
        assert_eq!(numbers.iter().count(), 2);
        let counts: Vec<usize> = threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect();
        assert!(counts.iter().all(|count| *count >= 50), "{counts:?}");
        // Nothing of it is seen here.
        let here = std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
        assert!(here < 50, "{here} descriptors");
    }
}
