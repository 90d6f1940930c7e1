//! The session of a client: dialled, waited for, lost, and moved from long polling to WebSocket.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use banter_protocol::{ServerFrame, close_code};
use rand::RngExt;
use tokio::time::Instant;

use super::task::{Background, Task};
use crate::Error;
use crate::connection::{Closed, Connection, Dialer, WebSocket};
use crate::sync::{ConnectionState, Input, Notification};

/// A session that lasted this long was a good one: the next wait is short.
const LASTED: Duration = Duration::from_secs(30);
/// After a server said that it goes down, its devices come back within this time, at random.
const GOING_AWAY: Duration = Duration::from_secs(3);

/// A session being opened.
pub(super) type Dialing = Pin<Box<dyn Future<Output = (Dialer, Result<(Connection, ServerFrame), Error>)> + Send>>;

/// How the session is doing.
pub(super) enum Link {
    Waiting(Instant),
    Dialing(Dialing),
    Up { connection: Box<Connection>, since: Instant, probe_at: Option<Instant> },
    SignedOut,
}

impl Task {
    pub(super) fn dial(&mut self) {
        let Some(mut dialer) = self.dialer.take() else { return };
        self.tell(Notification::Connection { state: ConnectionState::Connecting });
        let (api, since) = (self.api.clone(), self.engine.point().map(str::to_owned));
        self.link = Link::Dialing(Box::pin(async move {
            let result = dialer.dial(&api, since).await;
            (dialer, result)
        }));
    }

    pub(super) fn dialed(&mut self, dialer: Dialer, result: Result<(Connection, ServerFrame), Error>) {
        let until_probe = dialer.until_probe();
        self.dialer = Some(dialer);
        match result {
            Ok((connection, welcome)) => {
                let polling = connection.is_polling();
                let since = Instant::now();
                let probe_at = polling.then(|| since + until_probe);
                self.link = Link::Up { connection: Box::new(connection), since, probe_at };
                self.status.send_modify(|status| (status.connected, status.polling, status.synced) = (true, polling, false));
                let state = if polling { ConnectionState::Polling } else { ConnectionState::WebSocket };
                self.tell(Notification::Connection { state });
                self.input(Input::Frame(welcome));
            }
            Err(error) if error.is_signed_out() => self.signed_out(error.message),
            Err(error) => {
                let asked = Duration::from_secs(error.retry_after.unwrap_or(0).min(60));
                self.link = Link::Waiting(Instant::now() + self.backoff.next_wait().max(asked));
            }
        }
    }

    pub(super) fn closed(&mut self, closed: Closed) {
        tracing::debug!(%closed, "the session ended");
        let lasted = matches!(&self.link, Link::Up { since, .. } if since.elapsed() >= LASTED);
        self.status.send_modify(|status| (status.connected, status.synced) = (false, false));
        self.input(Input::Disconnected);
        if closed.is_signed_out() {
            return self.signed_out(closed.message);
        }
        if let Some(dialer) = self.dialer.as_mut().filter(|_| closed.silent) {
            dialer.pass_over();
        }
        let going_away = closed.code == Some(close_code::GOING_AWAY);
        if lasted || going_away {
            self.backoff.reset();
        }
        let wait = if going_away { rand::rng().random_range(Duration::ZERO..GOING_AWAY) } else { self.backoff.next_wait() };
        self.link = Link::Waiting(Instant::now() + wait);
        self.tell(Notification::Connection { state: ConnectionState::Connecting });
    }

    fn signed_out(&mut self, message: String) {
        self.link = Link::SignedOut;
        self.status.send_modify(|status| status.signed_out = Some(message.clone()));
        for (_, ticket) in self.tickets.drain() {
            // Whoever waited may be gone.
            let _ = ticket.send(Err(Error::new(Error::SIGNED_OUT, message.clone())));
        }
        let api = self.api.clone();
        self.background.spawn(async move {
            if let Err(error) = api.forget_tokens().await {
                tracing::warn!(%error, "the tokens could not be forgotten");
            }
            Background::Probed(false)
        });
        self.tell(Notification::SignedOut { message });
    }

    pub(super) fn probe(&mut self) {
        let Some(dialer) = &self.dialer else { return };
        if let Link::Up { probe_at, .. } = &mut self.link {
            *probe_at = Some(Instant::now() + dialer.until_probe());
        }
        let server = dialer.server().to_owned();
        self.background.spawn(async move { Background::Probed(WebSocket::probe(&server).await.is_ok()) });
    }

    /// Goes over to WebSocket if it gets through. What is under way is sent again, as after any reconnect.
    pub(super) async fn probed(&mut self, through: bool) {
        if !through || !matches!(&self.link, Link::Up { connection, .. } if connection.is_polling()) {
            return;
        }
        if let Some(dialer) = &mut self.dialer {
            dialer.use_websocket();
        }
        let link = std::mem::replace(&mut self.link, Link::Waiting(Instant::now()));
        if let Link::Up { connection, .. } = link {
            connection.close().await;
        }
        self.status.send_modify(|status| (status.connected, status.synced) = (false, false));
        self.input(Input::Disconnected);
    }
}
