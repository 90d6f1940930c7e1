//! Users: account, profile, settings.

use banter_model::{Millis, UserId};
use sqlx::any::AnyQueryResult;
use sqlx::{AnyPool, AssertSqlSafe, query, query_scalar};

use super::id_list::IdList;
use super::{DirectoryError, NewUser, Settings, User, devices, row};

/// Adds a user with the default settings.
pub(super) async fn create(pool: &AnyPool, user: NewUser) -> Result<(), DirectoryError> {
    let settings = Settings::default();
    let insert = query(
        "INSERT INTO users (id, handle, display_name, about, password_hash, presence, friends_only, read_receipts, created_at)
         VALUES ($1, $2, $3, '', $4, $5, $6, $7, $8) ON CONFLICT (handle) DO NOTHING",
    );
    let result = insert
        .bind(user.id.0 as i64)
        .bind(user.handle)
        .bind(user.display_name)
        .bind(user.password_hash)
        .bind(settings.presence as i64)
        .bind(i64::from(settings.friends_only))
        .bind(i64::from(settings.read_receipts))
        .bind(user.created_at as i64)
        .execute(pool)
        .await?;
    if result.rows_affected() == 0 { Err(DirectoryError::HandleTaken) } else { Ok(()) }
}

/// A user by handle.
pub(super) async fn by_handle(pool: &AnyPool, handle: &str) -> Result<Option<User>, DirectoryError> {
    let select = query("SELECT id, handle, display_name, about FROM users WHERE handle = $1").bind(handle);
    Ok(select.fetch_optional(pool).await?.as_ref().map(row::user).transpose()?)
}

/// Users by id.
pub(super) async fn by_ids(pool: &AnyPool, ids: &[UserId]) -> Result<Vec<User>, DirectoryError> {
    let Some(ids) = IdList::of(ids)? else { return Ok(Vec::new()) };
    let sql = format!("SELECT id, handle, display_name, about FROM users WHERE id IN ({})", ids.placeholders(1));
    let select = ids.values().fold(query(AssertSqlSafe(sql)), |query, id| query.bind(id));
    let rows = select.fetch_all(pool).await?;
    Ok(rows.iter().map(row::user).collect::<Result<_, _>>()?)
}

/// The stored password hash.
pub(super) async fn password_hash(pool: &AnyPool, user: UserId) -> Result<Option<String>, DirectoryError> {
    let select = query_scalar("SELECT password_hash FROM users WHERE id = $1").bind(user.0 as i64);
    Ok(select.fetch_optional(pool).await?)
}

/// Stores another password hash.
pub(super) async fn set_password_hash(pool: &AnyPool, user: UserId, hash: &str) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET password_hash = $2 WHERE id = $1").bind(user.0 as i64).bind(hash);
    changed_one(update.execute(pool).await?)
}

/// Changes the profile; `None` stays.
pub(super) async fn set_profile(
    pool: &AnyPool,
    user: UserId,
    display_name: Option<&str>,
    about: Option<&str>,
) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET display_name = COALESCE($2, display_name), about = COALESCE($3, about) WHERE id = $1")
        .bind(user.0 as i64)
        .bind(display_name)
        .bind(about);
    changed_one(update.execute(pool).await?)
}

/// A user's settings.
pub(super) async fn settings(pool: &AnyPool, user: UserId) -> Result<Option<Settings>, DirectoryError> {
    let select = query("SELECT presence, friends_only, read_receipts FROM users WHERE id = $1").bind(user.0 as i64);
    select.fetch_optional(pool).await?.as_ref().map(row::settings).transpose()
}

/// Replaces a user's settings.
pub(super) async fn set_settings(pool: &AnyPool, user: UserId, settings: Settings) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET presence = $2, friends_only = $3, read_receipts = $4 WHERE id = $1")
        .bind(user.0 as i64)
        .bind(settings.presence as i64)
        .bind(i64::from(settings.friends_only))
        .bind(i64::from(settings.read_receipts));
    changed_one(update.execute(pool).await?)
}

/// Removes a user and what names them; their devices go on the list of removed ones.
pub(super) async fn delete(pool: &AnyPool, user: UserId, now: Millis) -> Result<(), DirectoryError> {
    let mut transaction = pool.begin().await?;
    query("UPDATE removal_lock SET id = id").execute(&mut *transaction).await?;
    devices::lock_user(&mut transaction, user).await?;
    devices::delete_all_but(&mut transaction, user, None, now).await?;
    query("DELETE FROM users WHERE id = $1").bind(user.0 as i64).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

fn changed_one(result: AnyQueryResult) -> Result<(), DirectoryError> {
    if result.rows_affected() == 0 { Err(DirectoryError::UnknownUser) } else { Ok(()) }
}
