//! Threads that hold sessions, each with a descriptor table of its own.
//!
//! A system limits the open descriptors of one table (RLIMIT_NOFILE), and every session is one. On Linux a table belongs to the
//! threads that share it, so a thread that stops sharing (`unshare`, CLONE_FILES) opens as many again: this is how one process
//! holds a million sessions where the limit is 20,000.
//!
//! A connection begins on the main runtime, and moves to a shard when its session stands. On a shard runs what reads, takes and
//! writes the frames of its sessions, and nothing else: a descriptor is a number that means another file in another table. So
//! nothing that was opened elsewhere is used or dropped here, and all that has to wait for a store or a timer of others runs on the
//! main runtime. Only what was open before the shards started, the runtimes' own descriptors among them, is the
//! same everywhere: they start before the server opens anything.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::SigSet;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::io::Interest;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::{Mutex, mpsc};

use crate::gateway::Gateway;
use crate::gateway::intake::Waiting;
use crate::gateway::session::Session;
use crate::gateway::socket::SocketTask;

/// Sessions on their way to one shard.
const ARRIVALS: usize = 256;
/// Descriptors of a table that are not for sessions: what was open before, and connections that linger after their end.
const DESCRIPTORS_BESIDES: usize = 1_000;
/// Which part of the main table is for HTTP connections: they can never take what the stores and the sessions there need.
const HTTP_PART: usize = 4;

/// The shards of this process; perhaps none.
pub struct Shards {
    shards: Vec<Shard>,
    threads: parking_lot::Mutex<Vec<JoinHandle<()>>>,
    /// How many sessions each may hold.
    room: usize,
    main: Handle,
}

struct Shard {
    held: Arc<AtomicUsize>,
    /// Its thread has ended.
    closed: Arc<AtomicBool>,
    /// `None` once the shard is told to stop.
    door: Mutex<Option<Door>>,
}

/// The way into a shard: descriptors go through the socket and what belongs to them through the queue, in the same order.
struct Door {
    socket: UnixStream,
    arrivals: mpsc::Sender<Arrival>,
}

/// What moves to a shard along with a connection.
pub(super) struct Arrival {
    pub(super) gateway: Arc<Gateway>,
    pub(super) session: Arc<Session>,
    /// Read already and not yet decoded.
    pub(super) rest: Vec<u8>,
    pub(super) waiting: Option<Waiting>,
    /// Given by the shard.
    pub(super) place: Option<Place>,
}

/// A session's place in a shard, given back when it is dropped.
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// How many shards `sessions` need when a table holds `descriptors`: none when the main one has room for them.
pub fn needed(sessions: usize, descriptors: usize) -> usize {
    if sessions <= main_room(descriptors) { 0 } else { sessions.div_ceil(shard_room(descriptors)) }
}

/// How many HTTP connections the main table has room for, when it holds `descriptors`.
pub fn http_room(descriptors: usize) -> usize {
    (descriptors / HTTP_PART).max(1)
}

/// How many sessions the main table has room for, when it holds `descriptors`.
pub fn main_room(descriptors: usize) -> usize {
    shard_room(descriptors).saturating_sub(http_room(descriptors)).max(1)
}

/// How many sessions the table of a shard has room for, when it holds `descriptors`.
fn shard_room(descriptors: usize) -> usize {
    (descriptors - DESCRIPTORS_BESIDES.min(descriptors / 4)).max(1)
}

impl Shards {
    /// Starts `count` shards of which each may open `descriptors`. To be called on the main runtime, before anything is opened that is
    /// to be closed again while they run.
    ///
    /// # Errors
    /// When a thread, a runtime or a table of its own cannot be had.
    pub fn start(count: usize, descriptors: usize) -> io::Result<Self> {
        let mut shards = Vec::new();
        let mut ends = Vec::new();
        for _ in 0..count {
            let (ours, theirs) = StdUnixStream::pair()?;
            ours.set_nonblocking(true)?;
            theirs.set_nonblocking(true)?;
            let (arrivals, arriving) = mpsc::channel(ARRIVALS);
            let held = Arc::new(AtomicUsize::new(0));
            let door = Mutex::new(Some(Door { socket: UnixStream::from_std(ours)?, arrivals }));
            let closed = Closed(Arc::default());
            shards.push(Shard { held, closed: closed.0.clone(), door });
            ends.push((Builder::new_current_thread().enable_all().build()?, theirs, arriving, closed));
        }
        // All runtimes are made, and their descriptors known to this table, before the first thread takes its copy: threads wake
        // each other by writing to these.
        let mut threads = Vec::new();
        let mut started = Vec::new();
        for (number, (runtime, socket, arriving, closed)) in ends.into_iter().enumerate() {
            let (tell, told) = std::sync::mpsc::channel();
            let thread = std::thread::Builder::new().name(format!("shard-{number}"));
            threads.push(thread.spawn(move || {
                let _closed = closed;
                let separate = separate();
                let ready = separate.is_ok();
                // The starter waits for it.
                let _ = tell.send(separate);
                if ready {
                    run(&runtime, socket, arriving);
                }
            })?);
            started.push(told);
        }
        for told in started {
            told.recv().map_err(io::Error::other)??;
        }
        Ok(Shards { shards, threads: parking_lot::Mutex::new(threads), room: shard_room(descriptors), main: Handle::current() })
    }

    /// Moves a session to the shard that holds the fewest, or leaves it on the main runtime when there are no shards. A session
    /// that cannot be moved ends as if its connection were lost.
    pub(super) async fn hold(&self, stream: TcpStream, arrival: Arrival) {
        let (gateway, session) = (arrival.gateway.clone(), arrival.session.clone());
        if let Err(error) = self.hand_over(stream, arrival).await {
            tracing::error!(%error, "a session finds no shard");
            gateway.forget(&session);
        }
    }

    async fn hand_over(&self, stream: TcpStream, mut arrival: Arrival) -> io::Result<()> {
        if self.shards.is_empty() {
            // A task of its own, since this one is as large as what came before the session.
            tokio::spawn(SocketTask::new(stream, arrival));
            return Ok(());
        }
        let open = self.shards.iter().filter(|shard| !shard.closed.load(Ordering::Acquire));
        let emptiest = open.min_by_key(|shard| shard.held.load(Ordering::Relaxed));
        let shard = emptiest.filter(|shard| shard.held.load(Ordering::Acquire) < self.room);
        let shard = shard.ok_or_else(|| io::Error::other("all of them are full or closed"))?;
        shard.held.fetch_add(1, Ordering::AcqRel);
        arrival.place = Some(Place(shard.held.clone()));
        let descriptor = stream.into_std()?;
        let door = shard.door.lock().await;
        let door = door.as_ref().ok_or_else(|| io::Error::other("they have stopped"))?;
        let queue = door.arrivals.reserve().await.map_err(io::Error::other)?;
        door.socket.async_io(Interest::WRITABLE, || send(door.socket.as_fd(), descriptor.as_fd())).await?;
        queue.send(arrival);
        Ok(())
    }

    /// `waiting` as it is to be waited for by a session's task: run on the main runtime, and given up with the task.
    pub(super) fn elsewhere(&self, waiting: Waiting) -> Waiting {
        if self.shards.is_empty() {
            return waiting;
        }
        let task = AbortOnDrop(self.main.spawn(waiting));
        Box::pin(async move {
            let mut task = task;
            // One that panicked has said so; its session goes on as after any other frame.
            let _ = (&mut task.0).await;
        })
    }

    /// Stops the shards, and with them what is left of their sessions. Returns when their threads have ended: from then on nothing
    /// of the server is used from another table.
    pub async fn stop(&self) {
        for shard in &self.shards {
            *shard.door.lock().await = None;
        }
        let threads = std::mem::take(&mut *self.threads.lock());
        let joined = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a shard panicked");
                }
            }
        });
        if let Err(error) = joined.await {
            tracing::error!(%error, "shards");
        }
    }
}

/// Says that a shard's thread has ended, however it did.
struct Closed(Arc<AtomicBool>);

impl Drop for Closed {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Gives this thread a table of its own, and keeps signals away from it: their handler writes to a descriptor of the main table.
fn separate() -> io::Result<()> {
    SigSet::all().thread_block()?;
    Ok(unshare(CloneFlags::CLONE_FILES)?)
}

/// The life of a shard: takes in sessions until the door closes. What is left of them is dropped with the runtime's tasks, on this thread.
fn run(runtime: &Runtime, socket: StdUnixStream, mut arriving: mpsc::Receiver<Arrival>) {
    let ended = runtime.block_on(async {
        let socket = UnixStream::from_std(socket)?;
        while let Some(arrival) = arriving.recv().await {
            let received = socket.async_io(Interest::READABLE, || receive(socket.as_fd())).await;
            let (gateway, session) = (arrival.gateway.clone(), arrival.session.clone());
            // One that fails is that session's affair: each message is one byte, with or without its descriptor.
            match received.and_then(|descriptor| TcpStream::from_std(descriptor.into())) {
                Ok(stream) => drop(tokio::spawn(SocketTask::new(stream, arrival))),
                Err(error) => {
                    tracing::error!(%error, "a session cannot be held");
                    gateway.forget(&session);
                }
            }
        }
        io::Result::Ok(())
    });
    if let Err(error) = ended {
        tracing::error!(%error, "a shard takes in no more sessions");
    }
}

/// Sends a descriptor over a socket, with the one byte that it has to travel on.
fn send(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(socket, &[IoSlice::new(&[0])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Receives a descriptor into the table of this thread.
fn receive(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    // The kernel leaves it out when the table is full.
    descriptor.ok_or_else(|| io::Error::other("no descriptor came: is the table of this thread full?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_sessions_need() {
        assert_eq!(needed(14_000, 20_000), 0);
        assert_eq!(needed(14_001, 20_000), 1);
        assert_eq!(needed(1_000_000, 20_000), 53);
        assert_eq!(needed(1_000_000, 1 << 21), 0);
        assert_eq!(needed(10, 0), 10, "however little there is, a shard holds one");
        assert_eq!((http_room(20_000), main_room(20_000), main_room(1_024)), (5_000, 14_000, 512));
    }
}
