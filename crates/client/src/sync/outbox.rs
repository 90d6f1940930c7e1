//! What the device has written and has no answer to yet, for one conversation.

use std::collections::VecDeque;

use banter_model::limits::UNANSWERED_PER_CONVERSATION;
use banter_model::{Action, ConversationId, Mention, Millis, Refusal, Seq, Tag};
use banter_protocol::{ClientFrame, Content, frame};

/// Most entries that wait in one conversation: beyond it the application is told to wait.
pub const ENTRIES_PER_CONVERSATION: usize = 10_000;

/// How far an entry has come in this session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To be sent.
    Queued,
    /// Sent in this session, no answer yet.
    InFlight,
    /// The server said "later": to be sent again from this time on.
    Later(Millis),
    /// The server cannot say whether it was applied: the history will.
    LookedUp,
}

/// A command that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub tag: Tag,
    /// What is sent: a `send`, `edit`, `redact` or `react`.
    pub frame: ClientFrame,
    pub progress: Progress,
}

/// The entries of one conversation, in order of their tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outbox {
    entries: VecDeque<Entry>,
}

impl Outbox {
    /// How many entries have no answer yet.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds an entry. Its tag is above all others.
    pub fn push(&mut self, tag: Tag, frame: ClientFrame) {
        self.entries.push_back(Entry { tag, frame, progress: Progress::Queued });
    }

    /// The entry with this tag, unless it is answered.
    pub fn get_mut(&mut self, tag: Tag) -> Option<&mut Entry> {
        let index = self.entries.binary_search_by_key(&tag, |entry| entry.tag).ok()?;
        self.entries.get_mut(index)
    }

    /// Takes the entry out: it is answered.
    pub fn take(&mut self, tag: Tag) -> Option<Entry> {
        let index = self.entries.binary_search_by_key(&tag, |entry| entry.tag).ok()?;
        self.entries.remove(index)
    }

    /// Everything is to be sent again. What was told "later" keeps its time.
    pub fn rewind(&mut self) {
        for entry in self.entries.iter_mut().filter(|entry| entry.progress == Progress::InFlight) {
            entry.progress = Progress::Queued;
        }
    }

    /// The next entry that may be sent, and the time to ask again when it is one that has to wait.
    pub fn next(&mut self, now: Millis) -> Result<Option<&mut Entry>, Millis> {
        let Some(lowest) = self.entries.front().map(|entry| entry.tag.get()) else { return Ok(None) };
        for entry in &mut self.entries {
            match entry.progress {
                Progress::InFlight | Progress::LookedUp => continue,
                Progress::Later(time) if time > now => return Err(time),
                Progress::Later(_) | Progress::Queued => {
                    let apart = (entry.tag.get() - lowest) as usize;
                    return Ok((apart < UNANSWERED_PER_CONVERSATION).then_some(entry));
                }
            }
        }
        Ok(None)
    }
}

/// What an application wants written: the [`Action`]s that carry a tag.
pub(crate) fn frame_of(conversation: ConversationId, tag: Tag, action: Action) -> Result<ClientFrame, Refusal> {
    action.check()?;
    Ok(match action {
        Action::Send { text, reply_to, .. } => ClientFrame::Send(frame::Send { tag, conversation, text, reply_to }),
        Action::Edit { target, text, .. } => ClientFrame::Edit(frame::Edit { tag, conversation, target, text }),
        Action::Redact { target } => ClientFrame::Redact(frame::Redact { tag, conversation, target }),
        Action::React { target, emoji, add } => ClientFrame::React(frame::React { tag, conversation, target, emoji, add }),
        // Groups are changed through the API, which needs no tags.
        _ => return Err(Refusal::NotAGroup),
    })
}

/// The content of the event that `frame` made, as the server stored it.
pub(crate) fn content_of(frame: ClientFrame, mentions: Vec<Mention>) -> Option<Content> {
    Some(match frame {
        ClientFrame::Send(send) => Content::Message {
            text: send.text,
            reply_to: send.reply_to,
            mentions,
            edited_at: None,
            redacted: false,
            reactions: Vec::new(),
            amended_up_to: 0,
        },
        ClientFrame::Edit(edit) => Content::Edit { target: edit.target, text: edit.text, mentions },
        ClientFrame::Redact(redact) => Content::Redaction { target: redact.target },
        ClientFrame::React(react) => Content::Reaction { target: react.target, emoji: react.emoji, added: react.add },
        _ => return None,
    })
}

/// The message that `content` amends.
pub fn target_of(content: &Content) -> Option<Seq> {
    match content {
        Content::Edit { target, .. } | Content::Redaction { target } | Content::Reaction { target, .. } => Some(*target),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outbox(tags: impl IntoIterator<Item = u64>) -> Outbox {
        let mut outbox = Outbox::default();
        for tag in tags {
            let tag = Tag::new(tag).unwrap();
            let action = Action::Send { text: "x".into(), reply_to: None, mentions: vec![] };
            outbox.push(tag, frame_of("d.1.2".parse().unwrap(), tag, action).unwrap());
        }
        outbox
    }

    fn send_all(outbox: &mut Outbox) -> Vec<u64> {
        let mut sent = Vec::new();
        while let Ok(Some(entry)) = outbox.next(0) {
            entry.progress = Progress::InFlight;
            sent.push(entry.tag.get());
        }
        sent
    }

    #[test]
    fn tags_in_flight_are_less_than_32_apart() {
        let mut outbox = outbox(1..=100);
        assert_eq!(send_all(&mut outbox), (1..=32).collect::<Vec<_>>());
        for tag in 2..=32 {
            outbox.take(Tag::new(tag).unwrap()).unwrap();
        }
        assert!(send_all(&mut outbox).is_empty(), "the first is still unanswered");
        outbox.take(Tag::new(1).unwrap()).unwrap();
        assert_eq!(send_all(&mut outbox), (33..=64).collect::<Vec<_>>());
        outbox.rewind();
        assert_eq!(send_all(&mut outbox), (33..=64).collect::<Vec<_>>());
    }

    #[test]
    fn nothing_new_overtakes_what_has_to_wait() {
        let mut outbox = outbox(1..=3);
        outbox.get_mut(Tag::new(2).unwrap()).unwrap().progress = Progress::Later(500);
        assert_eq!(send_all(&mut outbox), [1]);
        assert_eq!(outbox.next(499), Err(500));
        assert_eq!(outbox.next(500).unwrap().unwrap().tag.get(), 2);
    }
}
