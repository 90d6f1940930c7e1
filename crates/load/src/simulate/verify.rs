//! What has to hold at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use banter_model::{ConversationId, DeviceId, Seq, Tag, UserId};
use banter_server::metrics::Metrics;
use banter_server::worker::Worker;
use banter_store::{Envelope, PartitionReader};

use super::Mutation;
use super::history::SimulatedHistory;
use super::rows::{Key, Rows};
use super::state::{Shared, State};
use super::told::{Asked, SimulatedDelivery};

/// The same commands, applied by one worker that nothing happens to.
pub struct Reference {
    rows: Rows,
    news: BTreeMap<(ConversationId, Seq), BTreeSet<UserId>>,
    last: u64,
}

/// Hands out given commands, a few at a time.
struct Given {
    commands: Vec<(u64, Envelope)>,
    next: usize,
    shared: Arc<Shared>,
}

#[async_trait::async_trait]
impl PartitionReader for Given {
    fn partition(&self) -> u32 {
        0
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        let left = self.commands.len() - self.next;
        if left == 0 {
            return None;
        }
        let count = 1 + self.shared.lock().random.below(left.min(limit).min(12) as u64) as usize;
        self.next += count;
        Some(self.commands[self.next - count..self.next].to_vec())
    }

    fn replays(&self) -> bool {
        true
    }
}

impl Reference {
    /// Applies `commands`.
    pub fn of(commands: Vec<(u64, Envelope)>, seed: u64, metrics: Arc<Metrics>) -> Reference {
        let shared = Arc::new(Shared::new(seed, Mutation::None, false));
        let last = commands.last().map_or(0, |(position, _)| *position);
        {
            let mut state = shared.lock();
            state.alone = true;
            let queued = commands.iter().map(|(_, envelope)| (envelope.origin.session, envelope.clone()));
            state.told.queued = queued.collect();
        }
        let reader = Given { commands, next: 0, shared: shared.clone() };
        let history = SimulatedHistory { shared: shared.clone(), life: 0 };
        let delivery = SimulatedDelivery { shared: shared.clone(), life: 0 };
        let worker = Worker::new(Box::new(reader), Arc::new(history), Arc::new(delivery), metrics);
        let done = pin!(worker.run()).poll(&mut Context::from_waker(Waker::noop())).is_ready();
        let mut state = shared.lock();
        assert!(done && state.wrong.is_none(), "one worker alone: {:?}", state.wrong);
        Reference { rows: std::mem::take(&mut state.rows), news: std::mem::take(&mut state.told.news), last }
    }
}

/// Checks everything.
pub fn check(state: &State, reference: &Reference, conversations: &[ConversationId]) -> Result<(), String> {
    rows_are_those_of_one_worker(state, reference)?;
    for id in conversations {
        log_is_whole(&state.rows, *id)?;
        everybody_was_told(state, reference, *id)?;
    }
    answers_are_kept(state)
}

/// Whatever happened, the rows are those that one undisturbed worker makes of the same commands; and so was everything that
/// was written on the way, however the commands were put together.
fn rows_are_those_of_one_worker(state: &State, reference: &Reference) -> Result<(), String> {
    // Above the head nothing is part of the log; and of two redo lists either does.
    let counts = |rows: &Rows, key: &Key| match key {
        Key::Event(id, seq) => rows.head(*id).is_some_and(|head| *seq <= head.seq),
        Key::Redo(_) => false,
        // A topic made anew in which nothing is yet has no position.
        Key::Position => !state.topic.commands.is_empty(),
        _ => true,
    };
    for (key, here) in state.rows.all().iter().filter(|(key, _)| counts(&state.rows, key)) {
        match reference.rows.all().get(key) {
            Some(there) if there == here => {}
            there => return Err(format!("{key:?} is {here:?}\nand should be {there:?}")),
        }
    }
    for (key, there) in reference.rows.all().iter().filter(|(key, _)| counts(&reference.rows, key)) {
        if !state.rows.all().contains_key(key) {
            return Err(format!("{key:?} is missing, and should be {there:?}"));
        }
    }
    for ((key, position), there) in reference.rows.written() {
        let here = state.rows.written().get(&(*key, *position));
        if !matches!(key, Key::Redo(_)) && here.is_some_and(|here| here != there) {
            return Err(format!("{key:?} was written for position {position} as {here:?}\nand should have been {there:?}"));
        }
    }
    // However commands are put together, each change of a mention is written: so nobody may have written another.
    for (key, position) in state.rows.written().keys().filter(|(key, _)| matches!(key, Key::Mention(..))) {
        if !reference.rows.written().contains_key(&(*key, *position)) {
            return Err(format!("{key:?} was written for position {position}, where nothing becomes of it"));
        }
    }
    let position = state.rows.position();
    if !state.topic.commands.is_empty() && position != reference.last {
        return Err(format!("the partition is at {position}, and the last command at {}", reference.last));
    }
    Ok(())
}

/// Places, ordinals and times are those of a log, and no tag is in it twice.
fn log_is_whole(rows: &Rows, id: ConversationId) -> Result<(), String> {
    let Some(head) = rows.head(id) else { return Ok(()) };
    let (mut ordinal, mut at) = (0, 0);
    let mut tags: BTreeSet<(DeviceId, Tag)> = BTreeSet::new();
    for seq in 1..=head.seq {
        let Some((event, _)) = rows.event(id, seq) else { return Err(format!("{id} has no event {seq}")) };
        ordinal += u64::from(event.body.is_message());
        if event.seq != seq || event.ordinal != ordinal || event.at < at {
            return Err(format!("{id} is no log at {seq}: {event:?}"));
        }
        at = event.at;
        if event.tag.is_some_and(|tag| !tags.insert((event.device, tag))) {
            return Err(format!("{id} has the same twice: {event:?}"));
        }
    }
    if (head.ordinal, head.at) != (ordinal, at) { Err(format!("{id} ends otherwise than {head:?} says")) } else { Ok(()) }
}

/// What was answered is in the log, where and as it was answered.
fn answers_are_kept(state: &State) -> Result<(), String> {
    for (asked, stored) in &state.told.stored {
        let id = match asked {
            Asked::Tag(id, ..) | Asked::Untagged(id, _) => *id,
        };
        let Some((event, _)) = state.rows.event(id, stored.seq) else {
            return Err(format!("{asked:?} was answered with {stored:?}, which is not there"));
        };
        let same_asked = match asked {
            Asked::Tag(_, device, tag) => (event.device, event.tag) == (*device, Some(*tag)),
            Asked::Untagged(_, id) => event.id == *id,
        };
        if !same_asked || (event.id, event.at, event.ordinal) != (stored.id, stored.at, stored.ordinal) {
            return Err(format!("{asked:?} was answered with {stored:?}, and there is {event:?}"));
        }
    }
    Ok(())
}

/// Each event was told to its members, or they asked for it after a worker's death; and nobody was told of one that is not for them.
fn everybody_was_told(state: &State, reference: &Reference, id: ConversationId) -> Result<(), String> {
    let head = state.rows.head(id).map_or(0, |head| head.seq);
    let resynced = state.told.resynced.get(&id).copied().unwrap_or_default();
    for seq in 1..=head {
        let should = reference.news.get(&(id, seq)).ok_or_else(|| format!("nobody is to be told of {seq} in {id}"))?;
        match state.told.news.get(&(id, seq)) {
            None if seq <= resynced => {}
            None => return Err(format!("nobody was told of {seq} in {id}")),
            Some(told) => {
                if let Some(other) = told.difference(should).next() {
                    return Err(format!("{other:?} was told of {seq} in {id}, and is not to be"));
                }
            }
        }
    }
    Ok(())
}
