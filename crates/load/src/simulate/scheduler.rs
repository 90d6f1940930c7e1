//! Who has a turn, who dies, who stands still: all drawn from the seed.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use banter_model::ConversationId;
use banter_server::metrics::Metrics;
use banter_server::worker::Worker;
use banter_store::Envelope;
use banter_store::history::plan::{Redo, is_settled};

use super::devices::Devices;
use super::history::SimulatedHistory;
use super::state::{LifeId, Shared, State};
use super::told::SimulatedDelivery;
use super::topic::{Reader, Topic};
use super::{Mutation, verify};

/// Turns within which everything has to be answered once nothing fails any more.
const TURNS_TO_SETTLE: u64 = 60_000;
/// Most workers at one time that take the partition for theirs.
const WORKERS: usize = 3;

/// A worker in a life of its own.
struct Life {
    id: LifeId,
    running: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// It has no turn before this one.
    stands_still_until: u64,
}

/// What a seed came to, when nothing was wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Passed {
    /// Commands that were queued.
    pub commands: u64,
    /// Events in the logs.
    pub events: u64,
    /// Turns.
    pub turns: u64,
    /// Workers that were started.
    pub lives: u64,
    /// How often the topic was made anew.
    pub epochs: u64,
}

/// A simulation from one seed.
pub struct Scheduler {
    shared: Arc<Shared>,
    metrics: Arc<Metrics>,
    devices: Devices,
    lives: Vec<Life>,
    next_life: LifeId,
    /// What was applied of topics that are gone.
    past: Vec<(u64, Envelope)>,
    /// Positions that were stored since the topic was made.
    positions: Vec<u64>,
    calm: bool,
    passed: Passed,
}

impl Scheduler {
    /// The beginning.
    pub fn new(seed: u64, mutation: Mutation, traced: bool, metrics: Arc<Metrics>) -> Scheduler {
        let shared = Arc::new(Shared::new(seed, mutation, traced));
        let devices = Devices::new(&mut shared.lock().random);
        Scheduler {
            shared,
            metrics,
            devices,
            lives: Vec::new(),
            next_life: 1,
            past: Vec::new(),
            positions: vec![0],
            calm: false,
            passed: Passed::default(),
        }
    }

    /// Runs until everything is answered, and checks what is there then.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(mut self) -> Result<Passed, Wrong> {
        let mut settling = 0;
        loop {
            self.one_turn();
            if self.calm {
                settling += 1;
                if settling > TURNS_TO_SETTLE {
                    self.shared.lock().wrong(|| "nothing fails any more, and still not everything is answered".to_owned());
                }
            }
            if self.shared.lock().wrong.is_some() {
                break;
            }
            if self.is_settled() {
                self.verify();
                break;
            }
        }
        let mut state = self.shared.lock();
        match state.wrong.take() {
            None => Ok(Passed { turns: state.turn, ..self.passed }),
            Some(what) => Err(Wrong { what, trace: state.trace.take().unwrap_or_default() }),
        }
    }

    fn one_turn(&mut self) {
        let mut state = self.shared.lock();
        state.turn += 1;
        state.land_late(false);
        self.devices.listen(&mut state);
        let position = state.rows.position();
        if self.positions.last().is_some_and(|last| position > *last) {
            self.positions.push(position);
        }
        let (drawn, devices_act) = (state.random.below(1_000), state.random.below(6) == 0);
        drop(state);
        if self.lives.is_empty() {
            self.start();
        }
        if !self.calm {
            self.trouble(drawn);
            if self.devices.have_written() {
                self.calm_down();
            }
        }
        if devices_act && !self.devices.are_done() {
            self.devices.act(&mut self.shared.lock());
        }
        self.poll_one();
    }

    /// Something goes wrong, now and then.
    fn trouble(&mut self, drawn: u64) {
        match drawn {
            // The network, or the store: for a while accesses fail.
            0..=3 => {
                let mut state = self.shared.lock();
                let rates = [(0, 0), (0, 0), (20, 20), (100, 100), (0, 200), (300, 0), (900, 900)];
                (state.failing_reads, state.failing_writes) = rates[state.random.below(rates.len() as u64) as usize];
                let (reads, writes) = (state.failing_reads, state.failing_writes);
                state.note(|| format!("of a thousand reads {reads} fail, of a thousand writes {writes}"));
            }
            // A worker dies, in the midst of whatever it does.
            4..=11 => self.kill_one(),
            // One stands still, and does not know that it does.
            12..=19 => {
                let mut state = self.shared.lock();
                let index = state.random.below(self.lives.len() as u64) as usize;
                let life = &mut self.lives[index];
                life.stands_still_until = state.turn + 1 + state.random.below(600);
                state.note(|| format!("worker {} stands still until turn {}", life.id, life.stands_still_until));
            }
            // Another takes the partition for its own; the one before is told, or is not.
            20..=31 if self.lives.len() < WORKERS => {
                let mut state = self.shared.lock();
                for life in self.lives.iter().map(|life| life.id) {
                    if state.random.below(2) == 0 {
                        state.revoke(life);
                        state.note(|| format!("the partition is taken from worker {life}"));
                    }
                }
                drop(state);
                self.start();
            }
            // Rarely the whole topic is lost, after all workers.
            32 if self.shared.lock().random.below(4) == 0 => self.lose_topic(),
            _ => {}
        }
    }

    /// From here on nothing fails, and whoever lives goes on.
    fn calm_down(&mut self) {
        self.calm = true;
        let mut state = self.shared.lock();
        (state.failing_reads, state.failing_writes) = (0, 0);
        state.note(|| "nothing fails any more".to_owned());
        self.lives.iter_mut().for_each(|life| life.stands_still_until = 0);
        drop(state);
        // Whoever was told that a write failed, and died, has left a position behind.
        self.start();
    }

    /// A worker begins after a position that is stored, as it stands now or as it was a while ago.
    fn start(&mut self) {
        let id = self.next_life;
        self.next_life += 1;
        self.passed.lives += 1;
        let mut state = self.shared.lock();
        let mut position = state.rows.position();
        if state.random.below(4) == 0 {
            position = self.positions[state.random.below(self.positions.len() as u64) as usize];
        }
        let mut next = state.topic.after(position);
        if state.mutation == Mutation::StartsAtTheEnd {
            next = state.topic.commands.len();
        }
        state.note(|| format!("worker {id} starts after position {position}"));
        drop(state);
        let reader = Reader { shared: self.shared.clone(), life: id, next };
        let history = SimulatedHistory { shared: self.shared.clone(), life: id };
        let delivery = SimulatedDelivery { shared: self.shared.clone(), life: id };
        let worker = Worker::new(Box::new(reader), Arc::new(history), Arc::new(delivery), self.metrics.clone());
        self.lives.push(Life { id, running: Box::pin(worker.run()), stands_still_until: 0 });
    }

    fn kill_one(&mut self) {
        let mut state = self.shared.lock();
        let index = state.random.below(self.lives.len() as u64) as usize;
        let life = self.lives.swap_remove(index);
        state.note(|| format!("worker {} dies", life.id));
        // The gateways see its stream break, and tell everybody to ask for what they may have missed.
        resync(&mut state, self.devices.conversations());
    }

    /// All workers die, what is under way lands or does not, and the topic is made anew. What was queued and not applied is gone.
    fn lose_topic(&mut self) {
        self.lives.clear();
        let mut state = self.shared.lock();
        state.land_late(true);
        resync(&mut state, self.devices.conversations());
        let epoch = state.topic.epoch + 1;
        let lost = std::mem::replace(&mut state.topic, Topic { epoch, commands: Vec::new() });
        state.note(|| format!("the topic is lost, and made anew in epoch {epoch}"));
        let heads: BTreeMap<ConversationId, u64> =
            self.devices.conversations().iter().filter_map(|id| Some((*id, state.rows.head(*id)?.position))).collect();
        for (offset, envelope) in lost.commands.iter().enumerate() {
            let position = lost.position(offset);
            if heads.get(&envelope.command.conversation).is_some_and(|head| position <= *head) {
                self.past.push((position, envelope.clone()));
            }
        }
        self.positions = vec![state.rows.position()];
        self.passed.epochs += 1;
    }

    /// One worker goes on to its next access of the store.
    fn poll_one(&mut self) {
        let mut state = self.shared.lock();
        let now = state.turn;
        let able: Vec<usize> = (0..self.lives.len()).filter(|index| self.lives[*index].stands_still_until <= now).collect();
        if able.is_empty() {
            return;
        }
        let index = able[state.random.below(able.len() as u64) as usize];
        drop(state);
        if let Poll::Ready(()) = self.lives[index].running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            let life = self.lives.swap_remove(index);
            self.shared.lock().note(|| format!("worker {} is done", life.id));
        }
    }

    fn is_settled(&self) -> bool {
        if !self.calm || !self.devices.are_done() || self.lives.is_empty() {
            return false;
        }
        let state = self.shared.lock();
        let at_rest = self.lives.iter().all(|life| state.rests(life.id) && !state.is_revoked(life.id));
        at_rest && state.nothing_is_late()
    }

    fn verify(&mut self) {
        let mut state = self.shared.lock();
        self.passed.commands = state.told.queued.len() as u64;
        let mut commands = std::mem::take(&mut self.past);
        let topic = &state.topic;
        commands.extend(topic.commands.iter().enumerate().map(|(offset, envelope)| (topic.position(offset), envelope.clone())));
        let seed = state.random.bits();
        // A conversation in which nothing came after the loss of the topic is finished by whoever loads it next.
        for id in self.devices.conversations() {
            let in_the_midst = state.rows.head(*id).is_some_and(|head| !is_settled(head.position, state.rows.position()));
            let redo = if in_the_midst { state.rows.redo(*id) } else { Redo::default() };
            redo.writes().for_each(|write| state.land(&write));
        }
        let reference = verify::Reference::of(commands, seed, self.metrics.clone());
        for id in self.devices.conversations() {
            self.passed.events += state.rows.head(*id).map_or(0, |head| head.seq);
        }
        if let Err(error) = verify::check(&state, &reference, self.devices.conversations()) {
            state.wrong(|| error);
        }
    }
}

/// Everybody who is there asks for what they may have missed.
fn resync(state: &mut State, conversations: &[ConversationId]) {
    for id in conversations {
        let head = state.rows.head(*id).map_or(0, |head| head.seq);
        let asked = state.told.resynced.entry(*id).or_default();
        *asked = head.max(*asked);
    }
}

/// What is wrong, and what happened.
#[derive(Debug, Clone)]
pub struct Wrong {
    /// What is wrong.
    pub what: String,
    /// What happened, if it was noted.
    pub trace: Vec<String>,
}
