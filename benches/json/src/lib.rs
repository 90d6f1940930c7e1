//! Frames to measure JSON libraries with: the three of a message, short and long. The benches are in `benches/frames.rs`.

use banter_model::{ConversationId, DeviceId, EventId, Tag, UserId};
use banter_protocol::{Content, Event, ServerFrame};

/// An id as they are in use: 19 digits.
const ID: u64 = 1_234_567_890_123_456_789;

/// The frames of one message.
pub struct Frames {
    /// `send`, as it comes from the wire.
    pub send: String,
    /// The answer to it.
    pub sent: ServerFrame,
    /// What the others get.
    pub event: ServerFrame,
}

/// The frames of a message of about `length` characters, in which every thirteenth has to be escaped.
///
/// # Panics
/// Never, for any length.
pub fn frames(length: usize) -> Frames {
    let conversation = ConversationId::direct(UserId(ID), UserId(ID + 1)).expect("two users");
    let tag = Tag::new(12_345).expect("a tag");
    let text: String = "a chat message, \"quoted\"; ".chars().cycle().take(length).collect();
    let escaped = text.replace('"', "\\\"");
    let send = format!(r#"{{"type":"send","tag":12345,"conversation":"{conversation}","text":"{escaped}"}}"#);
    let (seq, ordinal, id, at) = (54_321, 54_320, EventId(ID), 1_790_000_000_000);
    let sent = ServerFrame::Sent { tag, conversation, seq, ordinal, id, at, mentions: Vec::new() };
    let content = Content::Message {
        text,
        reply_to: None,
        mentions: Vec::new(),
        edited_at: None,
        redacted: false,
        reactions: Vec::new(),
        amended_up_to: 0,
    };
    let event = Event { seq, ordinal, id, at, sender: UserId(ID), device: DeviceId(ID), tag: Some(tag), content };
    Frames { send, sent, event: ServerFrame::Event { conversation, event } }
}
