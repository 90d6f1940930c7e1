//! Storing what the engine wants stored.

use std::sync::Arc;

use banter_model::{ConversationId, Seq};
use banter_protocol::{Content, Event};
use sqlx::{Connection, SqliteConnection};

use super::{Store, decode, encode, key};
use crate::Error;
use crate::sync::{Effect, Notification, Write, amend, redact_edit, target_of};

impl Store {
    /// Stores the writes among `effects` in one transaction, and returns what the application is to be told afterwards, in order.
    ///
    /// When it fails, nothing is stored, and it can be tried again with the same effects.
    pub async fn apply(&self, effects: &[Effect]) -> Result<Vec<Notification>, Error> {
        let mut told = Vec::new();
        if !effects.iter().any(|effect| matches!(effect, Effect::Write(_))) {
            told.extend(effects.iter().filter_map(|effect| match effect {
                Effect::Notify(notification) => Some(notification.clone()),
                _ => None,
            }));
            return Ok(told);
        }
        let queues = effects.iter().any(|effect| matches!(effect, Effect::Write(Write::Queue { .. })));
        let mut connection = self.writer.acquire().await?;
        if queues {
            self.synced(&mut connection, true).await?;
        }
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        for effect in effects {
            match effect {
                Effect::Write(write) => store(&mut transaction, write, &mut told).await?,
                Effect::Notify(notification) => told.push(notification.clone()),
                Effect::Send(_) | Effect::Fetch { .. } | Effect::LookUp { .. } => {}
            }
        }
        transaction.commit().await?;
        if queues {
            self.synced(&mut connection, false).await?;
        }
        Ok(told)
    }
}

async fn store(connection: &mut SqliteConnection, write: &Write, told: &mut Vec<Notification>) -> Result<(), Error> {
    match write {
        Write::Point(point) => {
            sqlx::query("UPDATE account SET point = ?").bind(point).execute(connection).await?;
        }
        Write::Conversation(state) => {
            sqlx::query("INSERT OR REPLACE INTO conversations (conversation, state) VALUES (?, ?)")
                .bind(key(state.id))
                .bind(encode(state)?)
                .execute(connection)
                .await?;
        }
        Write::Queue { conversation, tag, frame } => {
            sqlx::query("INSERT INTO outbox (conversation, tag, frame) VALUES (?, ?, ?)")
                .bind(key(*conversation))
                .bind(tag.get() as i64)
                .bind(encode(frame)?)
                .execute(connection)
                .await?;
        }
        Write::Answered { conversation, tag } => {
            sqlx::query("DELETE FROM outbox WHERE conversation = ? AND tag = ?")
                .bind(key(*conversation))
                .bind(tag.get() as i64)
                .execute(connection)
                .await?;
        }
        Write::Append { conversation, event } => {
            put(connection, *conversation, event).await?;
            tell(connection, *conversation, event.clone(), told).await?;
        }
        Write::Keep { conversation, events, have } => keep(connection, *conversation, events, *have).await?,
        Write::Deliver { conversation, after, to } => {
            let query = "SELECT event FROM events WHERE conversation = ? AND seq > ? AND seq <= ? ORDER BY seq";
            let rows: Vec<String> = sqlx::query_scalar(query)
                .bind(key(*conversation))
                .bind(*after as i64)
                .bind(*to as i64)
                .fetch_all(&mut *connection)
                .await?;
            for row in rows {
                tell(connection, *conversation, Arc::new(decode(&row)?), told).await?;
            }
        }
    }
    Ok(())
}

async fn put(connection: &mut SqliteConnection, conversation: ConversationId, event: &Event) -> Result<(), Error> {
    sqlx::query("INSERT OR REPLACE INTO events (conversation, seq, target, event) VALUES (?, ?, ?, ?)")
        .bind(key(conversation))
        .bind(event.seq as i64)
        .bind(target_of(&event.content).map(|seq| seq as i64))
        .bind(encode(event)?)
        .execute(connection)
        .await?;
    Ok(())
}

async fn get(connection: &mut SqliteConnection, conversation: ConversationId, seq: Seq) -> Result<Option<Event>, Error> {
    let query = sqlx::query_scalar("SELECT event FROM events WHERE conversation = ? AND seq = ?");
    let row: Option<String> = query.bind(key(conversation)).bind(seq as i64).fetch_optional(connection).await?;
    row.map(|row| decode(&row)).transpose()
}

/// Stored events about messages in `from..=to`, up to the place `have`, in order.
async fn about(
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    (from, to): (Seq, Seq),
    have: Seq,
) -> Result<Vec<Event>, Error> {
    let query = "SELECT event FROM events WHERE conversation = ? AND target BETWEEN ? AND ? AND seq <= ? ORDER BY seq";
    let rows: Vec<String> = sqlx::query_scalar(query)
        .bind(key(conversation))
        .bind(from as i64)
        .bind(to as i64)
        .bind(have as i64)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| decode(row)).collect()
}

/// Tells of the next event, and applies it to the message that it is about.
async fn tell(
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    event: Arc<Event>,
    told: &mut Vec<Notification>,
) -> Result<(), Error> {
    told.push(Notification::Event { conversation, event: event.clone() });
    let Some(target) = target_of(&event.content) else { return Ok(()) };
    if let Some(mut message) = get(connection, conversation, target).await?
        && amend(&mut message, &event)
    {
        put(connection, conversation, &message).await?;
        told.push(Notification::Amended { conversation, message: Arc::new(message) });
    }
    if matches!(event.content, Content::Redaction { .. }) {
        for mut edit in about(connection, conversation, (target, target), event.seq).await? {
            if redact_edit(&mut edit) {
                put(connection, conversation, &edit).await?;
            }
        }
    }
    Ok(())
}

/// Stores a page's events, brought up to date with what was told since the page was read.
async fn keep(connection: &mut SqliteConnection, conversation: ConversationId, events: &[Event], have: Seq) -> Result<(), Error> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(()) };
    let later = about(connection, conversation, (first.seq, last.seq), have).await?;
    for event in events {
        let mut event = event.clone();
        for amendment in &later {
            // Does nothing where it is about another message.
            amend(&mut event, amendment);
        }
        if let Content::Edit { target, .. } = event.content
            && let Some(message) = get(connection, conversation, target).await?
            && matches!(message.content, Content::Message { redacted: true, .. })
        {
            redact_edit(&mut event);
        }
        put(connection, conversation, &event).await?;
    }
    Ok(())
}
