//! A device under test: a client of the SDK on a thread of its own, killed and opened again, with a journal that outlives it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_client::sync::{ConnectionState, ConversationState, Notification};
use banter_client::{Client, Notifications, Place};
use banter_model::{ConversationId, DeviceId, Seq, UserId};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use super::times::{Times, What};
use super::writer::{self, Writing};
use crate::checker::{DeviceConversation, DeviceRecord, Entry};

/// Events read from the store at a time when an application goes on.
const READ_AT_ONCE: usize = 500;
/// How long the last thread of a killed client is waited for.
const FILES_CLOSED: Duration = Duration::from_secs(30);

/// What all devices share.
pub struct Shared {
    /// When the run began: times are counted from here.
    pub began: Instant,
    /// Is there to be written?
    pub writing: AtomicBool,
    /// Sessions that came to stand over WebSocket.
    pub websockets: AtomicU64,
    /// Sessions that came to stand over long polling.
    pub pollings: AtomicU64,
}

impl Default for Shared {
    /// A run that begins now, in which nothing is written yet.
    fn default() -> Self {
        Shared {
            began: Instant::now(),
            writing: AtomicBool::new(false),
            websockets: AtomicU64::new(0),
            pollings: AtomicU64::new(0),
        }
    }
}

impl Shared {
    /// Milliseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// What a device is told to do.
pub enum Order {
    /// The server is there again: connect at once.
    Reconnect,
    /// Die like a process that is killed, wherever it stands, and come back.
    Kill,
    /// Drop the client without shutting it down, and come back.
    Drop,
    /// Say how it stands.
    Report(oneshot::Sender<Report>),
    /// Say what there is in the store, too.
    Contents(oneshot::Sender<Result<Vec<DeviceConversation>>>),
    /// Make a group; the answer is its conversation.
    Group {
        /// The title, and the key.
        title: String,
        /// Besides the device's own user.
        members: Vec<UserId>,
        /// Do newcomers see what was said before?
        earlier_history: bool,
        /// Where the answer goes.
        reply: oneshot::Sender<Result<ConversationId, banter_client::Error>>,
    },
    /// Write here, too.
    Join(ConversationId),
    /// End for good.
    End,
}

/// How a device stands.
#[derive(Debug)]
pub struct Report {
    /// Is everything up to the moment of connecting stored?
    pub synced: bool,
    /// Commands without an answer.
    pub unanswered: usize,
    /// Its conversations.
    pub conversations: Vec<ConversationState>,
}

/// What of a device outlives its client.
pub struct Life {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub device: DeviceId,
    /// What texts begin with.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// What happened to it.
    pub journal: Mutex<Vec<Entry>>,
    /// What there is to write about.
    pub writing: Mutex<Writing>,
    /// When it was acknowledged and told something.
    pub times: Times,
    /// What all devices share.
    pub shared: Arc<Shared>,
}

impl Life {
    /// Notes an entry.
    pub fn note(&self, entry: Entry) {
        match entry {
            Entry::Acknowledged(_) => self.times.note(What::Acknowledged, self.shared.now()),
            Entry::Told(..) | Entry::Read(..) => self.times.note(What::Told, self.shared.now()),
            _ => {}
        }
        self.journal.lock().push(entry);
    }
}

/// A device, from outside.
pub struct Device {
    /// What outlives its client.
    pub life: Arc<Life>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Clone, Copy)]
enum Ended {
    Killed,
    Dropped,
    ForGood,
}

impl Device {
    /// Opens the device in the folder of `life` and keeps it alive.
    pub fn start(life: Arc<Life>) -> Result<Device> {
        let (orders, mut received) = mpsc::unbounded_channel();
        let own = life.clone();
        let thread = std::thread::Builder::new().name(life.name.clone()).spawn(move || {
            loop {
                match live(&own, &mut received) {
                    Ok(Ended::ForGood) => return,
                    Ok(_) => {}
                    Err(error) => return own.note(Entry::Ended(format!("{error:#}"))),
                }
            }
        })?;
        Ok(Device { life, orders, thread: Some(thread) })
    }

    /// Gives an order.
    pub fn order(&self, order: Order) {
        // A device that ended by itself has said why in its journal.
        let _ = self.orders.send(order);
    }

    /// How it stands; fails when it has ended.
    pub async fn report(&self) -> Result<Report> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Report(reply));
        answer.await.with_context(|| format!("device {} has ended", self.life.name))
    }

    /// Its conversations with what is stored of them.
    pub async fn contents(&self) -> Result<Vec<DeviceConversation>> {
        let (reply, answer) = oneshot::channel();
        self.order(Order::Contents(reply));
        answer.await.with_context(|| format!("device {} has ended", self.life.name))?
    }

    /// Its journal, and what it shows.
    pub fn record(&self, conversations: Vec<DeviceConversation>) -> DeviceRecord {
        let journal = self.life.journal.lock().clone();
        DeviceRecord { user: self.life.user, device: self.life.device, journal, conversations }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.order(Order::End);
        if let Some(thread) = self.thread.take() {
            // It has said in its journal what was wrong.
            let _ = thread.join();
        }
    }
}

/// Lives until the device is killed or ends. Nothing of it is left when this returns.
fn live(life: &Arc<Life>, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<Ended> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = runtime.block_on(lives(life, orders))?;
    // Every task ends where it waits, as the threads of a killed process do.
    drop(runtime);
    files_closed(&life.folder)?;
    Ok(ended)
}

async fn lives(life: &Arc<Life>, orders: &mut mpsc::UnboundedReceiver<Order>) -> Result<Ended> {
    loop {
        let client = Client::open(Place::Folder(life.folder.clone())).await.context("the device cannot be opened again")?;
        let notifications = client.notifications();
        life.note(Entry::Opened);
        let recorder = tokio::spawn(record(life.clone(), client.clone(), notifications));
        let writer = tokio::spawn(writer::write(life.clone(), client.clone()));
        let ended = obey(&client, life, orders).await;
        if matches!(ended, Ended::Killed) {
            return Ok(ended);
        }
        for task in [writer, recorder] {
            task.abort();
            // It was broken off, or had ended.
            let _ = task.await;
        }
        if matches!(ended, Ended::ForGood) {
            client.shutdown().await;
            return Ok(ended);
        }
        // The folder is opened again while what is left of the client may still be at work in it.
        drop(client);
    }
}

async fn obey(client: &Client, life: &Life, orders: &mut mpsc::UnboundedReceiver<Order>) -> Ended {
    loop {
        match orders.recv().await {
            None | Some(Order::End) => return Ended::ForGood,
            Some(Order::Kill) => return Ended::Killed,
            Some(Order::Drop) => return Ended::Dropped,
            Some(Order::Join(conversation)) => life.writing.lock().join(conversation),
            // A client that has given up shows in the journal; an answer that nobody waits for is none.
            Some(Order::Reconnect) => drop(client.reconnect().await),
            Some(Order::Report(reply)) => {
                if let Ok(report) = report(client).await {
                    let _ = reply.send(report);
                }
            }
            Some(Order::Contents(reply)) => drop(reply.send(contents(client).await)),
            Some(Order::Group { title, members, earlier_history, reply }) => {
                drop(reply.send(client.create_group(&title, members, earlier_history, &title).await));
            }
        }
    }
}

async fn report(client: &Client) -> Result<Report> {
    let synced = client.status().borrow().synced;
    Ok(Report { synced, unanswered: client.unanswered().await?, conversations: client.conversations().await? })
}

async fn contents(client: &Client) -> Result<Vec<DeviceConversation>> {
    let mut contents = Vec::new();
    for state in client.conversations().await? {
        contents.push(DeviceConversation {
            conversation: state.id,
            have: state.have.unwrap_or(0),
            head: state.head,
            read: state.read,
            unread: state.unread(),
            title: state.roster.title.clone(),
            members: state.roster.members.iter().map(|member| member.user).collect(),
            preview: state.preview.map(|preview| (preview.seq, preview.text)),
            stored: client.store().events(state.id, 1, Seq::MAX >> 1, usize::MAX >> 1).await?,
        });
    }
    Ok(contents)
}

/// Writes down what the device is told, going on from where the application stood.
async fn record(life: Arc<Life>, client: Client, mut notifications: Notifications) {
    if let Err(error) = catch_up(&life, &client).await {
        return life.note(Entry::Ended(format!("{error:#}")));
    }
    while let Some(notification) = notifications.next().await {
        match notification {
            Notification::Event { conversation, event } => {
                life.writing.lock().told(conversation, &event);
                life.note(Entry::Told(conversation, event));
            }
            Notification::Stored(stored) => life.note(Entry::Acknowledged(stored)),
            Notification::Refused { conversation, tag, error } => {
                life.note(Entry::Refused { conversation, tag, code: error.code });
            }
            Notification::Lagged { .. } => {
                life.note(Entry::Lagged);
                if let Err(error) = catch_up(&life, &client).await {
                    return life.note(Entry::Ended(format!("{error:#}")));
                }
            }
            Notification::SignedOut { message } => life.note(Entry::Ended(format!("signed out: {message}"))),
            Notification::Connection { state: ConnectionState::WebSocket } => {
                life.shared.websockets.fetch_add(1, Ordering::Relaxed);
            }
            Notification::Connection { state: ConnectionState::Polling } => {
                life.shared.pollings.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
    }
    let why = client.status().borrow().failed.clone();
    life.note(Entry::Ended(why.map_or("the notifications ended".to_owned(), |error| error.to_string())));
}

/// Reads what was stored and not told: the application may have died in between, or been too slow.
async fn catch_up(life: &Life, client: &Client) -> Result<()> {
    let mut places: BTreeMap<ConversationId, Seq> = life.writing.lock().places.clone();
    for state in client.conversations().await? {
        places.entry(state.id).or_insert(0);
    }
    for (conversation, mut place) in places {
        loop {
            let events = client.stored_events(conversation, place, READ_AT_ONCE).await?;
            for event in &events {
                place = event.seq;
                life.writing.lock().told(conversation, event);
                life.note(Entry::Read(conversation, Arc::new(event.clone())));
            }
            if events.len() < READ_AT_ONCE {
                break;
            }
        }
    }
    Ok(())
}

/// Waits until no thread of the killed client has a file below `folder` open: as of then, nothing of it can still be written.
fn files_closed(folder: &Path) -> Result<()> {
    let folder = folder.canonicalize()?;
    let began = Instant::now();
    loop {
        let open = std::fs::read_dir("/proc/self/fd")?;
        let mut open = open.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
        if !open.any(|file| file.starts_with(&folder)) {
            return Ok(());
        }
        ensure!(began.elapsed() < FILES_CLOSED, "waiting for the files of a killed client to be closed");
        std::thread::sleep(Duration::from_millis(2));
    }
}
