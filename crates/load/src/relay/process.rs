//! The relay's process: accepts connections, and hands on what comes.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use clap::Args;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::frames::{Templates, welcome};
use super::link::{Link, Outbox, frame};

/// Longest head of a request.
const HEAD_BYTES: usize = 4_096;
/// How long a connection is given to become a session.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// The relay itself.
#[derive(Args, Clone, Debug)]
pub struct RelayProcess {
    /// How many pairs there are.
    #[arg(long)]
    pairs: usize,
    /// Bytes of every text.
    #[arg(long)]
    length: usize,
    /// Microseconds between two rounds in which what waits is handed on; 0 to hand on at once.
    #[arg(long, default_value_t = 0)]
    gather_us: u64,
}

/// What the relay counts, under the names that banter has for the same.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) reads: AtomicU64,
    pub(super) writes: AtomicU64,
    pub(super) messages: AtomicU64,
}

/// Frames, each with where it goes.
type Waiting = Vec<(Arc<Outbox>, Bytes)>;

/// What all connections know.
pub(super) struct Shared {
    pub(super) templates: Templates,
    pub(super) counters: Counters,
    links: Vec<OnceLock<Arc<Outbox>>>,
    /// What waits for the next round; `None` when all is handed on at once. Bounded as the outboxes are: by the windows of the generator.
    round: Option<Mutex<Waiting>>,
}

impl Shared {
    /// Hands `sent` back and `event` on to the connection number `peer`, now or in the next round.
    pub(super) fn hand_on(&self, own: &Arc<Outbox>, sent: Bytes, peer: usize, event: Bytes) -> Result<()> {
        let peer = self.links.get(peer).and_then(OnceLock::get).context("nobody to hand on to")?;
        match &self.round {
            None => peer.push(event).and_then(|()| own.push(sent)),
            Some(round) => {
                round.lock().extend([(peer.clone(), event), (own.clone(), sent)]);
                Ok(())
            }
        }
    }

    fn metrics(&self) -> String {
        let counters = [
            ("banter_socket_reads_total", &self.counters.reads),
            ("banter_socket_writes_total", &self.counters.writes),
            ("banter_events_total", &self.counters.messages),
        ];
        counters.into_iter().map(|(name, counter)| format!("{name} {}\n", counter.load(Ordering::Relaxed))).collect()
    }
}

impl RelayProcess {
    /// Says where it listens, and relays until it is killed.
    pub async fn run(&self) -> Result<Map<String, Value>> {
        let round = (self.gather_us > 0).then(Mutex::default);
        let links = (0..self.pairs * 2).map(|_| OnceLock::new()).collect();
        let templates = Templates::new(self.length)?;
        let shared = Arc::new(Shared { templates, counters: Counters::default(), links, round });
        if self.gather_us > 0 {
            hand_on_in_rounds(shared.clone(), Duration::from_micros(self.gather_us));
        }
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, 1], 0).into())?;
        let listener: TcpListener = socket.listen(BACKLOG)?;
        let line = format!("{}\n", listener.local_addr()?);
        std::io::stdout().write_all(line.as_bytes()).and_then(|()| std::io::stdout().flush())?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let shared = shared.clone();
            tokio::spawn(async move {
                if let Err(error) = serve(shared, stream).await {
                    // The generator sees that the connection is closed; this says why.
                    let _ = writeln!(std::io::stderr(), "relay: {error:#}");
                }
            });
        }
    }
}

/// Hands on what waits, once in each `between`. A thread keeps the time, since the runtime's timers are good to a millisecond; a task does
/// the work, as banter's workers do when the thread that syncs is done.
fn hand_on_in_rounds(shared: Arc<Shared>, between: Duration) {
    let due = Arc::new(Notify::new());
    let clock = due.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(between);
            clock.notify_one();
        }
    });
    tokio::spawn(async move {
        loop {
            due.notified().await;
            let waiting = shared.round.as_ref().map(|round| std::mem::take(&mut *round.lock())).unwrap_or_default();
            for (outbox, frame) in waiting {
                // One that takes nothing has nobody waiting for it: its generator's window is used up.
                let _ = outbox.push(frame);
            }
        }
    });
}

/// The handshake, the first frame, and then the traffic.
async fn serve(shared: Arc<Shared>, mut stream: TcpStream) -> Result<()> {
    let opened = tokio::time::timeout(HANDSHAKE, open(&shared, &mut stream)).await.context("no handshake in time")??;
    let Some((number, rest)) = opened else { return Ok(()) };
    let own = Arc::new(Outbox::default());
    own.push(welcome())?;
    let slot = shared.links.get(number).context("more connections than there are")?;
    ensure!(slot.set(own.clone()).is_ok(), "connection {number} is there already");
    let mut link = Link::new(shared, stream, own, number, Vec::new());
    let taken = link.take(&rest)?;
    link.rest = rest[taken..].to_vec();
    link.run().await
}

/// Answers the handshake; returns the number in the first frame, and what came after it. `None` if it was only asked for the counters.
async fn open(shared: &Shared, stream: &mut TcpStream) -> Result<Option<(usize, Vec<u8>)>> {
    let mut head = Vec::new();
    let end = loop {
        ensure!(stream.read_buf(&mut head).await? > 0 && head.len() < HEAD_BYTES, "no handshake");
        if let Some(end) = head.windows(4).position(|part| part == b"\r\n\r\n") {
            break end + 4;
        }
    };
    if head.starts_with(b"GET /metrics") {
        let answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", shared.metrics());
        stream.write_all(answer.as_bytes()).await?;
        return Ok(None);
    }
    // The generator does not look at the accept key.
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
    let mut bytes = head.split_off(end);
    loop {
        if let Some((payload, length)) = frame(&bytes)? {
            let token = crate::wire::text_field(payload, "token")?;
            let number = std::str::from_utf8(token)?.parse()?;
            return Ok(Some((number, bytes.split_off(length))));
        }
        if bytes.len() >= HEAD_BYTES || stream.read_buf(&mut bytes).await? == 0 {
            bail!("no first frame");
        }
    }
}
