//! Keys of the rows. All numbers are big-endian, so that the order of the keys is the order of what they stand for.
//!
//! | table | key | value |
//! |---|---|---|
//! | meta | `format` | version of this layout, u32 |
//! | meta | `moving` | how far a move into the history has come |
//! | meta | `p`, partition u32 | [`super::row::Position`] |
//! | meta | `feed` | nothing: there is a keyspace of the feed |
//! | events | conversation 16, seq u64 | event |
//! | heads | conversation 16 | head |
//! | rosters | conversation 16 | roster |
//! | memberships | user u64, conversation 16 | membership |
//! | progress | user u64, conversation 16 | progress |
//! | mentions | user u64, conversation 16, seq u64 | nothing |
//! | feed | `f`, number of the last of the facts u64 | facts |
//! | feed | `r`, name of a reader | [`super::row::Place`] |
//!
//! A conversation is its [`ConversationId::to_bytes`]. Events need no bucket in their key as Cassandra's do: one table is
//! one sorted sequence, and the bucket is the upper bits of the seq anyway.

use banter_model::{ConversationId, Seq, UserId};

/// Where it is noted how far a move into the history has come.
pub(super) const MOVE_NOTE: &[u8] = b"moving";

/// Where the version of the rows' layout is.
pub(super) const FORMAT: &[u8] = b"format";

/// Is there since the keyspace of the feed was made.
pub(super) const FEED_MADE: &[u8] = b"feed";

/// Facts of the feed, by the number of the last of them: numbers grow by one for each fact.
pub(super) fn facts(last: u64) -> [u8; 9] {
    let mut key = [FACTS; 9];
    key[1..].copy_from_slice(&last.to_be_bytes());
    key
}

/// The number in the key of facts; `None` if it is no such key.
pub(super) fn number_of_facts(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.strip_prefix(&[FACTS])?.try_into().ok()?))
}

const FACTS: u8 = b'f';

/// Where a reader of the feed is.
pub(super) fn reader(name: &str) -> Vec<u8> {
    [&[READER], name.as_bytes()].concat()
}

/// What the keys of all readers of the feed begin with.
pub(super) const READER: u8 = b'r';

/// How far a partition is: its number, big-endian, as in all keys, so that bytes sort as numbers do.
pub(super) fn position(partition: u32) -> [u8; 5] {
    let mut key = [b'p'; 5];
    key[1..].copy_from_slice(&partition.to_be_bytes());
    key
}

/// An event: those of a conversation lie next to each other, in order.
pub(super) fn event(conversation: ConversationId, seq: Seq) -> [u8; 24] {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&conversation.to_bytes());
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The seq at the end of the key of an event; `None` if it is no such key.
pub(super) fn seq_of_event(key: &[u8]) -> Option<Seq> {
    Some(Seq::from_be_bytes(key.get(16..)?.try_into().ok()?))
}

/// A user's membership of a conversation, and their progress in it: those of a user lie next to each other.
pub(super) fn member(user: UserId, conversation: ConversationId) -> [u8; 24] {
    member_bytes(user, conversation.to_bytes())
}

/// The last key that a row of `user` can have.
pub(super) fn last_of(user: UserId) -> [u8; 24] {
    member_bytes(user, [0xff; 16])
}

/// Before the first key that a row of `user` can have: no conversation is all zeros.
pub(super) fn before_first_of(user: UserId) -> [u8; 24] {
    member_bytes(user, [0; 16])
}

fn member_bytes(user: UserId, conversation: [u8; 16]) -> [u8; 24] {
    let mut key = [0; 24];
    key[..8].copy_from_slice(&user.0.to_be_bytes());
    key[8..].copy_from_slice(&conversation);
    key
}

/// A mention of a user: those in a conversation lie next to each other, in order.
pub(super) fn mention(user: UserId, conversation: ConversationId, seq: Seq) -> [u8; 32] {
    let mut key = [0; 32];
    key[..24].copy_from_slice(&member(user, conversation));
    key[24..].copy_from_slice(&seq.to_be_bytes());
    key
}

/// The conversation in the key of a membership; `None` if it is no such key.
pub(super) fn conversation_of_member(key: &[u8]) -> Option<ConversationId> {
    ConversationId::from_bytes(key.get(8..)?.try_into().ok()?).ok()
}

/// The seq at the end of the key of a mention; `None` if it is no such key.
pub(super) fn seq_of_mention(key: &[u8]) -> Option<Seq> {
    Some(Seq::from_be_bytes(key.get(24..)?.try_into().ok()?))
}

/// The conversation and the seq in the key of an event; `None` if it is no such key.
pub(super) fn of_event(key: &[u8]) -> Option<(ConversationId, Seq)> {
    Some((ConversationId::from_bytes(key.get(..16)?.try_into().ok()?).ok()?, seq_of_event(key)?))
}

/// The user and the conversation in the key of a membership; `None` if it is no such key.
pub(super) fn of_member(key: &[u8]) -> Option<(UserId, ConversationId)> {
    Some((UserId(u64::from_be_bytes(key.get(..8)?.try_into().ok()?)), conversation_of_member(key)?))
}

/// The user, the conversation and the seq in the key of a mention; `None` if it is no such key.
pub(super) fn of_mention(key: &[u8]) -> Option<(UserId, ConversationId, Seq)> {
    let (user, conversation) = of_member(key.get(..24)?)?;
    Some((user, conversation, seq_of_mention(key)?))
}

/// The partition in the key of a position; `None` if it is no such key.
pub(super) fn partition_of_position(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.strip_prefix(b"p")?.try_into().ok()?))
}
