//! The feed as a worker writes it: records that land, seem not to, or land much later, behind what the worker does.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::{ConversationId, Seq};
use banter_store::feed::{Fact, FeedWriter};

use super::Mutation;
use super::rows::Rows;
use super::state::{Fate, LifeId, Shared, State, Turn};

/// Facts that wait before a worker has to.
const ROOM: usize = 12;
/// Turns that a worker which ends waits for its feed.
const FAREWELL: u32 = 30;

/// The topic of the feed, and those who write it.
#[derive(Debug, Default)]
pub struct Feed {
    facts: Vec<Fact>,
    writers: BTreeMap<LifeId, Writing>,
    /// Up to here facts may be missing: the commands that they would have been written again from were lost.
    forgiven: HashMap<ConversationId, Seq>,
}

#[derive(Debug, Default)]
struct Writing {
    waiting: VecDeque<(u64, Vec<Fact>)>,
    /// How many of the first of those are on their way, as one record; 0 if none are.
    sent: usize,
    kept: u64,
}

impl Writing {
    /// The record that is on its way, which is put there if none is.
    fn record(&mut self, drawn: u64) -> Vec<Fact> {
        if self.sent == 0 {
            self.sent = 1 + (drawn % self.waiting.len() as u64) as usize;
        }
        self.waiting.iter().take(self.sent).flat_map(|(_, facts)| facts).copied().collect()
    }
}

impl Feed {
    /// A record lands.
    pub fn land(&mut self, record: Vec<Fact>) {
        self.facts.extend(record);
    }

    /// Does anything wait of a worker that lives?
    pub fn waits(&self) -> bool {
        self.writers.values().any(|writing| !writing.waiting.is_empty())
    }

    /// The commands that are not in the feed are lost; `heads` is where the logs end.
    pub fn forgive(&mut self, heads: impl Iterator<Item = (ConversationId, Seq)>) {
        self.forgiven.extend(heads);
    }

    /// Whoever reads it, and passes over what is not greater than the seq that they have, gets every event once and in order.
    pub fn check(&self, rows: &Rows, conversations: &[ConversationId]) -> Result<(), String> {
        let mut read: HashMap<ConversationId, Seq> = HashMap::new();
        let forgiven = |id: &ConversationId| self.forgiven.get(id).copied().unwrap_or(0);
        for fact in &self.facts {
            let (id, last) = (fact.conversation, read.entry(fact.conversation).or_default());
            if fact.seq <= *last {
                continue;
            }
            if fact.seq > (*last).max(forgiven(&id)) + 1 {
                return Err(format!("the feed goes from {last} to {} in {id}", fact.seq));
            }
            match rows.event(id, fact.seq) {
                Some((event, _)) if Fact::of(id, event) == *fact => {}
                other => return Err(format!("the feed has {fact:?}, and there is {other:?}")),
            }
            *last = fact.seq;
        }
        for id in conversations {
            let (head, last) = (rows.head(*id).map_or(0, |head| head.seq), read.get(id).copied().unwrap_or(0));
            if last != head && forgiven(id) < head {
                return Err(format!("the feed ends with {last} in {id}, and the log with {head}"));
            }
        }
        Ok(())
    }
}

impl State {
    /// What `life` has on its way comes to something.
    pub fn feed_on(&mut self, life: LifeId) {
        let drawn = self.random.bits();
        let Some(writing) = self.feed.writers.get_mut(&life).filter(|writing| !writing.waiting.is_empty()) else { return };
        let record = writing.record(drawn);
        let fate = self.fate();
        self.note(|| format!("worker {life} writes {} facts to the feed: {fate:?}", record.len()));
        match fate {
            Fate::Stored | Fate::StoredAndFailed => self.feed.land(record),
            Fate::Failed => {}
            Fate::LaterAndFailed => self.delay_record(record),
        }
        if let Some(writing) = self.feed.writers.get_mut(&life).filter(|_| fate == Fate::Stored) {
            for (position, _) in writing.waiting.drain(..writing.sent) {
                writing.kept = position;
            }
            writing.sent = 0;
        }
    }
}

/// What one worker's life writes to the feed.
pub struct SimulatedFeed {
    shared: Arc<Shared>,
    life: LifeId,
    /// Up to here everything was appended.
    position: u64,
}

impl SimulatedFeed {
    /// For the worker that begins after `position`.
    pub fn new(shared: Arc<Shared>, life: LifeId, position: u64) -> SimulatedFeed {
        shared.lock().feed.writers.insert(life, Writing { kept: position, ..Writing::default() });
        SimulatedFeed { shared, life, position }
    }
}

#[async_trait]
impl FeedWriter for SimulatedFeed {
    fn try_append(&mut self, position: u64, facts: &[Fact]) -> bool {
        let mut state = self.shared.lock();
        let Some(writing) = state.feed.writers.get_mut(&self.life) else { return false };
        if writing.waiting.iter().map(|(_, facts)| facts.len()).sum::<usize>() >= ROOM {
            return false;
        }
        writing.waiting.push_back((position, facts.to_vec()));
        self.position = position;
        true
    }

    fn kept_up_to(&self) -> u64 {
        let state = self.shared.lock();
        if state.mutation == Mutation::PositionAheadOfFeed {
            return self.position;
        }
        state.feed.writers.get(&self.life).map_or(0, |writing| writing.kept)
    }

    async fn kept_beyond(&mut self, position: u64) {
        poll_fn(|_| if self.kept_up_to() > position { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    async fn settle(&mut self, _: Duration) {
        for _ in 0..FAREWELL {
            if self.kept_up_to() >= self.position {
                break;
            }
            Turn::default().await;
        }
    }
}

impl Drop for SimulatedFeed {
    /// What is on its way may come late, or never.
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        let drawn = state.random.bits();
        let Some(mut writing) = state.feed.writers.remove(&self.life) else { return };
        if !writing.waiting.is_empty() && drawn.is_multiple_of(2) {
            let record = writing.record(drawn / 2);
            state.delay_record(record);
        }
    }
}
