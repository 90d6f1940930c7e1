//! What other nodes have for the sessions and requests of this one.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use banter_store::Cluster;
use banter_store::cluster::{Member, NodeIncarnation, Role};
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status, Streaming};

use super::links::takes_parcels;
use super::wire::delivery_server::{Delivery as DeliveryService, DeliveryServer};
use super::wire::parcel::Content;
use super::{NodeKey, NodeTls, encoding, wire};
use crate::gateway::Gateway;
use crate::listener;
use crate::notices::Notices;
use crate::worker::delivery::{Applied, Delivery};

/// Most bytes of one parcel: the largest frame, and room for the rest of its round.
const PARCEL_BYTES: usize = 16 << 20;
/// How often it is looked whether every worker has a stream to this node.
const WATCHED_EVERY: Duration = Duration::from_secs(5);
/// The shortest time from one resync of all sessions to the next.
const RESYNC_PAUSE: Duration = Duration::from_secs(1);
/// A node that answers nothing for this long is gone.
const SILENCE: Duration = Duration::from_secs(5);
/// How often it is asked, when nothing else goes over the connection.
const KEPT_ALIVE_EVERY: Duration = Duration::from_secs(2);
/// Bytes under way on one stream.
const WINDOW_BYTES: u32 = 4 << 20;

/// Takes in what other nodes send.
pub struct Incoming {
    gateway: Arc<Gateway>,
    notices: Arc<Notices>,
    cluster: Arc<dyn Cluster>,
    streams: Mutex<Streams>,
    /// Sessions may have missed something.
    missed: Notify,
}

impl Incoming {
    /// Hands what comes to `gateway` and `notices`.
    pub fn new(gateway: Arc<Gateway>, notices: Arc<Notices>, cluster: Arc<dyn Cluster>) -> Arc<Self> {
        Arc::new(Incoming { gateway, notices, cluster, streams: Mutex::default(), missed: Notify::new() })
    }

    /// Serves other nodes on `listener` for as long as it is polled: those that hold the `key`, and show a certificate where there is `tls`.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, key: NodeKey, tls: Option<NodeTls>) {
        let service = DeliveryServer::new(Service(self)).max_decoding_message_size(PARCEL_BYTES);
        let service = tonic::service::interceptor::InterceptedService::new(service, key);
        let server = match &tls {
            None => Ok(Server::builder()),
            Some(tls) => tls.server(Server::builder()),
        };
        let server = match server {
            Ok(server) => server,
            Err(error) => {
                tracing::error!(%error, "other nodes are not served");
                return std::future::pending().await;
            }
        };
        let served = server
            .http2_keepalive_interval(Some(KEPT_ALIVE_EVERY))
            .http2_keepalive_timeout(Some(SILENCE))
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES)
            .add_service(service)
            .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)))
            .await;
        if let Err(error) = served {
            tracing::error!(%error, "other nodes are not served any more");
        }
        std::future::pending().await
    }

    /// Tells sessions to look everything up again when something may have been missed, for as long as it is polled.
    pub async fn watch(self: Arc<Self>) {
        let mut interval = tokio::time::interval(WATCHED_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut without_before = Vec::new();
        for turn in 0.. {
            tokio::select! {
                // After a stream that broke, and after one that is back: everybody may have missed something.
                () = self.missed.notified() => self.gateway.resync_all(),
                _ = interval.tick() => {
                    let without = self.workers_without_stream(&self.cluster.members().borrow());
                    // One that has just come is given the time to call.
                    let still = without.iter().any(|node| without_before.contains(node));
                    without_before = without;
                    if !still {
                        continue;
                    }
                    tracing::warn!(nodes = ?without_before, "workers without a stream to this node");
                    self.gateway.resync_some(turn);
                }
            }
            tokio::time::sleep(RESYNC_PAUSE).await;
        }
    }

    /// The other members that work and have no stream to this node.
    fn workers_without_stream(&self, members: &[Member]) -> Vec<(u16, u64)> {
        let streams = self.streams.lock();
        workers_missing(members, self.cluster.number(), |member| streams.has(member.node))
    }

    fn take(&self, content: Content) -> Result<(), encoding::Malformed> {
        match content {
            // Both are about the stream.
            Content::Hello(_) | Content::Farewell(_) => {}
            Content::Missed(_) => self.missed.notify_one(),
            Content::Round(round) => {
                let partition = round.partition;
                let outcomes = encoding::outcomes(round, self.cluster.number())?;
                // Where the partitions are is read from the history here.
                self.gateway.deliver(Applied { partition, stored_up_to: None, outcomes });
            }
            Content::Notice(notice) => self.notices.receive(&encoding::notice_from(notice)?),
        }
        Ok(())
    }
}

/// The workers among `members` that are to have a stream to the node with the number `own`, and have none: number and incarnation.
fn workers_missing(members: &[Member], own: u16, has_stream: impl Fn(&Member) -> bool) -> Vec<(u16, u64)> {
    // Nobody calls a node that nothing is sent to.
    if !members.iter().any(|member| member.node.number == own && takes_parcels(member)) {
        return Vec::new();
    }
    let workers = members.iter().filter(|member| member.node.number != own && member.profile.roles.has(Role::Worker));
    let without = workers.filter(|member| !has_stream(member));
    without.map(|member| (member.node.number, member.node.incarnation)).collect()
}

struct Service(Arc<Incoming>);

#[tonic::async_trait]
impl DeliveryService for Service {
    async fn deliver(&self, request: Request<Streaming<wire::Parcel>>) -> Result<Response<wire::Received>, Status> {
        let mut parcels = request.into_inner();
        let first = parcels.message().await?.and_then(|parcel| parcel.content);
        let Some(Content::Hello(wire::Hello { number, incarnation })) = first else {
            return Err(Status::invalid_argument("the first parcel is hello"));
        };
        let number = u16::try_from(number).map_err(|_| Status::invalid_argument("node numbers are smaller"))?;
        let mut stream = Stream::begin(self.0.clone(), number, incarnation);
        while let Some(parcel) = parcels.message().await? {
            // A kind that this version does not know is passed over.
            let Some(content) = parcel.content else { continue };
            stream.whole = matches!(content, Content::Farewell(_));
            if let Content::Hello(wire::Hello { incarnation, .. }) = content {
                stream.joined_again(incarnation);
            }
            if let Err(error) = self.0.take(content) {
                tracing::error!(node = number, %error, "a stream from another node");
                return Err(Status::invalid_argument(error.to_string()));
            }
        }
        Ok(Response::new(wire::Received {}))
    }
}

/// A stream from another node while it lasts. However it ends, sessions may have missed what was to come, unless its node said farewell.
struct Stream {
    incoming: Arc<Incoming>,
    number: u16,
    incarnation: u64,
    whole: bool,
}

impl Stream {
    fn begin(incoming: Arc<Incoming>, number: u16, incarnation: u64) -> Self {
        incoming.streams.lock().begin(NodeIncarnation { number, incarnation });
        Stream { incoming, number, incarnation, whole: false }
    }

    /// Its node was taken for dead, and is a member again in a new life.
    fn joined_again(&mut self, incarnation: u64) {
        let mut streams = self.incoming.streams.lock();
        streams.end(NodeIncarnation { number: self.number, incarnation: self.incarnation });
        streams.begin(NodeIncarnation { number: self.number, incarnation });
        self.incarnation = incarnation;
    }
}

/// The streams there are: of which incarnation of each node, how many.
#[derive(Default)]
struct Streams(HashMap<u16, HashMap<u64, usize>>);

impl Streams {
    fn begin(&mut self, node: NodeIncarnation) {
        *self.0.entry(node.number).or_default().entry(node.incarnation).or_default() += 1;
    }

    fn end(&mut self, node: NodeIncarnation) {
        if let Some(lives) = self.0.get_mut(&node.number) {
            if let Some(count) = lives.get_mut(&node.incarnation) {
                *count -= 1;
            }
            lives.retain(|_, count| *count > 0);
            if lives.is_empty() {
                self.0.remove(&node.number);
            }
        }
    }

    /// Has the node a stream to here? One that has joined again may say so before it is seen here.
    fn has(&self, node: NodeIncarnation) -> bool {
        self.0.get(&node.number).is_some_and(|lives| lives.keys().any(|incarnation| *incarnation >= node.incarnation))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut streams = self.incoming.streams.lock();
        streams.end(NodeIncarnation { number: self.number, incarnation: self.incarnation });
        drop(streams);
        if !self.whole {
            self.incoming.missed.notify_one();
        }
    }
}

/// Listens for other nodes; the address that they are told is `address`, or the one that it listens on if that is empty.
///
/// # Errors
/// When it cannot.
pub fn listen(listen: SocketAddr, address: &str) -> std::io::Result<(TcpListener, String)> {
    let listener = listener::bind(listen)?;
    let address = if address.is_empty() { listener.local_addr()?.to_string() } else { address.to_owned() };
    Ok((listener, address))
}

#[cfg(test)]
mod tests {
    use banter_store::cluster::{Condition, NodeProfile};

    use super::*;

    fn member(number: u16, role: Role) -> Member {
        let profile = NodeProfile {
            roles: [role].into_iter().collect(),
            client_url: String::new(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        };
        Member { node: NodeIncarnation { number, incarnation: 1 }, profile, condition: Condition::default() }
    }

    #[test]
    fn only_who_is_sent_something_misses_workers() {
        let members = [member(1, Role::Worker), member(2, Role::Worker), member(3, Role::Gateway), member(4, Role::Api)];
        let missing = |own| workers_missing(&members, own, |worker| worker.node.number == 2);
        assert_eq!((missing(3), missing(4)), (vec![(1, 1)], vec![(1, 1)]));
        assert_eq!(missing(2), [], "workers do not call each other");
        assert_eq!(missing(7), [], "nobody calls who is no member");
    }

    #[test]
    fn streams_are_of_a_life_or_of_a_later_one() {
        let life = |incarnation| NodeIncarnation { number: 3, incarnation };
        let mut streams = Streams::default();
        streams.begin(life(5));
        streams.begin(life(5));
        assert_eq!([streams.has(life(5)), streams.has(life(6)), streams.has(life(4))], [true, false, true]);
        streams.end(life(5));
        assert!(streams.has(life(5)), "there is another");
        streams.begin(life(6));
        streams.end(life(5));
        assert!(streams.has(life(6)));
        streams.end(life(6));
        assert!(!streams.has(life(4)) && streams.0.is_empty());
    }
}
