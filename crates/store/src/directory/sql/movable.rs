//! Every row, taken out in the order of its key and put back.

use async_trait::async_trait;
use banter_model::{DeviceId, GroupId, UserId};
use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, Row, query};

use super::counted::Transaction;
use super::{DirectoryError, SqlDirectory, row};
use crate::directory::movable::{
    BlockRecord, DeviceRecord, DirectoryPlace, DirectoryRecord, FriendshipRecord, GroupKeyRecord, LastSeenRecord,
    MovableDirectory, RECORDS_AT_ONCE, RemovedDeviceRecord, UserRecord,
};

/// Rows that one statement puts in: far below the values that either database takes in one.
const ROWS_AT_ONCE: usize = 200;

/// A table, as far as its rows are moved.
struct Table {
    name: &'static str,
    /// All columns, in the order in which rows are put in.
    columns: &'static [&'static str],
    /// What rows are gone through by. Numbers alone tell them apart in practice, and text only among equals: the order of text differs
    /// from database to database, but is one within each.
    order: &'static [&'static str],
    /// The primary key.
    key: &'static [&'static str],
}

const USERS: Table = Table {
    name: "users",
    columns: &[
        "id",
        "handle",
        "display_name",
        "about",
        "password_hash",
        "presence",
        "friends_only",
        "read_receipts",
        "created_at",
    ],
    order: &["id"],
    key: &["id"],
};
const DEVICES: Table = Table {
    name: "devices",
    columns: &["id", "user_id", "name", "created_at", "used_at", "generation"],
    order: &["id"],
    key: &["id"],
};
const REMOVED_DEVICES: Table = Table {
    name: "removed_devices",
    columns: &["device_id", "user_id", "removed_at"],
    order: &["device_id"],
    key: &["device_id"],
};
const FRIENDSHIPS: Table = Table {
    name: "friendships",
    columns: &["low", "high", "asker", "accepted", "changed_at"],
    order: &["low", "high"],
    key: &["low", "high"],
};
const BLOCKS: Table = Table {
    name: "blocks",
    columns: &["blocker", "blocked", "created_at"],
    order: &["blocker", "blocked"],
    key: &["blocker", "blocked"],
};
const LAST_SEEN: Table = Table { name: "last_seen", columns: &["user_id", "seen_at"], order: &["user_id"], key: &["user_id"] };
const GROUP_KEYS: Table = Table {
    name: "group_keys",
    columns: &["user_id", "request_key", "group_id"],
    order: &["user_id", "group_id", "request_key"],
    key: &["user_id", "request_key"],
};

/// A value of a row.
enum Value {
    Number(u64),
    Text(String),
}

#[async_trait]
impl MovableDirectory for SqlDirectory {
    async fn records(&self, after: &DirectoryPlace, limit: usize) -> Result<Vec<DirectoryRecord>, DirectoryError> {
        let (table, key) = place(after);
        let limit = limit.min(RECORDS_AT_ONCE) as i64;
        let condition = match key.len() {
            0 => String::new(),
            count => format!("WHERE ({}) > ({})", table.order.join(", "), placeholders(1, count)),
        };
        let sql = format!(
            "SELECT {} FROM {} {condition} ORDER BY {} LIMIT ${}",
            table.columns.join(", "),
            table.name,
            table.order.join(", "),
            key.len() + 1
        );
        let select = key.into_iter().fold(query(AssertSqlSafe(sql)), bind).bind(limit);
        let rows = select.fetch_all(self.readers.statement()).await?;
        rows.iter().map(|row| record(after, row)).collect()
    }

    async fn restore(&self, records: &[DirectoryRecord]) -> Result<(), DirectoryError> {
        if records.len() > RECORDS_AT_ONCE {
            return Err(DirectoryError::Failed(format!("{} records are too many at once", records.len())));
        }
        let mut transaction = self.writer.begin().await?;
        let same_table = |one: &DirectoryRecord, other: &DirectoryRecord| table_of(one).name == table_of(other).name;
        for run in records.chunk_by(same_table) {
            for part in run.chunks(ROWS_AT_ONCE) {
                put(&mut transaction, table_of(&part[0]), part).await?;
            }
        }
        transaction.commit().await
    }
}

/// Puts in rows of one table, in place of those with the same key.
async fn put(transaction: &mut Transaction, table: &Table, records: &[DirectoryRecord]) -> Result<(), DirectoryError> {
    let width = table.columns.len();
    let rows: Vec<String> = (0..records.len()).map(|number| format!("({})", placeholders(number * width + 1, width))).collect();
    let others: Vec<String> = table
        .columns
        .iter()
        .filter(|column| !table.key.contains(column))
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES {} ON CONFLICT ({}) DO UPDATE SET {}",
        table.name,
        table.columns.join(", "),
        rows.join(", "),
        table.key.join(", "),
        others.join(", ")
    );
    // Runs are of any length: kept, their statements would drive out the ones that come again.
    let insert = query(AssertSqlSafe(sql)).persistent(records.len() == ROWS_AT_ONCE);
    records.iter().flat_map(values).fold(insert, bind).execute(transaction.statement()).await?;
    Ok(())
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind(query: Query<'_>, value: Value) -> Query<'_> {
    match value {
        Value::Number(number) => query.bind(number as i64),
        Value::Text(text) => query.bind(text),
    }
}

fn placeholders(first: usize, count: usize) -> String {
    let placeholders: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    placeholders.join(", ")
}

/// The table, and the key to go on after (nothing at the beginning).
fn place(place: &DirectoryPlace) -> (&'static Table, Vec<Value>) {
    let one = |id: Option<u64>| id.map(Value::Number).into_iter().collect();
    let two = |ids: Option<(UserId, UserId)>| {
        ids.map_or(Vec::new(), |(first, second)| vec![Value::Number(first.0), Value::Number(second.0)])
    };
    match place {
        DirectoryPlace::Users(user) => (&USERS, one(user.map(|user| user.0))),
        DirectoryPlace::Devices(device) => (&DEVICES, one(device.map(|device| device.0))),
        DirectoryPlace::RemovedDevices(device) => (&REMOVED_DEVICES, one(device.map(|device| device.0))),
        DirectoryPlace::Friendships(pair) => (&FRIENDSHIPS, two(*pair)),
        DirectoryPlace::Blocks(pair) => (&BLOCKS, two(*pair)),
        DirectoryPlace::LastSeen(user) => (&LAST_SEEN, one(user.map(|user| user.0))),
        DirectoryPlace::GroupKeys(None) => (&GROUP_KEYS, Vec::new()),
        DirectoryPlace::GroupKeys(Some((user, group, key))) => {
            (&GROUP_KEYS, vec![Value::Number(user.0), Value::Number(group.0), Value::Text(key.clone())])
        }
    }
}

fn table_of(record: &DirectoryRecord) -> &'static Table {
    match record {
        DirectoryRecord::User(_) => &USERS,
        DirectoryRecord::Device(_) => &DEVICES,
        DirectoryRecord::RemovedDevice(_) => &REMOVED_DEVICES,
        DirectoryRecord::Friendship(_) => &FRIENDSHIPS,
        DirectoryRecord::Block(_) => &BLOCKS,
        DirectoryRecord::LastSeen(_) => &LAST_SEEN,
        DirectoryRecord::GroupKey(_) => &GROUP_KEYS,
    }
}

/// The row of a record, in the order of its table's columns.
fn values(record: &DirectoryRecord) -> Vec<Value> {
    use Value::{Number, Text};
    let flag = |set: bool| Number(u64::from(set));
    match record.clone() {
        DirectoryRecord::User(user) => vec![
            Number(user.id.0),
            Text(user.handle),
            Text(user.display_name),
            Text(user.about),
            Text(user.password_hash),
            Number(user.presence as u64),
            flag(user.friends_only),
            flag(user.read_receipts),
            Number(user.created_at),
        ],
        DirectoryRecord::Device(device) => vec![
            Number(device.id.0),
            Number(device.user.0),
            Text(device.name),
            Number(device.created_at),
            Number(device.used_at),
            Number(device.generation),
        ],
        DirectoryRecord::RemovedDevice(device) => {
            vec![Number(device.id.0), Number(device.user.0), Number(device.removed_at)]
        }
        DirectoryRecord::Friendship(friendship) => vec![
            Number(friendship.low.0),
            Number(friendship.high.0),
            Number(friendship.asker.0),
            flag(friendship.accepted),
            Number(friendship.changed_at),
        ],
        DirectoryRecord::Block(block) => vec![Number(block.blocker.0), Number(block.blocked.0), Number(block.created_at)],
        DirectoryRecord::LastSeen(seen) => vec![Number(seen.user.0), Number(seen.seen_at)],
        DirectoryRecord::GroupKey(key) => vec![Number(key.user.0), Text(key.key), Number(key.group.0)],
    }
}

/// The record of a row of the table that `place` is in.
fn record(place: &DirectoryPlace, row: &AnyRow) -> Result<DirectoryRecord, DirectoryError> {
    let number = |column| row::number(row, column);
    let user = |column| row::number(row, column).map(UserId);
    let text = |column| row.try_get::<String, _>(column);
    Ok(match place {
        DirectoryPlace::Users(_) => {
            let settings = row::settings(row)?;
            DirectoryRecord::User(UserRecord {
                id: user("id")?,
                handle: text("handle")?,
                display_name: text("display_name")?,
                about: text("about")?,
                password_hash: text("password_hash")?,
                presence: settings.presence,
                friends_only: settings.friends_only,
                read_receipts: settings.read_receipts,
                created_at: number("created_at")?,
            })
        }
        DirectoryPlace::Devices(_) => DirectoryRecord::Device(DeviceRecord {
            id: DeviceId(number("id")?),
            user: user("user_id")?,
            name: text("name")?,
            created_at: number("created_at")?,
            used_at: number("used_at")?,
            generation: number("generation")?,
        }),
        DirectoryPlace::RemovedDevices(_) => DirectoryRecord::RemovedDevice(RemovedDeviceRecord {
            id: DeviceId(number("device_id")?),
            user: user("user_id")?,
            removed_at: number("removed_at")?,
        }),
        DirectoryPlace::Friendships(_) => DirectoryRecord::Friendship(FriendshipRecord {
            low: user("low")?,
            high: user("high")?,
            asker: user("asker")?,
            accepted: row::flag(row, "accepted")?,
            changed_at: number("changed_at")?,
        }),
        DirectoryPlace::Blocks(_) => DirectoryRecord::Block(BlockRecord {
            blocker: user("blocker")?,
            blocked: user("blocked")?,
            created_at: number("created_at")?,
        }),
        DirectoryPlace::LastSeen(_) => {
            DirectoryRecord::LastSeen(LastSeenRecord { user: user("user_id")?, seen_at: number("seen_at")? })
        }
        DirectoryPlace::GroupKeys(_) => DirectoryRecord::GroupKey(GroupKeyRecord {
            user: user("user_id")?,
            key: text("request_key")?,
            group: GroupId(number("group_id")?),
        }),
    })
}
