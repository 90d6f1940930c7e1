//! What an application hears of its client.

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::sync::Notification;

/// A stream of notifications. See [`super::Client::notifications`].
#[derive(Debug)]
pub struct Notifications {
    receiver: broadcast::Receiver<Notification>,
}

impl Notifications {
    pub(super) fn new(receiver: broadcast::Receiver<Notification>) -> Self {
        Notifications { receiver }
    }

    /// The next one; `None` once the client has ended.
    pub async fn next(&mut self) -> Option<Notification> {
        match self.receiver.recv().await {
            Ok(notification) => Some(notification),
            Err(RecvError::Lagged(missed)) => Some(Notification::Lagged { missed }),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next one, if it is here already.
    pub fn try_next(&mut self) -> Option<Notification> {
        match self.receiver.try_recv() {
            Ok(notification) => Some(notification),
            Err(TryRecvError::Lagged(missed)) => Some(Notification::Lagged { missed }),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
