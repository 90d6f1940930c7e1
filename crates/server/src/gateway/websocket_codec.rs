//! WebSocket messages out of bytes: RFC 6455 as a server sees it, without a buffer of its own.
//!
//! The session's task lends a buffer while bytes are there; what is left of an unfinished frame is all that a session keeps.

use std::io::Cursor;

use banter_model::limits::FRAME_BYTES;
use banter_protocol::close_code;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use crate::gateway::session::End;

/// What a device sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message, whole.
    Text(&'a [u8]),
    /// A ping with this payload.
    Ping(&'a [u8]),
    /// A pong.
    Pong,
    /// The device closes.
    Close,
}

/// The message that is arriving in fragments.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "fragments are rare, and every idle session has the size of this")]
pub struct Decoder {
    /// A message begun and not finished; `None` between messages.
    fragments: Option<Box<Vec<u8>>>,
    /// The last text given out, when it was put together from fragments.
    whole: Option<Box<Vec<u8>>>,
}

/// The next step of decoding.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A message, and how many bytes of the buffer it took.
    Message(Message<'a>, usize),
    /// A fragment, and how many bytes of the buffer it took.
    Fragment(usize),
    /// More bytes are needed: at least so many from the start of the buffer.
    Incomplete(usize),
}

const fn end(code: u16, message: &'static str) -> End {
    End { code, message }
}

impl Decoder {
    /// Takes the first frame in `buffer`, unmasking it there.
    ///
    /// # Errors
    /// How the session has to end: what came is not a WebSocket, not text, or too big.
    pub fn decode<'a>(&'a mut self, buffer: &'a mut [u8]) -> Result<Decoded<'a>, End> {
        self.whole = None;
        let mut cursor = Cursor::new(&*buffer);
        let (header, length) = match FrameHeader::parse(&mut cursor) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(Decoded::Incomplete(buffer.len() + 1)),
            Err(_) => return Err(end(close_code::PROTOCOL_ERROR, "an opcode that RFC 6455 does not have")),
        };
        let start = cursor.position() as usize;
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(end(close_code::PROTOCOL_ERROR, "a reserved bit is set, and no extension was agreed on"));
        }
        let Some(mask) = header.mask else {
            return Err(end(close_code::PROTOCOL_ERROR, "frames of a client have to be masked"));
        };
        let pending = self.fragments.as_ref().map_or(0, |fragments| fragments.len());
        if length > (FRAME_BYTES - pending.min(FRAME_BYTES)) as u64 {
            return Err(end(close_code::TOO_BIG, "the message is larger than a message of 100,000 characters can be"));
        }
        let stop = start + length as usize;
        if let OpCode::Control(control) = header.opcode {
            if length > 125 || !header.is_final {
                return Err(end(close_code::PROTOCOL_ERROR, "a control frame has at most 125 bytes and no fragments"));
            }
            if buffer.len() < stop {
                return Ok(Decoded::Incomplete(stop));
            }
            let payload = &mut buffer[start..stop];
            unmask(payload, mask);
            return match control {
                Control::Ping => Ok(Decoded::Message(Message::Ping(payload), stop)),
                Control::Pong => Ok(Decoded::Message(Message::Pong, stop)),
                Control::Close => Ok(Decoded::Message(Message::Close, stop)),
                Control::Reserved(_) => Err(end(close_code::PROTOCOL_ERROR, "an opcode that RFC 6455 does not have")),
            };
        }
        let OpCode::Data(data) = header.opcode else {
            return Err(end(close_code::PROTOCOL_ERROR, "an opcode that RFC 6455 does not have"));
        };
        match (data, &self.fragments) {
            (Data::Text, None) | (Data::Continue, Some(_)) => {}
            (Data::Binary, _) => return Err(end(close_code::UNSUPPORTED_DATA, "frames are text")),
            (Data::Continue, None) => return Err(end(close_code::PROTOCOL_ERROR, "a continuation of nothing")),
            (Data::Text, Some(_)) => return Err(end(close_code::PROTOCOL_ERROR, "a new message before the last was finished")),
            (Data::Reserved(_), _) => {
                return Err(end(close_code::PROTOCOL_ERROR, "an opcode that RFC 6455 does not have"));
            }
        }
        if buffer.len() < stop {
            return Ok(Decoded::Incomplete(stop));
        }
        let payload = &mut buffer[start..stop];
        unmask(payload, mask);
        if data == Data::Text && header.is_final {
            check_utf8(payload)?;
            return Ok(Decoded::Message(Message::Text(payload), stop));
        }
        let mut fragments = self.fragments.take().unwrap_or_default();
        fragments.extend_from_slice(payload);
        if !header.is_final {
            self.fragments = Some(fragments);
            return Ok(Decoded::Fragment(stop));
        }
        check_utf8(&fragments)?;
        Ok(Decoded::Message(Message::Text(self.whole.insert(fragments)), stop))
    }
}

fn check_utf8(text: &[u8]) -> Result<(), End> {
    std::str::from_utf8(text).map(|_| ()).map_err(|_| end(close_code::INVALID_TEXT, "the text is not UTF-8"))
}

/// RFC 6455 section 5.3. Eight bytes at a time: the mask repeats every four.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    rest.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            short @ 0..=125 => bytes.push(0x80 | short as u8),
            medium @ 126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((medium as u16).to_be_bytes());
            }
            long => {
                bytes.push(0x80 | 127);
                bytes.extend((long as u64).to_be_bytes());
            }
        }
        bytes.extend(MASK);
        bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    #[test]
    fn the_example_of_the_rfc() {
        let mut bytes = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut bytes), Ok(Decoded::Message(Message::Text(b"Hello"), 11)));
    }

    #[test]
    fn every_cut_of_a_frame_is_incomplete_and_changes_nothing() {
        for payload in [&b"hello"[..], &[b'a'; 200], &[b'b'; 70_000]] {
            let whole = frame(0x81, payload);
            let cuts = (0..whole.len().min(20)).chain([whole.len() / 2, whole.len() - 1]);
            for cut in cuts {
                let mut part = whole[..cut].to_vec();
                let mut decoder = Decoder::default();
                assert!(matches!(decoder.decode(&mut part), Ok(Decoded::Incomplete(needs)) if needs > cut), "{cut}");
                assert_eq!(part, whole[..cut]);
            }
            let mut all = whole.clone();
            let length = all.len();
            assert_eq!(Decoder::default().decode(&mut all), Ok(Decoded::Message(Message::Text(payload), length)));
        }
    }

    #[test]
    fn fragments_with_a_ping_between_them() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.decode(&mut frame(0x01, "hé".as_bytes())), Ok(Decoded::Fragment(9)));
        assert_eq!(decoder.decode(&mut frame(0x89, b"!")), Ok(Decoded::Message(Message::Ping(b"!"), 7)));
        assert_eq!(decoder.decode(&mut frame(0x00, b"ll")), Ok(Decoded::Fragment(8)));
        assert_eq!(decoder.decode(&mut frame(0x80, b"o")), Ok(Decoded::Message(Message::Text("héllo".as_bytes()), 7)));
        assert_eq!(decoder.decode(&mut frame(0x81, b"x")), Ok(Decoded::Message(Message::Text(b"x"), 7)));
    }

    #[test]
    fn what_is_no_websocket() {
        let close = |bytes: &mut [u8]| Decoder::default().decode(bytes).map(|_| ()).map_err(|end| end.code);
        assert_eq!(close(&mut [0x81, 0x05, b'H', b'e', b'l', b'l', b'o']), Err(close_code::PROTOCOL_ERROR), "unmasked");
        assert_eq!(close(&mut frame(0xc1, b"x")), Err(close_code::PROTOCOL_ERROR), "reserved bit");
        assert_eq!(close(&mut frame(0x83, b"x")), Err(close_code::PROTOCOL_ERROR), "reserved opcode");
        assert_eq!(close(&mut frame(0x80, b"x")), Err(close_code::PROTOCOL_ERROR), "continuation of nothing");
        assert_eq!(close(&mut frame(0x09, b"x")), Err(close_code::PROTOCOL_ERROR), "fragmented ping");
        assert_eq!(close(&mut frame(0x89, &[0; 126])), Err(close_code::PROTOCOL_ERROR), "long ping");
        assert_eq!(close(&mut frame(0x82, b"x")), Err(close_code::UNSUPPORTED_DATA), "binary");
        assert_eq!(close(&mut frame(0x81, &[0xff])), Err(close_code::INVALID_TEXT), "not UTF-8");
        let mut huge = vec![0x81, 0xff];
        huge.extend((FRAME_BYTES as u64 + 1).to_be_bytes());
        huge.extend(MASK);
        assert_eq!(close(&mut huge), Err(close_code::TOO_BIG), "too big, known from the header alone");
        let mut decoder = Decoder::default();
        assert!(decoder.decode(&mut frame(0x01, b"a")).is_ok());
        assert_eq!(decoder.decode(&mut frame(0x81, b"b")).map_err(|end| end.code), Err(close_code::PROTOCOL_ERROR));
    }

    #[test]
    fn fragments_cannot_grow_past_the_limit() {
        let mut decoder = Decoder::default();
        let half = vec![b'a'; FRAME_BYTES / 2 + 1];
        assert!(decoder.decode(&mut frame(0x01, &half)).is_ok());
        assert_eq!(decoder.decode(&mut frame(0x00, &half)).map_err(|end| end.code), Err(close_code::TOO_BIG));
    }
}
