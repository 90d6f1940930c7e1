//! Are the logs as they should be? Reads whole conversations over HTTP and compares them with what was answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use banter_model::limits::PAGE_EVENTS;
use banter_model::{ConversationId, DeviceId};
use banter_protocol::Event;
use banter_protocol::api::Page;

use super::http;

/// The longest that a page is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is known of a conversation at the end.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Which.
    pub id: ConversationId,
    /// The device that wrote.
    pub writer: DeviceId,
    /// Events in its log before.
    pub before: u64,
    /// Tags that were answered as stored: from the first one to the second, both included, without a gap. None when the second is lower.
    pub answered: (u64, u64),
    /// The highest tag that was sent.
    pub sent: u64,
}

/// Where a log is read from.
pub struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Reader {
    /// Connects.
    pub fn connect(address: SocketAddr) -> Result<Reader> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Reader { stream, buffer: Vec::new() })
    }

    /// Reads the log of `conversation` from its start to its end, and gives it to `each` page by page.
    pub fn log(&mut self, conversation: ConversationId, token: &str, mut each: impl FnMut(Vec<Event>)) -> Result<()> {
        let mut after = 0;
        loop {
            let mut request = Vec::new();
            http::page_request(&mut request, conversation, PAGE_EVENTS, &format!("&after={after}"), token);
            self.stream.write_all(&request)?;
            let answer = loop {
                if let Some(answer) = http::answer(&self.buffer)? {
                    break answer;
                }
                let mut bytes = [0; 64 << 10];
                let read = self.stream.read(&mut bytes)?;
                ensure!(read > 0, "the server closed");
                self.buffer.extend_from_slice(&bytes[..read]);
            };
            let body = &self.buffer[answer.body.clone()];
            ensure!(answer.status == 200, "a page of {conversation}: {}", String::from_utf8_lossy(body));
            let page: Page = serde_json::from_slice(body)?;
            self.buffer.drain(..answer.body.end);
            let (to, head) = (page.to, page.head_seq);
            each(page.events);
            if to >= head {
                return Ok(());
            }
            ensure!(to > after, "a page of {conversation} after {after} that covers nothing");
            after = to;
        }
    }
}

/// Follows a log from its start.
pub struct Check<'a> {
    expected: &'a Expected,
    seq: u64,
    tag: u64,
    fault: Option<String>,
}

impl<'a> Check<'a> {
    /// Nothing of the log was seen yet.
    pub fn new(expected: &'a Expected) -> Self {
        Check { expected, seq: 0, tag: expected.answered.0 - 1, fault: None }
    }

    /// The next events.
    pub fn take(&mut self, events: &[Event]) {
        for event in events {
            let id = self.expected.id;
            if event.seq != self.seq + 1 {
                self.fault.get_or_insert(format!("{id}: {} is followed by {}", self.seq, event.seq));
            }
            self.seq = event.seq;
            if event.seq > self.expected.before {
                let tag = event.tag.map_or(0, |tag| tag.get());
                if event.device != self.expected.writer || tag != self.tag + 1 {
                    self.fault.get_or_insert(format!("{id}: event {} has tag {tag} where {} is next", event.seq, self.tag + 1));
                }
                self.tag = tag;
            }
        }
    }

    /// What is wrong with the log, if anything: a gap, a doubled or lost message, or one that nobody sent.
    pub fn finish(self) -> Option<String> {
        let Check { expected, seq, tag, fault } = self;
        let Expected { id, before, answered, sent, .. } = expected;
        fault
            .or_else(|| (seq < *before).then(|| format!("{id}: {seq} events, and {before} were there before")))
            .or_else(|| (tag < answered.1).then(|| format!("{id}: ends with tag {tag}, and {} was answered", answered.1)))
            .or_else(|| (tag > *sent).then(|| format!("{id}: ends with tag {tag}, and {sent} was the last sent")))
    }
}

/// Checks one conversation. `None` when it is as it should be.
pub fn verify(reader: &mut Reader, expected: &Expected, token: &str) -> Result<Option<String>> {
    let mut check = Check::new(expected);
    reader.log(expected.id, token, |events| check.take(&events)).with_context(|| expected.id.to_string())?;
    Ok(check.finish())
}

#[cfg(test)]
mod tests {
    use banter_model::{EventId, GroupId, Tag, UserId};
    use banter_protocol::Content;

    use super::*;

    fn expected() -> Expected {
        let id = ConversationId::Group(GroupId(1));
        Expected { id, writer: DeviceId(1), before: 2, answered: (5, 7), sent: 8 }
    }

    fn event(seq: u64, tag: u64) -> Event {
        let content = Content::TitleChanged { title: String::new() };
        let (sender, device, tag) = (UserId(1), DeviceId(1), Tag::new(tag).ok());
        Event { seq, ordinal: seq, id: EventId(seq), at: 0, sender, device, tag, content }
    }

    fn fault(log: &[(u64, u64)]) -> Option<String> {
        let expected = expected();
        let mut check = Check::new(&expected);
        check.take(&log.iter().map(|(seq, tag)| event(*seq, *tag)).collect::<Vec<_>>());
        check.finish()
    }

    #[test]
    fn a_log_with_everything_once_is_right() {
        assert_eq!(fault(&[(1, 1), (2, 2), (3, 5), (4, 6), (5, 7)]), None);
        assert_eq!(fault(&[(1, 1), (2, 2), (3, 5), (4, 6), (5, 7), (6, 8)]), None, "stored, and the answer not seen");
    }

    #[test]
    fn every_fault_is_seen() {
        assert!(fault(&[(1, 1), (2, 2), (4, 5), (5, 6), (6, 7)]).is_some_and(|fault| fault.contains("followed by")), "a gap");
        assert!(fault(&[(1, 1), (2, 2), (3, 5), (4, 5), (5, 6), (6, 7)]).is_some(), "doubled");
        assert!(fault(&[(1, 1), (2, 2), (3, 5), (4, 7)]).is_some(), "lost in the middle");
        assert!(fault(&[(1, 1), (2, 2), (3, 5), (4, 6)]).is_some(), "lost at the end");
        assert!(fault(&[(1, 1), (2, 2), (3, 5), (4, 6), (5, 7), (6, 8), (7, 9)]).is_some(), "never sent");
        assert!(fault(&[(1, 1)]).is_some(), "lost from before");
    }
}
