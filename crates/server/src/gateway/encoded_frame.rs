//! A frame encoded once, for however many sessions take it.

use std::cell::RefCell;

use banter_protocol::ServerFrame;
use bytes::Bytes;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Longest header of an unmasked WebSocket frame, in bytes (RFC 6455 section 5.2).
const HEADER_BYTES: usize = 10;
/// Bytes of the buffer that a thread keeps to encode in. Hardly any frame is longer.
const KEPT_BYTES: usize = 64 << 10;

thread_local! {
    /// Where this thread encodes: a frame that waits has just the bytes that it needs, and was not moved while it grew.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A server frame as JSON, with the WebSocket header that goes before it. Frames from a server are not masked, so the bytes are the
/// same for every session; a polling session takes the JSON alone. Cloning shares the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedFrame {
    bytes: Bytes,
    header: u8,
}

impl EncodedFrame {
    /// Encodes `frame`.
    pub fn new(frame: &ServerFrame) -> Self {
        BUFFER.with_borrow_mut(|buffer| {
            buffer.resize(HEADER_BYTES, 0);
            // Writing to memory cannot fail, and a server frame has no map with keys that are not strings.
            serde_json::to_writer(&mut *buffer, frame).expect("a server frame has a JSON form");
            let encoded = Self::with_header(buffer, OpCode::Data(Data::Text));
            buffer.clear();
            buffer.shrink_to(KEPT_BYTES);
            encoded
        })
    }

    /// A control frame of the WebSocket itself. `payload` is at most 125 bytes.
    pub fn control(control: Control, payload: &[u8]) -> Self {
        let mut buffer = vec![0; HEADER_BYTES];
        buffer.extend_from_slice(payload);
        Self::with_header(&mut buffer, OpCode::Control(control))
    }

    /// `buffer` has [`HEADER_BYTES`] of room before the payload.
    fn with_header(buffer: &mut [u8], opcode: OpCode) -> Self {
        let payload = (buffer.len() - HEADER_BYTES) as u64;
        let header = FrameHeader { opcode, ..FrameHeader::default() };
        let length = header.len(payload);
        let start = HEADER_BYTES - length;
        // The slice has just the header's length.
        header.format(payload, &mut &mut buffer[start..HEADER_BYTES]).expect("the header fits");
        EncodedFrame { bytes: Bytes::copy_from_slice(&buffer[start..]), header: length as u8 }
    }

    /// A frame from another node, as [`EncodedFrame::socket_bytes`] gave it there. The bytes are copied: a frame that waits keeps
    /// nothing else alive. `None` when they are no unmasked frame with just its payload.
    pub fn from_socket_bytes(bytes: &[u8]) -> Option<Self> {
        let (short, masked) = (bytes.get(1)? & 0x7f, bytes[1] & 0x80 != 0);
        let (header, payload) = match short {
            126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
            short => (2, u64::from(short)),
        };
        let whole = (bytes.len() as u64).checked_sub(header) == Some(payload);
        (whole && !masked).then(|| EncodedFrame { bytes: Bytes::copy_from_slice(bytes), header: header as u8 })
    }

    /// Header and payload, for a WebSocket.
    pub fn socket_bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The payload alone.
    pub fn json(&self) -> &[u8] {
        &self.bytes[usize::from(self.header)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_travel_whole() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let frame = EncodedFrame::new(&ServerFrame::Bye { code: 1001, message: "x".repeat(length) });
            assert_eq!(EncodedFrame::from_socket_bytes(frame.socket_bytes()), Some(frame.clone()));
            let cut = &frame.socket_bytes()[..frame.socket_bytes().len() - 1];
            assert_eq!(EncodedFrame::from_socket_bytes(cut), None);
        }
        for wrong in [&[][..], &[0x81], &[0x81, 0x80], &[0x81, 126, 0], &[0x81, 127, 0, 0, 0]] {
            assert_eq!(EncodedFrame::from_socket_bytes(wrong), None);
        }
    }

    #[test]
    fn header_and_payload() {
        let pong = EncodedFrame::new(&ServerFrame::Pong {});
        assert_eq!(pong.json(), br#"{"type":"pong"}"#);
        assert_eq!(pong.socket_bytes()[..2], [0x81, 15]);
        let long = EncodedFrame::new(&ServerFrame::Bye { code: 1001, message: "x".repeat(70_000) });
        let length = long.json().len() as u64;
        assert_eq!(long.socket_bytes()[..2], [0x81, 127]);
        assert_eq!(long.socket_bytes()[2..10], length.to_be_bytes());
        assert_eq!(long.socket_bytes().len(), 10 + long.json().len());
        let ping = EncodedFrame::control(Control::Pong, b"abc");
        assert_eq!(ping.socket_bytes()[..], [0x8a, 3, b'a', b'b', b'c']);
    }
}
