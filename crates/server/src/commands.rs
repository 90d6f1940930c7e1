//! Commands of the API: queued like a device's, and their answer waited for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use banter_model::{Action, Command, ConversationId, DeviceId, EventId, UserId};
use banter_protocol::ErrorCode;
use banter_store::queue::PushError;
use banter_store::{CommandQueue, Envelope, Origin};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::clock::Ids;
use crate::worker::Failure;
use crate::worker::delivery::Stored;

/// Numbers of waiting API requests have this bit, numbers of sessions do not.
pub const WAITER: u64 = 1 << 63;

/// The longest that an answer is waited for. A command is stored in milliseconds; this long only when the disk hangs.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Hands commands of the API to the queue.
pub struct Commands {
    queue: Arc<dyn CommandQueue>,
    ids: Arc<Ids>,
    gateway: u16,
    next: AtomicU64,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Result<Stored, Failure>>>>,
}

impl Commands {
    /// Commands of the node with number `gateway`.
    pub fn new(queue: Arc<dyn CommandQueue>, ids: Arc<Ids>, gateway: u16) -> Self {
        Commands { queue, ids, gateway, next: AtomicU64::new(0), waiting: Mutex::default() }
    }

    /// Checks `action`, queues it, and waits until it is stored. Answers with the event that it made.
    ///
    /// # Errors
    /// The refusal, or why it could not be stored. [`ErrorCode::Busy`] when no answer came in time: it may still be stored.
    pub async fn run(
        &self,
        sender: UserId,
        device: DeviceId,
        conversation: ConversationId,
        action: Action,
    ) -> Result<Stored, Failure> {
        action.check()?;
        let id = EventId(self.ids.next().await.map_err(|_| Failure::Unavailable(ErrorCode::ClockBehind))?);
        let session = WAITER | self.next.fetch_add(1, Ordering::Relaxed);
        let (answer, waited) = oneshot::channel();
        self.waiting.lock().insert(session, answer);
        let forget = Forget { commands: self, session };
        let command = Command { conversation, sender, device, tag: None, id, action };
        let origin = Origin { gateway: self.gateway, session };
        let pushed = tokio::time::timeout(ANSWER_TIMEOUT, self.queue.push(Envelope { command, origin, objection: None })).await;
        match pushed {
            Ok(Ok(())) => {}
            Ok(Err(PushError::Closed)) => return Err(Failure::Unavailable(ErrorCode::ShuttingDown)),
            Ok(Err(PushError::Full(_))) | Err(_) => return Err(Failure::Unavailable(ErrorCode::Busy)),
        }
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, waited).await;
        drop(forget);
        match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Failure::Unavailable(ErrorCode::ShuttingDown)),
            Err(_) => Err(Failure::Unavailable(ErrorCode::Busy)),
        }
    }

    /// Hands an answer to the request that waits under `session`, if it still does.
    pub fn answer(&self, session: u64, answer: Result<Stored, Failure>) {
        if let Some(waiter) = self.waiting.lock().remove(&session) {
            // The request may have given up meanwhile.
            let _ = waiter.send(answer);
        }
    }
}

/// Takes a waiter out of the table when its request ends, however it ends.
struct Forget<'a> {
    commands: &'a Commands,
    session: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.commands.waiting.lock().remove(&self.session);
    }
}
