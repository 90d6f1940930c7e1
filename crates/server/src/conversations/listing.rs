//! A user's conversations, in parts.

use std::pin::pin;

use banter_model::limits::SYNC_CONVERSATIONS;
use banter_model::partition::partition_of;
use banter_model::{ConversationId, Millis, UserId};
use banter_protocol::ConversationSummary;
use banter_store::history::{Listed, Progress};
use futures_util::StreamExt;

use super::ReadingError;
use super::summary::{Since, group, latest, progress_of, summary_of};
use super::sync_point::SyncPoint;
use super::view::View;
use crate::at_once::in_order;
use crate::node::Node;

/// Most conversations that one answer looks at: a user with more gets `more`, even if nothing changed so far.
const LOOKED_AT: usize = 10 * SYNC_CONVERSATIONS;
/// Most members of groups in one answer: keeps an answer to about a megabyte whatever the groups' sizes.
const MEMBERS: usize = 20_000;
/// Most listings that are made at the same time; others wait, with nothing but their question in memory. One holds the rows of
/// hundreds of conversations while it reads: when all devices come back at once, and each had begun, it would be all of memory. Enough
/// that the disk is never idle.
pub const LISTINGS_AT_ONCE: usize = 32;
/// How far apart the clocks of two nodes may be, and how long noting a time may take (the writer may wait for its disk), in milliseconds.
const SLACK_MS: Millis = 15_000;

/// A part of a user's conversations.
pub struct Part {
    /// Those that changed, in order of their ids.
    pub conversations: Vec<ConversationSummary>,
    /// The last one looked at, if there are more.
    pub more: Option<ConversationId>,
}

/// The next part of `user`'s conversations from after `after` on: those that changed since `since`, or all.
pub async fn part(
    node: &Node,
    user: UserId,
    since: Option<&SyncPoint>,
    after: Option<ConversationId>,
) -> Result<Part, ReadingError> {
    // Nobody closes the semaphore.
    let _place = node.listings.acquire().await;
    // Allocated now: as a part of this future its kilobytes would be taken by everyone who waits for a place.
    Box::pin(part_in_place(node, user, since, after)).await
}

async fn part_in_place(
    node: &Node,
    user: UserId,
    since: Option<&SyncPoint>,
    mut after: Option<ConversationId>,
) -> Result<Part, ReadingError> {
    if let Some(since) = since
        && let Some(candidates) = node.points.since(user, since, SLACK_MS)
    {
        return part_of(node, user, since, after, candidates).await;
    }
    let mut conversations = Vec::new();
    let (mut looked_at, mut members) = (0, 0);
    loop {
        let listed = node.history.listing(user, after, SYNC_CONVERSATIONS).await?;
        let (count, last_page) = (listed.len(), listed.len() < SYNC_CONVERSATIONS);
        let changes = listed.into_iter().map(|listed| async move {
            let conversation = listed.conversation;
            (conversation, changed(node, user, since, listed).await)
        });
        let mut changes = pin!(in_order(node.history.questions_at_once(), changes));
        for _ in 0..count {
            if conversations.len() >= SYNC_CONVERSATIONS || members >= MEMBERS || looked_at >= LOOKED_AT {
                return Ok(Part { conversations, more: after });
            }
            let Some((conversation, change)) = changes.next().await else { break };
            (after, looked_at) = (Some(conversation), looked_at + 1);
            // Rows in memory are read without a wait: other tasks of this thread are to have their turn.
            tokio::task::consume_budget().await;
            if let Some(summary) = change? {
                members += summary.group.as_ref().map_or(0, |group| group.members.len());
                conversations.push(summary);
            }
        }
        if last_page {
            return Ok(Part { conversations, more: None });
        }
    }
}

/// The next part when nothing but `candidates`, in order of their ids, may have changed since `since`.
async fn part_of(
    node: &Node,
    user: UserId,
    since: &SyncPoint,
    mut after: Option<ConversationId>,
    candidates: Vec<ConversationId>,
) -> Result<Part, ReadingError> {
    let mut conversations = Vec::new();
    let mut members = 0;
    let start = after.map_or(0, |after| candidates.partition_point(|id| id.to_bytes() <= after.to_bytes()));
    for conversation in candidates.into_iter().skip(start) {
        if conversations.len() >= SYNC_CONVERSATIONS || members >= MEMBERS {
            return Ok(Part { conversations, more: after });
        }
        after = Some(conversation);
        tokio::task::consume_budget().await;
        let Some(membership) = node.history.membership(user, conversation).await? else { continue };
        // Read after the membership, so that no head is older than what it says.
        let head = node.history.heads(&[conversation]).await?.pop().flatten();
        let (progress, peer) = progress_of(&*node.history, user, conversation).await?;
        let listed = Listed { conversation, membership, head, progress, peer };
        if let Some(summary) = changed(node, user, Some(since), listed).await? {
            members += summary.group.as_ref().map_or(0, |group| group.members.len());
            conversations.push(summary);
        }
    }
    Ok(Part { conversations, more: None })
}

/// The summary of a conversation, if something of it changed since `since`.
async fn changed(
    node: &Node,
    user: UserId,
    since: Option<&SyncPoint>,
    listed: Listed,
) -> Result<Option<ConversationSummary>, ReadingError> {
    let Listed { conversation: id, membership, head: Some(head), progress, peer } = listed else { return Ok(None) };
    let (mut happened_since, mut roster_stayed) = (None, false);
    if let Some(since) = since {
        let partition = partition_of(id, since.positions.len() as u32);
        let known = since.positions[partition as usize];
        let moved = |progress: &Progress| progress.changed_at + SLACK_MS >= since.at;
        if head.position <= known && !moved(&progress) && !peer.as_ref().is_some_and(moved) {
            return Ok(None);
        }
        let after = || Since { at: since.at.saturating_sub(SLACK_MS), first: node.points.first_since(id, partition, known) };
        happened_since = (head.position > known).then(after);
        // Who is not a member any more has kept a title, and is to know that they are told no members.
        roster_stayed = membership.is_current() && node.points.roster_stayed(id, partition, known, head.position);
    }
    let view = View::of(&*node.history, user, id, membership, head).await?;
    // What most of a summary is in a group of a hundred, and hardly ever changes.
    let group = if roster_stayed { None } else { group(node, &view).await? };
    let latest = match happened_since {
        Some(since) => latest(node, &view, since).await?,
        None => Vec::new(),
    };
    let summary = summary_of(node, &view, progress, peer, group, latest).await?;
    Ok(Some(summary))
}
