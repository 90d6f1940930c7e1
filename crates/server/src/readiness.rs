//! Does a node take new clients? Answered from memory: load balancers ask every second, and all of them.
//!
//! A node of a fleet asks each of its engines something small every `ASKED_EVERY`, whoever asks about the node and however often. What
//! it goes on without is no reason to send clients away: without Redis everything is delivered to all gateways.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use banter_model::UserId;
use banter_store::cluster::Lease;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::node::Node;

/// How often the engines are asked.
const ASKED_EVERY: Duration = Duration::from_secs(2);
/// The longest that an answer is waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// So many questions in turn that got no answer mean that an engine is away: one may be bad luck, and all nodes share the engines.
const FAILURES: u8 = 2;
/// When to ask a node again that takes no new clients, in seconds.
pub const RETRY_AFTER: u64 = 2;

/// An engine without which a node serves nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// Who people are.
    Directory,
    /// What was said.
    History,
    /// The way to the workers.
    Queue,
    /// Its number, and with it the ids that it gives out.
    Cluster,
}

impl Engine {
    const ALL: [Engine; 4] = [Engine::Directory, Engine::History, Engine::Queue, Engine::Cluster];

    /// The section of the configuration that says where it is.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Directory => "directory",
            Engine::History => "history",
            Engine::Queue => "queue",
            Engine::Cluster => "cluster",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// Does the node take new clients? Taken to be so until something says otherwise.
#[derive(Debug, Default)]
pub struct Readiness {
    draining: AtomicBool,
    away: AtomicU8,
}

impl Readiness {
    /// From now on it takes no new ones: it is about to stop.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Is it about to stop?
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The engines that were away when they were last asked.
    pub fn away(&self) -> Vec<Engine> {
        let away = self.away.load(Ordering::Relaxed);
        Engine::ALL.into_iter().filter(|engine| away & engine.bit() != 0).collect()
    }

    /// Notes whether an engine is away.
    pub fn note(&self, engine: Engine, away: bool) {
        let before = match away {
            true => self.away.fetch_or(engine.bit(), Ordering::Relaxed),
            false => self.away.fetch_and(!engine.bit(), Ordering::Relaxed),
        };
        match (before & engine.bit() != 0, away) {
            (false, true) => tracing::warn!(engine = engine.name(), "no new clients: an engine is away"),
            (true, false) => tracing::info!(engine = engine.name(), "an engine is back"),
            _ => {}
        }
    }
}

/// Asks the engines of `node` now and then, for as long as it is waited for.
pub async fn watch(node: &Node) {
    let mut ticks = interval(ASKED_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut directory, mut history) = (0, 0);
    loop {
        ticks.tick().await;
        // Nobody has this id.
        let people = timeout(ANSWERS_WITHIN, node.directory.users(&[UserId(0)]));
        let position = timeout(ANSWERS_WITHIN, node.history.position(0));
        let (people, position) = tokio::join!(people, position);
        for (engine, answered, failures) in [
            (Engine::Directory, matches!(people, Ok(Ok(_))), &mut directory),
            (Engine::History, matches!(position, Ok(Ok(_))), &mut history),
        ] {
            *failures = if answered { 0 } else { FAILURES.min(*failures + 1) };
            node.readiness.note(engine, *failures == FAILURES);
        }
        // These two say so by themselves.
        node.readiness.note(Engine::Queue, node.queue.is_away());
        node.readiness.note(Engine::Cluster, node.cluster.standing().borrow().lease != Lease::Held);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_away_is_named_until_it_is_back() {
        let readiness = Readiness::default();
        assert_eq!((readiness.is_draining(), readiness.away()), (false, vec![]));
        readiness.note(Engine::Queue, true);
        readiness.note(Engine::History, true);
        assert_eq!(readiness.away(), [Engine::History, Engine::Queue]);
        readiness.note(Engine::History, false);
        readiness.note(Engine::Directory, false);
        assert_eq!(readiness.away(), [Engine::Queue]);
        readiness.drain();
        assert!(readiness.is_draining());
    }
}
