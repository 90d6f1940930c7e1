//! How a device pulls what it missed, page by page.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{ANSWER, Devices};
use crate::crowd::{Interest, Socket};
use crate::storm::pulling::Answer;

impl Devices {
    /// Asks for the next page, or has everything.
    pub(super) fn pull(&mut self, index: usize) {
        let Some(pulling) = &mut self.devices[index].pulling else { return };
        if pulling.gaps.is_empty() {
            return self.in_sync(index);
        }
        let asked = match &pulling.socket {
            Some(socket) if pulling.connected => {
                let request = pulling.request(self.shared.address).unwrap_or_default();
                pulling.asked = true;
                socket.write(request.as_bytes())
            }
            Some(_) => Ok(()),
            None => Socket::connect(self.shared.address, &mut self.sources).and_then(|socket| {
                self.poll.add(&socket, index as u64 * 2 + 1, Interest::Write)?;
                (pulling.socket, pulling.connected) = (Some(socket), false);
                Ok(())
            }),
        };
        match asked {
            // As long as the Rust client waits for an answer of the API.
            Ok(()) => self.set_alarm(index, ANSWER),
            Err(error) => self.pull_failed(index, &error.to_string(), None),
        }
    }

    pub(super) fn step_pull(&mut self, index: usize, buffer: &mut [u8]) -> Result<()> {
        let Some(pulling) = &mut self.devices[index].pulling else { return Ok(()) };
        let Some(socket) = &pulling.socket else { return Ok(()) };
        if !pulling.connected {
            socket.connected()?;
            self.poll.change(socket, index as u64 * 2 + 1, Interest::Read)?;
            pulling.connected = true;
            self.pull(index);
            return Ok(());
        }
        match socket.read(buffer)? {
            None => return Ok(()),
            Some(0) => bail!("closed by the server"),
            Some(read) => pulling.answer.extend_from_slice(&buffer[..read]),
        }
        let Some((answer, stays)) = pulling.take_answer()? else { return Ok(()) };
        if !stays {
            pulling.socket = None;
        }
        match answer {
            Answer::Page { events, to } => {
                pulling.took(to)?;
                self.devices[index].pulled += events;
                self.seen.events += events;
                self.seen.pages += 1;
                self.pull(index);
            }
            Answer::Refused { code, retry_after } => self.pull_refused(index, &code, retry_after),
        }
        Ok(())
    }

    pub(super) fn pull_failed(&mut self, index: usize, reason: &str, retry_after: Option<u64>) {
        if let Some(pulling) = &mut self.devices[index].pulling {
            (pulling.socket, pulling.asked, pulling.answer) = (None, false, Vec::new());
        }
        self.pull_refused(index, reason, retry_after);
    }

    /// Asks again later, as the Rust client does.
    pub(super) fn pull_refused(&mut self, index: usize, reason: &str, retry_after: Option<u64>) {
        self.seen.retries.count(format!("page: {reason}"));
        let Some(pulling) = &mut self.devices[index].pulling else { return };
        pulling.failures += 1;
        let wait = Duration::from_millis(100 << pulling.failures.min(8)).max(Duration::from_secs(retry_after.unwrap_or(0)));
        self.set_alarm(index, wait);
    }

    pub(super) fn in_sync(&mut self, index: usize) {
        self.devices[index].pulling = None;
        if self.devices[index].pulled != self.shared.missed {
            self.seen.wrong += 1;
        }
        let micros = self.since_return();
        // Beyond what a histogram takes there is nothing: it grows.
        let _ = self.seen.in_sync.record(micros);
        self.ready(index);
    }
}
