//! A session over WebSocket.
//!
//! One task a session, written as a future by hand so that an idle one is small: the connection, a pointer to the session, and empty
//! buffers. Bytes are read into a buffer that the thread lends, and only an unfinished frame is kept. Everything that waits for the
//! session goes out in one write. There is no timer in it: [`super::sweep`] looks after silent sessions.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use banter_protocol::limits::HELLO_MS;
use banter_protocol::{ErrorBody, ErrorCode, ServerFrame, close_code};
use bytes::Buf;
use http::{HeaderMap, HeaderName, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::frame::coding::Control;

use crate::gateway::intake::{Taken, Waiting};
use crate::gateway::opening::Rejected;
use crate::gateway::session::{End, MALFORMED_FRAMES, Session, TOO_MANY_MALFORMED, Transport};
use crate::gateway::websocket_codec::{Decoded, Decoder, Message};
use crate::gateway::{EncodedFrame, Gateway};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Most frames taken from an outbox, and slices given to the kernel, in one write.
const WRITE_FRAMES: usize = 64;
/// Most bytes that are read before the session stands: a token and a sync point are far smaller, and strangers get no more memory.
const FIRST_BYTES: usize = 64 << 10;
/// The longest that a closing session is given to take its last frames and to close its side.
const CLOSING_TIME: Duration = Duration::from_secs(5);

thread_local! {
    /// Where this thread reads into. Lent to one session at a time, while it handles what it read.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// `GET /v1/socket`: answers the handshake (RFC 6455 section 4.2) and leaves the connection to a task of its own.
pub async fn upgrade(State(gateway): State<Arc<Gateway>>, mut request: Request) -> Response {
    let Some(key) = handshake_key(request.headers()).map(derive_accept_key) else {
        gateway.node.metrics.refused(ErrorCode::InvalidParameter.code());
        let body = ErrorBody {
            code: ErrorCode::InvalidParameter.code().to_owned(),
            message: "this path takes WebSocket handshakes of version 13 (RFC 6455) only".to_owned(),
            retry_after: None,
        };
        let json = serde_json::to_string(&body).unwrap_or_default();
        return answer(StatusCode::BAD_REQUEST, &[(header::CONTENT_TYPE, "application/json")], Body::from(json));
    };
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        match upgraded.downcast::<TokioIo<TcpStream>>() {
            Ok(parts) => greet(gateway, parts.io.into_inner(), parts.read_buf.into()).await,
            Err(_) => tracing::error!("a WebSocket came over something else than the listener's connections"),
        }
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_ACCEPT, key.as_str())];
    answer(StatusCode::SWITCHING_PROTOCOLS, &headers, Body::empty())
}

fn answer(status: StatusCode, headers: &[(HeaderName, &str)], body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            response.headers_mut().insert(name.clone(), value);
        }
    }
    response
}

fn handshake_key(headers: &HeaderMap) -> Option<&[u8]> {
    let has = |name: HeaderName, wanted: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(wanted))
    };
    let version = has(header::SEC_WEBSOCKET_VERSION, "13");
    let wanted = has(header::CONNECTION, "upgrade") && has(header::UPGRADE, "websocket") && version;
    // A key is 16 bytes in base64.
    headers.get(header::SEC_WEBSOCKET_KEY).map(|key| key.as_bytes()).filter(|key| wanted && key.len() == 24)
}

/// Waits for the first frame, and starts the session.
async fn greet(gateway: Arc<Gateway>, mut stream: TcpStream, mut buffer: Vec<u8>) {
    // Answers are small and go out at once, together when there are several: Nagle's algorithm would only hold them up.
    let _ = stream.set_nodelay(true);
    let first = tokio::time::timeout(Duration::from_millis(HELLO_MS), first_frame(&mut stream, &mut buffer)).await;
    let opened = match first {
        Err(_) => Err(Rejected::TOO_LATE.end),
        Ok(Err(Finish::End(end))) => Err(end),
        Ok(Err(Finish::Gone)) => return,
        Ok(Ok(json)) => gateway.open(&json, Transport::Socket).map_err(|rejected| rejected.end),
    };
    match opened {
        Ok((session, waiting)) => {
            let task = SocketTask::new(gateway, stream, session, buffer, waiting);
            // A task of its own, since this one is as large as what came before the session.
            tokio::spawn(task);
        }
        Err(end) => {
            gateway.node.metrics.closed(end.code);
            close(stream, VecDeque::new(), 0, end).await;
        }
    }
}

/// Reads until the first message is there; what came after it stays in `buffer`.
async fn first_frame(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<Vec<u8>, Finish> {
    let mut decoder = Decoder::default();
    let mut before = 0;
    loop {
        let taken = match decoder.decode(buffer).map_err(Finish::End)? {
            Decoded::Message(Message::Text(json), taken) => {
                let json = json.to_vec();
                buffer.drain(..taken);
                return Ok(json);
            }
            Decoded::Message(Message::Close, _) => return Err(Finish::Gone),
            // A ping before the session stands is not answered.
            Decoded::Message(Message::Ping(_) | Message::Pong, taken) | Decoded::Fragment(taken) => taken,
            Decoded::Incomplete(needed) => {
                if before + needed > FIRST_BYTES {
                    return Err(Finish::End(FIRST_TOO_BIG));
                }
                if stream.read_buf(buffer).await.map_err(|_| Finish::Gone)? == 0 {
                    return Err(Finish::Gone);
                }
                0
            }
        };
        buffer.drain(..taken);
        before += taken;
    }
}

const FIRST_TOO_BIG: End = End { code: close_code::TOO_BIG, message: "more than 64 KiB before the session stands" };

/// How a session over WebSocket is over.
enum Finish {
    /// The connection is lost, or the device closed it.
    Gone,
    /// The server closes it.
    End(End),
}

/// The task of a session.
struct SocketTask {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    /// `None` once it is handed to [`close`].
    stream: Option<TcpStream>,
    /// Read and not yet decoded: an unfinished frame, or frames that wait for `waiting`.
    rest: Vec<u8>,
    /// Does `rest` perhaps begin with a whole frame?
    rest_is_ready: bool,
    decoder: Decoder,
    waiting: Option<Waiting>,
    /// Taken from the outbox and not yet written; of the first one, `written` bytes are.
    writing: VecDeque<EncodedFrame>,
    written: usize,
    malformed: u8,
}

impl SocketTask {
    fn new(gateway: Arc<Gateway>, stream: TcpStream, session: Arc<Session>, rest: Vec<u8>, waiting: Option<Waiting>) -> Self {
        let rest_is_ready = !rest.is_empty();
        let rest = if rest_is_ready { rest } else { Vec::new() };
        SocketTask {
            gateway,
            session,
            stream: Some(stream),
            rest,
            rest_is_ready,
            decoder: Decoder::default(),
            waiting,
            writing: VecDeque::new(),
            written: 0,
            malformed: 0,
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Finish> {
        loop {
            if let Some(waiting) = &mut self.waiting
                && waiting.as_mut().poll(context).is_ready()
            {
                self.waiting = None;
            }
            let mut progress = false;
            if self.may_take() && self.rest_is_ready {
                progress = true;
                self.rest_is_ready = false;
                let mut rest = std::mem::take(&mut self.rest);
                match self.take(&mut rest) {
                    Ok(taken) => self.keep(rest, taken),
                    Err(finish) => return Poll::Ready(finish),
                }
            }
            if self.may_take() && !self.rest_is_ready {
                match self.read(context) {
                    Poll::Ready(Ok(())) => progress = true,
                    Poll::Ready(Err(finish)) => return Poll::Ready(finish),
                    Poll::Pending => {}
                }
            }
            match self.write(context) {
                Poll::Ready(finish) => return Poll::Ready(finish),
                Poll::Pending if !progress => return Poll::Pending,
                Poll::Pending => {}
            }
        }
    }

    fn may_take(&self) -> bool {
        self.waiting.is_none() && self.session.may_ask()
    }

    /// Reads once, and takes the frames that are whole.
    fn read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Finish>> {
        let Some(stream) = &self.stream else { return Poll::Pending };
        if ready!(stream.poll_read_ready(context)).is_err() {
            return Poll::Ready(Err(Finish::Gone));
        }
        Poll::Ready(READ_BUFFER.with_borrow_mut(|buffer| {
            let bytes = match self.stream.as_ref().map(|stream| stream.try_read(buffer)) {
                Some(Ok(bytes)) if bytes > 0 => &mut buffer[..bytes],
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                _ => return Err(Finish::Gone),
            };
            self.session.hear(self.gateway.seconds());
            if self.rest.is_empty() {
                let taken = self.take(bytes)?;
                self.rest.extend_from_slice(&bytes[taken..]);
            } else {
                let mut rest = std::mem::take(&mut self.rest);
                rest.extend_from_slice(bytes);
                let taken = self.take(&mut rest)?;
                self.keep(rest, taken);
            }
            Ok(())
        }))
    }

    /// Keeps what is left of `rest`; nothing, not even the allocation, when all of it was taken.
    fn keep(&mut self, mut rest: Vec<u8>, taken: usize) {
        if taken < rest.len() {
            rest.drain(..taken);
            self.rest = rest;
        }
    }

    /// Takes whole frames from `bytes` until one has to be waited for. Returns how many bytes were taken.
    fn take(&mut self, bytes: &mut [u8]) -> Result<usize, Finish> {
        let mut taken = 0;
        while self.may_take() {
            let outcome = match self.decoder.decode(&mut bytes[taken..]).map_err(Finish::End)? {
                Decoded::Incomplete(_) => return Ok(taken),
                Decoded::Fragment(length) => {
                    taken += length;
                    continue;
                }
                Decoded::Message(message, length) => {
                    taken += length;
                    match message {
                        Message::Text(json) => self.gateway.take(&self.session, json),
                        Message::Ping(payload) => {
                            let pong = EncodedFrame::control(Control::Pong, payload);
                            self.gateway.node.hub.count(self.session.push(pong));
                            continue;
                        }
                        Message::Pong => continue,
                        Message::Close => return Err(Finish::End(CLOSED_BY_DEVICE)),
                    }
                }
            };
            match outcome {
                Taken::Done => {}
                Taken::Waiting(waiting) => self.waiting = Some(waiting),
                Taken::Malformed => {
                    self.malformed += 1;
                    if self.malformed > MALFORMED_FRAMES {
                        return Err(Finish::End(TOO_MANY_MALFORMED));
                    }
                }
            }
        }
        self.rest_is_ready = taken < bytes.len();
        Ok(taken)
    }

    /// Writes what waits, as much as the connection takes. Ready only when the session is over.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<Finish> {
        loop {
            if self.writing.is_empty() {
                let (frames, end) = self.session.take(WRITE_FRAMES);
                if frames.is_empty() {
                    return match end {
                        Some(end) => Poll::Ready(Finish::End(end)),
                        None => Poll::Pending,
                    };
                }
                self.writing = frames;
            }
            let Some(stream) = &self.stream else { return Poll::Pending };
            match stream.poll_write_ready(context) {
                Poll::Pending => {
                    self.session.set_blocked(Some(self.gateway.seconds()));
                    // One that takes nothing any more is closed without being written to.
                    let (_, end) = self.session.take(0);
                    return match end {
                        Some(end) if end.code == close_code::TOO_SLOW => Poll::Ready(Finish::End(end)),
                        _ => Poll::Pending,
                    };
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Finish::Gone),
                Poll::Ready(Ok(())) => {}
            }
            match write_once(stream, &self.writing, self.written) {
                Ok(bytes) => {
                    self.gateway.node.metrics.socket_writes.inc();
                    self.session.set_blocked(None);
                    self.written = advance(&mut self.writing, self.written + bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return Poll::Ready(Finish::Gone),
            }
        }
    }
}

const CLOSED_BY_DEVICE: End = End { code: close_code::NORMAL, message: "closed by the device" };

/// Gives the kernel all frames at once; the first from `written` on.
fn write_once(stream: &TcpStream, frames: &VecDeque<EncodedFrame>, written: usize) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
    for (slice, (index, frame)) in slices.iter_mut().zip(frames.iter().enumerate()) {
        let skipped = if index == 0 { written } else { 0 };
        *slice = IoSlice::new(&frame.socket_bytes()[skipped..]);
    }
    stream.try_write_vectored(&slices[..frames.len().min(WRITE_FRAMES)])
}

/// Drops the frames that `written` bytes cover; returns how much of the first one left they reach into.
fn advance(frames: &mut VecDeque<EncodedFrame>, mut written: usize) -> usize {
    while let Some(first) = frames.front() {
        let length = first.socket_bytes().len();
        if written < length {
            return written;
        }
        written -= length;
        frames.pop_front();
    }
    // An idle session keeps no allocation.
    *frames = VecDeque::new();
    0
}

impl Future for SocketTask {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let task = &mut *self;
        task.session.register_context(context);
        let finish = ready!(task.turn(context));
        task.gateway.forget(&task.session);
        if let (Finish::End(end), Some(stream)) = (finish, task.stream.take()) {
            task.gateway.node.metrics.closed(end.code);
            tokio::spawn(close(stream, std::mem::take(&mut task.writing), task.written, end));
        }
        Poll::Ready(())
    }
}

impl Drop for SocketTask {
    /// However the task ends, a panic included, its session is not delivered to any more.
    fn drop(&mut self) {
        self.gateway.forget(&self.session);
    }
}

/// Writes what was begun, says why (`bye`, then the close frame), and waits for the device's side to close.
async fn close(mut stream: TcpStream, writing: VecDeque<EncodedFrame>, written: usize, end: End) {
    let mut last = Vec::new();
    if end.code != close_code::TOO_SLOW {
        for (index, frame) in writing.iter().enumerate() {
            last.extend_from_slice(frame.socket_bytes().chunk().get(if index == 0 { written } else { 0 }..).unwrap_or_default());
        }
        if end.code != close_code::NORMAL {
            let bye = EncodedFrame::new(&ServerFrame::Bye { code: end.code, message: end.message.to_owned() });
            last.extend_from_slice(bye.socket_bytes());
        }
        // A reason has at most 123 bytes.
        let reason = &end.message.as_bytes()[..end.message.len().min(123)];
        let payload = [&end.code.to_be_bytes()[..], reason].concat();
        last.extend_from_slice(EncodedFrame::control(Control::Close, &payload).socket_bytes());
    }
    let linger = async {
        stream.write_all(&last).await?;
        stream.shutdown().await?;
        // Bytes left unread would make the kernel reset the connection, and the device might never see the close frame.
        let mut ignored = [0; 4096];
        while stream.read(&mut ignored).await? > 0 {}
        io::Result::Ok(())
    };
    // Whether the device took it is its own affair by now.
    let _ = tokio::time::timeout(CLOSING_TIME, linger).await;
}
