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
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use banter_protocol::{ServerFrame, close_code};
use bytes::Buf;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tungstenite::protocol::frame::coding::Control;

use crate::gateway::intake::{Taken, Waiting};
use crate::gateway::session::{End, MALFORMED_FRAMES, Session, TOO_MANY_MALFORMED};
use crate::gateway::shards::{Arrival, Place};
use crate::gateway::websocket_codec::{Decoded, Decoder, Message};
use crate::gateway::{EncodedFrame, Gateway};

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;
/// Most frames taken from an outbox, and slices given to the kernel, in one write.
const WRITE_FRAMES: usize = 64;
/// The longest that a closing session is given to take its last frames and to close its side.
const CLOSING_TIME: Duration = Duration::from_secs(5);

thread_local! {
    /// Where this thread reads into. Lent to one session at a time, while it handles what it read.
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// How a session over WebSocket is over.
pub(super) enum Finish {
    /// The connection is lost, or the device closed it.
    Gone,
    /// The server closes it.
    End(End),
}

/// The task of a session.
pub(super) struct SocketTask {
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
    /// Given back when the connection is closed.
    place: Option<Place>,
}

impl SocketTask {
    /// A task for the session that arrives with `stream`.
    pub(super) fn new(stream: TcpStream, arrival: Arrival) -> Self {
        let Arrival { gateway, session, rest, waiting, place } = arrival;
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
            place,
        }
    }

    /// Does all that can be done now.
    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Finish> {
        loop {
            if let Some(waiting) = &mut self.waiting
                && waiting.as_mut().poll(context).is_ready()
            {
                self.waiting = None;
                if self.rest_is_ready {
                    self.gateway.go_on(&self.session);
                }
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
        self.waiting.is_none() && self.session.may_ask() && !self.session.has_ended()
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
            self.gateway.node.metrics.socket_reads.inc();
            let now = self.gateway.seconds();
            self.session.hear(now);
            if self.rest.is_empty() {
                self.session.tell(now);
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
                Taken::Waiting(waiting) => self.waiting = Some(self.gateway.shards.elsewhere(waiting)),
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
                    // What it does not take now it is given a bounded time for: nothing else ends a session that is not in the hub any
                    // more, however little it takes.
                    return match self.session.ending() {
                        Some(end) => Poll::Ready(Finish::End(end)),
                        None => Poll::Pending,
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
        task.session.register(context.waker());
        let finish = ready!(task.turn(context));
        if let (Finish::End(end), Some(stream)) = (finish, task.stream.take()) {
            task.gateway.node.metrics.closed(end.code);
            // Counted before the session is forgotten: a server that goes down waits for both.
            let closing = Closing::new(task.gateway.clone());
            let (writing, written, place) = (std::mem::take(&mut task.writing), task.written, task.place.take());
            tokio::spawn(async move {
                close(stream, writing, written, end).await;
                drop((closing, place));
            });
        }
        task.gateway.forget(&task.session);
        Poll::Ready(())
    }
}

/// A WebSocket that is being told why it ends.
struct Closing(Arc<Gateway>);

impl Closing {
    fn new(gateway: Arc<Gateway>) -> Self {
        gateway.closing.fetch_add(1, Ordering::AcqRel);
        Closing(gateway)
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.0.closing.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for SocketTask {
    /// However the task ends, a panic included, its session is not delivered to any more.
    fn drop(&mut self) {
        self.gateway.forget(&self.session);
    }
}

/// Writes what was begun, says why (`bye`, then the close frame), and waits for the device's side to close.
pub(super) async fn close(mut stream: TcpStream, writing: VecDeque<EncodedFrame>, written: usize, end: End) {
    let mut last = Vec::new();
    if end.code != close_code::TOO_SLOW {
        // One that was signed out gets no more than the rest of what it has begun to get.
        let frames = if end.code == close_code::SIGNED_OUT { usize::from(written > 0) } else { writing.len() };
        for (index, frame) in writing.iter().take(frames).enumerate() {
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
