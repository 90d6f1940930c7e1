//! One node: what keeps it a member, and what it knows of the others.

use std::collections::BTreeSet;
use std::future::{pending, ready};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banter_store::cluster::{Cluster, Condition, IdFloor, JoinError, Lease, Member, NodeProfile, Standing};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use zookeeper_client::{AddWatchMode, Client, Error, EventType, PersistentWatcher, SessionInfo, SessionState, WatchedEvent};

use super::floor::LeasedFloor;
use super::members::Listing;
use super::numbers::{self, Claim, Unclaimed};
use super::{ZooKeeperOptions, join_error};

/// A load is told to the others when it differs by this part of the capacity from what they know,
const LOAD_STEPS: u32 = 64;
/// and at most this often.
const LOAD_INTERVAL: Duration = Duration::from_secs(1);
/// Pauses between attempts to reach ZooKeeper begin here and double up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The longest that leaving takes.
const FAREWELL: Duration = Duration::from_secs(3);
/// Events that are waited for before the members are read again.
const EVENTS_AT_ONCE: usize = 1024;

/// A member of a cluster on ZooKeeper.
///
/// While ZooKeeper is away the last known members stay, the lease is in doubt, and ids go on as far as they were reserved. If it comes back in time everything is as it was; if the session ended, the node joins again under its number, in a new life.
#[derive(Debug)]
pub struct ZooKeeperNode {
    shared: Arc<Shared>,
    task: AbortHandle,
}

#[derive(Debug)]
struct Shared {
    number: u16,
    profile: NodeProfile,
    standing: watch::Sender<Standing>,
    members: watch::Sender<Arc<[Member]>>,
    condition: Mutex<Condition>,
    changed: Notify,
    leaving: Notify,
    floor: Arc<LeasedFloor>,
}

/// Why a node does not go on as it did.
enum Over {
    /// A request failed.
    Failed,
    /// The session is over.
    Session,
    /// Somebody else has the number.
    Taken,
    /// This node is to leave.
    Leaving,
}

impl From<Error> for Over {
    fn from(error: Error) -> Self {
        tracing::warn!(%error, "a request to ZooKeeper failed");
        Over::Failed
    }
}

impl From<Unclaimed> for Over {
    fn from(unclaimed: Unclaimed) -> Self {
        match unclaimed {
            Unclaimed::Taken => Over::Taken,
            Unclaimed::Engine(error) => error.into(),
        }
    }
}

impl ZooKeeperNode {
    /// Joins the cluster under a number of its own.
    ///
    /// # Errors
    /// When ZooKeeper cannot be reached within about the session timeout, refuses, or has no number left.
    pub async fn join(options: ZooKeeperOptions, profile: NodeProfile) -> Result<Self, JoinError> {
        let client = options.connect(None).await.map_err(join_error)?;
        let claim = numbers::claim(&client, &options, &profile).await?;
        let members = Listing::read(&client, &numbers::members(&options)).await.map_err(join_error)?;
        let shared = Arc::new(Shared {
            number: claim.node.number,
            profile,
            standing: watch::Sender::new(Standing { incarnation: claim.node.incarnation, lease: Lease::Held }),
            members: watch::Sender::new(Arc::new([])),
            condition: Mutex::default(),
            changed: Notify::new(),
            leaving: Notify::new(),
            floor: Arc::new(LeasedFloor::new(claim.after, claim.until)),
        });
        members.publish(&shared.members);
        tracing::info!(number = claim.node.number, incarnation = claim.node.incarnation, "joined the cluster");
        let task = tokio::spawn(shared.clone().keep(options, client, claim)).abort_handle();
        Ok(ZooKeeperNode { shared, task })
    }
}

#[async_trait]
impl Cluster for ZooKeeperNode {
    fn number(&self) -> u16 {
        self.shared.number
    }

    fn standing(&self) -> watch::Receiver<Standing> {
        self.shared.standing.subscribe()
    }

    fn members(&self) -> watch::Receiver<Arc<[Member]>> {
        self.shared.members.subscribe()
    }

    fn update(&self, change: &dyn Fn(&mut Condition)) {
        change(&mut self.shared.condition.lock());
        self.shared.changed.notify_one();
    }

    fn id_floor(&self) -> Arc<dyn IdFloor> {
        self.shared.floor.clone()
    }

    async fn leave(&self) {
        let mut standing = self.shared.standing.subscribe();
        self.shared.floor.end();
        self.shared.leaving.notify_one();
        let ended = standing.wait_for(|standing| standing.lease == Lease::Ended);
        let _ = timeout(FAREWELL, ended).await;
        self.task.abort();
        self.shared.set_lease(Lease::Ended);
    }
}

impl Drop for ZooKeeperNode {
    fn drop(&mut self) {
        self.shared.floor.end();
        self.task.abort();
    }
}

impl Shared {
    /// Keeps the node a member, session after session.
    async fn keep(self: Arc<Self>, options: ZooKeeperOptions, mut client: Client, mut claim: Claim) {
        loop {
            let over = tokio::select! {
                over = self.serve(&options, &client, &mut claim) => over,
                () = self.notice_loss(&client) => Over::Session,
                () = self.leaving.notified() => Over::Leaving,
            };
            match over {
                Over::Failed => {
                    self.set_lease(Lease::InDoubt);
                    sleep(FIRST_PAUSE).await;
                    let connected = tokio::select! {
                        connected = recovered(&client) => connected,
                        () = self.leaving.notified() => break,
                    };
                    if connected {
                        continue;
                    }
                }
                Over::Session => {}
                Over::Taken => {
                    tracing::error!(number = self.number, "another node has the number of this one, which was taken for dead");
                    break;
                }
                Over::Leaving => {
                    let path = numbers::member(&options, self.number);
                    let _ = timeout(FAREWELL, client.delete(&path, None)).await;
                    break;
                }
            }
            self.set_lease(Lease::InDoubt);
            client = tokio::select! {
                client = reconnect(&options, client.into_session()) => client,
                () = self.leaving.notified() => break,
            };
        }
        self.floor.end();
        self.set_lease(Lease::Ended);
    }

    /// Says at once that the lease is in doubt when the connection is lost. Returns when the session is over.
    async fn notice_loss(&self, client: &Client) {
        let mut states = client.state_watcher();
        loop {
            match states.changed().await {
                SessionState::SyncConnected => {}
                SessionState::Disconnected | SessionState::ConnectedReadOnly => {
                    tracing::warn!("ZooKeeper is out of reach: the last known members stay");
                    self.set_lease(Lease::InDoubt);
                }
                SessionState::Expired | SessionState::AuthFailed | SessionState::Closed => return,
            }
        }
    }

    /// Serves one session, until it is over.
    async fn serve(&self, options: &ZooKeeperOptions, client: &Client, claim: &mut Claim) -> Over {
        match self.try_serve(options, client, claim).await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn try_serve(&self, options: &ZooKeeperOptions, client: &Client, claim: &mut Claim) -> Result<Never, Over> {
        let path = numbers::members(options);
        let mut watcher = client.watch(&path, AddWatchMode::PersistentRecursive).await?;
        let mut listing = self.enter(options, client, claim).await?;
        let mut told = Told { condition: None, at: Instant::now() };
        let mut renewal = interval(options.ids_ahead / 3);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let load_due = told.load_due(*self.condition.lock(), self.profile.capacity);
            tokio::select! {
                events = next_events(&mut watcher) => match events {
                    Events::Changed(names) => {
                        listing.read_again(client, &path, names).await?;
                        listing.publish(&self.members);
                    }
                    Events::Lost => {}
                    // What happened in between was not told.
                    Events::Back => {
                        listing = self.enter(options, client, claim).await?;
                        told.condition = None;
                    }
                    Events::Ended => return Err(Over::Session),
                },
                () = self.changed.notified() => {}
                () = at(load_due) => {
                    let condition = *self.condition.lock();
                    let member = Member { node: claim.node, profile: self.profile.clone(), condition };
                    let path = numbers::member(options, self.number);
                    match client.set_data(&path, &numbers::json(&member), None).await {
                        Ok(_) => told = Told { condition: Some(condition), at: Instant::now() },
                        // Somebody removed it by hand.
                        Err(Error::NoNode) => listing = self.enter(options, client, claim).await?,
                        Err(error) => return Err(error.into()),
                    }
                }
                _ = renewal.tick(), if self.floor.is_wanted() => self.raise_floor(options, client, claim).await?,
                () = self.floor.short.notified() => {
                    if numbers::now() > self.floor.written() {
                        self.raise_floor(options, client, claim).await?;
                    }
                }
            }
        }
    }

    /// Makes sure that this node is a member, and reads all members anew.
    async fn enter(&self, options: &ZooKeeperOptions, client: &Client, claim: &mut Claim) -> Result<Listing, Over> {
        let condition = *self.condition.lock();
        claim.renew(client, options, &self.profile, condition).await?;
        self.floor.raise(claim.until);
        let listing = Listing::read(client, &numbers::members(options)).await?;
        listing.publish(&self.members);
        let standing = Standing { incarnation: claim.node.incarnation, lease: Lease::Held };
        self.standing.send_if_modified(|known| {
            let news = *known != standing;
            if news {
                tracing::info!(number = self.number, incarnation = standing.incarnation, "a member of the cluster again");
                *known = standing;
            }
            news
        });
        Ok(listing)
    }

    async fn raise_floor(&self, options: &ZooKeeperOptions, client: &Client, claim: &mut Claim) -> Result<(), Over> {
        match claim.raise(client, options, numbers::now()).await {
            Ok(()) => {}
            // It may have been this node itself, by a write whose answer was lost.
            Err(Unclaimed::Taken) => {
                self.enter(options, client, claim).await?;
            }
            Err(error) => return Err(error.into()),
        }
        self.floor.raise(claim.until);
        Ok(())
    }

    fn set_lease(&self, lease: Lease) {
        self.standing.send_if_modified(|standing| {
            let news = standing.lease != lease && standing.lease != Lease::Ended;
            if news {
                standing.lease = lease;
            }
            news
        });
    }
}

/// There is none.
enum Never {}

/// What the others were told of this node's condition in this session.
struct Told {
    condition: Option<Condition>,
    at: Instant,
}

impl Told {
    /// When they are to be told how it is now; `None` if they know.
    fn load_due(&self, now: Condition, capacity: u32) -> Option<Instant> {
        let Some(told) = self.condition else { return Some(self.at) };
        if (Condition { load: 0, ..told }) != (Condition { load: 0, ..now }) {
            return Some(self.at);
        }
        let moved = told.load.abs_diff(now.load) > capacity / LOAD_STEPS;
        moved.then_some(self.at + LOAD_INTERVAL)
    }
}

/// What the watch on the members tells.
enum Events {
    /// Something about those with these names.
    Changed(BTreeSet<String>),
    Lost,
    Back,
    Ended,
}

/// Waits for the next event, and takes those that have come with it.
async fn next_events(watcher: &mut PersistentWatcher) -> Events {
    let mut names = BTreeSet::new();
    // Those that are there already are taken without waiting.
    let first = watcher.changed().await;
    let mut event = Some(first);
    while let Some(WatchedEvent { event_type, session_state, path, .. }) = event.take() {
        match (event_type, session_state) {
            (EventType::Session, SessionState::SyncConnected) => return Events::Back,
            (EventType::Session, SessionState::Disconnected | SessionState::ConnectedReadOnly) => return Events::Lost,
            (EventType::Session, _) => return Events::Ended,
            _ => names.extend(path.rsplit_once('/').map(|(_, name)| name.to_owned())),
        }
        if names.len() < EVENTS_AT_ONCE {
            event = tokio::select! {
                biased;
                next = watcher.changed() => Some(next),
                () = ready(()) => None,
            };
        }
    }
    Events::Changed(names)
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}

/// Waits until the client, which goes on by itself, is connected, or its session is over. Returns whether it is connected.
async fn recovered(client: &Client) -> bool {
    let mut states = client.state_watcher();
    let mut state = states.state();
    loop {
        match state {
            SessionState::SyncConnected => return true,
            SessionState::Expired | SessionState::AuthFailed | SessionState::Closed => return false,
            SessionState::Disconnected | SessionState::ConnectedReadOnly => state = states.changed().await,
        }
    }
}

/// Connects again, however long it takes: to the session that was, as long as ZooKeeper has it, so that nobody sees this node go.
async fn reconnect(options: &ZooKeeperOptions, session: SessionInfo) -> Client {
    let mut session = Some(session);
    let mut pause = FIRST_PAUSE;
    loop {
        match options.connect(session.clone()).await {
            Ok(client) => return client,
            Err(Error::SessionExpired) => session = None,
            Err(error) => {
                tracing::warn!(%error, "ZooKeeper cannot be reached");
                sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}
