//! What changed since a sync point.

use banter_model::UserId;
use banter_protocol::frame::SyncQuestion;
use banter_protocol::{ErrorBody, ServerFrame};

use super::ReadingError;
use super::listing::{Part, part};
use super::sync_point::{More, SyncPoint};
use crate::node::Node;

/// Answers a sync question of `user`: a [`ServerFrame::Sync`], or why not (a point or `more` that this server never gave).
pub async fn answer(node: &Node, user: UserId, question: &SyncQuestion) -> Result<ServerFrame, ErrorBody> {
    let answer = sync(node, user, question).await;
    answer.map_err(|error| error.body())
}

async fn sync(node: &Node, user: UserId, question: &SyncQuestion) -> Result<ServerFrame, ReadingError> {
    let since = question.since.as_deref().map(|text| read_point(node, text)).transpose()?;
    let (after, point) = match question.more.as_deref() {
        Some(text) => {
            let More { after, point } = read_more(node, text)?;
            (Some(after), point)
        }
        None => (None, node.points.current(since.as_ref()).await?),
    };
    let since = since.filter(|since| !since.is_ahead_of(&point));
    let Part { conversations, more } = part(node, user, since.as_ref(), after).await?;
    let more = more.map(|after| More { after, point: point.clone() }.encode());
    Ok(ServerFrame::Sync { conversations, point: point.encode(), more })
}

/// Reads the `more` of a part, for a listing of this installation.
pub fn read_more(node: &Node, text: &str) -> Result<More, ReadingError> {
    let more = More::decode(text).filter(|more| more.point.positions.len() == node.queue.partitions() as usize);
    more.ok_or_else(|| ReadingError::InvalidParameter("`more` is not one that this server gave".to_owned()))
}

fn read_point(node: &Node, text: &str) -> Result<SyncPoint, ReadingError> {
    let point = SyncPoint::decode(text).filter(|point| point.positions.len() == node.queue.partitions() as usize);
    point.ok_or_else(|| ReadingError::InvalidParameter("`since` is not a sync point that this server gave".to_owned()))
}
