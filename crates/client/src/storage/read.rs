//! Reading what is stored.

use banter_model::{ConversationId, DeviceId, EventId, Millis, Seq, Tag};
use banter_protocol::Event;
use sqlx::Row;

use super::{Store, conversation_of, corrupt, decode, key};
use crate::Error;
use crate::sync::{ConversationState, Snapshot};

impl Store {
    /// What the engine goes on from; `None` when nobody is logged in.
    pub async fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        let Some(account) = self.account().await? else { return Ok(None) };
        let point: Option<String> = sqlx::query_scalar("SELECT point FROM account").fetch_one(&self.writer).await?;
        let states = sqlx::query_scalar("SELECT state FROM conversations").fetch_all(&self.writer).await?;
        let conversations = states.iter().map(|state: &String| decode::<ConversationState>(state)).collect::<Result<_, _>>()?;
        let mut outbox = Vec::new();
        for row in sqlx::query("SELECT conversation, tag, frame FROM outbox").fetch_all(&self.writer).await? {
            let tag = Tag::new(row.try_get::<i64, _>(1)? as u64).map_err(corrupt)?;
            outbox.push((conversation_of(row.try_get(0)?)?, tag, decode(row.try_get(2)?)?));
        }
        let (user, device, from_the_start) = (account.user, account.device, account.from_the_start);
        Ok(Some(Snapshot { user, device, point, from_the_start, conversations, outbox }))
    }

    /// One event, if it is stored.
    pub async fn event(&self, conversation: ConversationId, seq: Seq) -> Result<Option<Event>, Error> {
        Ok(self.events(conversation, seq, seq, 1).await?.pop())
    }

    /// The first `limit` stored events with `from <= seq <= to`, in order.
    pub async fn events(&self, conversation: ConversationId, from: Seq, to: Seq, limit: usize) -> Result<Vec<Event>, Error> {
        let query = "SELECT event FROM events WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?";
        self.rows(query, conversation, from, to, limit).await
    }

    /// The last `limit` stored events with `from <= seq <= to`, in order.
    pub async fn events_back(&self, conversation: ConversationId, from: Seq, to: Seq, limit: usize) -> Result<Vec<Event>, Error> {
        let query = "SELECT event FROM events WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?";
        let mut events = self.rows(query, conversation, from, to, limit).await?;
        events.reverse();
        Ok(events)
    }

    async fn rows(
        &self,
        query: &'static str,
        conversation: ConversationId,
        from: Seq,
        to: Seq,
        limit: usize,
    ) -> Result<Vec<Event>, Error> {
        let rows: Vec<String> = sqlx::query_scalar(query)
            .bind(key(conversation))
            .bind(from as i64)
            .bind(to.min(i64::MAX as u64) as i64)
            .bind(limit as i64)
            .fetch_all(&self.reader)
            .await?;
        rows.iter().map(|row| decode(row)).collect()
    }

    /// The event that `device` made with `tag`, if it is stored. Reads the conversation from its end; this is asked seldom.
    pub async fn find_tag(
        &self,
        conversation: ConversationId,
        device: DeviceId,
        tag: Tag,
    ) -> Result<Option<(Seq, EventId, Millis)>, Error> {
        let mut before = i64::MAX as u64;
        loop {
            let events = self.events_back(conversation, 1, before, 500).await?;
            let Some(first) = events.first() else { return Ok(None) };
            before = first.seq - 1;
            if let Some(event) = events.iter().find(|event| event.device == device && event.tag == Some(tag)) {
                return Ok(Some((event.seq, event.id, event.at)));
            }
        }
    }
}
