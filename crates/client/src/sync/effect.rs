//! What goes into the engine and what it wants done.

use std::sync::Arc;

use banter_model::{ConversationId, DeviceId, EventId, Marker, Millis, Seq, Tag, UserId};
use banter_protocol::api::Page;
use banter_protocol::frame::{AccountPart, UserPresence};
use banter_protocol::{ClientFrame, ErrorBody, Event, ServerFrame};
use serde::Serialize;

use super::ConversationState;

/// What a device remembers between two runs: enough to go on as if nothing had happened.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// Whose device it is.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// The sync point, once there was one.
    pub point: Option<String>,
    /// Does it follow every conversation from its first event? True for the device that made the account; a further device
    /// follows from where the logs end when it first syncs.
    pub from_the_start: bool,
    /// The conversations.
    pub conversations: Vec<ConversationState>,
    /// What has no answer yet, in any order.
    pub outbox: Vec<(ConversationId, Tag, ClientFrame)>,
}

/// A part of a log to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The last events.
    Newest,
    /// The events after a place.
    After(Seq),
    /// The events before a place.
    Before(Seq),
    /// The events around a place.
    Around(Seq),
}

/// What happens to a device.
#[derive(Debug)]
pub enum Input {
    /// A frame came. The first of a session is `welcome`: from there on the device is connected.
    Frame(ServerFrame),
    /// The session ended, however it did.
    Disconnected,
    /// The answer to [`Effect::Fetch`] with this number.
    Fetched {
        /// The number of the question.
        request: u64,
        /// The page, or why there is none.
        result: Result<Page, FetchError>,
    },
    /// A page that the application asked for itself.
    Page {
        /// Of which conversation.
        conversation: ConversationId,
        /// What was asked for.
        window: Window,
        /// The answer.
        page: Page,
    },
    /// The answer to [`Effect::LookUp`]: the event that this device and tag made, if it is stored.
    LookedUp {
        /// Where.
        conversation: ConversationId,
        /// The tag.
        tag: Tag,
        /// The event's place, id and time.
        found: Option<(Seq, EventId, Millis)>,
    },
    /// The user has read up to here.
    MarkRead {
        /// Where.
        conversation: ConversationId,
        /// Up to and including this event.
        marker: Marker,
    },
    /// The user is typing.
    Typing {
        /// Where.
        conversation: ConversationId,
    },
    /// Whose presence the application wants to know from now on, instead of those before.
    Watch {
        /// At most [`banter_model::limits::USERS_PER_QUESTION`]; what is beyond is cut.
        users: Vec<UserId>,
    },
    /// Time has passed: see [`Engine::deadline`](super::Engine::deadline).
    Tick,
}

/// Why a page could not be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchError {
    /// It may work later.
    Later {
        /// Seconds that the server wants to be left alone for, if it said so.
        retry_after: Option<u64>,
    },
    /// There is nothing to see for this user.
    Gone,
}

/// What is to be done, in this order. Everything that is to be stored must be stored (in one transaction, as far as it goes)
/// before a frame is sent or the application is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send this frame, if the session of the `welcome` taken in last still stands.
    Send(ClientFrame),
    /// Ask for a page of history and answer with [`Input::Fetched`].
    Fetch {
        /// The number to answer with.
        request: u64,
        /// Of which conversation.
        conversation: ConversationId,
        /// Which part.
        window: Window,
    },
    /// Look in the stored events for the one that this device and tag made, and answer with [`Input::LookedUp`].
    LookUp {
        /// Where.
        conversation: ConversationId,
        /// The tag.
        tag: Tag,
    },
    /// Store something.
    Write(Write),
    /// Tell the application.
    Notify(Notification),
}

/// What is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The state of a conversation.
    Conversation(Box<ConversationState>),
    /// A new entry of the outbox. It must be on the disk before it is sent, or its tag might be used again after a crash.
    Queue {
        /// Where.
        conversation: ConversationId,
        /// Its tag.
        tag: Tag,
        /// What is to be sent.
        frame: ClientFrame,
    },
    /// The entry is answered: forget it.
    Answered {
        /// Where.
        conversation: ConversationId,
        /// Its tag.
        tag: Tag,
    },
    /// The next event in order. Store it, amend the message that it is about, and tell the application of both.
    Append {
        /// Where.
        conversation: ConversationId,
        /// The event.
        event: Arc<Event>,
    },
    /// Events out of order: store them, the application is not told. Messages among them are as they were when the page was read, so
    /// apply to each the stored amendments up to `have` that it does not show yet.
    Keep {
        /// Where.
        conversation: ConversationId,
        /// The events.
        events: Vec<Event>,
        /// Up to here, amendments have been applied.
        have: Seq,
    },
    /// Stored events became contiguous with what the application was told: amend what they are about, and tell it of them in order.
    Deliver {
        /// Where.
        conversation: ConversationId,
        /// From after here ...
        after: Seq,
        /// ... up to here.
        to: Seq,
    },
    /// The sync point.
    Point(String),
}

/// What the application is told.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Notification {
    /// The next event of a conversation. Each comes once per run of the client, in order of `seq`, after it is stored.
    Event {
        /// Where.
        conversation: ConversationId,
        /// What.
        event: Arc<Event>,
    },
    /// The client was far behind: the newest events are stored and can be shown; those between come as [`Notification::Event`] first.
    Ahead {
        /// Where.
        conversation: ConversationId,
        /// From here ...
        from: Seq,
        /// ... to here.
        to: Seq,
    },
    /// A message was edited, redacted or reacted to. The event that did it comes as [`Notification::Event`] as well.
    Amended {
        /// Where.
        conversation: ConversationId,
        /// The message as it is now.
        message: Arc<Event>,
    },
    /// What this device wrote is stored in its place.
    Stored(Stored),
    /// What this device wrote was refused for good and changed nothing.
    Refused {
        /// Where.
        conversation: ConversationId,
        /// Its tag.
        tag: Tag,
        /// Why.
        error: ErrorBody,
    },
    /// Title, members, unread count or preview of a conversation changed.
    Conversation {
        /// Which.
        conversation: ConversationId,
    },
    /// A user (perhaps this one, on another device) has read up to here.
    Read {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Up to and including this event.
        seq: Seq,
    },
    /// It has arrived on a device of somebody's up to here.
    Delivered {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Up to and including this event.
        seq: Seq,
    },
    /// Somebody began to type, or stopped.
    Typing {
        /// Where.
        conversation: ConversationId,
        /// Who.
        user: UserId,
        /// Do they type?
        typing: bool,
    },
    /// Somebody came or went.
    Presence {
        /// Who, and what is known.
        user: UserPresence,
    },
    /// Something of the account changed on another device.
    Account {
        /// What.
        changed: AccountPart,
    },
    /// The session stands, is being made, or is waited for.
    Connection {
        /// Which.
        state: ConnectionState,
    },
    /// Everything up to the moment of connecting is stored.
    Synced,
    /// The device was logged out: nothing more comes until somebody logs in.
    SignedOut {
        /// Why.
        message: String,
    },
    /// The application read too slowly and missed this many notifications. Nothing is lost: events are in the store.
    Lagged {
        /// How many.
        missed: u64,
    },
}

/// See [`Notification::Stored`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stored {
    /// Where.
    pub conversation: ConversationId,
    /// Its tag.
    pub tag: Tag,
    /// Its place.
    pub seq: Seq,
    /// Its id.
    pub id: EventId,
    /// Its time.
    pub at: Millis,
}

/// How the client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionState {
    /// Not connected: trying.
    Connecting,
    /// Connected by WebSocket.
    WebSocket,
    /// Connected by long polling.
    Polling,
}
