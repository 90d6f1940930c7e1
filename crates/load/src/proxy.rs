//! A faulty network: a TCP proxy that cuts, stalls, delays, forgets and duplicates connections, by a seeded schedule.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Result;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Bytes taken from one side at a time.
const CHUNK: usize = 4 << 10;
/// Most bytes of a client that are kept for being sent a second time.
const REPLAYED: usize = 256 << 10;
/// Most bytes of a request's head: beyond it, it is passed on as it is.
const HEAD: usize = 8 << 10;
/// The longest that a replayed connection is kept.
const REPLAY_KEPT: Duration = Duration::from_secs(5);

/// How many connections had which fault.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections taken.
    pub connections: AtomicU64,
    /// Cut in both directions.
    pub cut: AtomicU64,
    /// Nothing passed for a while.
    pub stalled: AtomicU64,
    /// Every chunk came late.
    pub delayed: AtomicU64,
    /// What the client wrote was sent a second time, on a connection of its own.
    pub duplicated: AtomicU64,
    /// Closed towards the server, left open towards the client for a while.
    pub half_open: AtomicU64,
    /// WebSocket upgrades that were not let through.
    pub upgrades_refused: AtomicU64,
}

/// A running proxy. It ends when this is dropped.
pub struct Proxy {
    /// Where clients connect to.
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    target: SocketAddr,
    seed: u64,
    polling_only: bool,
    faulty: AtomicBool,
    counts: Counts,
}

impl Proxy {
    /// Listens on a free port and passes connections on to `target`. With `polling_only`, WebSocket upgrades are cut. Faults begin with
    /// [`Proxy::set_faulty`]; the n-th connection has the same fate in every run with the same seed.
    pub async fn start(target: SocketAddr, seed: u64, polling_only: bool) -> Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let faulty = AtomicBool::new(false);
        let shared = Arc::new(Shared { target, seed, polling_only, faulty, counts: Counts::default() });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Ok(Proxy { address, shared, task })
    }

    /// Do connections made from now on have faults?
    pub fn set_faulty(&self, faulty: bool) {
        self.shared.faulty.store(faulty, Ordering::Relaxed);
    }

    /// What has happened so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is to happen to a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    Cut { after: Duration },
    Stall { after: Duration, stalled: Duration, cut: bool },
    Delay { each: Duration },
    Duplicate { after: Duration },
    HalfOpen { after: Duration, kept: Duration },
}

fn fate(random: &mut StdRng) -> Fate {
    let mut millis = |range: std::ops::Range<u64>| Duration::from_millis(random.random_range(range));
    let after = millis(0..1_500);
    let (short, long) = (millis(1..20), millis(200..2_500));
    match random.random_range(0..100_u32) {
        0..25 => Fate::Fine,
        25..45 => Fate::Cut { after },
        45..60 => Fate::Stall { after, stalled: long, cut: random.random_bool(0.5) },
        60..70 => Fate::Delay { each: short },
        70..90 => Fate::Duplicate { after },
        _ => Fate::HalfOpen { after, kept: long },
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let number = shared.counts.connections.fetch_add(1, Ordering::Relaxed);
        let shared = shared.clone();
        tokio::spawn(async move {
            // Either side may go at any time: that is what a proxy is for.
            let _ = connection(client, number, &shared).await;
        });
    }
}

async fn connection(mut client: TcpStream, number: u64, shared: &Shared) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut head = Vec::new();
    if shared.polling_only {
        head = read_head(&mut client).await?;
        if is_upgrade(&head) {
            shared.counts.upgrades_refused.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
    }
    let mut server = TcpStream::connect(shared.target).await?;
    server.set_nodelay(true)?;
    server.write_all(&head).await?;
    let mut random = StdRng::seed_from_u64(shared.seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let fate = if shared.faulty.load(Ordering::Relaxed) { fate(&mut random) } else { Fate::Fine };
    let counts = &shared.counts;
    let kept = Mutex::new(head);
    let each = if let Fate::Delay { each } = fate { each } else { Duration::ZERO };
    let replayed = if let Fate::Duplicate { .. } = fate { REPLAYED } else { 0 };
    {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let up = pass(&mut from_client, &mut to_server, each, Some((&kept, replayed)));
        let down = pass(&mut from_server, &mut to_client, each, None);
        // Never broken off and begun again: what was read and not yet written would be lost, which TCP does not do.
        let mut both = pin!(async {
            tokio::select! {
                result = up => result,
                result = down => result,
            }
        });
        match fate {
            Fate::Fine => return both.await,
            Fate::Delay { .. } => {
                counts.delayed.fetch_add(1, Ordering::Relaxed);
                return both.await;
            }
            Fate::Cut { after } | Fate::Stall { after, .. } | Fate::Duplicate { after } | Fate::HalfOpen { after, .. } => {
                if let Ok(result) = timeout(after, both.as_mut()).await {
                    return result;
                }
            }
        }
        match fate {
            Fate::Stall { stalled, cut, .. } => {
                counts.stalled.fetch_add(1, Ordering::Relaxed);
                sleep(stalled).await;
                if !cut {
                    return both.await;
                }
            }
            Fate::Duplicate { .. } => {
                counts.duplicated.fetch_add(1, Ordering::Relaxed);
                let written = std::mem::take(&mut *kept.lock());
                tokio::spawn(replay(shared.target, written));
                return both.await;
            }
            _ => {}
        }
    }
    if let Fate::HalfOpen { kept: left_open, .. } = fate {
        counts.half_open.fetch_add(1, Ordering::Relaxed);
        drop(server);
        // What the client writes meanwhile is lost.
        let swallow = async { while client.read(&mut [0; CHUNK]).await.is_ok_and(|bytes| bytes > 0) {} };
        let _ = timeout(left_open, swallow).await;
    } else {
        counts.cut.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Passes bytes on until `from` ends, each chunk `delay` late, and keeps the first ones.
async fn pass(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    delay: Duration,
    keep: Option<(&Mutex<Vec<u8>>, usize)>,
) -> std::io::Result<()> {
    let mut buffer = [0; CHUNK];
    loop {
        let bytes = from.read(&mut buffer).await?;
        if bytes == 0 {
            return Ok(());
        }
        if let Some((kept, most)) = keep {
            let mut kept = kept.lock();
            if kept.len() < most {
                kept.extend_from_slice(&buffer[..bytes]);
            }
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        to.write_all(&buffer[..bytes]).await?;
    }
}

/// Sends what a client wrote to the server once more, and reads the answers for a while.
async fn replay(target: SocketAddr, written: Vec<u8>) {
    let again = async {
        let mut server = TcpStream::connect(target).await?;
        let (mut from, mut to) = server.split();
        let read = async { while from.read(&mut [0; CHUNK]).await.is_ok_and(|bytes| bytes > 0) {} };
        let write = to.write_all(&written);
        tokio::join!(read, write).1
    };
    // The server may be down, or refuse what it gets.
    let _ = timeout(REPLAY_KEPT, again).await;
}

async fn read_head(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < HEAD && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if client.read_buf(&mut head).await? == 0 {
            break;
        }
    }
    Ok(head)
}

fn is_upgrade(head: &[u8]) -> bool {
    let end = head.windows(4).position(|end| end == b"\r\n\r\n").unwrap_or(head.len());
    String::from_utf8_lossy(&head[..end]).lines().any(|line| line.to_ascii_lowercase().starts_with("upgrade:"))
}
