//! What one user sees of one conversation: the basis of every answer.

use banter_model::{ConversationId, Head, Marker, Membership, Millis, Refusal, Seq, UserId};
use banter_store::{History, StoreError};

use super::ReadingError;

/// What one user sees of one conversation.
#[derive(Debug, Clone)]
pub struct View {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Whose view.
    pub user: UserId,
    /// Which stretches they see.
    pub membership: Membership,
    /// Where the log ends, seen or not.
    pub head: Head,
    /// The last event that they see.
    pub end: Marker,
    /// When it happened.
    pub at: Millis,
}

impl View {
    /// What `user` sees of `conversation`.
    ///
    /// # Errors
    /// [`Refusal::NotAMember`] for those who never were in it, and for what does not exist: strangers are not told which.
    pub async fn open(history: &dyn History, user: UserId, conversation: ConversationId) -> Result<Self, ReadingError> {
        let membership = history.membership(user, conversation).await?.ok_or(Refusal::NotAMember)?;
        // Read after the membership, so that the head is never older than what the membership says.
        let head = history.heads(&[conversation]).await?.pop().flatten().ok_or(Refusal::NotAMember)?;
        Ok(View::of(history, user, conversation, membership, head).await?)
    }

    /// The same from a membership and a head that were read already, in this order.
    pub async fn of(
        history: &dyn History,
        user: UserId,
        conversation: ConversationId,
        membership: Membership,
        head: Head,
    ) -> Result<Self, StoreError> {
        let last = membership.last_visible(head.seq);
        let (end, at) = if last == head.seq {
            (head.marker(), head.at)
        } else {
            history
                .event(conversation, last)
                .await?
                .map_or((Marker { seq: last, ordinal: 0 }, 0), |event| (event.marker(), event.at))
        };
        Ok(View { conversation, user, membership, head, end, at })
    }

    /// Is the user a member now?
    pub fn is_member(&self) -> bool {
        self.membership.is_current()
    }

    /// How far the user has read, when `register` is their read marker's: what they wrote, and what was said before they
    /// came, counts as read.
    pub fn read(&self, register: Marker) -> Marker {
        banter_model::marker::read_up_to(register, &self.head, self.user).max(self.membership.joined)
    }

    /// Messages after `read` that the user sees.
    pub fn unread(&self, read: Marker) -> u64 {
        banter_model::marker::unread(self.end.ordinal, read)
    }

    /// The place `seq` as a marker, or the last that the user sees if `seq` is beyond it.
    pub async fn marker_at(&self, history: &dyn History, seq: Seq) -> Result<Marker, ReadingError> {
        if seq >= self.end.seq {
            return Ok(self.end);
        }
        if seq == 0 {
            return Ok(Marker::default());
        }
        let event = history.event(self.conversation, seq).await?.ok_or(Refusal::UnknownMessage { seq })?;
        Ok(event.marker())
    }
}
