//! How a session begins: `hello` or `resume`, the same for every transport.

use std::sync::Arc;

use banter_protocol::frame::{ClientFrame, Hello, Resume, SyncQuestion};
use banter_protocol::limits::HEARTBEAT_MS;
use banter_protocol::{ErrorBody, ErrorCode, ServerFrame, close_code};

use crate::api::errors::ApiError;
use crate::auth::tokens::InvalidToken;
use crate::clock;
use crate::conversations::sync;
use crate::gateway::Gateway;
use crate::gateway::intake::Waiting;
use crate::gateway::session::{End, Session, Transport};

/// Why a session does not begin.
#[derive(Debug)]
pub struct Rejected {
    /// How a WebSocket is closed.
    pub end: End,
    /// The same for long polling.
    pub code: ErrorCode,
}

impl Rejected {
    const fn new(close_code: u16, code: ErrorCode, message: &'static str) -> Self {
        Rejected { end: End { code: close_code, message }, code }
    }

    /// The first frame was another one.
    pub const NO_HELLO: Rejected =
        Rejected::new(close_code::HELLO_EXPECTED, ErrorCode::InvalidFrame, "the first frame has to be hello or resume");
    /// The first frame did not come.
    pub const TOO_LATE: Rejected =
        Rejected::new(close_code::HELLO_EXPECTED, ErrorCode::RequestTimeout, "hello or resume has to come within 10 s");
    const TOO_MANY: Rejected =
        Rejected::new(close_code::GOING_AWAY, ErrorCode::RateLimited, "this user opens sessions too fast: wait a moment");
    const SHUTTING_DOWN: Rejected = Rejected::new(close_code::GOING_AWAY, ErrorCode::ShuttingDown, "the server is going down");
    const FULL: Rejected =
        Rejected::new(close_code::GOING_AWAY, ErrorCode::Busy, "this server holds as many sessions as it may: try again later");
    const FORGED: Rejected =
        Rejected::new(close_code::UNAUTHENTICATED, ErrorCode::Unauthenticated, "the access token is not one of this server's");
    const EXPIRED: Rejected =
        Rejected::new(close_code::UNAUTHENTICATED, ErrorCode::TokenExpired, "the access token has expired: refresh it");
    const SIGNED_OUT: Rejected = Rejected::new(close_code::SIGNED_OUT, ErrorCode::Unauthenticated, "this device was signed out");
}

impl From<Rejected> for ApiError {
    fn from(rejected: Rejected) -> Self {
        ApiError::new(rejected.code, rejected.end.message)
    }
}

impl Gateway {
    /// Begins a session with its first frame. It is registered, and `welcome` waits in its outbox. For `resume`, the future
    /// that is returned puts the `sync` answer there too.
    ///
    /// # Errors
    /// When the frame is another one, or the token is not good.
    pub fn open(self: &Arc<Self>, json: &[u8], transport: Transport) -> Result<(Arc<Session>, Option<Waiting>), Rejected> {
        let (token, since) = match serde_json::from_slice(json) {
            Ok(ClientFrame::Hello(Hello { token })) => (token, None),
            Ok(ClientFrame::Resume(Resume { token, since })) => (token, Some(since)),
            _ => return Err(Rejected::NO_HELLO),
        };
        let node = &self.node;
        let access = node.tokens.check(&token, clock::now()).map_err(|invalid| match invalid {
            InvalidToken::Forged => Rejected::FORGED,
            InvalidToken::Expired => Rejected::EXPIRED,
        })?;
        if self.is_ending() {
            return Err(Rejected::SHUTTING_DOWN);
        }
        if self.is_full() {
            return Err(Rejected::FULL);
        }
        node.rate_limits.request(access.user, clock::now()).map_err(|_| Rejected::TOO_MANY)?;
        let session = Arc::new(Session::new(node.hub.next_number(), access.user, access.device, transport, self.seconds()));
        self.give(
            &session,
            &ServerFrame::Welcome {
                session: session.number.to_string(),
                user: access.user,
                device: access.device,
                at: clock::now(),
                heartbeat_ms: HEARTBEAT_MS,
            },
        );
        if node.hub.register(session.clone()) {
            node.presence.came(access.user);
        }
        // Looked up after registering: the end of the server, or a sign-out, is either seen here, or finds the session.
        if self.is_ending() {
            self.forget(&session);
            return Err(Rejected::SHUTTING_DOWN);
        }
        if node.removed_devices.contains(access.device) {
            self.forget(&session);
            return Err(Rejected::SIGNED_OUT);
        }
        let listed = node.presence.listed(access.user);
        if since.is_none() && listed.is_none() {
            return Ok((session, None));
        }
        let (gateway, opened) = (self.clone(), session.clone());
        let waiting: Waiting = Box::pin(async move {
            if let Some(listed) = listed {
                // Before anything is looked up for it: what comes later finds the session. One for which that takes too long, or fails,
                // is told to look again when it is listed.
                listed.await;
            }
            if let Some(since) = since {
                let session = opened;
                let question = SyncQuestion { since, more: None };
                let answer = sync::answer(&gateway.node, session.user, &question);
                match gateway.still_there(&session, answer).await {
                    Ok(answer) => gateway.give(&session, &answer),
                    Err(ErrorBody { code, message, retry_after }) => {
                        gateway.node.metrics.refused(&code);
                        gateway.give(&session, &ServerFrame::Error { code, message, tag: None, conversation: None, retry_after });
                    }
                }
            }
        });
        Ok((session, Some(waiting)))
    }

    /// A session is over: nothing is delivered to it any more.
    pub fn forget(&self, session: &Session) {
        self.node.hub.unregister(session, || self.node.presence.went(session.user));
    }
}
