//! A connection that costs a descriptor and nothing else.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::Sources;

/// Source addresses that are tried for one connection: some program may listen on one of the ports.
const ADDRESSES_TRIED: usize = 16;

/// A TCP connection that never blocks.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Socket {
    /// Begins to connect to `address`, from the next source. It is connected, or has failed, when it can be written to.
    pub fn connect(address: SocketAddrV4, sources: &mut Sources) -> io::Result<Socket> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&socket, true)?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let mut tried = 0;
        while let Err(errno) = rustix::net::bind(&socket, &sources.next_address()) {
            tried += 1;
            if errno != Errno::ADDRINUSE || tried == ADDRESSES_TRIED {
                return Err(errno.into());
            }
        }
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Socket(socket)),
            Err(errno) => Err(errno.into()),
        }
    }

    /// How connecting ended.
    pub fn connected(&self) -> io::Result<()> {
        Ok(sockopt::socket_error(&self.0)??)
    }

    /// Reads what is there, as much as `buffer` takes. `None` when nothing is; 0 when the other side has closed.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match rustix::net::recv(&self.0, buffer, RecvFlags::empty()) {
            Ok((bytes, _)) => Ok(Some(bytes)),
            Err(Errno::AGAIN | Errno::INTR) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Writes all of `bytes`. They are far fewer than an idle connection takes at once: one that does not take them is broken.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let written = rustix::net::send(&self.0, bytes, SendFlags::NOSIGNAL)?;
        if written < bytes.len() {
            return Err(io::Error::new(io::ErrorKind::WriteZero, "the connection takes nothing more"));
        }
        Ok(())
    }

    /// Cuts the connection: a reset, as after a lost network or a killed app, and nothing is left of it on either side.
    pub fn reset(self) {
        // Without the option it is closed in order, which is an end too.
        let _ = sockopt::set_socket_linger(&self.0, Some(Duration::ZERO));
    }
}
