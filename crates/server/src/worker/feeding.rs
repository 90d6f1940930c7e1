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
    /// if it is not any more, its next worker writes it, and `false` is said: then nothing after it may be written either.
    pub(super) async fn write_on(&mut self, position: u64, facts: &[Fact]) -> bool {
        let Some(Feeding { writer, .. }) = &mut self.feed else { return true };
        while !writer.try_append(position, facts) {
            if !self.reader.wait(ROOM_PAUSE).await {
                return false;
            }
        }
        true
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use banter_model::{Action, Command, DeviceId, EventId, UserId};
    use banter_store::data_folder::DataFolder;
    use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
    use banter_store::{History, Origin, PartitionReader};
    use parking_lot::Mutex;

    use super::*;
    use crate::metrics::Metrics;
    use crate::worker::delivery::{Applied, Delivery};

    /// Gives one command after the other, of a partition that is another's by now.
    struct Lost(Vec<(u64, Envelope)>);

    #[async_trait]
    impl PartitionReader for Lost {
        fn partition(&self) -> u32 {
            0
        }

        async fn next_batch(&mut self, _: usize) -> Option<Vec<(u64, Envelope)>> {
            (!self.0.is_empty()).then(|| vec![self.0.remove(0)])
        }

        fn replays(&self) -> bool {
            true
        }

        async fn wait(&mut self, _: Duration) -> bool {
            false
        }
    }

    /// Has no room the first time.
    #[derive(Default)]
    struct Full {
        refused: bool,
        taken: Arc<Mutex<Vec<u64>>>,
    }

    #[async_trait]
    impl FeedWriter for Full {
        fn try_append(&mut self, position: u64, _: &[Fact]) -> bool {
            if std::mem::replace(&mut self.refused, true) {
                self.taken.lock().push(position);
                return true;
            }
            false
        }

        fn kept_up_to(&self) -> u64 {
            self.taken.lock().last().copied().unwrap_or_default()
        }

        async fn kept_beyond(&mut self, _: u64) {
            std::future::pending().await
        }

        async fn settle(&mut self, _: Duration) {}
    }

    struct Nobody;

    impl Delivery for Nobody {
        fn deliver(&self, _: Applied) {}
    }

    /// Its successor begins where the history says, and would never write what was left out before.
    #[tokio::test]
    async fn nothing_is_written_on_after_what_could_not_be() {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(DataFolder::open(folder.path()).unwrap());
        let history = Arc::new(EmbeddedHistory::open(data, HistoryOptions::default()).unwrap());
        let (ada, bob) = (UserId(1), UserId(2));
        let command = |position| Command {
            conversation: ConversationId::direct(ada, bob).unwrap(),
            sender: ada,
            device: DeviceId(10),
            tag: None,
            id: EventId(position),
            action: Action::Send { text: "hello".to_owned(), reply_to: None, mentions: Vec::new() },
        };
        let origin = Origin { gateway: 0, session: 1 };
        let commands = [1, 2].map(|position| (position, Envelope { command: command(position), origin, objection: None }));
        let feed = Full::default();
        let taken = feed.taken.clone();
        let worker =
            Worker::new(Box::new(Lost(commands.into())), history.clone(), Arc::new(Nobody), Arc::new(Metrics::default()));
        worker.followed_by(Box::new(feed)).run().await;
        assert!(taken.lock().is_empty());
        assert_eq!(history.position(0).await.unwrap(), 0);
    }
}
