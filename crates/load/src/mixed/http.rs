//! As much of HTTP/1.1 as reading pages over a kept connection takes.

use std::ops::Range;

use anyhow::{Context, Result, ensure};
use banter_model::ConversationId;

/// Longest head of an answer.
const HEAD_BYTES: usize = 16 << 10;

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Where its body is. The answer ends with it.
    pub body: Range<usize>,
}

/// Adds a request for a page of `conversation`; `place` is `&after=S`, `&before=S` or nothing.
pub fn page_request(bytes: &mut Vec<u8>, conversation: ConversationId, limit: usize, place: &str, token: &str) {
    let request = format!(
        "GET /v1/conversations/{conversation}/events?limit={limit}{place} HTTP/1.1\r\nHost: banter\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    bytes.extend_from_slice(request.as_bytes());
}

/// The answer at the start of `bytes`, if it is whole.
///
/// # Errors
/// When it is none, or does not say how long it is.
pub fn answer(bytes: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = memchr::memmem::find(&bytes[..bytes.len().min(HEAD_BYTES)], b"\r\n\r\n") else {
        ensure!(bytes.len() < HEAD_BYTES, "an answer whose head does not end");
        return Ok(None);
    };
    let head = std::str::from_utf8(&bytes[..end])?;
    let mut lines = head.split("\r\n");
    let first = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")).context("an answer that is not HTTP/1.1")?;
    let status = first.get(..3).context("no status")?.parse()?;
    let length = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.context("an answer without its length")?.1.trim().parse()?;
    let body = end + 4..end + 4 + length;
    Ok((bytes.len() >= body.end).then_some(Answer { status, body }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_not_there() {
        let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 404";
        let head = bytes.len() - "helloHTTP/1.1 404".len();
        for cut in 0..head + 5 {
            assert_eq!(answer(&bytes[..cut]).unwrap(), None, "{cut}");
        }
        assert_eq!(answer(bytes).unwrap(), Some(Answer { status: 200, body: head..head + 5 }));
        let refused = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answer(refused).unwrap(), Some(Answer { status: 404, body: refused.len()..refused.len() }));
    }

    #[test]
    fn what_is_no_answer() {
        assert!(answer(b"nonsense\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err(), "no length");
        assert!(answer(&[b'x'; HEAD_BYTES]).is_err());
    }
}
