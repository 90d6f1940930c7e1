//! When users were last online.

use banter_model::{Millis, UserId};
use sqlx::{AssertSqlSafe, query};

use super::counted::Pool;
use super::id_list::IdList;
use super::{DirectoryError, row};

/// Users in one statement.
const BATCH: usize = 200;
/// A user who is deleted while a batch names them fails it once in PostgreSQL; the next attempt passes them over.
const ATTEMPTS: usize = 3;

/// Notes when users were last online. Those who do not exist are passed over.
pub(super) async fn set_last_seen(pool: &Pool, seen: &[(UserId, Millis)]) -> Result<(), DirectoryError> {
    for batch in seen.chunks(BATCH) {
        let mut attempt = 1;
        while let Err(error) = upsert(pool, batch).await {
            if attempt == ATTEMPTS || !matches!(error, DirectoryError::UnknownUser) {
                return Err(error);
            }
            attempt += 1;
        }
    }
    Ok(())
}

async fn upsert(pool: &Pool, batch: &[(UserId, Millis)]) -> Result<(), DirectoryError> {
    let values: Vec<String> = (0..batch.len()).map(|row| format!("(${}, ${})", 2 * row + 1, 2 * row + 2)).collect();
    // In order, so that two batches in PostgreSQL wait for each other instead of both failing.
    let sql = format!(
        "INSERT INTO last_seen (user_id, seen_at)
         SELECT column1, MAX(column2) FROM (VALUES {}) AS seen
         WHERE EXISTS (SELECT 1 FROM users WHERE users.id = column1)
         GROUP BY column1 ORDER BY column1
         ON CONFLICT (user_id) DO UPDATE SET seen_at = excluded.seen_at WHERE excluded.seen_at > last_seen.seen_at",
        values.join(", ")
    );
    // Batches are of any size: kept, their statements would drive out the ones that come again.
    let upsert = query(AssertSqlSafe(sql)).persistent(false);
    let upsert = batch.iter().fold(upsert, |query, (user, at)| query.bind(user.0 as i64).bind(*at as i64));
    upsert.execute(pool.statement()).await?;
    Ok(())
}

/// When users were last online, where known.
pub(super) async fn last_seen(pool: &Pool, users: &[UserId]) -> Result<Vec<(UserId, Millis)>, DirectoryError> {
    let Some(users) = IdList::of(users)? else { return Ok(Vec::new()) };
    let sql = format!("SELECT user_id, seen_at FROM last_seen WHERE user_id IN ({})", users.placeholders(1));
    let select = users.values().fold(query(AssertSqlSafe(sql)), |query, id| query.bind(id));
    let rows = select.fetch_all(pool.statement()).await?;
    rows.iter().map(|row| Ok((UserId(row::number(row, "user_id")?), row::number(row, "seen_at")?))).collect()
}
