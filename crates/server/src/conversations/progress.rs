//! Moving a user's read marker and "delivered up to".

use banter_model::{ConversationId, Marker, Seq, UserId};
use banter_store::History;
use banter_store::history::{Advance, Progress};

use super::ReadingError;
use super::view::View;
use crate::clock::now;

/// Where a user's registers are now.
#[derive(Debug, Clone)]
pub struct Advanced {
    /// The conversation as the user sees it.
    pub view: View,
    /// The registers.
    pub progress: Progress,
    /// Did what was asked for move?
    pub grew: bool,
}

impl Advanced {
    /// The marker that unread counts start from.
    pub fn read(&self) -> Marker {
        self.view.read(self.progress.read)
    }
}

/// `user` has read up to `seq`, or up to the last event that they see if that comes before it.
pub async fn advance_read(
    history: &dyn History,
    user: UserId,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Advanced, ReadingError> {
    let view = View::open(history, user, conversation).await?;
    let before = history.progress(user, conversation).await?;
    let read_before = view.read(before.read);
    if seq.min(view.end.seq) <= read_before.seq {
        return Ok(Advanced { view, progress: before, grew: false });
    }
    let read = view.marker_at(history, seq).await?;
    let advance = Advance { read, ..Advance::default() };
    let progress = history.advance(user, conversation, advance, now()).await?;
    let grew = view.read(progress.read) > read_before;
    Ok(Advanced { view, progress, grew })
}

/// A device of `user` has stored everything up to `seq`, or up to the last event that they see if that comes before it.
pub async fn advance_delivered(
    history: &dyn History,
    user: UserId,
    conversation: ConversationId,
    seq: Seq,
) -> Result<Advanced, ReadingError> {
    let view = View::open(history, user, conversation).await?;
    let before = history.progress(user, conversation).await?;
    let delivered = seq.min(view.end.seq);
    if delivered <= before.delivered {
        return Ok(Advanced { view, progress: before, grew: false });
    }
    let advance = Advance { delivered, ..Advance::default() };
    let progress = history.advance(user, conversation, advance, now()).await?;
    Ok(Advanced { view, progress, grew: progress.delivered > before.delivered })
}
