//! What a session is told when a frame is refused. Every refusal is counted.

use banter_model::{ConversationId, Tag};
use banter_protocol::{ErrorBody, ErrorCode, ServerFrame};

use crate::api::extract::cut;
use crate::gateway::Gateway;
use crate::gateway::session::Session;
use crate::worker::Failure;

/// A command as it came in a frame, for its answer.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub tag: Tag,
    pub conversation: ConversationId,
}

impl Gateway {
    /// Tells a session that what it sent is no frame.
    pub(super) fn malformed(&self, session: &Session, json: &[u8], error: &serde_json::Error) {
        // Told with the command's tag and conversation where they can be read, so that the device knows which frame it was.
        let parts: Option<serde_json::Value> = serde_json::from_slice(json).ok();
        let tag = parts.as_ref().and_then(|parts| parts.get("tag")?.as_u64());
        let conversation = parts.as_ref().and_then(|parts| parts.get("conversation")?.as_str()?.parse().ok());
        let wrong_tag = tag.and_then(|tag| Tag::new(tag).err());
        match wrong_tag {
            Some(invalid) => self.tell(session, ErrorCode::InvalidTag.code(), invalid.to_string(), tag, conversation, None),
            None => self.tell(session, ErrorCode::InvalidFrame.code(), cut(error.to_string()), tag, conversation, None),
        }
    }

    /// Answers a command that made no event.
    pub(super) fn answer_failure(&self, session: &Session, asked: Asked, failure: &Failure) {
        self.note_answer(asked.conversation, session.number, asked.tag, Some(failure));
        self.refuse(session, failure.code(), failure.to_string(), Some(asked), failure.retry_after());
    }

    /// Tells a session what became of something that is not answered, if it failed.
    pub(super) fn tell_failure(&self, session: &Session, done: Result<(), ErrorBody>, conversation: Option<ConversationId>) {
        if let Err(body) = done {
            self.tell(session, &body.code, body.message, None, conversation, body.retry_after);
        }
    }

    /// Tells a session that something is refused.
    pub(super) fn refuse(&self, session: &Session, code: &str, message: String, asked: Option<Asked>, retry_after: Option<u64>) {
        let (tag, conversation) = asked.map(|asked| (asked.tag.get(), asked.conversation)).unzip();
        self.tell(session, code, message, tag, conversation, retry_after);
    }

    fn tell(
        &self,
        session: &Session,
        code: &str,
        message: String,
        tag: Option<u64>,
        conversation: Option<ConversationId>,
        retry_after: Option<u64>,
    ) {
        self.node.metrics.refused(code);
        self.give(session, &ServerFrame::Error { code: code.to_owned(), message, tag, conversation, retry_after });
    }
}
