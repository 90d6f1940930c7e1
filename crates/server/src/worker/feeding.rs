//! Writing what is applied on to a feed that is apart from the history.
//!
//! Facts are appended when a round is stored and told, and nobody waits for them but the next round, when there are too many. Nothing is lost,
//! because the position that the history has of the partition stays where the feed is: a worker that takes over gets the commands
//! after it again. Those were applied, so it does not judge them again, and some it cannot even find the event of; instead it reads
//! from the end of each such conversation's log what they and later ones made, and writes all of that once more
//! ([`Worker::repeat_facts`]).

use std::time::Duration;

use banter_model::{ConversationId, Seq};
use banter_store::feed::{Fact, FeedWriter};
use banter_store::{Envelope, HistoryBatch, StoreError};

use super::round::Round;
use super::run::{ROUND_COMMANDS, Worker};

/// How long a worker waits for the feed before it looks whether the partition is still its own.
const ROOM_PAUSE: Duration = Duration::from_millis(20);
/// Pause after a position that could not be stored.
const NOTE_PAUSE: Duration = Duration::from_secs(1);
/// How long a worker that ends waits for the feed.
const FAREWELL: Duration = Duration::from_millis(500);

/// The feed that follows a partition.
pub(super) struct Feeding {
    writer: Box<dyn FeedWriter>,
    /// The position that the history has.
    pub noted: u64,
}

impl Feeding {
    pub fn new(writer: Box<dyn FeedWriter>) -> Feeding {
        let noted = writer.kept_up_to();
        Feeding { writer, noted }
    }

    /// The position to be stored with a round: the feed has everything up to it.
    pub fn kept_up_to(&self) -> u64 {
        self.writer.kept_up_to()
    }
}

impl Worker {
    /// Waits for commands. Meanwhile the position that the history has is moved on as the feed gets there: one that stays behind
    /// becomes older than what the queue keeps.
    pub(super) async fn next_batch(&mut self) -> Option<Vec<(u64, Envelope)>> {
        loop {
            let Some(Feeding { writer, noted }) = &mut self.feed else { return self.reader.next_batch(ROUND_COMMANDS).await };
            tokio::select! {
                biased;
                commands = self.reader.next_batch(ROUND_COMMANDS) => return commands,
                () = writer.kept_beyond(*noted), if *noted < self.settled => {}
            }
            if !self.note_position().await {
                // Either way the reader says what comes next.
                self.reader.wait(NOTE_PAUSE).await;
            }
        }
    }

    /// Has the history note how far the feed is. Says whether it did.
    async fn note_position(&mut self) -> bool {
        let Some(Feeding { writer, noted }) = &mut self.feed else { return true };
        let (partition, position) = (self.reader.partition(), writer.kept_up_to());
        match self.history.commit(HistoryBatch { partition, position, ..HistoryBatch::default() }).await {
            Ok(()) => *noted = position,
            Err(error) => tracing::warn!(partition, %error, "the position is not stored"),
        }
        *noted == position
    }

    /// Writes to the feed what the round up to `position` made, which is stored. Waits for room, for as long as the partition is ours:
    /// if it is not any more, its next worker writes it.
    pub(super) async fn write_on(&mut self, position: u64, facts: &[Fact]) {
        let Some(Feeding { writer, .. }) = &mut self.feed else { return };
        while !writer.try_append(position, facts) {
            if !self.reader.wait(ROOM_PAUSE).await {
                return;
            }
        }
    }

    /// Gives the feed a moment to get where the worker is, and notes that: its successor has nothing to repeat then.
    pub(super) async fn leave_feed(&mut self) {
        let Some(Feeding { writer, noted }) = &mut self.feed else { return };
        if *noted < self.settled {
            writer.settle(FAREWELL).await;
            self.note_position().await;
        }
    }

    /// The command at `position` was applied before to conversation `id`, whose log ends at `head`. Whether the facts of what it and later
    /// ones made got into the feed nobody knows, so they are written again: once, since the first such command is the earliest.
    pub(super) async fn repeat_facts(
        &mut self,
        round: &mut Round,
        id: ConversationId,
        head: Seq,
        position: u64,
    ) -> Result<(), StoreError> {
        let Some(kept) = round.conversations.get_mut(&id).filter(|kept| self.feed.is_some() && !kept.facts_repeated) else {
            return Ok(());
        };
        kept.facts_repeated = true;
        let mut facts = Vec::new();
        for seq in (1..=head).rev() {
            let Some(stored) = self.history.event_at(id, seq).await? else { continue };
            // Made before, and so was all that is below it. What was only amended since is written again for nothing.
            if stored.position < position {
                break;
            }
            facts.push(Fact::of(id, &stored.event));
        }
        round.repeated.extend(facts.into_iter().rev());
        Ok(())
    }
}
