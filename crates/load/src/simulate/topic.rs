//! The queue that keeps its commands, and its readers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::position;
use banter_store::{Envelope, PartitionReader};

use super::Mutation;
use super::state::{LifeId, Shared, Turn};

/// One partition of the topic.
#[derive(Debug, Default)]
pub struct Topic {
    /// How often it was made anew.
    pub epoch: u16,
    /// The commands since then.
    pub commands: Vec<Envelope>,
}

impl Topic {
    /// The position of the command at `offset`.
    pub fn position(&self, offset: usize) -> u64 {
        position::pack(self.epoch, offset as u64).unwrap_or(u64::MAX)
    }

    /// The offset of the first command after `position`.
    pub fn after(&self, position: u64) -> usize {
        let (epoch, offset) = position::unpack(position);
        if epoch < self.epoch { 0 } else { offset as usize }
    }
}

/// What a worker reads with.
pub struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
    pub(super) next: usize,
}

/// What a look at the topic comes to.
enum Look {
    Revoked,
    Nothing,
    Commands(Vec<(u64, Envelope)>),
}

impl Reader {
    fn look(&mut self, limit: usize) -> Look {
        let mut state = self.shared.lock();
        let life = self.life;
        if state.is_revoked(life) {
            return Look::Revoked;
        }
        let waiting = state.topic.commands.len().saturating_sub(self.next).min(limit) as u64;
        if waiting == 0 {
            state.rest(life);
            return Look::Nothing;
        }
        let count = if state.random.below(3) == 0 { waiting } else { 1 + state.random.below(waiting) };
        let (first, end) = (self.next, self.next + count as usize);
        self.next = end;
        let (from, to) = (state.topic.position(first), state.topic.position(end - 1));
        state.work(life);
        state.note(|| format!("worker {life} takes {from} to {to}"));
        let command = |offset| (state.topic.position(offset), state.topic.commands[offset].clone());
        Look::Commands((first..end).map(command).collect())
    }
}

#[async_trait]
impl PartitionReader for Reader {
    fn partition(&self) -> u32 {
        0
    }

    async fn next_batch(&mut self, limit: usize) -> Option<Vec<(u64, Envelope)>> {
        loop {
            Turn::default().await;
            match self.look(limit) {
                Look::Revoked => return None,
                Look::Nothing => {}
                Look::Commands(commands) => return Some(commands),
            }
        }
    }

    fn replays(&self) -> bool {
        self.shared.lock().mutation != Mutation::AnswersThatItCannot
    }

    async fn wait(&mut self, pause: Duration) -> bool {
        // Longer pauses are longer, and none is for ever.
        for _ in 0..(1 + pause.as_millis() / 20).min(20) {
            Turn::default().await;
        }
        !self.shared.lock().is_revoked(self.life)
    }
}
