//! Friends, blocks, and what two users are to each other.

use banter_model::{Millis, UserId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, query};

use super::counted::Pool;
use super::id_list::IdList;
use super::{DirectoryError, FriendState, Relation, User, row};

/// The key of the row for two users: the same whoever of them is named first. The order is that of the stored numbers.
fn pair(one: UserId, other: UserId) -> (i64, i64) {
    let (one, other) = (one.0 as i64, other.0 as i64);
    (one.min(other), one.max(other))
}

/// `from` asks `to`, or says yes if they asked before.
pub(super) async fn request(pool: &Pool, from: UserId, to: UserId, now: Millis) -> Result<FriendState, DirectoryError> {
    let (low, high) = pair(from, to);
    let upsert = query(
        "INSERT INTO friendships (low, high, asker, accepted, changed_at) VALUES ($1, $2, $3, 0, $4)
         ON CONFLICT (low, high) DO UPDATE SET
             accepted = CASE WHEN friendships.asker = excluded.asker THEN friendships.accepted ELSE 1 END,
             changed_at = CASE WHEN friendships.accepted = 1 OR friendships.asker = excluded.asker
                 THEN friendships.changed_at ELSE excluded.changed_at END
         RETURNING accepted",
    );
    // In a transaction, though it is one statement: of a statement that returns rows SQLite's driver does not tell whether its
    // own commit failed.
    let mut transaction = pool.begin().await?;
    let upsert = upsert.bind(low).bind(high).bind(from.0 as i64).bind(now as i64);
    let accepted = row::flag(&upsert.fetch_one(transaction.statement()).await?, "accepted")?;
    transaction.commit().await?;
    Ok(if accepted { FriendState::Friends } else { FriendState::Outgoing })
}

/// `user` says yes to `from`.
pub(super) async fn accept(pool: &Pool, user: UserId, from: UserId, now: Millis) -> Result<bool, DirectoryError> {
    let (low, high) = pair(user, from);
    let update = query(
        "UPDATE friendships SET accepted = 1, changed_at = $4 WHERE low = $1 AND high = $2 AND asker = $3 AND accepted = 0",
    );
    let result = update.bind(low).bind(high).bind(from.0 as i64).bind(now as i64).execute(pool.statement()).await?;
    Ok(result.rows_affected() > 0)
}

/// Ends a friendship or a request.
pub(super) async fn remove(pool: &Pool, user: UserId, other: UserId) -> Result<bool, DirectoryError> {
    let (low, high) = pair(user, other);
    let delete = query("DELETE FROM friendships WHERE low = $1 AND high = $2").bind(low).bind(high);
    Ok(delete.execute(pool.statement()).await?.rows_affected() > 0)
}

/// Friends and requests, by handle.
pub(super) async fn all(pool: &Pool, user: UserId) -> Result<Vec<(User, FriendState)>, DirectoryError> {
    let select = query(
        "SELECT users.id AS id, handle, display_name, about, asker, accepted
         FROM friendships JOIN users ON users.id = CASE WHEN low = $1 THEN high ELSE low END
         WHERE low = $1 OR high = $1",
    );
    let rows = select.bind(user.0 as i64).fetch_all(pool.statement()).await?;
    let friend = |row: &AnyRow| -> Result<(User, FriendState), DirectoryError> {
        let state = match (row::flag(row, "accepted")?, row::number(row, "asker")? == user.0) {
            (true, _) => FriendState::Friends,
            (false, true) => FriendState::Outgoing,
            (false, false) => FriendState::Incoming,
        };
        Ok((row::user(row)?, state))
    };
    let mut friends: Vec<_> = rows.iter().map(friend).collect::<Result<_, _>>()?;
    friends.sort_unstable_by(|(one, _), (other, _)| one.handle.cmp(&other.handle));
    Ok(friends)
}

/// Ids of the friends.
pub(super) async fn of(pool: &Pool, users: &[UserId]) -> Result<Vec<(UserId, UserId)>, DirectoryError> {
    let Some(users) = IdList::of(users)? else { return Ok(Vec::new()) };
    let list = users.placeholders(1);
    let sql = format!(
        "SELECT low AS id, high AS friend FROM friendships WHERE low IN ({list}) AND accepted = 1 \
         UNION ALL SELECT high AS id, low AS friend FROM friendships WHERE high IN ({list}) AND accepted = 1"
    );
    let select = users.values().fold(query(AssertSqlSafe(sql)), |query, id| query.bind(id));
    let rows = select.fetch_all(pool.statement()).await?;
    rows.iter().map(|row| Ok((UserId(row::number(row, "id")?), UserId(row::number(row, "friend")?)))).collect()
}

/// Blocks, and ends what there was.
pub(super) async fn block(pool: &Pool, user: UserId, other: UserId, now: Millis) -> Result<(), DirectoryError> {
    let mut transaction = pool.begin().await?;
    query("INSERT INTO blocks (blocker, blocked, created_at) VALUES ($1, $2, $3) ON CONFLICT (blocker, blocked) DO NOTHING")
        .bind(user.0 as i64)
        .bind(other.0 as i64)
        .bind(now as i64)
        .execute(transaction.statement())
        .await?;
    let (low, high) = pair(user, other);
    let end = query("DELETE FROM friendships WHERE low = $1 AND high = $2").bind(low).bind(high);
    end.execute(transaction.statement()).await?;
    transaction.commit().await
}

/// Takes a block away.
pub(super) async fn unblock(pool: &Pool, user: UserId, other: UserId) -> Result<bool, DirectoryError> {
    let delete = query("DELETE FROM blocks WHERE blocker = $1 AND blocked = $2").bind(user.0 as i64).bind(other.0 as i64);
    Ok(delete.execute(pool.statement()).await?.rows_affected() > 0)
}

/// Whom `user` blocks, by handle.
pub(super) async fn blocks(pool: &Pool, user: UserId) -> Result<Vec<User>, DirectoryError> {
    let select = query(
        "SELECT users.id AS id, handle, display_name, about FROM blocks JOIN users ON users.id = blocked WHERE blocker = $1",
    );
    let rows = select.bind(user.0 as i64).fetch_all(pool.statement()).await?;
    let mut users: Vec<User> = rows.iter().map(row::user).collect::<Result<_, _>>()?;
    users.sort_unstable_by(|one, other| one.handle.cmp(&other.handle));
    Ok(users)
}

/// What decides whether `from` may reach each of `to`, in one query.
pub(super) async fn relations(pool: &Pool, from: UserId, to: &[UserId]) -> Result<Vec<Relation>, DirectoryError> {
    let Some(to) = IdList::of(to)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT users.id AS id, presence, friends_only, read_receipts,
             COALESCE(accepted, 0) AS friends,
             CASE WHEN theirs.blocker IS NULL THEN 0 ELSE 1 END AS blocked_by_them,
             CASE WHEN mine.blocker IS NULL THEN 0 ELSE 1 END AS blocked_by_me
         FROM users
         LEFT JOIN friendships ON low = CASE WHEN users.id < $1 THEN users.id ELSE $1 END
             AND high = CASE WHEN users.id < $1 THEN $1 ELSE users.id END
         LEFT JOIN blocks AS theirs ON theirs.blocker = users.id AND theirs.blocked = $1
         LEFT JOIN blocks AS mine ON mine.blocker = $1 AND mine.blocked = users.id
         WHERE users.id IN ({})",
        to.placeholders(2)
    );
    let select = query(AssertSqlSafe(sql)).bind(from.0 as i64);
    let rows = to.values().fold(select, |query, id| query.bind(id)).fetch_all(pool.statement()).await?;
    let relation = |row: &AnyRow| {
        Ok(Relation {
            user: UserId(row::number(row, "id")?),
            friends: row::flag(row, "friends")?,
            blocked_by_them: row::flag(row, "blocked_by_them")?,
            blocked_by_me: row::flag(row, "blocked_by_me")?,
            settings: row::settings(row)?,
        })
    };
    rows.iter().map(relation).collect()
}
