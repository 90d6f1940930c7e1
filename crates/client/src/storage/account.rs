//! Who is logged in, with which tokens.

use banter_model::{DeviceId, UserId};
use banter_protocol::api::{ChatServer, Tokens};
use sqlx::Row;

use super::{Store, decode, encode};
use crate::Error;

/// The login of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Where the API is.
    pub api: String,
    /// Who.
    pub user: UserId,
    /// Which device.
    pub device: DeviceId,
    /// The user's handle.
    pub handle: String,
    /// The tokens; `None` once the device is signed out.
    pub tokens: Option<Tokens>,
    /// Chat servers, best first.
    pub servers: Vec<ChatServer>,
    /// See [`crate::sync::Snapshot::from_the_start`].
    pub from_the_start: bool,
}

impl Store {
    /// Begins with a new login: everything stored before is forgotten.
    pub async fn begin(&self, account: &Account) -> Result<(), Error> {
        let mut transaction = self.writer.begin().await?;
        sqlx::raw_sql(
            "DELETE FROM account; DELETE FROM conversations; DELETE FROM events; DELETE FROM outbox; DELETE FROM handles",
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query(
            "INSERT INTO account (one, api, user_id, device, handle, tokens, servers, from_the_start) VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(&account.api)
        .bind(account.user.0 as i64)
        .bind(account.device.0 as i64)
        .bind(&account.handle)
        .bind(encode_tokens(account.tokens.as_ref())?)
        .bind(encode(&account.servers)?)
        .bind(account.from_the_start)
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The login, if there is one.
    pub async fn account(&self) -> Result<Option<Account>, Error> {
        let query = "SELECT api, user_id, device, handle, tokens, servers, from_the_start FROM account";
        let Some(row) = sqlx::query(query).fetch_optional(&self.writer).await? else { return Ok(None) };
        let tokens: String = row.try_get(4)?;
        Ok(Some(Account {
            api: row.try_get(0)?,
            user: UserId(row.try_get::<i64, _>(1)? as u64),
            device: DeviceId(row.try_get::<i64, _>(2)? as u64),
            handle: row.try_get(3)?,
            tokens: if tokens.is_empty() { None } else { Some(decode(&tokens)?) },
            servers: decode(&row.try_get::<String, _>(5)?)?,
            from_the_start: row.try_get(6)?,
        }))
    }

    /// How many commands wait for an answer, whether somebody is logged in or not.
    pub async fn unanswered(&self) -> Result<usize, Error> {
        let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM outbox").fetch_one(&self.writer).await?;
        Ok(count as usize)
    }

    /// Forgets the commands that wait for an answer: they are never sent.
    pub async fn forget_unanswered(&self) -> Result<(), Error> {
        sqlx::query("DELETE FROM outbox").execute(&self.writer).await?;
        Ok(())
    }

    /// Keeps a new pair of tokens, or that there is none any more. On the disk when it returns: a refresh token works once.
    pub async fn save_tokens(&self, tokens: Option<&Tokens>) -> Result<(), Error> {
        let mut connection = self.writer.acquire().await?;
        self.synced(&mut connection, true).await?;
        let query = sqlx::query("UPDATE account SET tokens = ?").bind(encode_tokens(tokens)?);
        query.execute(&mut *connection).await?;
        self.synced(&mut connection, false).await
    }

    /// Runs any statement: what a disk does is played with triggers.
    #[cfg(test)]
    pub async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(&self.writer).await.unwrap();
    }

    /// Are commits of this connection to be on the disk, rather than with the operating system, when they return?
    pub(super) async fn synced(&self, connection: &mut sqlx::SqliteConnection, yes: bool) -> Result<(), Error> {
        if !self.in_memory {
            let pragma = if yes { "PRAGMA synchronous = FULL" } else { "PRAGMA synchronous = NORMAL" };
            sqlx::query(pragma).execute(connection).await?;
        }
        Ok(())
    }
}

fn encode_tokens(tokens: Option<&Tokens>) -> Result<String, Error> {
    tokens.map_or(Ok(String::new()), encode)
}
