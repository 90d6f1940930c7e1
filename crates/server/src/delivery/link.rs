//! The stream to one node: what is for it waits in a bounded queue until it is sent.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use banter_store::Cluster;
use banter_store::cluster::{Member, NodeIncarnation, Standing};
use futures_util::stream::{self, Stream};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use super::encoding::Parcel;
use super::wire::delivery_client::DeliveryClient;
use super::wire::{self, parcel};
use super::{NodeKey, NodeTls};
use crate::metrics::Metrics;

/// Most parcels that wait for one node.
const WAITING_PARCELS: usize = 4_096;
/// Most bytes that wait for one node.
const WAITING_BYTES: usize = 64 << 20;
/// What may be lost is dropped when the queue is this full: one part of so many.
const EPHEMERAL_PART: usize = 4;
/// The longest that a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(3);
/// A node that answers nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is asked, when nothing else goes over the connection.
const KEPT_ALIVE_EVERY: Duration = Duration::from_secs(2);
/// The pause before a broken stream is tried again; doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Bytes under way on one stream.
const WINDOW_BYTES: u32 = 4 << 20;

/// The stream to one node.
pub struct Link {
    /// The node.
    pub node: NodeIncarnation,
    address: String,
    queue: Mutex<Waiting>,
    changed: Notify,
    metrics: Arc<Metrics>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Waiting {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    /// Something was dropped, and the node does not know it yet.
    missed: bool,
    /// Nothing comes any more.
    ended: bool,
    /// The node has been told so.
    said_farewell: bool,
}

impl Link {
    /// A stream to `member` that is not held yet. Is it to begin by saying that something was missed?
    pub(super) fn new(member: &Member, missed: bool, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Link {
            node: member.node,
            address: member.profile.internal_address.clone(),
            queue: Mutex::new(Waiting { missed, ..Waiting::default() }),
            changed: Notify::new(),
            metrics,
            task: Mutex::new(None),
        })
    }

    /// Holds the stream from now on, over TLS if there is `tls`.
    pub(super) fn start(self: &Arc<Self>, cluster: Arc<dyn Cluster>, key: NodeKey, tls: Option<NodeTls>) {
        let task = tokio::spawn(self.clone().keep(cluster, key, tls));
        *self.task.lock() = Some(task);
    }

    /// Is it the stream to `member`, at its address?
    pub(super) fn is_to(&self, member: &Member) -> bool {
        member.node == self.node && member.profile.internal_address == self.address
    }

    /// Queues a parcel. When there is no room, all that waits is dropped, and the node will be told that it missed something.
    pub fn send(&self, parcel: Parcel) {
        let mut queue = self.queue.lock();
        if queue.parcels.len() >= WAITING_PARCELS || (queue.bytes + parcel.bytes > WAITING_BYTES && !queue.parcels.is_empty()) {
            queue.drop_all();
            self.metrics.links_overflowed.inc();
        } else {
            queue.bytes += parcel.bytes;
            queue.parcels.push_back(parcel);
        }
        drop(queue);
        self.changed.notify_one();
    }

    /// Queues a parcel that nobody misses, unless much waits already.
    pub fn send_ephemeral(&self, parcel: Parcel) {
        let full = {
            let queue = self.queue.lock();
            queue.parcels.len() >= WAITING_PARCELS / EPHEMERAL_PART || queue.bytes >= WAITING_BYTES / EPHEMERAL_PART
        };
        if !full {
            self.send(parcel);
        }
    }

    /// The node will be told that it missed something.
    pub fn missed(&self) {
        self.queue.lock().missed = true;
        self.changed.notify_one();
    }

    #[cfg(test)]
    pub(super) fn parcels_waiting(&self) -> usize {
        self.queue.lock().parcels.len()
    }

    #[cfg(test)]
    pub(super) fn has_missed(&self) -> bool {
        self.queue.lock().missed
    }

    /// Nothing more is sent: the node is to be told so.
    pub(super) fn end(&self) {
        self.queue.lock().ended = true;
        self.changed.notify_one();
    }

    /// Waits until the node has been told, and gives up at `deadline`.
    pub(super) async fn ended(&self, deadline: Instant) {
        let task = self.task.lock().take();
        if let Some(mut task) = task
            && tokio::time::timeout_at(deadline, &mut task).await.is_err()
        {
            task.abort();
        }
    }

    /// Drops the stream.
    pub(super) fn abort(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    /// Holds the stream, anew whenever it breaks, until the node has been told that nothing more comes.
    async fn keep(self: Arc<Self>, cluster: Arc<dyn Cluster>, key: NodeKey, tls: Option<NodeTls>) {
        let mut pause = PAUSE;
        while !self.queue.lock().said_farewell {
            let begun = Instant::now();
            let ended = self.clone().hold(&cluster, &key, tls.as_ref()).await;
            if self.queue.lock().said_farewell {
                return;
            }
            if let Err(error) = ended {
                tracing::warn!(node = self.node.number, address = %self.address, %error, "no stream to another node");
            }
            self.metrics.links_broken.inc();
            // One that held for a while broke for a reason of its own: it is tried again at once.
            pause = if begun.elapsed() > LONGEST_PAUSE { PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            tokio::time::sleep(pause.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
        }
    }

    async fn hold(self: Arc<Self>, cluster: &Arc<dyn Cluster>, key: &NodeKey, tls: Option<&NodeTls>) -> Result<(), HoldError> {
        let channel = connect(&self.address, tls).await?;
        let mut request = Request::new(parcels(Sent(self.clone()), cluster.number(), cluster.standing()));
        key.prove(&mut request);
        let mut client = DeliveryClient::new(channel);
        client.deliver(request).await?;
        Ok(())
    }

    /// Waits for what is to be sent next; `None` after the last.
    async fn next(&self) -> Option<parcel::Content> {
        loop {
            let changed = self.changed.notified();
            {
                let mut queue = self.queue.lock();
                if std::mem::take(&mut queue.missed) {
                    return Some(parcel::Content::Missed(wire::Missed {}));
                }
                if let Some(Parcel { content, bytes }) = queue.parcels.pop_front() {
                    queue.bytes -= bytes.min(queue.bytes);
                    self.metrics.parcels_sent.inc();
                    return Some(content);
                }
                if queue.ended {
                    if queue.said_farewell {
                        return None;
                    }
                    queue.said_farewell = true;
                    return Some(parcel::Content::Farewell(wire::Farewell {}));
                }
            }
            changed.await;
        }
    }
}

impl Waiting {
    fn drop_all(&mut self) {
        self.parcels = VecDeque::new();
        self.bytes = 0;
        self.missed = true;
    }
}

/// What goes over one stream: who this is, again whenever it has joined in a new life, and what waits. A node that was taken for dead has
/// its streams again before it is a member again.
fn parcels(sent: Sent, number: u16, standing: watch::Receiver<Standing>) -> impl Stream<Item = wire::Parcel> + Send + 'static {
    stream::unfold((sent, standing, None), move |(sent, mut standing, mut said)| async move {
        let content = loop {
            let incarnation = standing.borrow_and_update().incarnation;
            if said.replace(incarnation) != Some(incarnation) {
                break parcel::Content::Hello(wire::Hello { number: number.into(), incarnation });
            }
            tokio::select! {
                biased;
                Ok(()) = standing.changed() => {}
                content = sent.0.next() => break content?,
            }
        };
        Some((wire::Parcel { content: Some(content) }, (sent, standing, said)))
    })
}

/// What takes from the queue for one stream. When the stream is over, whatever it took may be lost.
struct Sent(Arc<Link>);

impl Drop for Sent {
    fn drop(&mut self) {
        let mut queue = self.0.queue.lock();
        queue.missed = !queue.said_farewell;
    }
}

#[derive(Debug, thiserror::Error)]
enum HoldError {
    #[error("{}", reason(.0))]
    Connection(#[from] tonic::transport::Error),
    #[error("{}: {}", .0.code(), .0.message())]
    Ended(#[from] tonic::Status),
}

/// The sentence of an error and of what is behind it.
pub(super) fn reason(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

async fn connect(address: &str, tls: Option<&NodeTls>) -> Result<Channel, HoldError> {
    let endpoint = match tls {
        None => Endpoint::from_shared(format!("http://{address}"))?,
        Some(tls) => tls.endpoint(Endpoint::from_shared(format!("https://{address}"))?)?,
    };
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIME)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEPT_ALIVE_EVERY)
        .keep_alive_timeout(SILENCE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    Ok(endpoint.connect().await?)
}
#[cfg(test)]
mod tests {
    use banter_store::cluster::Lease;
    use futures_util::StreamExt;
    use parcel::Content;

    use super::*;

    fn link() -> Link {
        Link {
            node: NodeIncarnation { number: 1, incarnation: 1 },
            address: String::new(),
            queue: Mutex::default(),
            changed: Notify::new(),
            metrics: Arc::new(Metrics::default()),
            task: Mutex::new(None),
        }
    }

    /// A parcel that can be told from others by its number.
    fn parcel(number: u32, bytes: usize) -> Parcel {
        let round = wire::Round { partition: number, members: Vec::new(), outcomes: Vec::new() };
        Parcel { content: parcel::Content::Round(round), bytes }
    }

    /// The number of the parcel that comes next; `None` for "missed".
    async fn next(link: &Link) -> Option<u32> {
        match link.next().await.unwrap() {
            parcel::Content::Round(round) => Some(round.partition),
            parcel::Content::Missed(_) => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_full_queue_is_dropped_and_said_to_be() {
        let link = link();
        for number in 0..WAITING_PARCELS as u32 {
            link.send(parcel(number, 1));
        }
        assert_eq!(next(&link).await, Some(0));
        link.send(parcel(7_000, 1));
        link.send(parcel(7_001, 1));
        link.send(parcel(7_002, 1));
        assert_eq!(link.metrics.links_overflowed.get(), 1);
        assert_eq!((next(&link).await, next(&link).await), (None, Some(7_002)), "what came after the loss is told");
    }

    #[tokio::test]
    async fn bytes_are_bounded_but_one_parcel_always_fits() {
        let link = link();
        link.send(parcel(1, 2 * WAITING_BYTES));
        assert_eq!(next(&link).await, Some(1));
        link.send(parcel(2, WAITING_BYTES));
        link.send(parcel(3, 1));
        assert_eq!(next(&link).await, None);
        assert!(link.queue.lock().parcels.is_empty());
    }

    #[tokio::test]
    async fn what_nobody_misses_makes_way() {
        let link = link();
        link.send(parcel(1, WAITING_BYTES / EPHEMERAL_PART));
        link.send_ephemeral(parcel(2, 1));
        link.send(parcel(3, 1));
        assert_eq!((next(&link).await, next(&link).await), (Some(1), Some(3)));
        link.send_ephemeral(parcel(4, 1));
        assert_eq!(next(&link).await, Some(4));
    }

    #[tokio::test]
    async fn who_has_joined_again_says_so_on_the_streams_there_are() {
        let link = Arc::new(link());
        let standing = |incarnation| Standing { incarnation, lease: Lease::Held };
        let (lease, watched) = watch::channel(standing(5));
        let mut parcels = std::pin::pin!(parcels(Sent(link.clone()), 3, watched));
        let hello = |incarnation| Some(Content::Hello(wire::Hello { number: 3, incarnation }));
        assert_eq!(parcels.next().await.unwrap().content, hello(5));
        link.send(parcel(7, 1));
        assert!(matches!(parcels.next().await.unwrap().content, Some(Content::Round(_))));
        lease.send_replace(Standing { lease: Lease::InDoubt, ..standing(5) });
        link.send(parcel(8, 1));
        assert!(matches!(parcels.next().await.unwrap().content, Some(Content::Round(_))), "the same life is no news");
        lease.send_replace(standing(9));
        assert_eq!(parcels.next().await.unwrap().content, hello(9));
        drop(lease);
        link.send(parcel(9, 1));
        assert!(matches!(parcels.next().await.unwrap().content, Some(Content::Round(_))));
    }

    #[tokio::test]
    async fn a_stream_that_ends_may_have_lost_what_it_took() {
        let link = Arc::new(link());
        link.send(parcel(1, 1));
        let sent = Sent(link.clone());
        assert_eq!(next(&link).await, Some(1));
        drop(sent);
        link.send(parcel(2, 1));
        assert_eq!((next(&link).await, next(&link).await), (None, Some(2)));
        // Not when all was said.
        link.queue.lock().ended = true;
        let sent = Sent(link.clone());
        assert!(matches!(link.next().await, Some(parcel::Content::Farewell(_))));
        assert!(link.next().await.is_none());
        drop(sent);
        assert!(!link.queue.lock().missed);
    }
}
