//! What the history answers.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_model::{Conversation, ConversationId, Event, Head, Membership, Millis, Roster, Seq, UserId};
use banter_store::history::plan::{self, Redo};
use banter_store::history::{Advance, Listed, Order, PageSize, Progress, StoredEvent};
use banter_store::{History, HistoryBatch, StoreError};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::connection::unreadable;
use super::row::{self, ProgressCells};
use super::schema::ITSELF;
use super::{CassandraHistory, page, positions, write};

/// Most conversations asked for with one request: enough that a listing of some hundred is a handful of requests, and few enough that
/// they spread over the nodes.
pub(super) const CONVERSATIONS_AT_ONCE: usize = 32;
/// Questions of one listing or one round of a worker that are under way at the same time: a listing of a hundred conversations waits for
/// some seven answers in turn, and what all listings of a node ask together (`LISTINGS_AT_ONCE` of the server) are some thousand requests.
const QUESTIONS_AT_ONCE: usize = 16;
/// Most memberships or mentions asked for with one request.
const ROWS_AT_ONCE: usize = 500;
/// Most shares of positions asked for with one request: 1,024 partitions.
const SHARES_AT_ONCE: usize = 64;

/// A row of a listing: conversation, member, head, and the cells of their registers.
type ListedColumns<'a> = (&'a [u8], i64, Option<&'a [u8]>, Option<&'a [u8]>, Option<i64>, Option<i64>);

impl CassandraHistory {
    async fn read(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<QueryRowsResult, StoreError> {
        self.connection.read(statement, values).await
    }

    /// Reads many rows when there is a place.
    pub(super) async fn place(&self) -> Result<tokio::sync::SemaphorePermit<'_>, StoreError> {
        // Nobody closes the semaphore.
        self.pages.acquire().await.map_err(|_| StoreError::Failed("the history is closed".to_owned()))
    }

    /// The one cell of the one row that `statement` asks for.
    async fn cell<T: Stored>(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<Option<T>, StoreError> {
        let rows = self.read(statement, values).await?;
        let row = rows.maybe_first_row::<(Option<&[u8]>,)>().map_err(unreadable)?;
        decoded(row.and_then(|(cell,)| cell))
    }

    /// The state of a conversation, and what its last batch wrote after the head.
    pub(super) async fn state(&self, id: ConversationId) -> Result<Option<(Conversation, Redo)>, StoreError> {
        type Cells<'a> = (Option<&'a [u8]>, Option<&'a [u8]>, Option<&'a [u8]>);
        let rows = self.read(&self.connection.statements.state, (id.to_bytes(),)).await?;
        let Some((head, roster, redo)) = rows.maybe_first_row::<Cells<'_>>().map_err(unreadable)? else { return Ok(None) };
        let Some(head) = decoded(head)? else { return Ok(None) };
        let conversation = Conversation { id, head, roster: decoded(roster)?.unwrap_or_default() };
        Ok(Some((conversation, page::redo_list(redo)?)))
    }

    /// Rows of `user`'s memberships, without waiting for a place.
    async fn memberships_of(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Membership)>, StoreError> {
        let mut found = Vec::new();
        // Nothing is the least of all keys.
        let mut after = after.map_or_else(Vec::new, |after| after.to_bytes().to_vec());
        while found.len() < limit {
            let asked = (limit - found.len()).min(ROWS_AT_ONCE);
            let values = (row::id(user.0), &after, asked as i32);
            let rows = self.read(&self.connection.statements.memberships, values).await?;
            let before = found.len();
            for columns in rows.rows::<(&[u8], &[u8])>().map_err(unreadable)? {
                let (id, membership) = columns.map_err(unreadable)?;
                found.push((conversation_id(id)?, Membership::decode(membership)?));
            }
            match found.last() {
                Some((last, _)) if found.len() - before == asked => after = last.to_bytes().to_vec(),
                _ => break,
            }
        }
        Ok(found)
    }

    /// Heads and registers, for a listing of `user`'s `conversations`.
    async fn listed(&self, user: UserId, conversations: impl Iterator<Item = ConversationId>) -> Result<Found, StoreError> {
        let (direct, groups): (Vec<_>, Vec<_>) = conversations.partition(ConversationId::is_direct);
        let keys = |ids: &[ConversationId]| ids.iter().map(|id| id.to_bytes()).collect::<Vec<_>>();
        let statements = &self.connection.statements;
        // Of a direct conversation everything: it has no more rows than are needed.
        let direct = direct.chunks(CONVERSATIONS_AT_ONCE).map(|ids| (keys(ids), None));
        let groups = groups.chunks(CONVERSATIONS_AT_ONCE).map(|ids| (keys(ids), Some([ITSELF, row::id(user.0)])));
        let asked: Vec<_> = direct.chain(groups).collect();
        let requests = asked.into_iter().map(|(ids, members)| async move {
            match members {
                None => self.read(&statements.listed_direct, (ids,)).await,
                Some(members) => self.read(&statements.listed_groups, (ids, &members[..])).await,
            }
        });
        let answers = stream::iter(requests).buffer_unordered(self.connection.requests_at_once);
        answers.try_fold(Found::default(), |mut found, rows| async move { found.add(&rows).map(|()| found) }).await
    }
}

/// What a listing found.
#[derive(Default)]
struct Found {
    heads: HashMap<ConversationId, Head>,
    progress: HashMap<(ConversationId, i64), Progress>,
}

impl Found {
    fn add(&mut self, rows: &QueryRowsResult) -> Result<(), StoreError> {
        for columns in rows.rows::<ListedColumns<'_>>().map_err(unreadable)? {
            let (id, member, head, read, delivered, changed_at) = columns.map_err(unreadable)?;
            let id = conversation_id(id)?;
            if member != ITSELF {
                self.progress.insert((id, member), row::progress((read, delivered, changed_at))?);
            } else if let Some(head) = decoded(head)? {
                self.heads.insert(id, head);
            }
        }
        Ok(())
    }

    fn progress(&self, user: UserId, id: ConversationId) -> Progress {
        self.progress.get(&(id, row::id(user.0))).copied().unwrap_or_default()
    }
}

/// The conversation that a key stands for.
pub(super) fn conversation_id(bytes: &[u8]) -> Result<ConversationId, StoreError> {
    let bytes = bytes.try_into().map_err(|_| row::damaged())?;
    ConversationId::from_bytes(bytes).map_err(|_| row::damaged())
}

/// What a cell holds, if it is there.
pub(super) fn decoded<T: Stored>(cell: Option<&[u8]>) -> Result<Option<T>, StoreError> {
    Ok(cell.map(T::decode).transpose()?)
}

#[async_trait]
impl History for CassandraHistory {
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        Ok(self.state(id).await?.map(|(conversation, _)| conversation))
    }

    async fn resume(&self, id: ConversationId, settled: u64) -> Result<Option<Conversation>, StoreError> {
        let Some((conversation, redo)) = self.state(id).await? else { return Ok(None) };
        if !plan::is_settled(conversation.head.position, settled) {
            write::redo(&self.connection, redo).await?;
        }
        Ok(Some(conversation))
    }

    async fn heads(&self, ids: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        let statements = &self.connection.statements;
        let requests = ids.chunks(CONVERSATIONS_AT_ONCE).map(|ids| async move {
            match ids {
                // So that the driver can tell which node has it.
                [id] => self.read(&statements.head, (id.to_bytes(),)).await,
                ids => {
                    let distinct: HashSet<_> = ids.iter().map(ConversationId::to_bytes).collect();
                    self.read(&statements.heads, (distinct.into_iter().collect::<Vec<_>>(),)).await
                }
            }
        });
        let requests: Vec<_> = requests.collect();
        let mut answers = stream::iter(requests).buffer_unordered(self.connection.requests_at_once);
        let mut found: HashMap<ConversationId, Head> = HashMap::with_capacity(ids.len());
        while let Some(rows) = answers.try_next().await? {
            for columns in rows.rows::<(&[u8], Option<&[u8]>)>().map_err(unreadable)? {
                let (id, head) = columns.map_err(unreadable)?;
                if let Some(head) = decoded(head)? {
                    found.insert(conversation_id(id)?, head);
                }
            }
        }
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    fn questions_at_once(&self) -> usize {
        QUESTIONS_AT_ONCE
    }

    async fn roster(&self, id: ConversationId) -> Result<Option<Roster>, StoreError> {
        self.cell(&self.connection.statements.roster, (id.to_bytes(),)).await
    }

    async fn event(&self, id: ConversationId, seq: Seq) -> Result<Option<Event>, StoreError> {
        Ok(self.event_at(id, seq).await?.map(|stored| stored.event))
    }

    async fn event_at(&self, id: ConversationId, seq: Seq) -> Result<Option<StoredEvent>, StoreError> {
        page::event(&self.connection, id, seq).await
    }

    async fn events(
        &self,
        id: ConversationId,
        first: Seq,
        last: Seq,
        order: Order,
        size: PageSize,
    ) -> Result<Vec<Event>, StoreError> {
        let _place = self.place().await?;
        page::read(&self.connection, id, (first, last), order, size).await
    }

    async fn membership(&self, user: UserId, id: ConversationId) -> Result<Option<Membership>, StoreError> {
        self.cell(&self.connection.statements.membership, (row::id(user.0), id.to_bytes())).await
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Membership)>, StoreError> {
        let _place = self.place().await?;
        self.memberships_of(user, after, limit).await
    }

    async fn listing(&self, user: UserId, after: Option<ConversationId>, limit: usize) -> Result<Vec<Listed>, StoreError> {
        let _place = self.place().await?;
        let memberships = self.memberships_of(user, after, limit).await?;
        let mut found = self.listed(user, memberships.iter().map(|(id, _)| *id)).await?;
        let listed = memberships.into_iter().map(|(conversation, membership)| Listed {
            conversation,
            membership,
            head: found.heads.remove(&conversation),
            progress: found.progress(user, conversation),
            peer: conversation.peer_of(user).map(|peer| found.progress(peer, conversation)),
        });
        Ok(listed.collect())
    }

    async fn progress(&self, user: UserId, id: ConversationId) -> Result<Progress, StoreError> {
        let rows = self.read(&self.connection.statements.progress, (id.to_bytes(), row::id(user.0))).await?;
        rows.maybe_first_row::<ProgressCells<'_>>().map_err(unreadable)?.map_or_else(|| Ok(Progress::default()), row::progress)
    }

    async fn advance(&self, user: UserId, id: ConversationId, advance: Advance, now: Millis) -> Result<Progress, StoreError> {
        // Most advances move nothing, since each device of a user sends its own. Registers only grow, so that is final.
        let before = self.progress(user, id).await?;
        let after = before.advanced(advance, Some(now));
        if after != before {
            // Each register keeps the greatest that anybody writes, so nothing is lost to those who do the same now.
            write::advance(&self.connection, id, user, (before, after)).await?;
        }
        Ok(after)
    }

    async fn mentions(&self, user: UserId, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        let mut found = Vec::new();
        let mut after = row::bound(after);
        while found.len() < limit {
            // Those that went are rows too, but few.
            let asked = (limit - found.len()).min(ROWS_AT_ONCE);
            let values = (row::id(user.0), id.to_bytes(), after, asked as i32);
            let rows = self.read(&self.connection.statements.mentions, values).await?;
            for columns in rows.rows::<(i64, bool)>().map_err(unreadable)? {
                let (seq, present) = columns.map_err(unreadable)?;
                after = seq;
                found.extend(present.then_some(seq as Seq));
            }
            if rows.rows_num() < asked {
                break;
            }
        }
        Ok(found)
    }

    async fn position(&self, partition: u32) -> Result<u64, StoreError> {
        Ok(self.positions(&[partition]).await?.first().copied().unwrap_or_default())
    }

    async fn positions(&self, partitions: &[u32]) -> Result<Vec<u64>, StoreError> {
        let shares: HashSet<i64> = partitions.iter().map(|partition| positions::place(*partition).0).collect();
        let shares: Vec<i64> = shares.into_iter().collect();
        let requests: Vec<_> =
            shares.chunks(SHARES_AT_ONCE).map(|shares| self.read(&self.connection.statements.positions, (shares,))).collect();
        let mut answers = stream::iter(requests).buffer_unordered(self.connection.requests_at_once);
        let mut stored: HashMap<i64, u64> = HashMap::with_capacity(partitions.len());
        while let Some(rows) = answers.try_next().await? {
            for columns in rows.rows::<(i64, i64)>().map_err(unreadable)? {
                let (partition, position) = columns.map_err(unreadable)?;
                stored.insert(partition, position as u64);
            }
        }
        // What this process stored counts, though its position may be on the way.
        let of = |partition: &u32| {
            let stored = stored.get(&i64::from(*partition)).copied().unwrap_or_default();
            stored.max(self.positions.of(*partition))
        };
        Ok(partitions.iter().map(of).collect())
    }

    async fn commit(&self, batch: HistoryBatch) -> Result<(), StoreError> {
        write::commit(&self.connection, &self.positions, batch).await
    }
}
