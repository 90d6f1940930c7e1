//! The tables. Why they are as they are: `docs/decisions/0014-cassandra.md`.
//!
//! | table | partition | row | holds |
//! |---|---|---|---|
//! | events | conversation, bucket (`seq >> 10`) | seq | the event; the body in the encoding of [`super::row`], the tag 0 if it has none |
//! | conversations | conversation | 0 | end of the log, head, roster and redo list |
//! | conversations | conversation | user | how far this user has got: registers that only grow |
//! | memberships | user | conversation | what the user may see |
//! | mentions | user, conversation | seq | is the user mentioned there? |
//! | positions | share of 16 partitions | partition | how far its queue is applied |
//! | meta | name | | the version of this layout, and how far a move into the history has come |
//!
//! A conversation is its [`banter_model::ConversationId::to_bytes`], so that memberships are in the order of their names. Other ids are
//! the same 64 bits, which Cassandra shows as signed numbers.
//!
//! **Every cell is written at a time of its own** (`USING TIMESTAMP`): the position of the command that made it what it is, or, of a
//! register, the value itself. So the order in which writes arrive is nothing, and a slow worker never overwrites what is newer.
//! Nothing is ever deleted: there is no tombstone that would have to be repaired before it goes.

use banter_store::StoreError;
use scylla::client::session::Session;

use super::connection::{Connection, unreadable};
use super::{CassandraOptions, ConnectError};

/// Version of the tables' layout that is written, and the newest that is understood.
pub const FORMAT: u32 = 1;

/// Where the version of the layout is, in the table `meta`.
const FORMAT_NAME: &str = "format";

/// Where the note of a move is, in the table `meta`: a byte that tells whether there is one, then the note.
const MOVE_NAME: &str = "move";

/// The rows of `conversations` that are the conversation itself rather than a user's: no user has this id.
pub(super) const ITSELF: i64 = 0;

/// Bits of a partition below its share: a share's rows lie together, and all are read at once.
pub(super) const SHARE_BITS: u32 = 4;

/// Written once, kept for ever, read as pages: as small as it gets, merged seldom.
const EVENTS: &str = "compression = {'class': 'ZstdCompressor', 'compression_level': 3, 'chunk_length_in_kb': 16} \
     AND compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}";

/// Written over and over, read row by row: few places to look at.
const SMALL_ROWS: &str = "compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 4} \
     AND compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'L4'}";

/// Each table: its name, its columns, its settings.
const TABLES: [(&str, &str, &str); 6] = [
    (
        "events",
        "conversation blob, bucket bigint, seq bigint, ordinal bigint, id bigint, created_at timestamp, sender bigint, \
         device bigint, tag bigint, body blob, PRIMARY KEY ((conversation, bucket), seq)",
        EVENTS,
    ),
    (
        "conversations",
        "conversation blob, member bigint, seq bigint, head blob, roster blob, redo blob, read blob, delivered bigint, \
         changed_at bigint, PRIMARY KEY (conversation, member)",
        SMALL_ROWS,
    ),
    ("memberships", "user bigint, conversation blob, membership blob, PRIMARY KEY (user, conversation)", SMALL_ROWS),
    (
        "mentions",
        "user bigint, conversation blob, seq bigint, present boolean, PRIMARY KEY ((user, conversation), seq)",
        SMALL_ROWS,
    ),
    ("positions", "share bigint, partition bigint, position bigint, PRIMARY KEY (share, partition)", SMALL_ROWS),
    ("meta", "name text PRIMARY KEY, value blob", SMALL_ROWS),
];

/// Makes keyspace and tables where they are missing, and notes the layout's version. What is there is left as it is.
pub(super) async fn create(session: &Session, options: &CassandraOptions) -> Result<(), ConnectError> {
    let keyspace = &options.keyspace;
    let copies = options.copies.to_cql();
    run(session, format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {copies} AND durable_writes = true"))
        .await?;
    for (name, columns, settings) in TABLES {
        run(session, format!("CREATE TABLE IF NOT EXISTS {keyspace}.{name} ({columns}) WITH {settings}")).await?;
    }
    let version = FORMAT.to_be_bytes();
    let noted = format!("INSERT INTO {keyspace}.meta (name, value) VALUES (?, ?) IF NOT EXISTS");
    session.query_unpaged(noted, (FORMAT_NAME, version)).await.map_err(ConnectError::engine)?;
    check_format(session, keyspace).await
}

/// Refuses a layout that this program does not know, and a keyspace without one.
pub(super) async fn check_format(session: &Session, keyspace: &str) -> Result<(), ConnectError> {
    let none = || ConnectError::NoHistory { keyspace: keyspace.to_owned() };
    let tables = "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = 'meta'";
    let found = session.query_unpaged(tables, (keyspace,)).await.map_err(ConnectError::engine)?;
    if found.into_rows_result().map_err(ConnectError::engine)?.rows_num() == 0 {
        return Err(none());
    }
    let asked = format!("SELECT value FROM {keyspace}.meta WHERE name = ?");
    let rows = session.query_unpaged(asked, (FORMAT_NAME,)).await.map_err(ConnectError::engine)?;
    let rows = rows.into_rows_result().map_err(ConnectError::engine)?;
    let value = rows.maybe_first_row::<(&[u8],)>().map_err(ConnectError::engine)?;
    match value.map(|(value,)| <[u8; 4]>::try_from(value).map(u32::from_be_bytes)) {
        Some(Ok(FORMAT)) => Ok(()),
        Some(Ok(found)) => Err(ConnectError::OtherFormat { found }),
        Some(Err(_)) | None => Err(none()),
    }
}

async fn run(session: &Session, statement: String) -> Result<(), ConnectError> {
    session.query_unpaged(statement, ()).await.map(drop).map_err(ConnectError::engine)
}

/// How far a move into the history has come, if one is under way, and the time that this was written at.
pub(super) async fn move_note(connection: &Connection) -> Result<(Option<Vec<u8>>, i64), StoreError> {
    // Not counted: it is asked before a server has anything to do.
    let rows = connection.session.execute_unpaged(&connection.statements.meta, (MOVE_NAME,)).await.map_err(unreadable)?;
    let rows = rows.into_rows_result().map_err(unreadable)?;
    let value = rows.maybe_first_row::<(Option<&[u8]>, Option<i64>)>().map_err(unreadable)?;
    Ok(match value {
        Some((Some([1, note @ ..]), time)) => (Some(note.to_vec()), time.unwrap_or_default()),
        Some((_, time)) => (None, time.unwrap_or_default()),
        None => (None, 0),
    })
}

/// Notes how far a move has come. The times of the notes count them, so that one that comes late, or twice, replaces no later one,
/// whatever the clocks say.
pub(super) async fn set_move_note(connection: &Connection, note: Option<&[u8]>) -> Result<(), StoreError> {
    let (_, time) = move_note(connection).await?;
    let value = note.map_or_else(|| vec![0], |note| [&[1], note].concat());
    connection.write(&[(&connection.statements.write_meta, (MOVE_NAME, value, time + 1))]).await
}
