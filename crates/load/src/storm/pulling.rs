//! The pages that a device pulls after its sync, over one HTTP connection.

use std::net::SocketAddrV4;

use anyhow::{Context, Result, bail, ensure};
use banter_model::limits::PAGE_EVENTS;
use banter_model::{ConversationId, Seq};
use banter_protocol::ErrorBody;
use serde::Deserialize;

use crate::crowd::Socket;

/// Most lines of an answer's head.
const LINES: usize = 32;
/// Most bytes of an answer: a page has a megabyte of text.
const ANSWER_BYTES: usize = 8 << 20;

/// What is missing of a conversation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub conversation: ConversationId,
    /// The device has everything up to here.
    pub after: Seq,
    /// The log reaches to here.
    pub head: Seq,
}

/// A device's pulls.
#[derive(Debug)]
pub(super) struct Pulling {
    pub socket: Option<Socket>,
    pub connected: bool,
    /// A request waits for its answer.
    pub asked: bool,
    /// The last one is the one that is asked for.
    pub gaps: Vec<Gap>,
    /// What came of an answer that is not whole.
    pub answer: Vec<u8>,
    pub token: String,
    /// Refusals in a row.
    pub failures: u32,
}

/// An answer to a question for a page.
pub(super) enum Answer {
    /// So many events, up to this place.
    Page { events: u64, to: Seq },
    /// Refused.
    Refused { code: String, retry_after: Option<u64> },
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Place>,
    to: Seq,
}

#[derive(Deserialize)]
struct Place {
    #[allow(dead_code, reason = "it has to be there")]
    seq: Seq,
}

impl Pulling {
    /// Nothing to pull yet.
    pub fn new(token: String) -> Self {
        Pulling { socket: None, connected: false, asked: false, gaps: Vec::new(), answer: Vec::new(), token, failures: 0 }
    }

    /// The request for the next page.
    pub fn request(&self, address: SocketAddrV4) -> Option<String> {
        let Gap { conversation, after, .. } = self.gaps.last()?;
        Some(format!(
            "GET /v1/conversations/{conversation}/events?after={after}&limit={PAGE_EVENTS} HTTP/1.1\r\nHost: {address}\r\n\
             Authorization: Bearer {}\r\n\r\n",
            self.token
        ))
    }

    /// Takes a whole answer from the bytes that came, if there is one, and whether the connection stays.
    pub fn take_answer(&mut self) -> Result<Option<(Answer, bool)>> {
        ensure!(self.answer.len() < ANSWER_BYTES, "no end of an answer");
        let mut lines = [httparse::EMPTY_HEADER; LINES];
        let mut head = httparse::Response::new(&mut lines);
        let httparse::Status::Complete(start) = head.parse(&self.answer)? else { return Ok(None) };
        let value = |name: &str| {
            let line = head.headers.iter().find(|line| line.name.eq_ignore_ascii_case(name))?;
            std::str::from_utf8(line.value).ok()
        };
        let length: usize = value("content-length").context("an answer of no known length")?.parse()?;
        let stays = !value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let status = head.code.unwrap_or(0);
        let Some(body) = self.answer.get(start..start + length) else { return Ok(None) };
        let answer = match status {
            200 => {
                let Page { events, to } = serde_json::from_slice(body)?;
                Answer::Page { events: events.len() as u64, to }
            }
            _ => match serde_json::from_slice(body) {
                Ok(ErrorBody { code, retry_after, .. }) => Answer::Refused { code, retry_after },
                Err(_) => bail!("answer {status}"),
            },
        };
        (self.answer, self.asked) = (Vec::new(), false);
        Ok(Some((answer, stays)))
    }

    /// A page came that reaches up to `to`.
    ///
    /// # Errors
    /// When it holds nothing of what was asked for.
    pub fn took(&mut self, to: Seq) -> Result<()> {
        let Some(gap) = self.gaps.last_mut() else { bail!("a page that nobody asked for") };
        ensure!(to > gap.after, "an empty page after {} of {}", gap.after, gap.conversation);
        gap.after = to;
        if gap.after >= gap.head {
            self.gaps.pop();
        }
        self.failures = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulling(answer: &[u8]) -> Pulling {
        let gap = Gap { conversation: "g.7".parse().unwrap(), after: 3, head: 5 };
        Pulling {
            socket: None,
            connected: true,
            asked: true,
            gaps: vec![gap],
            answer: answer.to_vec(),
            token: "t".into(),
            failures: 2,
        }
    }

    #[test]
    fn pages_close_gaps() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 45\r\n\r\n{\"from\":4,\"to\":5,\"events\":[{\"seq\":4},{\"seq\":5}]}";
        let whole = &whole[..whole.len()];
        let length = whole.len() - whole.windows(4).position(|part| part == b"\r\n\r\n").unwrap() - 4;
        let whole = String::from_utf8_lossy(whole).replace("45", &length.to_string());
        assert!(pulling(&whole.as_bytes()[..50]).take_answer().unwrap().is_none());
        let mut pulling = pulling(whole.as_bytes());
        let Some((Answer::Page { events: 2, to: 5 }, true)) = pulling.take_answer().unwrap() else { panic!("no page") };
        pulling.took(5).unwrap();
        assert!(pulling.gaps.is_empty() && pulling.answer.is_empty() && pulling.failures == 0);
        assert!(pulling.took(6).is_err());
    }

    #[test]
    fn refusals_say_when_to_come_again() {
        let body = r#"{"code":"busy","message":"m","retry_after":2}"#;
        let text = format!("HTTP/1.1 503 Later\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
        let Some((Answer::Refused { code, retry_after }, false)) = pulling(text.as_bytes()).take_answer().unwrap() else {
            panic!("not refused")
        };
        assert_eq!((code.as_str(), retry_after), ("busy", Some(2)));
    }
}
