//! Everything that is asked of Cassandra, prepared.

use futures_util::future::try_join_all;
use scylla::client::session::Session;
use scylla::statement::prepared::PreparedStatement;

use super::ConnectError;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $cql:literal;)*) => {
        /// The prepared statements. `{}` in a text stands for the keyspace. All are idempotent: what is written has a time of its own.
        pub(super) struct Statements {
            $($(#[$doc])* pub $name: PreparedStatement,)*
        }

        impl Statements {
            /// Prepares all of them on the tables of `keyspace`.
            pub async fn prepare(session: &Session, keyspace: &str) -> Result<Statements, ConnectError> {
                let texts = [$($cql),*];
                let prepared = try_join_all(texts.map(|text| async move {
                    let mut statement = session.prepare(text.replace("{}", keyspace)).await.map_err(ConnectError::engine)?;
                    statement.set_is_idempotent(true);
                    Ok::<_, ConnectError>(statement)
                }));
                let mut prepared = prepared.await?.into_iter();
                let mut next = || prepared.next().ok_or_else(|| ConnectError::engine("a statement was not prepared"));
                // In the order of the texts.
                Ok(Statements { $($name: next()?),* })
            }
        }
    };
}

statements! {
    /// conversation, bucket, first seq, last seq, limit
    events_upwards = "SELECT seq, ordinal, id, created_at, sender, device, tag, body, WRITETIME(body) FROM {}.events \
        WHERE conversation = ? AND bucket = ? AND seq >= ? AND seq <= ? ORDER BY seq ASC LIMIT ?";
    /// conversation, bucket, first seq, last seq, limit
    events_downwards = "SELECT seq, ordinal, id, created_at, sender, device, tag, body, WRITETIME(body) FROM {}.events \
        WHERE conversation = ? AND bucket = ? AND seq >= ? AND seq <= ? ORDER BY seq DESC LIMIT ?";
    /// conversation, bucket, seq, ordinal, id, created at, sender, device, tag, body, time
    write_event = "INSERT INTO {}.events (conversation, bucket, seq, ordinal, id, created_at, sender, device, tag, body) \
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";

    /// conversation
    state = "SELECT head, roster, redo FROM {}.conversations WHERE conversation = ? AND member = 0";
    /// conversation
    end = "SELECT seq, redo FROM {}.conversations WHERE conversation = ? AND member = 0";
    /// conversation
    head = "SELECT conversation, head FROM {}.conversations WHERE conversation = ? AND member = 0";
    /// conversations
    heads = "SELECT conversation, head FROM {}.conversations WHERE conversation IN ? AND member = 0";
    /// conversation
    roster = "SELECT roster FROM {}.conversations WHERE conversation = ? AND member = 0";
    /// time, seq, head, redo list, conversation
    write_head = "UPDATE {}.conversations USING TIMESTAMP ? SET seq = ?, head = ?, redo = ? \
        WHERE conversation = ? AND member = 0";
    /// time, roster, conversation
    write_roster = "UPDATE {}.conversations USING TIMESTAMP ? SET roster = ? WHERE conversation = ? AND member = 0";
    /// time, conversation
    remove_redo = "DELETE redo FROM {}.conversations USING TIMESTAMP ? WHERE conversation = ? AND member = 0";

    /// direct conversations
    listed_direct = "SELECT conversation, member, head, read, delivered, changed_at FROM {}.conversations \
        WHERE conversation IN ?";
    /// conversations, members
    listed_groups = "SELECT conversation, member, head, read, delivered, changed_at FROM {}.conversations \
        WHERE conversation IN ? AND member IN ?";
    /// conversation, member
    progress = "SELECT read, delivered, changed_at FROM {}.conversations WHERE conversation = ? AND member = ?";
    /// time, marker, conversation, member
    write_read = "UPDATE {}.conversations USING TIMESTAMP ? SET read = ? WHERE conversation = ? AND member = ?";
    /// time, seq, conversation, member
    write_delivered = "UPDATE {}.conversations USING TIMESTAMP ? SET delivered = ? WHERE conversation = ? AND member = ?";
    /// time, milliseconds, conversation, member
    write_changed_at = "UPDATE {}.conversations USING TIMESTAMP ? SET changed_at = ? WHERE conversation = ? AND member = ?";

    /// user, conversation
    membership = "SELECT membership FROM {}.memberships WHERE user = ? AND conversation = ?";
    /// user, conversation before the first, limit
    memberships = "SELECT conversation, membership FROM {}.memberships WHERE user = ? AND conversation > ? LIMIT ?";
    /// time, membership, user, conversation
    write_membership = "UPDATE {}.memberships USING TIMESTAMP ? SET membership = ? WHERE user = ? AND conversation = ?";

    /// user, conversation, seq before the first, limit
    mentions = "SELECT seq, present FROM {}.mentions WHERE user = ? AND conversation = ? AND seq > ? LIMIT ?";
    /// time, is there one, user, conversation, seq
    write_mention = "UPDATE {}.mentions USING TIMESTAMP ? SET present = ? WHERE user = ? AND conversation = ? AND seq = ?";

    /// shares
    positions = "SELECT partition, position FROM {}.positions WHERE share IN ?";
    /// time, position, share, partition
    write_position = "UPDATE {}.positions USING TIMESTAMP ? SET position = ? WHERE share = ? AND partition = ?";
}
