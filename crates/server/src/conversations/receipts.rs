//! Telling the sessions of everyone concerned how far a user has got.

use banter_model::{ConversationId, Seq, UserId};
use banter_protocol::api::ReadMarker;
use banter_protocol::{ErrorBody, ServerFrame};

use super::ReadingError;
use super::progress::{advance_delivered, advance_read};
use crate::clock;
use crate::node::Node;

/// [`mark_read`] for a session, which is not answered.
pub async fn read(
    node: &Node,
    user: UserId,
    conversation: ConversationId,
    seq: Seq,
    except: Option<u64>,
) -> Result<(), ErrorBody> {
    mark_read(node, user, conversation, seq, except).await.map(drop).map_err(|error| error.body())
}

/// Moves the read marker of `user` to `seq`, and tells if it grew: the user's other sessions (all but `except`), and, where both
/// sides show how far they read, the other members.
pub async fn mark_read(
    node: &Node,
    user: UserId,
    conversation: ConversationId,
    seq: Seq,
    except: Option<u64>,
) -> Result<ReadMarker, ReadingError> {
    let advanced = advance_read(&*node.history, user, conversation, seq).await?;
    let read = advanced.read();
    if advanced.grew {
        node.points.note_register(conversation, [user].into_iter().chain(conversation.peer_of(user)), clock::now());
        let frame = ServerFrame::Read { conversation, user, seq: read.seq, ordinal: read.ordinal };
        node.notices.tell(&[user], &frame, except);
        if advanced.view.is_member() {
            node.notices.tell(&others_who_show_reading(node, user, conversation).await?, &frame, None);
        }
    }
    Ok(ReadMarker { read, unread: advanced.view.unread(read) })
}

/// Notes that everything up to `seq` arrived on a device of `user`, and tells the other member of a direct conversation if that
/// is news.
pub async fn delivered(node: &Node, user: UserId, conversation: ConversationId, seq: Seq) -> Result<(), ErrorBody> {
    let advanced = advance_delivered(&*node.history, user, conversation, seq).await.map_err(|error| error.body())?;
    if let Some(peer) = conversation.peer_of(user).filter(|_| advanced.grew) {
        node.points.note_register(conversation, [user, peer], clock::now());
        let frame = ServerFrame::Delivered { conversation, user, seq: advanced.progress.delivered };
        node.notices.tell(&[peer], &frame, None);
    }
    Ok(())
}

/// The other members who are to know how far `user` has read: nobody, if `user` keeps it to themself.
async fn others_who_show_reading(node: &Node, user: UserId, conversation: ConversationId) -> Result<Vec<UserId>, ReadingError> {
    let mut members = match conversation {
        ConversationId::Direct(low, high) => vec![low, high],
        ConversationId::Group(_) => {
            let roster = node.history.roster(conversation).await?.unwrap_or_default();
            roster.members.iter().map(|member| member.user).collect()
        }
    };
    members.retain(|member| *member != user);
    if node.relations.shows_reading(&[user]).await?.is_empty() {
        return Ok(Vec::new());
    }
    Ok(node.relations.shows_reading(&members).await?)
}
