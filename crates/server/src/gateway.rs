//! The gateway: holds the sessions, takes their frames, and hands out what is for them.

mod batch;
mod delivery;
mod encoded_frame;
mod handshake;
pub mod hub;
pub mod intake;
mod opening;
mod polling;
mod refusing;
pub mod session;
pub mod shards;
mod socket;
mod sweep;
mod websocket_codec;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use axum::Router;
use axum::routing::{get, post};
use banter_model::{ConversationId, Tag};
use banter_protocol::limits::{SESSIONS_PATH, SOCKET_PATH};

pub use encoded_frame::EncodedFrame;

use crate::gateway::shards::Shards;
use crate::node::Node;
use crate::stores::unqueued::Unqueued;
use crate::worker::Failure;

/// Sessions that are told to look everything up again every few seconds while a worker is cut off: as many as the history answers in that
/// time, and everybody in turn.
const ASKED_AT_ONCE: usize = 10_000;

/// How fast one session may send frames (all but `ping`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameRate {
    /// Frames a second, in the long run.
    pub per_second: u32,
    /// Frames at once.
    pub burst: u32,
}

impl FrameRate {
    /// No limit that anything could reach.
    pub const UNLIMITED: FrameRate = FrameRate { per_second: 1_000_000, burst: 1_000_000 };
}

impl Default for FrameRate {
    /// What a person with several busy devices never reaches: a resend of everything unanswered in 30 conversations at once.
    fn default() -> Self {
        FrameRate { per_second: 100, burst: 1_000 }
    }
}

/// The gateway of this process.
pub struct Gateway {
    node: Arc<Node>,
    frame_rate: FrameRate,
    shards: Shards,
    /// Most sessions at once.
    capacity: usize,
    polls: polling::Polls,
    started: Instant,
    /// No session begins any more.
    ending: AtomicBool,
    /// WebSockets that are told why they end.
    closing: AtomicUsize,
    /// Waits for the answers of commands here.
    unqueued: OnceLock<Arc<Unqueued>>,
}

impl Gateway {
    /// The gateway of `node`: `shards` hold its sessions, at most `capacity` of them.
    pub fn new(node: Arc<Node>, frame_rate: FrameRate, shards: Shards, capacity: usize) -> Arc<Self> {
        Arc::new(Gateway {
            node,
            frame_rate,
            shards,
            capacity,
            polls: polling::Polls::default(),
            started: Instant::now(),
            ending: AtomicBool::new(false),
            closing: AtomicUsize::new(0),
            unqueued: OnceLock::new(),
        })
    }

    /// From now on `unqueued` hears of the answers that commands of sessions here get.
    pub fn tell_answers(&self, unqueued: Arc<Unqueued>) {
        // There is one in a process.
        let _ = self.unqueued.set(unqueued);
    }

    /// Notes that a command of the session with this number is answered. If it is not to be sent again, nothing waits for it any more.
    fn note_answer(&self, conversation: ConversationId, session: u64, tag: Tag, failure: Option<&Failure>) {
        let again = failure.is_some_and(|failure| failure.retry_after().is_some());
        if let Some(unqueued) = self.unqueued.get().filter(|_| !again) {
            unqueued.answered(conversation, session, tag);
        }
    }

    /// Routes of WebSocket and long polling.
    pub fn routes(self: &Arc<Self>) -> Router {
        Router::new()
            .route(SOCKET_PATH, get(handshake::upgrade))
            .route(SESSIONS_PATH, post(polling::open))
            .route(&format!("{SESSIONS_PATH}/{{session}}"), axum::routing::delete(polling::close))
            .route(&format!("{SESSIONS_PATH}/{{session}}/frames"), get(polling::poll).post(polling::post))
            .with_state(self.clone())
    }

    /// Has every session ended, and been told so?
    pub fn is_empty(&self) -> bool {
        self.node.hub.is_empty() && self.closing.load(Ordering::Acquire) == 0
    }

    /// Stops the shards, with what is left of their sessions. To be called before the stores are closed.
    pub async fn stop(&self) {
        self.shards.stop().await;
    }

    /// All sessions may have missed something: they are told to look everything up again.
    pub fn resync_all(&self) {
        self.node.hub.resync_all();
    }

    /// Sessions miss what happens while something else is amiss: so many of them as the history bears at once are told to look everything up
    /// again, others with the next `turn`.
    pub fn resync_some(&self, turn: u64) {
        let parts = self.node.hub.len().div_ceil(ASKED_AT_ONCE).max(1) as u64;
        self.node.hub.resync_part(turn % parts, parts);
    }

    fn is_full(&self) -> bool {
        usize::try_from(self.node.metrics.sessions.get()).unwrap_or(0) >= self.capacity
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Seconds since the gateway was made: what silence is measured with.
    fn seconds(&self) -> u32 {
        u32::try_from(self.started.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Milliseconds since the gateway was made: what rates are measured with.
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
