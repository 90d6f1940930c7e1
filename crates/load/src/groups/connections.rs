//! The connections of one thread of the generator: one epoll, one buffer, and next to no work for each byte, so that the server is what
//! is measured.

use std::io::{ErrorKind, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

/// Bytes asked for in one read: a receiver takes what waits at once.
const READ_BYTES: usize = 256 << 10;
/// Connections told of in one turn.
const READY: usize = 1_024;
/// The token of the waker.
const WAKE: Token = Token(usize::MAX);

/// What is made of what comes.
pub trait Handler {
    /// `bytes` wait on a connection; they came at `now`. Returns how many were taken; the rest comes again, with more.
    fn bytes(&mut self, connection: usize, bytes: &[u8], now: Instant) -> Result<usize>;

    /// The server closed a connection.
    fn closed(&mut self, connection: usize) -> Result<()> {
        bail!("the server closed connection {connection}")
    }
}

/// The connections of one thread, by number.
pub struct Connections {
    poll: Poll,
    ready: Events,
    waker: Arc<Waker>,
    buffer: Vec<u8>,
    connections: Vec<Connection>,
    reads: u64,
}

struct Connection {
    stream: TcpStream,
    /// Read and not yet taken.
    rest: Vec<u8>,
    /// To be written when the kernel has room.
    unwritten: Vec<u8>,
}

impl Connections {
    /// No connections yet.
    pub fn new() -> Result<Self> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let ready = Events::with_capacity(READY);
        Ok(Connections { poll, ready, waker, buffer: vec![0; READ_BYTES], connections: Vec::new(), reads: 0 })
    }

    /// Ends a [turn](Self::turn) that waits, from another thread.
    pub fn waker(&self) -> Arc<Waker> {
        self.waker.clone()
    }

    /// How many read calls brought something.
    pub fn reads(&self) -> u64 {
        self.reads
    }

    /// Adds a connection that does not block. Returns its number.
    pub fn add(&mut self, stream: std::net::TcpStream) -> Result<usize> {
        let number = self.connections.len();
        let stream = self.registered(number, stream)?;
        self.connections.push(Connection { stream, rest: Vec::new(), unwritten: Vec::new() });
        Ok(number)
    }

    /// Puts another stream in the place of connection `number`; what was under way on the old one is gone.
    pub fn replace(&mut self, number: usize, stream: std::net::TcpStream) -> Result<()> {
        let stream = self.registered(number, stream)?;
        self.connections[number] = Connection { stream, rest: Vec::new(), unwritten: Vec::new() };
        Ok(())
    }

    fn registered(&self, number: usize, stream: std::net::TcpStream) -> Result<TcpStream> {
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        self.poll.registry().register(&mut stream, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }

    /// Writes what `fill` adds, as much of it as the kernel takes now and the rest when it has room.
    pub fn send(&mut self, number: usize, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let connection = &mut self.connections[number];
        fill(&mut connection.unwritten);
        connection.flush()
    }

    /// Waits for something to come, at most for `patience`, and gives it to `handler`.
    pub fn turn(&mut self, patience: Duration, handler: &mut impl Handler) -> Result<()> {
        match self.poll.poll(&mut self.ready, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => return Ok(()),
            polled => polled?,
        }
        for event in self.ready.iter().filter(|event| event.token() != WAKE) {
            let number = event.token().0;
            let connection = &mut self.connections[number];
            if event.is_writable() {
                // What is wrong with it shows when it is read.
                let _ = connection.flush();
            }
            if (event.is_readable() || event.is_read_closed() || event.is_error())
                && !connection.read(&mut self.buffer, event.is_read_closed(), &mut self.reads, |bytes, now| {
                    handler.bytes(number, bytes, now)
                })?
            {
                handler.closed(number)?;
            }
        }
        Ok(())
    }
}

impl Connection {
    /// Reads what waits. `false` when the server closed. A read that brings less than was asked for was the last, as long as the
    /// other side is open (epoll(7)): that saves one call in two.
    fn read(
        &mut self,
        buffer: &mut Vec<u8>,
        closing: bool,
        reads: &mut u64,
        mut take: impl FnMut(&[u8], Instant) -> Result<usize>,
    ) -> Result<bool> {
        loop {
            let kept = self.rest.len();
            if buffer.len() < kept + READ_BYTES {
                buffer.resize(kept + READ_BYTES, 0);
            }
            let room = buffer.len() - kept;
            let bytes = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Ok(false),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Ok(false),
            };
            *reads += 1;
            buffer[..kept].copy_from_slice(&self.rest);
            let taken = take(&buffer[..kept + bytes], Instant::now())?;
            self.rest.clear();
            self.rest.extend_from_slice(&buffer[taken..kept + bytes]);
            if bytes < room && !closing {
                return Ok(true);
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        let mut written = 0;
        while written < self.unwritten.len() {
            match self.stream.write(&self.unwritten[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.unwritten.drain(..written);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Takes lines.
    #[derive(Default)]
    struct Lines {
        lines: Vec<String>,
        closed: bool,
    }

    impl Handler for Lines {
        fn bytes(&mut self, _: usize, bytes: &[u8], _: Instant) -> Result<usize> {
            let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
            self.lines.extend(String::from_utf8_lossy(&bytes[..end]).lines().map(str::to_owned));
            Ok(end)
        }

        fn closed(&mut self, _: usize) -> Result<()> {
            self.closed = true;
            Ok(())
        }
    }

    #[test]
    fn bytes_come_whole_however_they_are_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut connections = Connections::new().unwrap();
        let number = connections.add(std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        connections.send(number, |bytes| bytes.extend_from_slice(b"hello")).unwrap();
        let mut heard = [0; 5];
        peer.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
        let mut handler = Lines::default();
        let long = "x".repeat(READ_BYTES + 100);
        let writer = std::thread::spawn(move || {
            for part in ["one\ntw", "o\n", long.as_str(), "\nlast\n"] {
                peer.write_all(part.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        while !handler.closed {
            connections.turn(Duration::from_secs(10), &mut handler).unwrap();
        }
        writer.join().unwrap();
        let lengths: Vec<usize> = handler.lines.iter().map(String::len).collect();
        assert_eq!(lengths, [3, 3, READ_BYTES + 100, 4]);
    }
}
