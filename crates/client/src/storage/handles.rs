//! Handles of others, for when the server does not answer.

use banter_model::UserId;

use super::Store;
use crate::Error;

impl Store {
    /// Remembers who has which handle, instead of who had it before.
    pub async fn remember_handles<'a>(&self, users: impl IntoIterator<Item = (UserId, &'a str)>) -> Result<(), Error> {
        let mut transaction = self.writer.begin().await?;
        for (user, handle) in users {
            sqlx::query("INSERT OR REPLACE INTO handles (user_id, handle) VALUES (?, ?)")
                .bind(user.0 as i64)
                .bind(handle)
                .execute(&mut *transaction)
                .await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Who had this handle (in its normal form) when it was last seen.
    pub async fn user_of_handle(&self, handle: &str) -> Result<Option<UserId>, Error> {
        let query = sqlx::query_scalar("SELECT user_id FROM handles WHERE handle = ?").bind(handle);
        let user: Option<i64> = query.fetch_optional(&self.reader).await?;
        Ok(user.map(|user| UserId(user as u64)))
    }

    /// The handle that this user had when it was last seen.
    pub async fn handle_of(&self, user: UserId) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar("SELECT handle FROM handles WHERE user_id = ?").bind(user.0 as i64);
        Ok(query.fetch_optional(&self.reader).await?)
    }
}
