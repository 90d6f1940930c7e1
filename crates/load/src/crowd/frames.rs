//! What a session over WebSocket reads and writes.

use std::io::Cursor;
use std::net::SocketAddrV4;

use anyhow::{Result, ensure};
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Most bytes of an answer to the handshake.
const HEAD_BYTES: usize = 4_096;
/// Most bytes of a frame: an answer to `sync` has a megabyte or two.
const FRAME_BYTES: u64 = 16 << 20;

/// A frame of the server's.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// The answer to the handshake: the connection is a WebSocket.
    Upgraded,
    /// JSON.
    Text(&'a [u8]),
    /// The server closes, with this code.
    Close(u16),
    /// Ping or pong of the protocol itself.
    Control,
}

/// The request that begins a WebSocket.
pub fn upgrade_request(address: SocketAddrV4) -> String {
    format!(
        "GET /v1/socket HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// What is to be decoded: what was left of reads before, and what was read now. Copied only if something was left.
pub fn joined<'a>(rest: &'a mut Vec<u8>, read: &'a [u8]) -> &'a [u8] {
    if rest.is_empty() {
        return read;
    }
    rest.extend_from_slice(read);
    rest
}

/// The first frame of `bytes`, and how many bytes it takes; `None` when it is not whole yet. Before the connection is `upgraded`, that is
/// the answer to the handshake.
///
/// # Errors
/// When what came is neither.
pub fn next_frame(bytes: &[u8], upgraded: bool) -> Result<Option<(Frame<'_>, usize)>> {
    if !upgraded {
        let Some(end) = bytes.windows(4).position(|part| part == b"\r\n\r\n") else {
            ensure!(bytes.len() < HEAD_BYTES, "no end of the handshake");
            return Ok(None);
        };
        ensure!(bytes.starts_with(b"HTTP/1.1 101"), "no WebSocket: {}", String::from_utf8_lossy(&bytes[..end]));
        return Ok(Some((Frame::Upgraded, end + 4)));
    }
    let mut cursor = Cursor::new(bytes);
    let Some((header, length)) = FrameHeader::parse(&mut cursor)? else { return Ok(None) };
    ensure!(length <= FRAME_BYTES, "a frame of {length} bytes");
    let start = cursor.position() as usize;
    let end = start + length as usize;
    let Some(payload) = bytes.get(start..end) else { return Ok(None) };
    let frame = match header.opcode {
        OpCode::Data(Data::Text) => Frame::Text(payload),
        OpCode::Control(Control::Close) => {
            // Without a code it is 1005, "none was given" (RFC 6455 section 7.4.1).
            Frame::Close(payload.first_chunk::<2>().map_or(1005, |code| u16::from_be_bytes(*code)))
        }
        _ => Frame::Control,
    };
    Ok(Some((frame, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_comes_before_what_is_read() {
        assert_eq!(joined(&mut Vec::new(), b"new"), b"new");
        assert_eq!(joined(&mut b"left ".to_vec(), b"new"), b"left new");
    }

    #[test]
    fn frames_come_when_they_are_whole() {
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nx: y\r\n\r\n\x81\x02{}";
        assert!(next_frame(&answer[..20], false).unwrap().is_none());
        let (frame, length) = next_frame(answer, false).unwrap().unwrap();
        assert_eq!((frame, length), (Frame::Upgraded, answer.len() - 4));
        assert!(next_frame(&answer[length..length + 3], true).unwrap().is_none());
        assert_eq!(next_frame(&answer[length..], true).unwrap(), Some((Frame::Text(b"{}"), 4)));
        assert_eq!(next_frame(b"\x88\x04\x0f\xa2no", true).unwrap(), Some((Frame::Close(4002), 6)));
        assert_eq!(next_frame(b"\x88\x00", true).unwrap(), Some((Frame::Close(1005), 2)));
        assert_eq!(next_frame(b"\x8a\x00", true).unwrap(), Some((Frame::Control, 2)));
        assert!(next_frame(b"HTTP/1.1 503 No\r\n\r\n", false).is_err());
        assert!(next_frame(b"\x81\x7f\0\0\0\x01\0\0\0\0", true).is_err());
    }
}
