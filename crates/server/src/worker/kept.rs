//! Conversations that a worker keeps in memory between rounds.

use std::sync::Arc;

use banter_model::{Conversation, ConversationId, Seq, UserId};
use quick_cache::Weighter;
use quick_cache::unsync::Cache;

use super::answers::Answers;

/// Conversations that a worker expects to keep in memory; of others the state is read again when something happens there.
const CONVERSATIONS: usize = 8_192;
/// Bytes that the conversations kept in memory take together, at most.
const BYTES_IN_ALL: u64 = 16 << 20;
/// About what a conversation takes without its windows and members, in bytes; with the next two, for [`BYTES_IN_ALL`].
const CONVERSATION_BYTES: usize = 320;
/// About what the window of a device takes.
const WINDOW_BYTES: usize = 64;
/// About what a member takes, in the roster and in the list that deliveries share.
const MEMBER_BYTES: usize = 32;

/// The state of a conversation, and its members as deliveries share them.
pub(super) struct Kept {
    pub conversation: Conversation,
    /// Where the log ends that is stored: the round under way has what comes after it, and in the history there may be something else.
    pub stored_head: Seq,
    pub members: Arc<[UserId]>,
    /// Where looking for an answer is a round trip: those that were given lately.
    pub answers: Answers,
    /// Were the facts of what others applied written again, as far as it is to be done?
    pub facts_repeated: bool,
}

impl Kept {
    pub fn new(conversation: Conversation) -> Self {
        let (stored_head, members) = (conversation.head.seq, conversation.members().collect());
        Kept { conversation, stored_head, members, answers: Answers::default(), facts_repeated: false }
    }
}

/// What a kept conversation counts for: about its bytes in memory.
#[derive(Clone)]
pub(super) struct KeptWeight;

impl Weighter<ConversationId, Kept> for KeptWeight {
    fn weight(&self, _: &ConversationId, kept: &Kept) -> u64 {
        let conversation = &kept.conversation;
        let (windows, members) = (conversation.head.tags.len(), conversation.roster.members.len());
        (CONVERSATION_BYTES + windows * WINDOW_BYTES + members * MEMBER_BYTES + kept.answers.bytes()) as u64
    }
}

/// An empty one, with room for what a worker keeps.
pub(super) fn cache() -> Cache<ConversationId, Kept, KeptWeight> {
    Cache::with_weighter(CONVERSATIONS, BYTES_IN_ALL, KeptWeight)
}
