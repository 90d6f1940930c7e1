//! How far each member of a conversation has got.

use std::pin::pin;

use banter_model::marker::read_up_to;
use banter_model::{ConversationId, Refusal, UserId};
use banter_protocol::api::{Markers, MemberMarkers};

use futures_util::StreamExt;

use super::ReadingError;
use super::view::View;
use crate::at_once::in_order;
use crate::node::Node;

/// How far each member has got, in order of their ids, as far as `user` is to know.
///
/// # Errors
/// [`Refusal::NotAMember`] also for those who went out.
pub async fn markers(node: &Node, user: UserId, conversation: ConversationId) -> Result<Markers, ReadingError> {
    let view = View::open(&*node.history, user, conversation).await?;
    if !view.is_member() {
        return Err(Refusal::NotAMember.into());
    }
    let members = match conversation {
        ConversationId::Direct(low, high) => vec![low, high],
        ConversationId::Group(_) => {
            let roster = node.history.roster(conversation).await?.unwrap_or_default();
            roster.members.iter().map(|member| member.user).collect()
        }
    };
    let showing = node.relations.shows_reading(&members).await?;
    let mut markers = Markers { members: Vec::with_capacity(members.len()) };
    let questions = members.into_iter().map(|member| async move { (member, node.history.progress(member, conversation).await) });
    let mut answers = pin!(in_order(node.history.questions_at_once(), questions));
    while let Some((member, progress)) = answers.next().await {
        let progress = progress?;
        let read = if member == user {
            Some(view.read(progress.read).seq)
        } else {
            // Who does not show does not see either.
            let shown = showing.contains(&user) && showing.contains(&member);
            shown.then(|| read_up_to(progress.read, &view.head, member).seq)
        };
        markers.members.push(MemberMarkers { user: member, read, delivered: progress.delivered });
    }
    Ok(markers)
}
