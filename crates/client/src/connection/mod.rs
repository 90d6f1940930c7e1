//! One live session with a chat server: frames out, frames in, over WebSocket or long polling.
//!
//! Usable on its own: [`connect`] with a token, then [`Connection::send`] and [`Connection::next`]. Everything that a connection does
//! (writing, answering, heartbeats) happens while [`Connection::next`] is awaited; awaiting it can be broken off at any time without
//! losing anything, so one task can serve a connection and much else.

mod backoff;
mod dialer;
mod heard;
mod polling;
mod silence;
mod websocket;

pub use backoff::Backoff;
pub use dialer::Dialer;
pub use polling::Polling;
pub use websocket::WebSocket;

use std::time::Duration;

use banter_protocol::frame::Hello;
use banter_protocol::{ClientFrame, ServerFrame, close_code};

use crate::Error;

/// Making a connection, `welcome` included, takes at most this long.
pub const CONNECT: Duration = Duration::from_secs(15);
/// Most frames that wait to be written. The sync engine stays far below it.
pub const OUTGOING: usize = 4_096;

/// A session.
#[derive(Debug)]
pub enum Connection {
    /// Over WebSocket.
    WebSocket(Box<WebSocket>),
    /// Over long polling.
    Polling(Box<Polling>),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the session ended: {message}{}", code.map(|code| format!(" ({code})")).unwrap_or_default())]
pub struct Closed {
    /// The server's close code (see [`close_code`]); absent when the connection broke.
    pub code: Option<u16>,
    /// What is known of the reason.
    pub message: String,
    /// Did the server fall silent? It may hang, and so would the next session with it.
    pub silent: bool,
}

impl Closed {
    pub(crate) fn broken(message: impl std::fmt::Display) -> Self {
        Closed { code: None, message: message.to_string(), silent: false }
    }

    pub(crate) fn silent() -> Self {
        Closed { silent: true, ..Closed::broken("nothing came for too long") }
    }

    pub(crate) fn by_server(code: u16, message: impl std::fmt::Display) -> Self {
        Closed { code: Some(code), ..Closed::broken(message) }
    }

    /// Is it the access token?
    pub fn is_token(&self) -> bool {
        self.code == Some(close_code::UNAUTHENTICATED)
    }

    /// Was the device logged out?
    pub fn is_signed_out(&self) -> bool {
        self.code == Some(close_code::SIGNED_OUT)
    }
}

impl From<Closed> for Error {
    fn from(closed: Closed) -> Self {
        let code = if closed.is_signed_out() { Error::SIGNED_OUT } else { Error::CLOSED };
        Error::new(code, closed.to_string())
    }
}

/// Connects by WebSocket to the server at `base` (`http://...` or `https://...`) and says `hello`. The first frame to come is `welcome`.
pub async fn connect(base: &str, token: &str) -> Result<Connection, Error> {
    let hello = ClientFrame::Hello(Hello { token: token.to_owned() });
    Ok(Connection::WebSocket(Box::new(WebSocket::connect(base, &hello).await?)))
}

impl Connection {
    /// Puts a frame into the line of those to be written, which happens in [`Connection::next`] or [`Connection::flush`].
    ///
    /// Fails when [`OUTGOING`] frames wait already.
    pub fn send(&mut self, frame: &ClientFrame) -> Result<(), Closed> {
        match self {
            Connection::WebSocket(socket) => socket.send(frame),
            Connection::Polling(polling) => polling.send(frame),
        }
    }

    /// The next frame. Writes what waits to be written meanwhile, and keeps the session alive.
    pub async fn next(&mut self) -> Result<ServerFrame, Closed> {
        match self {
            Connection::WebSocket(socket) => socket.next().await,
            Connection::Polling(polling) => polling.next().await,
        }
    }

    /// The next frame, if one is here already.
    pub fn try_next(&mut self) -> Option<Result<ServerFrame, Closed>> {
        use futures_util::FutureExt;
        self.next().now_or_never()
    }

    /// Writes everything that waits to be written.
    pub async fn flush(&mut self) -> Result<(), Closed> {
        match self {
            Connection::WebSocket(socket) => socket.flush().await,
            Connection::Polling(polling) => polling.flush().await,
        }
    }

    /// Ends the session in good order. Bounded by a few seconds.
    pub async fn close(self) {
        match self {
            Connection::WebSocket(socket) => socket.close().await,
            Connection::Polling(polling) => polling.close().await,
        }
    }

    /// Is it long polling?
    pub fn is_polling(&self) -> bool {
        matches!(self, Connection::Polling(_))
    }
}

#[cfg(test)]
mod tests;
