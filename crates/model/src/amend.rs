//! Edits, redactions and reactions: what an event does to the message that it is about.
//!
//! The log keeps the event, and the message's own row keeps the result, so that a page from long ago shows a message as it
//! is now. Applying an event twice, or one that the row has already seen, changes nothing: replay is safe.

use crate::event::{Amendments, Reactions};
use crate::limits::REACTION_EMOJI_PER_MESSAGE;
use crate::{Event, EventBody};

/// Applies `event` to the message `target`. Returns whether the message changed.
pub fn amend(target: &mut Event, event: &Event) -> bool {
    if event.body.target() != Some(target.seq) || event.seq <= target.seq {
        return false;
    }
    let EventBody::Message { text, mentions, amendments, .. } = &mut target.body else { return false };
    if event.seq <= amendments.up_to {
        return false;
    }
    amendments.up_to = event.seq;
    if amendments.redaction.is_some() {
        return true;
    }
    match &event.body {
        // An edit read back after its message was redacted has no text left.
        EventBody::Edit { text: new_text, mentions: new_mentions, .. } if !new_text.is_empty() => {
            text.clone_from(new_text);
            mentions.clone_from(new_mentions);
            amendments.edits.push(event.seq);
            amendments.edited_at = Some(event.at);
        }
        EventBody::Redaction { .. } => {
            text.clear();
            mentions.clear();
            amendments.reactions.clear();
            amendments.redaction = Some(event.seq);
        }
        EventBody::Reaction { emoji, added, .. } => react(amendments, event, emoji, *added),
        _ => {}
    }
    true
}

/// Was `message` deleted for everyone?
pub fn is_redacted(message: &Event) -> bool {
    matches!(&message.body, EventBody::Message { amendments, .. } if amendments.redaction.is_some())
}

/// Takes the text out of an edit whose message was redacted.
pub fn redact_edit(edit: &mut Event) {
    if let EventBody::Edit { text, mentions, .. } = &mut edit.body {
        text.clear();
        mentions.clear();
    }
}

fn react(amendments: &mut Amendments, event: &Event, emoji: &str, added: bool) {
    let reactions = &mut amendments.reactions;
    let index = reactions.iter().position(|reaction| reaction.emoji == emoji);
    match (index, added) {
        (Some(index), true) if !reactions[index].users.contains(&event.sender) => reactions[index].users.push(event.sender),
        (None, true) if reactions.len() < REACTION_EMOJI_PER_MESSAGE => {
            reactions.push(Reactions { emoji: emoji.to_owned(), users: vec![event.sender] });
        }
        (Some(index), false) => {
            reactions[index].users.retain(|user| *user != event.sender);
            if reactions[index].users.is_empty() {
                reactions.remove(index);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DeviceId, EventId, UserId};

    fn event(seq: u64, sender: u64, body: EventBody) -> Event {
        Event { seq, ordinal: 1, id: EventId(seq), at: seq, sender: UserId(sender), device: DeviceId(1), tag: None, body }
    }

    fn message() -> Event {
        event(
            1,
            1,
            EventBody::Message { text: "one".into(), reply_to: None, mentions: vec![], amendments: Amendments::default() },
        )
    }

    fn text(event: &Event) -> &str {
        match &event.body {
            EventBody::Message { text, .. } => text,
            _ => panic!("not a message"),
        }
    }

    #[test]
    fn applying_again_changes_nothing() {
        let log = [
            event(2, 1, EventBody::Edit { target: 1, text: "two".into(), mentions: vec![] }),
            event(3, 2, EventBody::Reaction { target: 1, emoji: "👍".into(), added: true }),
            event(4, 2, EventBody::Reaction { target: 1, emoji: "👍".into(), added: false }),
            event(5, 1, EventBody::Edit { target: 1, text: "three".into(), mentions: vec![] }),
        ];
        let mut target = message();
        log.iter().for_each(|event| assert!(amend(&mut target, event)));
        assert_eq!(text(&target), "three");
        let once = target.clone();
        log.iter().for_each(|event| assert!(!amend(&mut target, event)));
        assert_eq!(target, once);
    }

    #[test]
    fn a_redaction_is_final() {
        let mut target = message();
        assert!(amend(&mut target, &event(2, 2, EventBody::Reaction { target: 1, emoji: "👍".into(), added: true })));
        assert!(amend(&mut target, &event(3, 1, EventBody::Redaction { target: 1 })));
        assert!(amend(&mut target, &event(4, 1, EventBody::Edit { target: 1, text: "back".into(), mentions: vec![] })));
        let EventBody::Message { text, amendments, .. } = &target.body else { panic!("not a message") };
        assert_eq!((text.as_str(), amendments.redaction, amendments.reactions.len()), ("", Some(3), 0));
    }

    #[test]
    fn emoji_are_bounded() {
        let mut target = message();
        for number in 0..30_u32 {
            let emoji = char::from_u32(0x1F600 + number).unwrap().to_string();
            amend(&mut target, &event(u64::from(number) + 2, 2, EventBody::Reaction { target: 1, emoji, added: true }));
        }
        let EventBody::Message { amendments, .. } = &target.body else { panic!("not a message") };
        assert_eq!(amendments.reactions.len(), REACTION_EMOJI_PER_MESSAGE);
    }
}
