//! Users: account, profile, settings.

use banter_model::{Millis, UserId};
use sqlx::any::AnyQueryResult;
use sqlx::{AssertSqlSafe, query, query_scalar};

use super::counted::Pool;
use super::id_list::IdList;
use super::{DirectoryError, NewUser, Settings, User, devices, row};

/// Adds a user with the default settings.
pub(super) async fn create(pool: &Pool, user: NewUser) -> Result<(), DirectoryError> {
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
        .execute(pool.statement())
        .await?;
    if result.rows_affected() == 0 { Err(DirectoryError::HandleTaken) } else { Ok(()) }
}

/// Users that one statement adds: far below the values that either database takes in one, and enough that the statement's own cost is
/// shared out.
const ADDED_AT_ONCE: usize = 200;

/// Adds users with the default settings: all of them or none.
pub(super) async fn create_all(pool: &Pool, users: impl IntoIterator<Item = NewUser>) -> Result<(), DirectoryError> {
    let settings = Settings::default();
    let mut users = users.into_iter();
    let mut transaction = pool.begin().await?;
    loop {
        let part: Vec<NewUser> = users.by_ref().take(ADDED_AT_ONCE).collect();
        if part.is_empty() {
            break;
        }
        let row = |number: usize| {
            let [id, handle, name, hash, created] = std::array::from_fn(|column| number * 5 + column + 4);
            format!("(${id}, ${handle}, ${name}, '', ${hash}, $1, $2, $3, ${created})")
        };
        let rows: Vec<String> = (0..part.len()).map(row).collect();
        let sql = format!(
            "INSERT INTO users (id, handle, display_name, about, password_hash, presence, friends_only, read_receipts, created_at)
             VALUES {} ON CONFLICT (handle) DO NOTHING",
            rows.join(", ")
        );
        let count = part.len() as u64;
        let mut insert = query(AssertSqlSafe(sql))
            .bind(settings.presence as i64)
            .bind(i64::from(settings.friends_only))
            .bind(i64::from(settings.read_receipts));
        for NewUser { id, handle, display_name, password_hash, created_at } in part {
            insert = insert.bind(id.0 as i64).bind(handle).bind(display_name).bind(password_hash).bind(created_at as i64);
        }
        if insert.execute(transaction.statement()).await?.rows_affected() < count {
            // Dropping the transaction takes back what was added before.
            return Err(DirectoryError::HandleTaken);
        }
    }
    transaction.commit().await
}

/// A user by handle.
pub(super) async fn by_handle(pool: &Pool, handle: &str) -> Result<Option<User>, DirectoryError> {
    let select = query("SELECT id, handle, display_name, about FROM users WHERE handle = $1").bind(handle);
    Ok(select.fetch_optional(pool.statement()).await?.as_ref().map(row::user).transpose()?)
}

/// Users by id.
pub(super) async fn by_ids(pool: &Pool, ids: &[UserId]) -> Result<Vec<User>, DirectoryError> {
    let Some(ids) = IdList::of(ids)? else { return Ok(Vec::new()) };
    let sql = format!("SELECT id, handle, display_name, about FROM users WHERE id IN ({})", ids.placeholders(1));
    let select = ids.values().fold(query(AssertSqlSafe(sql)), |query, id| query.bind(id));
    let rows = select.fetch_all(pool.statement()).await?;
    Ok(rows.iter().map(row::user).collect::<Result<_, _>>()?)
}

/// The stored password hash.
pub(super) async fn password_hash(pool: &Pool, user: UserId) -> Result<Option<String>, DirectoryError> {
    let select = query_scalar("SELECT password_hash FROM users WHERE id = $1").bind(user.0 as i64);
    Ok(select.fetch_optional(pool.statement()).await?)
}

/// Stores another password hash.
pub(super) async fn set_password_hash(pool: &Pool, user: UserId, hash: &str) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET password_hash = $2 WHERE id = $1").bind(user.0 as i64).bind(hash);
    changed_one(update.execute(pool.statement()).await?)
}

/// Changes the profile; `None` stays.
pub(super) async fn set_profile(
    pool: &Pool,
    user: UserId,
    display_name: Option<&str>,
    about: Option<&str>,
) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET display_name = COALESCE($2, display_name), about = COALESCE($3, about) WHERE id = $1")
        .bind(user.0 as i64)
        .bind(display_name)
        .bind(about);
    changed_one(update.execute(pool.statement()).await?)
}

/// A user's settings.
pub(super) async fn settings(pool: &Pool, user: UserId) -> Result<Option<Settings>, DirectoryError> {
    let select = query("SELECT presence, friends_only, read_receipts FROM users WHERE id = $1").bind(user.0 as i64);
    select.fetch_optional(pool.statement()).await?.as_ref().map(row::settings).transpose()
}

/// Replaces a user's settings.
pub(super) async fn set_settings(pool: &Pool, user: UserId, settings: Settings) -> Result<(), DirectoryError> {
    let update = query("UPDATE users SET presence = $2, friends_only = $3, read_receipts = $4 WHERE id = $1")
        .bind(user.0 as i64)
        .bind(settings.presence as i64)
        .bind(i64::from(settings.friends_only))
        .bind(i64::from(settings.read_receipts));
    changed_one(update.execute(pool.statement()).await?)
}

/// Removes a user and what names them; their devices go on the list of removed ones.
pub(super) async fn delete(pool: &Pool, user: UserId, now: Millis) -> Result<(), DirectoryError> {
    let mut transaction = pool.begin().await?;
    query("UPDATE removal_lock SET id = id").execute(transaction.statement()).await?;
    devices::lock_user(&mut transaction, user).await?;
    devices::delete_all_but(&mut transaction, user, None, now).await?;
    query("DELETE FROM users WHERE id = $1").bind(user.0 as i64).execute(transaction.statement()).await?;
    transaction.commit().await
}

fn changed_one(result: AnyQueryResult) -> Result<(), DirectoryError> {
    if result.rows_affected() == 0 { Err(DirectoryError::UnknownUser) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Directory;
    use crate::directory::sql::SqlDirectory;

    fn people(numbers: std::ops::Range<u64>) -> impl Iterator<Item = NewUser> {
        numbers.map(|number| NewUser {
            id: UserId(number),
            handle: format!("user{number}"),
            display_name: format!("User {number}"),
            password_hash: "x".into(),
            created_at: number,
        })
    }

    #[tokio::test]
    async fn many_are_added_as_one_by_one_and_all_or_none() {
        let folder = tempfile::tempdir().unwrap();
        let directory = SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap();
        let last = 2 * ADDED_AT_ONCE as u64 + 7;
        directory.create_users(people(1..last)).await.unwrap();
        directory.create_user(people(last..last + 1).next().unwrap()).await.unwrap();
        for number in [1, ADDED_AT_ONCE as u64, ADDED_AT_ONCE as u64 + 1, last - 1, last] {
            let (id, handle) = (UserId(number), format!("user{number}"));
            let user = User { id, handle: handle.clone(), display_name: format!("User {number}"), about: String::new() };
            assert_eq!(directory.user_by_handle(&handle).await.unwrap(), Some(user));
            assert_eq!(directory.settings(id).await.unwrap(), Some(Settings::default()));
            assert_eq!(directory.password_hash(id).await.unwrap().as_deref(), Some("x"));
        }
        let created: i64 =
            query_scalar("SELECT created_at FROM users WHERE id = 301").fetch_one(directory.readers.statement()).await.unwrap();
        assert_eq!(created, 301);
        // The last handle is taken: those before it, in parts of their own, are not there either.
        let more = people(last + 1..last + 1_000).chain(people(1..2).map(|user| NewUser { id: UserId(9_999), ..user }));
        assert!(matches!(directory.create_users(more).await, Err(DirectoryError::HandleTaken)));
        assert_eq!(directory.users(&[UserId(last + 1), UserId(9_999)]).await.unwrap(), []);
    }
}
