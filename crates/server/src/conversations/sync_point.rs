//! Sync points: how far a device has taken everything in. Compact text that only the server reads.

use banter_model::{ConversationId, Millis};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The first byte: another layout gets another number.
const VERSION: u8 = 1;
/// Longest text that is looked at: 4,096 partitions of ten bytes, in base64, with room.
const LONGEST: usize = 60_000;

/// How far the partitions were, and when, before the answer was read: everything later may be missing from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncPoint {
    /// The time.
    pub at: Millis,
    /// Position of each partition.
    pub positions: Vec<u64>,
}

/// Where a listing goes on: after this conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// The last conversation of the part before.
    pub after: ConversationId,
    /// The point taken before the first part, which is the one that counts.
    pub point: SyncPoint,
}

impl SyncPoint {
    /// Is it from a future of the history, which is at `point`?
    pub fn is_ahead_of(&self, point: &SyncPoint) -> bool {
        self.positions.iter().zip(&point.positions).any(|(known, stored)| known > stored)
    }

    /// As text.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        self.write(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads [`SyncPoint::encode`]; `None` for what it never wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = decode(text)?;
        let mut rest = bytes.as_slice();
        let point = SyncPoint::read(&mut rest)?;
        rest.is_empty().then_some(point)
    }

    fn write(&self, bytes: &mut Vec<u8>) {
        write_number(bytes, self.at);
        write_number(bytes, self.positions.len() as u64);
        self.positions.iter().for_each(|position| write_number(bytes, *position));
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let at = read_number(bytes)?;
        let partitions = read_number(bytes)?;
        // Each position takes a byte at least: a damaged count reserves no memory.
        if partitions > bytes.len() as u64 {
            return None;
        }
        let positions = (0..partitions).map(|_| read_number(bytes)).collect::<Option<_>>()?;
        Some(SyncPoint { at, positions })
    }
}

impl More {
    /// As text.
    pub fn encode(&self) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.after.to_bytes());
        self.point.write(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads [`More::encode`]; `None` for what it never wrote.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = decode(text)?;
        let (after, mut rest) = bytes.split_first_chunk::<16>()?;
        let more = More { after: ConversationId::from_bytes(*after).ok()?, point: SyncPoint::read(&mut rest)? };
        rest.is_empty().then_some(more)
    }
}

/// The bytes after the version.
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST {
        return None;
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    if bytes.first() != Some(&VERSION) {
        return None;
    }
    bytes.remove(0);
    Some(bytes)
}

/// LEB128: seven bits a byte, the lowest first.
fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_come_back_as_they_were(at: u64, positions: Vec<u64>, group in 1_u64..) {
            let point = SyncPoint { at, positions };
            prop_assert_eq!(SyncPoint::decode(&point.encode()), Some(point.clone()));
            let more = More { after: ConversationId::Group(banter_model::GroupId(group)), point };
            prop_assert_eq!(More::decode(&more.encode()), Some(more));
        }

        #[test]
        fn any_text_is_read_without_harm(text: String, bytes: Vec<u8>) {
            let _ = (SyncPoint::decode(&text), More::decode(&text));
            let text = URL_SAFE_NO_PAD.encode([&[VERSION][..], &bytes].concat());
            let _ = (SyncPoint::decode(&text), More::decode(&text));
        }
    }

    #[test]
    fn what_was_never_written_is_refused() {
        let text = SyncPoint { at: 300, positions: vec![1, 2] }.encode();
        assert_eq!(text, "AawCAgEC");
        for wrong in ["", "A", "AawCAgE", "AawCAgECAA", "AqwCAgEC", "!"] {
            assert_eq!(SyncPoint::decode(wrong), None, "{wrong}");
        }
        assert_eq!(More::decode(&text), None);
        // A number of 65 bits, and a count of more positions than there are bytes.
        for wrong in [&[1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2, 0][..], &[1, 5, 255, 255, 255, 255, 15]] {
            assert_eq!(SyncPoint::decode(&URL_SAFE_NO_PAD.encode(wrong)), None);
        }
    }
}
