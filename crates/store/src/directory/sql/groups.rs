//! Which group a request to make one has made.

use banter_model::{GroupId, UserId};
use sqlx::query;

use super::counted::Pool;
use super::{DirectoryError, row};

/// The group made under `key`, or `group`, which is then noted.
pub(super) async fn for_key(pool: &Pool, user: UserId, key: &str, group: GroupId) -> Result<GroupId, DirectoryError> {
    // An update that changes nothing returns the row that is there, and waits for one that is being written.
    let upsert = query(
        "INSERT INTO group_keys (user_id, request_key, group_id) VALUES ($1, $2, $3)
         ON CONFLICT (user_id, request_key) DO UPDATE SET group_id = group_keys.group_id
         RETURNING group_id",
    );
    // In a transaction, so that a commit that fails is told (see `friends::request`).
    let mut transaction = pool.begin().await?;
    let row = upsert.bind(user.0 as i64).bind(key).bind(group.0 as i64).fetch_one(transaction.statement()).await?;
    transaction.commit().await?;
    Ok(GroupId(row::number(&row, "group_id")?))
}
