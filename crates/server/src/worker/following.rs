//! The role of a worker: one worker for each partition that is assigned to this process.

use std::sync::Arc;
use std::time::Duration;

use banter_store::{Assigned, Feed, History, PartitionAssignment};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};

use crate::metrics::Metrics;
use crate::worker::Worker;
use crate::worker::delivery::Delivery;

/// The pause after something failed; doubled each time, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A worker died of a fault: its partition would stand still.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It panicked.
    #[error("{0}")]
    Panicked(#[from] JoinError),
    /// All partitions were given up, and nobody asked for it.
    #[error("its queue closed")]
    Closed,
}

/// Works on what is assigned.
pub struct Following {
    assignment: Box<dyn PartitionAssignment>,
    starting: Starting,
    workers: JoinSet<()>,
}

/// What a worker is made of.
#[derive(Clone)]
struct Starting {
    history: Arc<dyn History>,
    delivery: Arc<dyn Delivery>,
    metrics: Arc<Metrics>,
    feed: Option<Arc<dyn Feed>>,
}

impl Following {
    /// Workers over `history` for the partitions of `assignment`.
    pub fn new(
        assignment: Box<dyn PartitionAssignment>,
        history: Arc<dyn History>,
        delivery: Arc<dyn Delivery>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Following { assignment, starting: Starting { history, delivery, metrics, feed: None }, workers: JoinSet::new() }
    }

    /// Has the workers write on what they stored to `feed`, if there is one.
    pub fn followed_by(mut self, feed: Option<Arc<dyn Feed>>) -> Self {
        self.starting.feed = feed;
        self
    }

    /// Works until `closing` is true, then gives all partitions up, and returns when every worker has ended.
    ///
    /// # Errors
    /// When a worker died.
    pub async fn run(mut self, mut closing: watch::Receiver<bool>) -> Result<(), WorkerError> {
        let mut pause = PAUSE;
        let mut closed = false;
        loop {
            let asked_to_close = async {
                // Whoever could ask is gone: the same.
                let _ = closing.wait_for(|closing| *closing).await;
            };
            tokio::select! {
                () = asked_to_close, if !closed => {
                    closed = true;
                    self.assignment.close();
                }
                Some(ended) = self.workers.join_next() => ended?,
                assigned = self.assignment.next() => match assigned {
                    Ok(Some(assigned)) => {
                        pause = PAUSE;
                        self.workers.spawn(self.starting.clone().work(assigned));
                    }
                    Ok(None) => break,
                    Err(error) => {
                        tracing::error!(%error, "a partition is not worked on");
                        self.starting.metrics.partitions_failed.inc();
                        tokio::time::sleep(pause).await;
                        pause = LONGEST_PAUSE.min(pause * 2);
                    }
                },
            }
        }
        while let Some(ended) = self.workers.join_next().await {
            ended?;
        }
        if closed { Ok(()) } else { Err(WorkerError::Closed) }
    }
}

impl Starting {
    /// Works on a partition from where the history ends.
    async fn work(self, assigned: Assigned) {
        let partition = assigned.partition();
        let mut pause = PAUSE;
        let position = loop {
            match self.history.position(partition).await {
                Ok(position) => break position,
                Err(error) => tracing::warn!(partition, %error, "the position is not read"),
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        };
        match assigned.start(position) {
            Ok(reader) => {
                tracing::info!(partition, position, "a partition is worked on");
                let worker = Worker::new(reader, self.history, self.delivery, self.metrics);
                match self.feed.and_then(|feed| feed.writer(partition, position)) {
                    Some(writer) => worker.followed_by(writer).run().await,
                    None => worker.run().await,
                }
            }
            Err(error) => {
                tracing::error!(partition, %error, "a partition is not worked on");
                self.metrics.partitions_failed.inc();
            }
        }
    }
}
