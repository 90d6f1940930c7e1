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

    /// conversations
    ends = "SELECT conversation, seq, redo FROM {}.conversations WHERE conversation IN ? AND member = 0";

    /// limit
    all_events = "SELECT conversation, bucket, seq, ordinal, id, created_at, sender, device, tag, body, WRITETIME(body) \
        FROM {}.events LIMIT ?";
    /// conversation, bucket, seq before the first, limit
    all_events_of_bucket = "SELECT conversation, bucket, seq, ordinal, id, created_at, sender, device, tag, body, WRITETIME(body) \
        FROM {}.events WHERE conversation = ? AND bucket = ? AND seq > ? LIMIT ?";
    /// conversation, bucket
    all_buckets_with_token = "SELECT DISTINCT conversation, bucket FROM {}.events \
        WHERE token(conversation, bucket) = token(?, ?)";
    /// conversation, bucket, limit
    all_events_after = "SELECT conversation, bucket, seq, ordinal, id, created_at, sender, device, tag, body, WRITETIME(body) \
        FROM {}.events WHERE token(conversation, bucket) > token(?, ?) LIMIT ?";

    /// limit; every partition is looked at anyway
    all_conversations = "SELECT conversation, member, head, roster, redo FROM {}.conversations WHERE member = 0 \
        LIMIT ? ALLOW FILTERING";
    /// conversation, member before it, limit
    all_conversations_itself = "SELECT conversation, member, head, roster, redo FROM {}.conversations \
        WHERE conversation = ? AND member > ? AND member <= 0 LIMIT ?";
    /// conversation
    all_conversations_with_token = "SELECT DISTINCT conversation FROM {}.conversations \
        WHERE token(conversation) = token(?)";
    /// conversation, limit
    all_conversations_after = "SELECT conversation, member, head, roster, redo FROM {}.conversations \
        WHERE token(conversation) > token(?) AND member = 0 LIMIT ? ALLOW FILTERING";

    /// limit
    all_progress = "SELECT conversation, member, read, delivered, changed_at FROM {}.conversations LIMIT ?";
    /// conversation, member before the first, limit
    all_progress_of_conversation = "SELECT conversation, member, read, delivered, changed_at FROM {}.conversations \
        WHERE conversation = ? AND member > ? LIMIT ?";
    /// conversation, limit
    all_progress_after = "SELECT conversation, member, read, delivered, changed_at FROM {}.conversations \
        WHERE token(conversation) > token(?) LIMIT ?";

    /// limit
    all_memberships = "SELECT user, conversation, membership FROM {}.memberships LIMIT ?";
    /// user, conversation before the first, limit
    all_memberships_of_member = "SELECT user, conversation, membership FROM {}.memberships \
        WHERE user = ? AND conversation > ? LIMIT ?";
    /// user
    all_members_with_token = "SELECT DISTINCT user FROM {}.memberships WHERE token(user) = token(?)";
    /// user, limit
    all_memberships_after = "SELECT user, conversation, membership FROM {}.memberships WHERE token(user) > token(?) LIMIT ?";

    /// limit
    all_mentions = "SELECT user, conversation, seq, present FROM {}.mentions LIMIT ?";
    /// user, conversation, seq before the first, limit
    all_mentions_of_member = "SELECT user, conversation, seq, present FROM {}.mentions \
        WHERE user = ? AND conversation = ? AND seq > ? LIMIT ?";
    /// user, conversation
    all_mentioned_with_token = "SELECT DISTINCT user, conversation FROM {}.mentions \
        WHERE token(user, conversation) = token(?, ?)";
    /// user, conversation, limit
    all_mentions_after = "SELECT user, conversation, seq, present FROM {}.mentions \
        WHERE token(user, conversation) > token(?, ?) LIMIT ?";

    /// limit
    all_positions = "SELECT share, partition, position FROM {}.positions LIMIT ?";
    /// share, partition before the first, limit
    all_positions_of_share = "SELECT share, partition, position FROM {}.positions WHERE share = ? AND partition > ? LIMIT ?";
    /// share
    all_shares_with_token = "SELECT DISTINCT share FROM {}.positions WHERE token(share) = token(?)";
    /// share, limit
    all_positions_after = "SELECT share, partition, position FROM {}.positions WHERE token(share) > token(?) LIMIT ?";

    /// name
    meta = "SELECT value, WRITETIME(value) FROM {}.meta WHERE name = ?";
    /// name, value, time
    write_meta = "INSERT INTO {}.meta (name, value) VALUES (?, ?) USING TIMESTAMP ?";
}
