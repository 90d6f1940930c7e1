//! Which of a thread's connections have something to be done.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;

/// Most connections that are told of at once.
const AT_ONCE: usize = 1_024;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// Something can be read.
    Read,
    /// It can be written, or has failed.
    Write,
}

/// An epoll. A connection leaves it by being closed.
pub struct Poll {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
}

impl Poll {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, ready: Vec::with_capacity(AT_ONCE) })
    }

    /// Waits for `interest` of `connection` too, which is told as `token`.
    pub fn add(&self, connection: &impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, connection, epoll::EventData::new_u64(token), flags(interest))?)
    }

    /// Waits for something else of it from now on.
    pub fn change(&self, connection: &impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, connection, epoll::EventData::new_u64(token), flags(interest))?)
    }

    /// Waits until a connection is ready, at most this long. Adds the tokens of those that are to `tokens`; each is told again until it
    /// has been dealt with.
    pub fn wait(&mut self, longest: Duration, tokens: &mut Vec<u64>) -> io::Result<()> {
        let longest = Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: longest.subsec_nanos().into() };
        self.ready.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.ready), Some(&longest)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        tokens.extend(self.ready.iter().map(|event| event.data.u64()));
        Ok(())
    }
}

fn flags(interest: Interest) -> epoll::EventFlags {
    match interest {
        Interest::Read => epoll::EventFlags::IN,
        Interest::Write => epoll::EventFlags::OUT,
    }
}
