//! The client: one device of one user, connected for as long as it lives.

mod command;
mod groups;
mod history;
mod link;
mod notifications;
mod profile;
mod task;

use std::sync::Arc;

use banter_model::limits::USERS_PER_QUESTION;
use banter_model::{Action, ConversationId, DeviceId, Marker, Seq, Tag, UserId};
use tokio::sync::{Mutex, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use command::Command;
pub(crate) use groups::group_of;
pub use notifications::Notifications;
pub use profile::{Place, Profile};
pub use task::Status;

use crate::Error;
use crate::api::Api;
use crate::storage::{Account, FolderLock, Store};
use crate::sync::{ConversationState, Input, Notification, Stored};

/// Notifications kept for an application that is slow to take them.
const NOTIFICATIONS: usize = 4_096;
/// Commands that wait for the background task.
const COMMANDS: usize = 256;

/// A device that is logged in. Clones are the same device.
///
/// One background task keeps it connected and in sync until [`Client::shutdown`], or until the last clone is dropped. What is written
/// is on the disk before the call returns, and is sent for as long as it takes, across restarts.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    api: Api,
    store: Store,
    account: Account,
    commands: mpsc::Sender<Command>,
    /// The task holds the sender: streams end with it.
    notifications: broadcast::WeakSender<Notification>,
    status: watch::Receiver<Status>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Held until the client ends, and its task, which outlives a client that is dropped for a moment.
    _lock: Option<Arc<FolderLock>>,
}

/// Something written that waits for its answer.
#[derive(Debug)]
pub struct Ticket {
    /// Where.
    pub conversation: ConversationId,
    /// Its tag. [`Notification::Stored`] and [`Notification::Refused`] carry it too.
    pub tag: Tag,
    answer: oneshot::Receiver<Result<Stored, Error>>,
}

impl Ticket {
    /// Waits until it is stored at the server, or refused for good. Waiting can be given up at any time: the command stays in the outbox.
    ///
    /// Fails with [`Error::CLOSED`] when the client ends first; the command is sent by the next run.
    pub async fn stored(self) -> Result<Stored, Error> {
        self.answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

pub(crate) fn ended() -> Error {
    Error::new(Error::CLOSED, "the client has ended; what has no answer yet is sent by the next run")
}

impl Client {
    /// Goes on with the device of `place`. Fails with [`Error::NOT_LOGGED_IN`] when there is none, or when it was logged out.
    pub async fn open(place: Place) -> Result<Self, Error> {
        Profile::open(place).await?.connect().await
    }

    /// Makes an account at the server `base` and a device of it, kept in `place`. See [`Profile::sign_up`].
    pub async fn sign_up(place: Place, base: &str, body: &banter_protocol::api::SignUp) -> Result<Self, Error> {
        Profile::sign_up(place, base, body).await?.connect().await
    }

    /// Logs in to an account at the server `base`, as a new device kept in `place`. See [`Profile::log_in`].
    pub async fn log_in(place: Place, base: &str, body: &banter_protocol::api::Login) -> Result<Self, Error> {
        Profile::log_in(place, base, body).await?.connect().await
    }

    async fn start(profile: Profile) -> Result<Self, Error> {
        let Profile { lock, store, account, api } = profile;
        let snapshot = store.snapshot().await?.ok_or_else(profile::nobody)?;
        let (commands, received) = mpsc::channel(COMMANDS);
        let (notifications, _) = broadcast::channel(NOTIFICATIONS);
        let weak = notifications.downgrade();
        let (task, status) = task::Task::new(api.clone(), store.clone(), &account, snapshot, received, notifications);
        let lock = lock.map(Arc::new);
        let task = Mutex::new(Some(tokio::spawn(task.run(lock.clone()))));
        let inner = Inner { api, store, account, commands, notifications: weak, status, task, _lock: lock };
        Ok(Client { inner: Arc::new(inner) })
    }

    /// Who.
    pub fn user(&self) -> UserId {
        self.inner.account.user
    }

    /// Which device.
    pub fn device(&self) -> DeviceId {
        self.inner.account.device
    }

    /// The user's handle.
    pub fn handle(&self) -> &str {
        &self.inner.account.handle
    }

    /// The HTTP API with this device's tokens.
    pub fn api(&self) -> &Api {
        &self.inner.api
    }

    /// What is stored on this device.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The direct conversation with somebody else.
    pub fn direct(&self, user: UserId) -> Result<ConversationId, Error> {
        let own = || Error::new("not_yourself", "that needs another user than oneself");
        ConversationId::direct(self.user(), user).ok_or_else(own)
    }

    /// What happens from now on. Bounded: an application that is slower than the events is told so by [`Notification::Lagged`],
    /// and reads what it missed with [`Client::stored_events`].
    pub fn notifications(&self) -> Notifications {
        // One that nobody sends to has ended.
        let sender = self.inner.notifications.upgrade().unwrap_or_else(|| broadcast::channel(1).0);
        Notifications::new(sender.subscribe())
    }

    /// Connected or not, in sync or not.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.inner.status.clone()
    }

    /// Waits until everything up to the moment of connecting is stored on this device.
    pub async fn wait_synced(&self) -> Result<(), Error> {
        let mut status = self.status();
        let reached = status.wait_for(|status| status.synced || status.signed_out.is_some() || status.failed.is_some()).await;
        let reached = reached.map_err(|_| ended())?;
        match (&reached.signed_out, &reached.failed) {
            (Some(message), _) => Err(Error::new(Error::SIGNED_OUT, message.clone())),
            (None, Some(error)) => Err(error.clone()),
            (None, None) => Ok(()),
        }
    }

    /// Writes a message. It is on the disk when this returns; the ticket says when it is stored at the server.
    pub async fn send(&self, conversation: ConversationId, text: &str, reply_to: Option<Seq>) -> Result<Ticket, Error> {
        self.queue(conversation, Action::Send { text: text.to_owned(), reply_to, mentions: Vec::new() }).await
    }

    /// Writes an own message anew.
    pub async fn edit(&self, conversation: ConversationId, target: Seq, text: &str) -> Result<Ticket, Error> {
        self.queue(conversation, Action::Edit { target, text: text.to_owned(), mentions: Vec::new() }).await
    }

    /// Deletes a message for everyone.
    pub async fn redact(&self, conversation: ConversationId, target: Seq) -> Result<Ticket, Error> {
        self.queue(conversation, Action::Redact { target }).await
    }

    /// Puts an emoji on a message, or takes it away.
    pub async fn react(&self, conversation: ConversationId, target: Seq, emoji: &str, add: bool) -> Result<Ticket, Error> {
        self.queue(conversation, Action::React { target, emoji: emoji.to_owned(), add }).await
    }

    async fn queue(&self, conversation: ConversationId, action: Action) -> Result<Ticket, Error> {
        self.ask(|reply| Command::Queue { conversation, action, reply }).await?
    }

    /// All conversations, the latest first.
    pub async fn conversations(&self) -> Result<Vec<ConversationState>, Error> {
        self.ask(|reply| Command::Conversations { reply }).await
    }

    /// One conversation, if this device knows it.
    pub async fn conversation(&self, conversation: ConversationId) -> Result<Option<ConversationState>, Error> {
        self.ask(|reply| Command::Conversation { conversation, reply }).await
    }

    /// Moves the user's read marker up to `seq`; it never moves back.
    pub async fn mark_read(&self, conversation: ConversationId, seq: Seq) -> Result<(), Error> {
        let known = self.conversation(conversation).await?;
        let Some(state) = known else { return Err(banter_model::Refusal::NotAMember.into()) };
        let marker = if seq >= state.head.seq {
            state.head
        } else if seq <= state.read.seq {
            return Ok(());
        } else if let Some(event) = self.inner.store.event(conversation, seq).await? {
            Marker { seq, ordinal: event.ordinal }
        } else {
            self.inner.api.mark_read(conversation, seq).await?.read
        };
        self.input(Input::MarkRead { conversation, marker }).await
    }

    /// Tells the others that the user is typing. To be called with every key: it is sent as often as it needs to be.
    pub async fn typing(&self, conversation: ConversationId) -> Result<(), Error> {
        self.input(Input::Typing { conversation }).await
    }

    /// Whose presence to tell from now on (friends' comes by itself). At most 200 users; it replaces those of the call before.
    pub async fn watch_presence(&self, users: Vec<UserId>) -> Result<(), Error> {
        if users.len() > USERS_PER_QUESTION {
            let message = format!("the presence of at most {USERS_PER_QUESTION} users can be watched");
            return Err(Error::new(Error::INVALID_ARGUMENT, message));
        }
        self.input(Input::Watch { users }).await
    }

    /// Connects at once, if the client is waiting before it tries again: for when the application knows that the network is back.
    pub async fn reconnect(&self) -> Result<(), Error> {
        self.inner.commands.send(Command::Reconnect).await.map_err(|_| self.why_ended())
    }

    /// How many commands have no answer yet.
    pub async fn unanswered(&self) -> Result<usize, Error> {
        self.ask(|reply| Command::Unanswered { reply }).await
    }

    /// Logs the device out, at the server and here, and ends the client.
    pub async fn log_out(&self) -> Result<(), Error> {
        let result = self.inner.api.log_out().await;
        if result.as_ref().is_err_and(|error| !error.is_signed_out()) {
            return result;
        }
        self.shutdown_task().await;
        self.inner.api.forget_tokens().await?;
        self.inner.store.close().await;
        Ok(())
    }

    /// Ends the client: the session is closed in good order, the store too. What has no answer yet is sent by the next run.
    pub async fn shutdown(&self) {
        self.shutdown_task().await;
        self.inner.store.close().await;
    }

    async fn shutdown_task(&self) {
        if let Some(task) = self.inner.task.lock().await.take() {
            // It may have ended by itself.
            let _ = self.inner.commands.send(Command::Shutdown).await;
            let _ = task.await;
        }
    }

    async fn input(&self, input: Input) -> Result<(), Error> {
        self.inner.commands.send(Command::Input(input)).await.map_err(|_| self.why_ended())
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.inner.commands.send(command(reply)).await.map_err(|_| self.why_ended())?;
        answer.await.map_err(|_| self.why_ended())
    }

    fn why_ended(&self) -> Error {
        self.inner.status.borrow().failed.clone().unwrap_or_else(ended)
    }
}

#[cfg(test)]
mod tests;
