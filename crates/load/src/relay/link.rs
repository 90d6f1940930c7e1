//! A connection of the relay: read and written as banter's sessions are.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Cursor, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use anyhow::{Result, bail};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tungstenite::protocol::frame::FrameHeader;

use super::process::Shared;

/// As in banter.
const READ_BYTES: usize = 64 << 10;
const WRITE_FRAMES: usize = 64;
/// Frames that may wait for a connection. A generator with a window never gets there.
const OUTBOX_FRAMES: usize = 64 << 10;

thread_local! {
    static READ_BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
}

/// What waits for a connection.
#[derive(Default)]
pub(super) struct Outbox {
    frames: Mutex<VecDeque<Bytes>>,
    waker: AtomicWaker,
}

impl Outbox {
    /// Puts `frame` in, and wakes the connection.
    pub(super) fn push(&self, frame: Bytes) -> Result<()> {
        let mut frames = self.frames.lock();
        if frames.len() >= OUTBOX_FRAMES {
            bail!("a connection takes nothing");
        }
        frames.push_back(frame);
        drop(frames);
        self.waker.wake();
        Ok(())
    }

    fn take(&self) -> VecDeque<Bytes> {
        let mut frames = self.frames.lock();
        if frames.len() <= WRITE_FRAMES {
            return std::mem::take(&mut frames);
        }
        let rest = frames.split_off(WRITE_FRAMES);
        std::mem::replace(&mut frames, rest)
    }
}

/// One connection after its handshake.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) stream: TcpStream,
    /// The writer's own.
    pub(super) own: Arc<Outbox>,
    /// Of whom it writes to.
    pub(super) peer: usize,
    /// Read, and no whole frame yet.
    pub(super) rest: Vec<u8>,
    writing: VecDeque<Bytes>,
    written: usize,
}

impl Link {
    /// A connection that is number `number`; of each two, the first writes to the second.
    pub(super) fn new(shared: Arc<Shared>, stream: TcpStream, own: Arc<Outbox>, number: usize, rest: Vec<u8>) -> Link {
        Link { shared, stream, own, peer: number | 1, rest, writing: VecDeque::new(), written: 0 }
    }

    /// Serves it until the other side closes.
    pub(super) async fn run(mut self) -> Result<()> {
        std::future::poll_fn(|context| {
            self.own.waker.register(context.waker());
            self.turn(context)
        })
        .await
    }

    fn turn(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let progress = match self.read(context) {
                Ok(Some(0)) => return Poll::Ready(Ok(())),
                Ok(read) => read.is_some(),
                Err(error) => return Poll::Ready(Err(error)),
            };
            if let Err(error) = self.write(context) {
                return Poll::Ready(Err(error));
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Reads once, and hands on what is whole. Returns how many bytes came, `None` if there are none yet.
    fn read(&mut self, context: &mut Context<'_>) -> Result<Option<usize>> {
        match self.stream.poll_read_ready(context) {
            Poll::Pending => return Ok(None),
            Poll::Ready(ready) => ready?,
        }
        READ_BUFFER.with_borrow_mut(|buffer| {
            let bytes = match self.stream.try_read(buffer) {
                Ok(bytes) => &buffer[..bytes],
                // The readiness was of before; asked again, it registers the waker.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Some(1)),
                Err(error) => return Err(error.into()),
            };
            self.shared.counters.reads.fetch_add(1, Ordering::Relaxed);
            if self.rest.is_empty() {
                let taken = self.take(bytes)?;
                self.rest.extend_from_slice(&bytes[taken..]);
            } else {
                let mut rest = std::mem::take(&mut self.rest);
                rest.extend_from_slice(bytes);
                let taken = self.take(&rest)?;
                rest.drain(..taken);
                self.rest = rest;
            }
            Ok(Some(bytes.len()))
        })
    }

    /// Hands on the whole frames of `bytes`; returns how many bytes they are.
    pub(super) fn take(&self, bytes: &[u8]) -> Result<usize> {
        let mut taken = 0;
        let mut messages = 0;
        while let Some((payload, length)) = frame(&bytes[taken..])? {
            let Some((sent, event)) = self.shared.templates.answer(payload) else { bail!("no frame of a pair") };
            self.shared.hand_on(&self.own, sent, self.peer, event)?;
            taken += length;
            messages += 1;
        }
        self.shared.counters.messages.fetch_add(messages, Ordering::Relaxed);
        Ok(taken)
    }

    fn write(&mut self, context: &mut Context<'_>) -> Result<()> {
        loop {
            if self.writing.is_empty() {
                self.writing = self.own.take();
                if self.writing.is_empty() {
                    return Ok(());
                }
            }
            match self.stream.poll_write_ready(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(ready) => ready?,
            }
            let mut slices = [IoSlice::new(&[]); WRITE_FRAMES];
            for (slice, (index, frame)) in slices.iter_mut().zip(self.writing.iter().enumerate()) {
                *slice = IoSlice::new(&frame[if index == 0 { self.written } else { 0 }..]);
            }
            match self.stream.try_write_vectored(&slices[..self.writing.len().min(WRITE_FRAMES)]) {
                Ok(bytes) => {
                    self.shared.counters.writes.fetch_add(1, Ordering::Relaxed);
                    self.written += bytes;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
            while let Some(first) = self.writing.front() {
                if self.written < first.len() {
                    break;
                }
                self.written -= first.len();
                self.writing.pop_front();
            }
        }
    }
}

/// The payload of the first whole frame, and how long the frame is. The generator masks with zeros, so it is plain.
pub(super) fn frame(bytes: &[u8]) -> Result<Option<(&[u8], usize)>> {
    let mut cursor = Cursor::new(bytes);
    let Some((_, length)) = FrameHeader::parse(&mut cursor)? else { return Ok(None) };
    let start = cursor.position() as usize;
    let end = start.saturating_add(usize::try_from(length)?);
    Ok(bytes.get(start..end).map(|payload| (payload, end)))
}
