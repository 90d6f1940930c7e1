//! The history as a worker sees it: every access is a turn of the scheduler's, at which the worker may die or stand still, and
//! may fail.

use std::sync::Arc;

use async_trait::async_trait;
use banter_model::{Conversation, ConversationId, Event, Head, Membership, Millis, Roster, Seq, UserId};
use banter_store::history::plan::{Step, Write, is_settled, plan};
use banter_store::history::{Advance, Order, PageSize, Progress, StoredEvent};
use banter_store::{History, HistoryBatch, StoreError};

use super::Mutation;
use super::rows::{self, Rows};
use super::state::{Fate, LifeId, Shared, turn};

/// As many as are asked at the same time.
const QUESTIONS_AT_ONCE: usize = 4;

/// The history of one worker's life.
pub struct SimulatedHistory {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
}

impl SimulatedHistory {
    async fn read<T>(&self, what: &str, read: impl FnOnce(&Rows) -> T) -> Result<T, StoreError> {
        turn(&self.shared).await;
        let mut state = self.shared.lock();
        if state.fails_to_read() {
            let life = self.life;
            state.note(|| format!("worker {life} cannot read {what}"));
            return Err(StoreError::Failed("a read".to_owned()));
        }
        Ok(read(&state.rows))
    }

    /// The writes of a step, in any order. One that fails does not keep the others from being made.
    async fn step(&self, mut writes: Step) -> Result<(), StoreError> {
        writes.sort_by_key(rows::name);
        let mut failed = false;
        while !writes.is_empty() {
            turn(&self.shared).await;
            let mut state = self.shared.lock();
            let index = state.random.below(writes.len() as u64) as usize;
            let write = writes.swap_remove(index);
            let fate = state.fate();
            let life = self.life;
            state.note(|| format!("worker {life} writes {:?}: {fate:?}", rows::name(&write)));
            match fate {
                Fate::Stored => state.land(&write),
                Fate::StoredAndFailed => state.land(&write),
                Fate::Failed => {}
                Fate::LaterAndFailed => state.delay(write),
            }
            failed |= fate != Fate::Stored;
        }
        // The answer is on its way: it may come late, or to nobody.
        turn(&self.shared).await;
        if failed { Err(StoreError::Failed("a write".to_owned())) } else { Ok(()) }
    }

    fn mutation(&self) -> Mutation {
        self.shared.lock().mutation
    }
}

#[async_trait]
impl History for SimulatedHistory {
    async fn conversation(&self, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        self.read("a conversation", |rows| {
            let head = rows.head(id)?.clone();
            Some(Conversation { id, head, roster: rows.roster(id).cloned().unwrap_or_default() })
        })
        .await
    }

    async fn heads(&self, ids: &[ConversationId]) -> Result<Vec<Option<Head>>, StoreError> {
        self.read("heads", |rows| ids.iter().map(|id| rows.head(*id).cloned()).collect()).await
    }

    async fn roster(&self, id: ConversationId) -> Result<Option<Roster>, StoreError> {
        self.read("a roster", |rows| rows.roster(id).cloned()).await
    }

    async fn event(&self, id: ConversationId, seq: Seq) -> Result<Option<Event>, StoreError> {
        self.read("an event", |rows| rows.event(id, seq).map(|(event, _)| event.clone())).await
    }

    async fn events(
        &self,
        id: ConversationId,
        first: Seq,
        last: Seq,
        order: Order,
        page: PageSize,
    ) -> Result<Vec<Event>, StoreError> {
        if first > last {
            return Ok(Vec::new());
        }
        self.read("events", |rows| {
            let events = rows.events(id, first, last);
            match order {
                Order::OldestFirst => events.take(page.events).cloned().collect(),
                Order::NewestFirst => events.rev().take(page.events).cloned().collect(),
            }
        })
        .await
    }

    async fn membership(&self, user: UserId, id: ConversationId) -> Result<Option<Membership>, StoreError> {
        self.read("a membership", |rows| rows.membership(user, id).cloned()).await
    }

    async fn memberships(
        &self,
        user: UserId,
        after: Option<ConversationId>,
        limit: usize,
    ) -> Result<Vec<(ConversationId, Membership)>, StoreError> {
        self.read("memberships", |rows| {
            let ids = rows.all().keys().filter_map(|key| match key {
                rows::Key::Membership(of, id) if *of == user && after.is_none_or(|after| id.to_bytes() > after.to_bytes()) => {
                    Some(*id)
                }
                _ => None,
            });
            let mut found: Vec<_> = ids.filter_map(|id| Some((id, rows.membership(user, id)?.clone()))).collect();
            found.sort_by_key(|(id, _)| id.to_bytes());
            found.truncate(limit);
            found
        })
        .await
    }

    async fn progress(&self, user: UserId, id: ConversationId) -> Result<Progress, StoreError> {
        self.read("progress", |rows| Progress { read: rows.read(user, id), ..Progress::default() }).await
    }

    async fn advance(&self, user: UserId, id: ConversationId, advance: Advance, now: Millis) -> Result<Progress, StoreError> {
        let before = self.progress(user, id).await?;
        self.step(vec![Write::Read { user, conversation: id, marker: advance.read }]).await?;
        Ok(before.advanced(advance, Some(now)))
    }

    async fn mentions(&self, user: UserId, id: ConversationId, after: Seq, limit: usize) -> Result<Vec<Seq>, StoreError> {
        self.read("mentions", |rows| rows.mentions(user, id, after).take(limit).collect()).await
    }

    async fn position(&self, _partition: u32) -> Result<u64, StoreError> {
        self.read("the position", Rows::position).await
    }

    async fn commit(&self, batch: HistoryBatch) -> Result<(), StoreError> {
        let mut steps = self.mutation().plan(batch);
        // Whether the position comes is nothing to the commit.
        let position = steps.pop().unwrap_or_default();
        for step in steps {
            self.step(step).await?;
        }
        let _ = self.step(position).await;
        Ok(())
    }

    fn questions_at_once(&self) -> usize {
        QUESTIONS_AT_ONCE
    }

    async fn resume(&self, id: ConversationId, settled: u64) -> Result<Option<Conversation>, StoreError> {
        // Of those that are asked at the same time, some are answered later.
        let later = self.shared.lock().random.below(3);
        for _ in 0..later {
            turn(&self.shared).await;
        }
        let read = |rows: &Rows| {
            let head = rows.head(id)?.clone();
            let conversation = Conversation { id, head, roster: rows.roster(id).cloned().unwrap_or_default() };
            Some((conversation, rows.redo(id)))
        };
        let Some((mut conversation, redo)) = self.read("a conversation", read).await? else { return Ok(None) };
        if !is_settled(conversation.head.position, settled) && !redo.is_empty() && self.mutation() != Mutation::NoRedo {
            self.step(redo.writes().collect()).await?;
        }
        if self.mutation() == Mutation::NoSkip {
            conversation.head.position = 0;
        }
        Ok(Some(conversation))
    }

    async fn event_at(&self, id: ConversationId, seq: Seq) -> Result<Option<StoredEvent>, StoreError> {
        let blind = self.mutation() == Mutation::NeverOvertaken;
        self.read("an event", |rows| {
            let (event, position) = rows.event(id, seq)?;
            Some(StoredEvent { event: event.clone(), position: if blind { 0 } else { position } })
        })
        .await
    }
}

impl Mutation {
    /// The steps that store `batch`, with what is switched off.
    fn plan(self, mut batch: HistoryBatch) -> Vec<Step> {
        if self == Mutation::AmendedAtOnce {
            let new = |rows: &[banter_store::history::EventRow], id, seq| {
                rows.iter().position(|row| row.conversation == id && row.event.seq == seq)
            };
            for row in std::mem::take(&mut batch.amended) {
                match new(&batch.events, row.conversation, row.event.seq) {
                    Some(index) => batch.events[index] = row,
                    None => batch.amended.push(row),
                }
            }
        }
        let mut steps = plan(batch);
        let is_head = |step: &Step| matches!(step.first(), Some(Write::Conversation(_)));
        let head = steps.iter().position(is_head);
        match (self, head) {
            (Mutation::HeadFirst, Some(head)) => steps.swap(0, head),
            (Mutation::FollowsBeforeHead, Some(head)) if steps.len() > head + 2 => {
                let follows = steps.remove(head + 1);
                if head == 0 { steps.insert(0, follows) } else { steps[0].extend(follows) }
            }
            (Mutation::PositionEarly, Some(head)) if steps.len() > head + 2 => {
                let last = steps.len() - 1;
                steps.swap(head + 1, last);
            }
            _ => {}
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use banter_store::behaviour;
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn the_simulated_store_is_one_for_replays() {
        let shared = Arc::new(Shared::new(1, Mutation::None, false));
        shared.lock().alone = true;
        let history = SimulatedHistory { shared, life: 1 };
        behaviour::history::replays(&history, behaviour::seed()).now_or_never().unwrap();
        assert_eq!(history.shared.lock().wrong, None);
    }
}
