//! A session over WebSocket.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use banter_protocol::limits::{HEARTBEAT_MS, SOCKET_PATH};
use banter_protocol::{ClientFrame, ServerFrame};
use futures_util::{Sink, Stream};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_tls_with_config};

use super::heard::{Heard, Hearing};
use super::silence::{Silence, Verdict};
use super::{CONNECT, Closed, OUTGOING};
use crate::Error;

/// The largest frame taken from a server: a sync answer of 500 groups with 100 members each stays below it.
const INCOMING_BYTES: usize = 16 << 20;
/// Closing in good order takes at most this long.
const CLOSE: Duration = Duration::from_secs(2);

/// See [`super::Connection`].
#[derive(Debug)]
pub struct WebSocket {
    stream: WebSocketStream<MaybeTlsStream<Heard>>,
    outgoing: VecDeque<Message>,
    unflushed: bool,
    hearing: Hearing,
    /// What was heard when it was last looked.
    heard: u64,
    silence: Silence,
    timer: Pin<Box<Sleep>>,
    bye: Option<Closed>,
}

impl WebSocket {
    /// Connects to the server at `base` and writes `first` (a `hello` or `resume`).
    pub async fn connect(base: &str, first: &ClientFrame) -> Result<Self, Error> {
        let (stream, hearing) = upgrade(base).await?;
        let silence = Silence::new(Duration::from_millis(HEARTBEAT_MS), Instant::now());
        let timer = Box::pin(sleep_until(silence.look_at()));
        let outgoing = VecDeque::new();
        let mut socket = WebSocket { stream, outgoing, unflushed: false, hearing, heard: 0, silence, timer, bye: None };
        socket.send(first)?;
        timeout(CONNECT, socket.flush()).await.map_err(|error| Error::unreachable(base, &error))??;
        Ok(socket)
    }

    /// Does a WebSocket get through to the server at `base`?
    pub async fn probe(base: &str) -> Result<(), Error> {
        let (mut stream, _) = upgrade(base).await?;
        // Only the upgrade is of interest.
        let _ = timeout(CLOSE, stream.close(None)).await;
        Ok(())
    }

    pub(super) fn send(&mut self, frame: &ClientFrame) -> Result<(), Closed> {
        if self.outgoing.len() >= OUTGOING {
            return Err(Closed::broken("too much waits to be written"));
        }
        let text = serde_json::to_string(frame).map_err(Closed::broken)?;
        // Counts as said, even if it is stuck: otherwise the line would fill with pings.
        self.silence.said(Instant::now(), text.len(), matches!(frame, ClientFrame::Ping(_)));
        self.outgoing.push_back(Message::text(text));
        Ok(())
    }

    pub(super) async fn next(&mut self) -> Result<ServerFrame, Closed> {
        poll_fn(|context| self.poll_next(context)).await
    }

    pub(super) async fn flush(&mut self) -> Result<(), Closed> {
        poll_fn(|context| self.poll_write(context)).await
    }

    pub(super) async fn close(mut self) {
        // Whoever does not answer in time is left alone.
        let _ = timeout(CLOSE, async {
            self.flush().await.ok();
            self.stream.close(None).await.ok()
        })
        .await;
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Result<ServerFrame, Closed>> {
        loop {
            if let Poll::Ready(Err(closed)) = self.poll_write(context) {
                return Poll::Ready(Err(self.bye.take().unwrap_or(closed)));
            }
            let read = Pin::new(&mut self.stream).poll_next(context);
            let heard = self.hearing.bytes();
            if std::mem::replace(&mut self.heard, heard) != heard {
                self.silence.heard(Instant::now());
            }
            if let Poll::Ready(message) = read {
                match self.take(message) {
                    Some(result) => return Poll::Ready(result),
                    None => continue,
                }
            }
            let look_at = self.silence.look_at();
            if look_at < self.timer.deadline() {
                self.timer.as_mut().reset(look_at);
            }
            if self.timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            if let Err(closed) = self.beat() {
                return Poll::Ready(Err(closed));
            }
        }
    }

    /// Writes what waits. Pending while something is not written.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        while !self.outgoing.is_empty() {
            match Pin::new(&mut self.stream).poll_ready(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Closed::broken(error))),
                Poll::Ready(Ok(())) => {
                    let Some(message) = self.outgoing.pop_front() else { break };
                    self.unflushed = true;
                    if let Err(error) = Pin::new(&mut self.stream).start_send(message) {
                        return Poll::Ready(Err(Closed::broken(error)));
                    }
                }
            }
        }
        if !self.unflushed {
            return Poll::Ready(Ok(()));
        }
        match Pin::new(&mut self.stream).poll_flush(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(result) => {
                self.unflushed = false;
                Poll::Ready(result.map_err(Closed::broken))
            }
        }
    }

    fn take(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> Option<Result<ServerFrame, Closed>> {
        match message {
            Some(Ok(Message::Text(text))) => match serde_json::from_str(&text) {
                Ok(frame) => {
                    match &frame {
                        ServerFrame::Welcome { heartbeat_ms, .. } => {
                            self.silence.set_heartbeat(Duration::from_millis((*heartbeat_ms).clamp(1_000, 600_000)));
                        }
                        ServerFrame::Bye { code, message } => {
                            self.bye = Some(Closed::by_server(*code, message));
                        }
                        _ => {}
                    }
                    Some(Ok(frame))
                }
                Err(error) => {
                    // Of a newer server: passed over.
                    tracing::debug!(%error, "an unknown frame");
                    None
                }
            },
            Some(Ok(Message::Close(close))) => {
                let closed = close.map(|close| Closed::by_server(close.code.into(), &close.reason));
                let by_bye = self.bye.take();
                Some(Err(closed.or(by_bye).unwrap_or_else(|| Closed::broken("closed without a reason"))))
            }
            Some(Ok(_)) => {
                // A ping is answered by the library with the next write.
                self.unflushed = true;
                None
            }
            Some(Err(error)) => Some(Err(self.bye.take().unwrap_or_else(|| Closed::broken(error)))),
            None => Some(Err(self.bye.take().unwrap_or_else(|| Closed::broken("the connection was cut")))),
        }
    }

    /// Says something when it is time to, and finds out whether the server is gone.
    fn beat(&mut self) -> Result<(), Closed> {
        match self.silence.look(Instant::now()) {
            Verdict::Gone => return Err(Closed::silent()),
            Verdict::Ping => self.send(&ClientFrame::Ping(banter_protocol::frame::Empty {}))?,
            Verdict::Fine => {}
        }
        self.timer.as_mut().reset(self.silence.look_at());
        Ok(())
    }
}

async fn upgrade(base: &str) -> Result<(WebSocketStream<MaybeTlsStream<Heard>>, Hearing), Error> {
    crate::api::install_provider();
    let base = crate::api::base_of(base)?;
    match timeout(CONNECT, try_upgrade(&base)).await {
        Ok(Ok(upgraded)) => Ok(upgraded),
        Ok(Err(error)) => Err(Error::unreachable(&base, &error)),
        Err(error) => Err(Error::unreachable(&base, &error)),
    }
}

async fn try_upgrade(base: &str) -> Result<(WebSocketStream<MaybeTlsStream<Heard>>, Hearing), tungstenite::Error> {
    // http becomes ws, https wss.
    let request = format!("ws{}{SOCKET_PATH}", &base[4..]).into_client_request()?;
    let uri = request.uri();
    // An IPv6 address has brackets in an address bar, and none in a socket's.
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(if base.starts_with("https") { 443 } else { 80 });
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    let (stream, hearing) = Heard::new(stream);
    let config = WebSocketConfig::default()
        .read_buffer_size(16 << 10)
        .max_message_size(Some(INCOMING_BYTES))
        .max_frame_size(Some(INCOMING_BYTES));
    let (stream, _) = client_async_tls_with_config(request, stream, Some(config), None).await?;
    Ok((stream, hearing))
}
