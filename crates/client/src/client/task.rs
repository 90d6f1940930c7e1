//! The background task of a client: drives the engine, the connection and the store.

use std::collections::HashMap;
use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use banter_model::limits::PAGE_EVENTS;
use banter_model::{ConversationId, Millis, Refusal, Tag};
use banter_protocol::ServerFrame;
use banter_protocol::api::Page;
use futures_util::FutureExt;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::Ticket;
use super::command::Command;
use super::link::Link;
use crate::Error;
use crate::api::Api;
use crate::connection::{Backoff, Closed, Connection, Dialer};
use crate::storage::{Account, FolderLock, Store};
use crate::sync::{ConnectionState, Effect, Engine, FetchError, Input, Notification, Snapshot, Stored};

/// Frames or commands taken in one round, and so in one transaction.
const ROUND: usize = 256;
/// The store is tried so often (with doubling pauses, 25 s in all) before the client gives up: it must not go on with what it cannot store.
const STORE_ATTEMPTS: u32 = 8;
const STORE_PAUSE: Duration = Duration::from_millis(200);

/// How a client is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// Does a session stand?
    pub connected: bool,
    /// By long polling?
    pub polling: bool,
    /// Is everything up to the moment of connecting stored?
    pub synced: bool,
    /// Why the device was logged out, if it was.
    pub signed_out: Option<String>,
    /// Why the client gave up, if it did.
    pub failed: Option<Error>,
}

/// Gives an answer to whoever asked.
type Reply = Box<dyn FnOnce() + Send>;

pub(super) enum Background {
    Fetched(u64, Result<Page, FetchError>),
    /// Does WebSocket get through again?
    Probed(bool),
}

pub(super) struct Task {
    pub(super) api: Api,
    pub(super) store: Store,
    pub(super) engine: Engine,
    began: Instant,
    commands: mpsc::Receiver<Command>,
    notifications: broadcast::Sender<Notification>,
    pub(super) status: watch::Sender<Status>,
    pub(super) tickets: HashMap<(ConversationId, Tag), oneshot::Sender<Result<Stored, Error>>>,
    /// Answers to commands, to be given once what they did, or tell of, is stored.
    replies: Vec<Reply>,
    pub(super) background: JoinSet<Background>,
    pub(super) dialer: Option<Dialer>,
    pub(super) backoff: Backoff,
    pub(super) link: Link,
    told_connection: Option<ConnectionState>,
    ends: bool,
}

enum Woken {
    Frame(Result<ServerFrame, Closed>),
    Dialed(Dialer, Box<Result<(Connection, ServerFrame), Error>>),
    Dial,
    Probe,
    Command(Option<Command>),
    Background(Background),
    Tick,
}

impl Task {
    /// A device that goes on from `snapshot`, not connected yet; and how it will be doing.
    pub fn new(
        api: Api,
        store: Store,
        account: &Account,
        snapshot: Snapshot,
        commands: mpsc::Receiver<Command>,
        notifications: broadcast::Sender<Notification>,
    ) -> (Self, watch::Receiver<Status>) {
        let (status, watched) = watch::channel(Status::default());
        let task = Task {
            dialer: Some(Dialer::new(&api, &account.servers)),
            api,
            store,
            engine: Engine::new(snapshot),
            began: Instant::now(),
            commands,
            notifications,
            status,
            tickets: HashMap::new(),
            replies: Vec::new(),
            background: JoinSet::new(),
            backoff: Backoff::default(),
            link: Link::Waiting(Instant::now()),
            told_connection: None,
            ends: false,
        };
        (task, watched)
    }

    /// Works until the client ends. `lock` is held until nothing more can be written to the store.
    pub async fn run(mut self, lock: Option<Arc<FolderLock>>) {
        let result = self.work().await;
        if let Err(error) = result {
            tracing::error!(%error, "the client gives up");
            self.status.send_modify(|status| status.failed = Some(error));
        }
        let link = std::mem::replace(&mut self.link, Link::SignedOut);
        drop((self, lock));
        if let Link::Up { connection, .. } = link {
            connection.close().await;
        }
    }

    async fn work(&mut self) -> Result<(), Error> {
        loop {
            self.settle().await?;
            if self.ends {
                return Ok(());
            }
            match self.wait().await {
                Woken::Frame(result) => self.take_frames(result),
                Woken::Dialed(dialer, result) => self.dialed(dialer, *result),
                Woken::Dial => self.dial(),
                Woken::Probe => self.probe(),
                Woken::Command(command) => self.take_commands(command),
                Woken::Background(Background::Fetched(request, result)) => {
                    self.input(Input::Fetched { request, result });
                }
                Woken::Background(Background::Probed(through)) => self.probed(through).await,
                Woken::Tick => self.input(Input::Tick),
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let deadline = self.engine.deadline().map(|deadline| self.began + Duration::from_millis(deadline));
        let link = async {
            match &mut self.link {
                Link::Waiting(until) => {
                    sleep_until(*until).await;
                    Woken::Dial
                }
                Link::Dialing(dialing) => {
                    let (dialer, result) = dialing.as_mut().await;
                    Woken::Dialed(dialer, Box::new(result))
                }
                Link::Up { connection, probe_at, .. } => tokio::select! {
                    result = connection.next() => Woken::Frame(result),
                    () = at(*probe_at) => Woken::Probe,
                },
                Link::SignedOut => pending().await,
            }
        };
        tokio::select! {
            woken = link => woken,
            command = self.commands.recv() => Woken::Command(command),
            Some(done) = self.background.join_next() => match done {
                Ok(done) => Woken::Background(done),
                Err(error) => {
                    // Only a bug panics there, and nothing waits for what may: the engine's questions end with an answer.
                    tracing::error!(%error, "work in the background ended badly");
                    Woken::Tick
                }
            },
            () = at(deadline) => Woken::Tick,
        }
    }

    fn now(&self) -> Millis {
        self.began.elapsed().as_millis() as Millis
    }

    pub(super) fn input(&mut self, input: Input) {
        self.engine.handle(self.now(), input);
    }

    /// Stores, sends and tells until there is nothing left to do.
    async fn settle(&mut self) -> Result<(), Error> {
        loop {
            let effects = self.engine.take_effects();
            if effects.is_empty() && self.replies.is_empty() {
                if self.engine.deadline().is_some_and(|deadline| deadline <= self.now()) {
                    self.input(Input::Tick);
                    continue;
                }
                return Ok(());
            }
            let told = self.store(&effects).await?;
            self.replies.drain(..).for_each(|reply| reply());
            for effect in effects {
                match effect {
                    Effect::Send(frame) => {
                        if let Link::Up { connection, .. } = &mut self.link
                            && let Err(closed) = connection.send(&frame)
                        {
                            tracing::warn!(%closed, "a frame was not sent");
                        }
                    }
                    Effect::Fetch { request, conversation, window } => {
                        let api = self.api.clone();
                        let page = async move { api.page(conversation, window, PAGE_EVENTS).await };
                        self.background.spawn(fetched(request, page));
                    }
                    Effect::LookUp { conversation, tag } => {
                        let device = self.engine.device();
                        let found = self.store.find_tag(conversation, device, tag).await?;
                        self.input(Input::LookedUp { conversation, tag, found });
                    }
                    Effect::Write(_) | Effect::Notify(_) => {}
                }
            }
            told.into_iter().for_each(|notification| self.tell(notification));
        }
    }

    async fn store(&mut self, effects: &[Effect]) -> Result<Vec<Notification>, Error> {
        let mut attempt = 0;
        loop {
            match self.store.apply(effects).await {
                Err(error) if attempt + 1 < STORE_ATTEMPTS => {
                    tracing::warn!(%error, "storing failed, trying again");
                    sleep(STORE_PAUSE * (1 << attempt)).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    pub(super) fn tell(&mut self, notification: Notification) {
        match &notification {
            // Every attempt to connect begins with it; only a change is news.
            Notification::Connection { state } if self.told_connection.replace(*state) == Some(*state) => return,
            Notification::Stored(stored) => {
                if let Some(ticket) = self.tickets.remove(&(stored.conversation, stored.tag)) {
                    let _ = ticket.send(Ok(*stored));
                }
            }
            Notification::Refused { conversation, tag, error } => {
                if let Some(ticket) = self.tickets.remove(&(*conversation, *tag)) {
                    let _ = ticket.send(Err(Error::answered(None, error.clone())));
                }
            }
            // The session that it was told of may have ended since.
            Notification::Synced if matches!(self.link, Link::Up { .. }) => {
                self.status.send_modify(|status| status.synced = true);
            }
            _ => {}
        }
        // Nobody has to listen.
        let _ = self.notifications.send(notification);
    }

    fn take_frames(&mut self, first: Result<ServerFrame, Closed>) {
        let mut next = Some(first);
        for _ in 0..ROUND {
            match next {
                Some(Ok(frame)) => self.input(Input::Frame(frame)),
                Some(Err(closed)) => return self.closed(closed),
                None => return,
            }
            next = match &mut self.link {
                Link::Up { connection, .. } => connection.try_next(),
                _ => None,
            };
        }
        match next {
            Some(Ok(frame)) => self.input(Input::Frame(frame)),
            Some(Err(closed)) => self.closed(closed),
            None => {}
        }
    }

    fn take_commands(&mut self, first: Option<Command>) {
        let mut next = first;
        if next.is_none() {
            // The last clone of the client is gone.
            self.ends = true;
        }
        for _ in 0..ROUND {
            let Some(command) = next else { return };
            self.take_command(command);
            next = self.commands.try_recv().ok();
        }
        if let Some(command) = next {
            self.take_command(command);
        }
    }

    /// Answers once everything up to now is stored: a state tells of events that are read from the store next.
    fn reply<T: Send + 'static>(&mut self, reply: oneshot::Sender<T>, answer: T) {
        self.replies.push(Box::new(move || {
            // Whoever asked may be gone.
            let _ = reply.send(answer);
        }));
    }

    fn take_command(&mut self, command: Command) {
        match command {
            Command::Queue { reply, .. } if matches!(self.link, Link::SignedOut) => {
                let error = Error::new(Error::SIGNED_OUT, "the device was logged out: log in again");
                self.reply(reply, Err(error));
            }
            Command::Queue { conversation, action, reply } => {
                let now = self.now();
                let ticket = self.engine.queue(now, conversation, action).map(|tag| {
                    let (sender, answer) = oneshot::channel();
                    self.tickets.insert((conversation, tag), sender);
                    Ticket { conversation, tag, answer }
                });
                self.reply(reply, ticket.map_err(Error::from));
            }
            Command::Conversations { reply } => {
                let mut states: Vec<_> = self.engine.conversations().filter(|state| state.reaches > 0).cloned().collect();
                states.sort_by_key(|state| std::cmp::Reverse(state.at));
                self.reply(reply, states);
            }
            Command::Conversation { conversation, reply } => {
                let state = self.engine.conversation(conversation).cloned();
                self.reply(reply, state);
            }
            Command::Unanswered { reply } => {
                let _ = reply.send(self.engine.unanswered());
            }
            Command::Keep { conversation, window, page } => {
                self.input(Input::Page { conversation, window, page: *page });
            }
            Command::Input(input) => self.input(input),
            Command::Reconnect => {
                if let Link::Waiting(until) = &mut self.link {
                    *until = Instant::now();
                    self.backoff.reset();
                }
            }
            Command::Shutdown => self.ends = true,
        }
    }
}

/// Ends with the answer to `request`, whatever `page` does: a question without an answer would hold its place for ever.
async fn fetched(request: u64, page: impl Future<Output = Result<Page, Error>>) -> Background {
    let page = AssertUnwindSafe(page).catch_unwind().await;
    let result = page.unwrap_or_else(|_| Err(Error::unexpected("reading it panicked"))).map_err(|error| fetch_error(&error));
    Background::Fetched(request, result)
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Only the server's own word counts: a status alone may be a load balancer's or a captive portal's, and would make a device skip events.
fn fetch_error(error: &Error) -> FetchError {
    if error.code == Refusal::NotAMember.code() { FetchError::Gone } else { FetchError::Later { retry_after: error.retry_after } }
}

#[cfg(test)]
mod tests;
