//! The rules of `banter_model::amend` for events as they are on the wire.

use banter_protocol::{Content, Event};

/// Applies `event` to the stored `message`. Says whether the message changed. See [`banter_model::amend::amend`].
pub fn amend(message: &mut Event, event: &Event) -> bool {
    let mut target = banter_model::Event::from(message.clone());
    let changed = banter_model::amend::amend(&mut target, &banter_model::Event::from(event.clone()));
    if changed {
        *message = target.into();
    }
    changed
}

/// Takes the text out of a stored edit whose message was redacted. Says whether it was one.
pub fn redact_edit(event: &mut Event) -> bool {
    match &mut event.content {
        Content::Edit { text, mentions, .. } => {
            text.clear();
            mentions.clear();
            true
        }
        _ => false,
    }
}
