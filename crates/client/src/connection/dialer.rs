//! Which server to connect to, and how.

use std::time::Duration;

use banter_protocol::api::ChatServer;
use banter_protocol::frame::Resume;
use banter_protocol::{ClientFrame, ServerFrame, close_code};
use tokio::time::{Instant, timeout};

use super::{CONNECT, Closed, Connection, Polling, WebSocket};
use crate::Error;
use crate::api::{Api, base_of};

/// WebSockets that fail in a row before `welcome`, while HTTP works, until long polling is used.
const FAILURES: u32 = 2;
/// How long long polling is used at first before WebSocket is tried again; doubled each time that it still does not get through.
const POLLING: Duration = Duration::from_secs(180);
/// The most that is doubled to.
const POLLING_MOST: Duration = Duration::from_secs(3_600);

/// Connects to the first server that works, by WebSocket where it gets through.
#[derive(Debug)]
pub struct Dialer {
    servers: Vec<String>,
    at: usize,
    websocket_failures: u32,
    poll_until: Option<Instant>,
    /// For how long long polling was chosen last; absent once a WebSocket has carried a session.
    polling: Option<Duration>,
}

impl Dialer {
    /// A dialer for `servers`, best first; an empty address, or an empty list, is where the API is.
    pub fn new(api: &Api, servers: &[ChatServer]) -> Self {
        Dialer { servers: addresses(api, servers), at: 0, websocket_failures: 0, poll_until: None, polling: None }
    }

    /// The server that is tried now.
    pub fn server(&self) -> &str {
        &self.servers[self.at % self.servers.len()]
    }

    /// Tries once to make a session that goes on from `since`. The `welcome` is returned beside it.
    ///
    /// The token is refreshed if the server wants that. An error with [`Error::is_signed_out`] is final.
    pub async fn dial(&mut self, api: &Api, since: Option<String>) -> Result<(Connection, ServerFrame), Error> {
        let result = self.try_server(api, since).await;
        if let Err(error) = &result
            && !error.is_signed_out()
        {
            tracing::debug!(server = self.server(), %error, "no session");
            // The next one may be alive.
            self.at = (self.at + 1) % self.servers.len();
            if self.at == 0 {
                self.ask_again(api).await;
            }
        }
        result
    }

    /// The server that is tried now fell silent: the next one is tried first, for a connection to one that hangs comes about and then
    /// says nothing.
    pub fn pass_over(&mut self) {
        self.at = (self.at + 1) % self.servers.len();
    }

    /// An upgrade got through: the next session is tried by WebSocket. Something between may still cut it before `welcome`, so one
    /// more failure is enough for long polling.
    pub fn use_websocket(&mut self) {
        self.websocket_failures = FAILURES - 1;
        self.poll_until = None;
    }

    /// How long to use long polling before looking whether WebSocket gets through again.
    pub fn until_probe(&self) -> Duration {
        self.polling.unwrap_or(POLLING)
    }

    /// None of the servers works: there may be others by now. The API itself is tried again anyway.
    async fn ask_again(&mut self, api: &Api) {
        if self.servers.iter().all(|server| server == api.base()) {
            return;
        }
        match timeout(CONNECT, api.servers()).await {
            Ok(Ok(answer)) => self.servers = addresses(api, &answer.servers),
            Ok(Err(error)) => tracing::debug!(%error, "no other servers"),
            Err(_) => tracing::debug!("no other servers in time"),
        }
    }

    async fn try_server(&mut self, api: &Api, since: Option<String>) -> Result<(Connection, ServerFrame), Error> {
        let mut token = api.access_token().await?;
        for fresh in [false, true] {
            let first = ClientFrame::Resume(Resume { token: token.clone(), since: since.clone() });
            let polls = self.poll_until.is_some_and(|until| Instant::now() < until);
            let result = if polls { self.by_polling(api, &first).await } else { self.by_websocket(api, &first).await };
            match result {
                Err(closed) if closed.is_signed_out() => {
                    api.forget_tokens().await?;
                    return Err(closed.into());
                }
                Err(closed) if closed.is_token() && !fresh => token = api.refresh(&token).await?,
                other => return Ok(other?),
            }
        }
        Err(Error::new(Error::CLOSED, "a fresh token is refused"))
    }

    async fn by_websocket(&mut self, api: &Api, first: &ClientFrame) -> Result<(Connection, ServerFrame), Closed> {
        let result = match WebSocket::connect(self.server(), first).await {
            Ok(socket) => welcomed(Connection::WebSocket(Box::new(socket))).await,
            Err(error) => Err(Closed::broken(error)),
        };
        let Err(closed) = result else {
            (self.websocket_failures, self.poll_until, self.polling) = (0, None, None);
            return result;
        };
        if closed.code.is_some_and(|code| code == close_code::GOING_AWAY || code >= 4_000) {
            // The server itself has spoken: WebSocket gets through.
            return Err(closed);
        }
        self.websocket_failures = self.websocket_failures.saturating_add(1);
        if self.websocket_failures < FAILURES || !api.is_alive(self.server()).await {
            return Err(closed);
        }
        tracing::info!(server = self.server(), %closed, "WebSocket does not get through, HTTP does: long polling");
        let polling = self.polling.map_or(POLLING, |before| (before * 2).min(POLLING_MOST));
        (self.polling, self.poll_until) = (Some(polling), Some(Instant::now() + polling));
        self.by_polling(api, first).await
    }

    async fn by_polling(&mut self, api: &Api, first: &ClientFrame) -> Result<(Connection, ServerFrame), Closed> {
        match Polling::connect(api.http().clone(), self.server(), first).await {
            Ok(polling) => welcomed(Connection::Polling(Box::new(polling))).await,
            Err(error) if matches!(error.code.as_str(), "token_expired" | "unauthenticated") => {
                Err(Closed::by_server(close_code::UNAUTHENTICATED, error.message))
            }
            Err(error) => Err(Closed::broken(error)),
        }
    }
}

/// The addresses of `servers`; the API's if there is none.
fn addresses(api: &Api, servers: &[ChatServer]) -> Vec<String> {
    let address = |server: &ChatServer| match server.url.as_str() {
        "" => Some(api.base().to_owned()),
        url => base_of(url).ok().map(|base| base.to_string()),
    };
    let mut addresses: Vec<String> = servers.iter().filter_map(address).collect();
    if addresses.is_empty() {
        addresses.push(api.base().to_owned());
    }
    addresses
}

/// Waits for `welcome`.
async fn welcomed(mut connection: Connection) -> Result<(Connection, ServerFrame), Closed> {
    let wait = async {
        loop {
            match connection.next().await? {
                frame @ ServerFrame::Welcome { .. } => return Ok(frame),
                // What the close code says comes next.
                ServerFrame::Bye { .. } => {}
                other => return Err(Closed::broken(format!("expected welcome, got {other:?}"))),
            }
        }
    };
    let welcome = timeout(CONNECT, wait).await.map_err(|_| Closed::broken("no welcome in time"))??;
    Ok((connection, welcome))
}
