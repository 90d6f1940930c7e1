//! Rounds: everything that waits is folded, stored with one write, and only then answered.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use banter_model::tag::Seen;
use banter_model::{Command, ConversationId, Tag, UserId};
use banter_protocol::ErrorCode;
use banter_store::feed::FeedWriter;
use banter_store::{Envelope, History, Origin, PartitionReader, StoreError};
use quick_cache::unsync::Cache;

use crate::held::Held;
use crate::metrics::Metrics;
use crate::worker::Failure;
use crate::worker::delivery::{Applied, Delivery, News, Outcome, Stored};
use crate::worker::feeding::Feeding;
use crate::worker::kept::{self, Kept, KeptWeight};
use crate::worker::round::Round;

/// Most commands in one round.
pub(super) const ROUND_COMMANDS: usize = 1_024;
/// The first pause before a round is tried again; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest of these pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Applies the commands of one partition. The only writer of its logs, as far as it knows.
///
/// Where the queue does not keep its commands ([`PartitionReader::replays`]), one that cannot be stored is answered so, and its
/// device sends it again. Where it does, the worker tries a round again until it is stored or the partition is another's,
/// and two workers on one partition write the same rows: ARCHITECTURE.md has why.
pub struct Worker {
    pub(super) reader: Box<dyn PartitionReader>,
    pub(super) history: Arc<dyn History>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) kept: Cache<ConversationId, Kept, KeptWeight>,
    /// Do its commands come again?
    pub(super) replays: bool,
    /// A position up to which everything is stored, whole.
    pub(super) settled: u64,
    /// Where what it applies is written on to, if there is a feed that the history does not write.
    pub(super) feed: Option<Feeding>,
    delivery: Arc<dyn Delivery>,
    held: Held,
}

/// What came of a command: the answer, and news for the others.
pub(super) type Judged = (Result<Stored, Failure>, Option<News>);

/// Why a command cannot be judged now.
#[derive(Debug, thiserror::Error)]
pub(super) enum Interruption {
    /// The history cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row is from a later command than the one that is about to touch it.
    #[error("another worker is ahead on this partition")]
    Overtaken,
}

impl From<Interruption> for Failure {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Store(error) => Failure::from_store(error),
            Interruption::Overtaken => Failure::Unavailable(ErrorCode::Busy),
        }
    }
}

impl Worker {
    /// A worker for the partition of `reader`.
    pub fn new(
        reader: Box<dyn PartitionReader>,
        history: Arc<dyn History>,
        delivery: Arc<dyn Delivery>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let replays = reader.replays();
        Worker { reader, history, delivery, metrics, kept: kept::cache(), replays, settled: 0, feed: None, held: Held::default() }
    }

    /// Has it write what it applies to a feed apart from the history, too. `feed` begins at the position after which the reader does. Only
    /// where the queue keeps its commands: what a worker did not get to write is made from them again.
    pub fn followed_by(mut self, feed: Box<dyn FeedWriter>) -> Self {
        self.feed = self.replays.then(|| Feeding::new(feed));
        self
    }

    /// Works until the queue is closed and empty, or the partition another worker's.
    pub async fn run(mut self) {
        if self.replays {
            // Only spares redoing what is done: without an answer everything is redone.
            self.settled = self.history.position(self.reader.partition()).await.unwrap_or(0);
        }
        while let Some(commands) = self.next_batch().await {
            self.metrics.rounds.inc();
            self.metrics.commands.inc_by(commands.len() as u64);
            self.metrics.commands_per_round.observe(commands.len() as f64);
            if !self.replays {
                self.round_or_failures(commands).await;
            } else if !self.until_stored(&commands).await {
                return;
            }
        }
        self.leave_feed().await;
    }

    /// A round of commands that do not come again: what cannot be stored is answered so.
    async fn round_or_failures(&mut self, commands: Vec<(u64, Envelope)>) {
        let mut round = Round::new(self.reader.partition());
        // Only for what is held up: nothing that is stored depends on it.
        let now = Instant::now();
        for (position, envelope) in commands {
            let command = &envelope.command;
            let (conversation, device, tag) = (command.conversation, command.device, command.tag);
            let session = envelope.origin.session;
            let waits = tag.is_some_and(|tag| {
                let kept = round.conversations.get(&conversation).or_else(|| self.kept.peek(&conversation));
                // Another copy of one that was applied changes nothing, and its device does not send it again.
                if kept.is_some_and(|kept| kept.conversation.head.tags.look_up(device, tag) != Seen::New) {
                    self.held.answered(conversation, session, tag);
                    return false;
                }
                self.held.must_wait(conversation, session, tag, now)
            });
            let asker = Asker::of(&envelope);
            let judged = match waits {
                true => (Err(Failure::Unavailable(ErrorCode::Busy)), None),
                // A failed read refuses this command alone.
                false => self.apply(&mut round, position, envelope).await.unwrap_or_else(|error| (Err(error.into()), None)),
            };
            // One that waits holds up nobody by itself: the time that the first may take would never end.
            if let (Some(tag), Err(Failure::Unavailable(_)), false) = (tag, &judged.0, waits) {
                self.held.hold(conversation, session, tag, now);
            }
            round.asked.extend(tag.map(|tag| (conversation, session, tag)));
            round.batch.position = position;
            round.outcomes.push(asker.outcome(judged));
        }
        let (asked, empty) = (std::mem::take(&mut round.asked), round.is_empty());
        let (batch, conversations, mut outcomes) = round.finish();
        let (partition, position) = (batch.partition, batch.position);
        if !empty && let Err(error) = self.history.commit(batch).await {
            fail(&mut outcomes, error);
            for (conversation, session, tag) in asked {
                self.held.hold(conversation, session, tag, now);
            }
            return self.delivery.deliver(Applied { partition, stored_up_to: None, outcomes });
        }
        self.finish(partition, position, conversations, outcomes);
    }

    /// Rounds of commands that come again: nothing is answered that is not stored. Says whether the partition is still ours.
    async fn until_stored(&mut self, commands: &[(u64, Envelope)]) -> bool {
        let mut rest = commands;
        let mut pause = FIRST_PAUSE;
        while !rest.is_empty() {
            match self.try_round(rest).await {
                Ok(Some(taken)) => {
                    rest = &rest[taken..];
                    pause = FIRST_PAUSE;
                }
                Ok(None) => return false,
                Err(interruption) => {
                    tracing::warn!(partition = self.reader.partition(), %interruption, "a round is tried again");
                    self.metrics.rounds_repeated.inc();
                    // What of it was stored nobody knows, and another worker may be ahead: the heads that are stored say what
                    // is still to be done. Its own conversations went with the round; the others are right, but as likely behind.
                    self.kept.clear();
                    if !self.reader.wait(pause).await {
                        return false;
                    }
                    pause = LONGEST_PAUSE.min(pause * 2);
                }
            }
        }
        true
    }

    /// One round of the first of `commands`. Says how many it took; `None` if they are stored, but the partition became another's before they
    /// were in the feed.
    async fn try_round(&mut self, commands: &[(u64, Envelope)]) -> Result<Option<usize>, Interruption> {
        let mut round = Round::new(self.reader.partition());
        self.load_all(&mut round, commands).await?;
        let mut taken = 0;
        for (position, envelope) in commands {
            let asker = Asker::of(envelope);
            let judged = self.apply(&mut round, *position, envelope.clone()).await?;
            round.batch.position = *position;
            round.outcomes.push(asker.outcome(judged));
            taken += 1;
            if round.is_full() {
                break;
            }
        }
        let mut facts = std::mem::take(&mut round.repeated);
        let (mut batch, conversations, outcomes) = round.finish();
        let (partition, position) = (batch.partition, batch.position);
        if let Some(feed) = &self.feed {
            facts.extend(Round::facts(&batch));
            // Before everything is in the feed the partition is not whole.
            batch.position = feed.kept_up_to();
        }
        // Also when nothing happened: a position that stays behind becomes older than what the queue keeps.
        let noted = batch.position;
        self.history.commit(batch).await?;
        self.settled = position;
        if let Some(feed) = &mut self.feed {
            feed.noted = noted;
        }
        self.finish(partition, position, conversations, outcomes);
        Ok(self.write_on(position, &facts).await.then_some(taken))
    }

    /// What is to be done when a round is stored: `conversations` are kept, and everybody is told.
    fn finish(&mut self, partition: u32, position: u64, conversations: HashMap<ConversationId, Kept>, outcomes: Vec<Outcome>) {
        // What does not exist is not worth remembering: anybody can name it.
        for (id, mut kept) in conversations.into_iter().filter(|(_, kept)| kept.conversation.head.seq > 0) {
            kept.stored_head = kept.conversation.head.seq;
            self.kept.insert(id, kept);
        }
        let events = outcomes.iter().filter(|outcome| outcome.news.is_some()).count() as u64;
        self.metrics.events.inc_by(events);
        self.delivery.deliver(Applied { partition, stored_up_to: (events > 0).then_some(position), outcomes });
    }
}

/// Who waits for what came of a command.
struct Asker {
    origin: Origin,
    sender: UserId,
    conversation: ConversationId,
    tag: Option<Tag>,
    weight: u32,
}

impl Asker {
    fn of(Envelope { command, origin, .. }: &Envelope) -> Self {
        let Command { conversation, sender, tag, action, .. } = command;
        Asker { origin: *origin, sender: *sender, conversation: *conversation, tag: *tag, weight: action.weight() }
    }

    fn outcome(self, (answer, news): Judged) -> Outcome {
        let Asker { origin, sender, conversation, tag, weight } = self;
        Outcome { origin, sender, conversation, tag, weight, answer, news }
    }
}

/// Nothing of the round is stored, and every command in it was judged by what the ones before it did: all are to be sent again.
fn fail(outcomes: &mut [Outcome], error: StoreError) {
    let failure = Failure::from_store(error);
    for outcome in outcomes {
        outcome.news = None;
        outcome.answer = Err(failure.clone());
    }
}
