//! The frames of a relay: as long as banter's, and with the two fields in them that the generator reads.

use anyhow::{Context, Result, ensure};
use banter_model::{ConversationId, DeviceId, EventId, Tag, UserId};
use banter_protocol::{Content, Event, ServerFrame};
use banter_server::gateway::EncodedFrame;
use bytes::Bytes;

use crate::wire;

/// Where the tag begins in the JSON of `send` and of `sent`.
const SEND_TAG: usize = r#"{"type":"send","tag":"#.len();
const SENT_TAG: usize = r#"{"type":"sent","tag":"#.len();
/// Bytes copied from there: more than any tag in use has digits. What follows the tag is the same in both.
const TAG_BYTES: usize = 20;
/// What follows the text in the JSON of `send`.
const AFTER_TEXT: usize = r#""}"#.len();

/// Bytes of the frames of a message, their WebSocket headers included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSizes {
    /// From the writer.
    pub send: usize,
    /// Back to the writer.
    pub sent: usize,
    /// To each other session.
    pub event: usize,
}

/// Sizes of the frames of a message with a text of `length` characters, ASCII, as a relay of pairs has them.
pub fn frame_sizes(length: usize) -> Result<FrameSizes> {
    let templates = Templates::new(length)?;
    let mut send = Vec::new();
    wire::frame(&mut send, send_json(length)?.as_bytes());
    Ok(FrameSizes { send: send.len(), sent: templates.sent.len(), event: templates.event.len() })
}

/// `send` in the middle of a run.
fn send_json(length: usize) -> Result<String> {
    let conversation = ConversationId::direct(UserId(101), UserId(102)).context("two users")?;
    Ok(format!(r#"{{"type":"send","tag":12345,"conversation":"{conversation}","text":"{:x<length$}"}}"#, ""))
}

/// Frames that only lack a tag and a text.
pub(super) struct Templates {
    sent: Bytes,
    /// Where the tag goes in `sent`.
    tag: usize,
    event: Bytes,
    /// Where the text goes in `event`, and how long it is.
    text: usize,
    length: usize,
}

impl Templates {
    /// Templates for texts of `length` bytes.
    pub(super) fn new(length: usize) -> Result<Templates> {
        let conversation = ConversationId::direct(UserId(101), UserId(102)).context("two users")?;
        let tag = Tag::new(12_345).map_err(|error| anyhow::anyhow!("{error:?}"))?;
        // As they are in a run: counters of five digits, ids of 19, a time of 13.
        let (seq, ordinal, id, at) = (12_345, 12_345, EventId(1_234_567_890_123_456_789), 1_790_000_000_000);
        let sent = EncodedFrame::new(&ServerFrame::Sent { tag, conversation, seq, ordinal, id, at, mentions: Vec::new() });
        let content = Content::Message {
            text: "x".repeat(length),
            reply_to: None,
            mentions: Vec::new(),
            edited_at: None,
            redacted: false,
            reactions: Vec::new(),
            amended_up_to: 0,
        };
        let event = Event { seq, ordinal, id, at, sender: UserId(101), device: DeviceId(101), tag: Some(tag), content };
        let event = EncodedFrame::new(&ServerFrame::Event { conversation, event });
        let field = br#""text":""#;
        let text = event.json().windows(field.len()).position(|part| part == field).context("no text in an event")? + field.len();
        let header = |frame: &EncodedFrame| frame.socket_bytes().len() - frame.json().len();
        let (tag, text) = (header(&sent) + SENT_TAG, header(&event) + text);
        let templates = Templates { sent: sent.socket_bytes().clone(), tag, event: event.socket_bytes().clone(), text, length };
        ensure!(templates.sent.len() >= tag + TAG_BYTES, "a sent frame is longer than that");
        Ok(templates)
    }

    /// What goes back to the writer of `send`, the payload of its frame, and what goes to the other. `None` if it cannot be a `send` with a text of the
    /// length agreed on. Two copies each: nothing is parsed.
    pub(super) fn answer(&self, send: &[u8]) -> Option<(Bytes, Bytes)> {
        let tag = send.get(SEND_TAG..SEND_TAG + TAG_BYTES)?;
        let end = send.len().checked_sub(AFTER_TEXT)?;
        let text = send.get(end.checked_sub(self.length)?..end)?;
        let mut sent = self.sent.to_vec();
        sent[self.tag..self.tag + TAG_BYTES].copy_from_slice(tag);
        let mut event = self.event.to_vec();
        event[self.text..self.text + self.length].copy_from_slice(text);
        Some((sent.into(), event.into()))
    }
}

/// The frame that says a session stands.
pub(super) fn welcome() -> Bytes {
    let (session, user, device) = ("1".to_owned(), UserId(1), DeviceId(1));
    EncodedFrame::new(&ServerFrame::Welcome { session, user, device, at: 0, heartbeat_ms: 60_000 }).socket_bytes().clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_finds_what_it_reads() {
        let send = format!(r#"{{"type":"send","tag":987,"conversation":"d.5.6","text":"{:x<100}"}}"#, "00000000000000000042");
        let (sent, event) = Templates::new(100).unwrap().answer(send.as_bytes()).unwrap();
        let (json, length) = wire::parse(&sent).unwrap().unwrap();
        assert!(json.starts_with(br#"{"type":"sent""#) && length == sent.len());
        assert_eq!(wire::number_field::<u64>(json, "tag").unwrap(), 987);
        let (json, length) = wire::parse(&event).unwrap().unwrap();
        assert!(json.starts_with(br#"{"type":"event""#) && length == event.len());
        assert_eq!(&wire::text_field(json, "text").unwrap()[..20], b"00000000000000000042");
        assert!(Templates::new(100).unwrap().answer(b"{}").is_none());
    }

    #[test]
    fn sizes_grow_with_the_text() {
        let (short, long) = (frame_sizes(100).unwrap(), frame_sizes(50_000).unwrap());
        assert_eq!(short.sent, long.sent);
        // 65,535 bytes is where the header's length field gets longer; 126 is where it first does.
        assert_eq!(long.event - short.event, 49_900);
        assert_eq!(long.send - short.send, 49_900);
    }
}
