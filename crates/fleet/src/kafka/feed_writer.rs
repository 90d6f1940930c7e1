//! Writing the facts of one partition.
//!
//! One record is on its way at a time, with all facts that came up since the one before, and it is sent again until it is
//! acknowledged. So the order in the topic is the order in which they were appended, whatever fails, without any help of Kafka's. A record of
//! a worker that lost its partition may still arrive: its successor has written, or writes, the same facts and those before them, so what
//! is new of any conversation still comes in order.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::encoding::Stored;
use banter_store::feed::{Fact, Facts, FeedWriter};
use parking_lot::Mutex;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::counters::{Counting, KafkaCounters};

/// Most facts in one record: about 150 KB.
const RECORD_FACTS: usize = 4_096;
/// Pause after a record that failed; doubled with each that follows it.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest such pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The writing end of one partition.
pub(super) struct KafkaFeedWriter {
    outbox: Arc<Outbox>,
    kept: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

/// Where facts are written to, and counted.
pub(super) struct Written {
    pub producer: FutureProducer<Counting>,
    pub topic: String,
    pub partition: u32,
    pub counters: Arc<KafkaCounters>,
    pub facts: Arc<AtomicU64>,
}

struct Outbox {
    /// Most facts that wait, but for the last that were appended.
    most: usize,
    waiting: Mutex<Waiting>,
    appended: Notify,
}

#[derive(Default)]
struct Waiting {
    facts: VecDeque<Fact>,
    /// Facts that are on their way.
    sent: usize,
    /// Up to here everything was appended.
    position: u64,
}

impl KafkaFeedWriter {
    /// Starts the task that writes the partition of `written`, of which everything up to `position` is in the topic.
    pub fn start(written: Written, position: u64, most: usize) -> KafkaFeedWriter {
        let waiting = Mutex::new(Waiting { position, ..Waiting::default() });
        let outbox = Arc::new(Outbox { most: most.max(1), waiting, appended: Notify::new() });
        let (done, kept) = watch::channel(position);
        let task = tokio::spawn(write(written, Arc::clone(&outbox), done));
        KafkaFeedWriter { outbox, kept, task }
    }
}

impl Outbox {
    /// What is to be sent next, and the position up to which that is everything; waits for it. `None` instead of a position when more is to come for
    /// it.
    async fn next(&self, kept: u64) -> (Vec<Fact>, Option<u64>) {
        loop {
            {
                let mut waiting = self.waiting.lock();
                if !waiting.facts.is_empty() || waiting.position > kept {
                    let count = waiting.facts.len().min(RECORD_FACTS);
                    let facts: Vec<Fact> = waiting.facts.drain(..count).collect();
                    waiting.sent = facts.len();
                    return (facts, waiting.facts.is_empty().then_some(waiting.position));
                }
            }
            // It keeps a notice that comes while nobody waits.
            self.appended.notified().await;
        }
    }
}

/// Writes what is appended, for as long as the writer is there.
async fn write(written: Written, outbox: Arc<Outbox>, done: watch::Sender<u64>) {
    loop {
        let kept = *done.borrow();
        let (facts, position) = outbox.next(kept).await;
        if !facts.is_empty() {
            let count = facts.len() as u64;
            written.send(&Facts(facts).encode()).await;
            KafkaCounters::add(&written.counters.records, 1);
            KafkaCounters::add(&written.facts, count);
        }
        outbox.waiting.lock().sent = 0;
        if let Some(position) = position {
            done.send_replace(position);
        }
    }
}

impl Written {
    /// Sends a record until it is acknowledged.
    async fn send(&self, payload: &[u8]) {
        let mut pause = FIRST_PAUSE;
        loop {
            // There are fewer than 2^31 partitions.
            let record = FutureRecord::<(), [u8]>::to(&self.topic).partition(self.partition as i32).payload(payload);
            match self.producer.send(record, Timeout::Never).await {
                Ok(_) => return,
                Err((error, _)) => {
                    tracing::warn!(partition = self.partition, %error, "facts are not in the feed yet; trying again");
                }
            }
            tokio::time::sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }
}

#[async_trait]
impl FeedWriter for KafkaFeedWriter {
    fn try_append(&mut self, position: u64, facts: &[Fact]) -> bool {
        let mut waiting = self.outbox.waiting.lock();
        if waiting.facts.len() + waiting.sent >= self.outbox.most {
            return false;
        }
        waiting.facts.extend(facts);
        waiting.position = waiting.position.max(position);
        drop(waiting);
        self.outbox.appended.notify_one();
        true
    }

    fn kept_up_to(&self) -> u64 {
        *self.kept.borrow()
    }

    async fn kept_beyond(&mut self, position: u64) {
        if self.kept.wait_for(|kept| *kept > position).await.is_err() {
            // The task ends with the runtime, and then nothing is kept any more.
            std::future::pending::<()>().await;
        }
    }

    async fn settle(&mut self, wait: Duration) {
        let position = self.outbox.waiting.lock().position;
        // Either way it says how far it got.
        let _ = tokio::time::timeout(wait, self.kept.wait_for(|kept| *kept >= position)).await;
    }
}

impl Drop for KafkaFeedWriter {
    fn drop(&mut self) {
        self.task.abort();
    }
}
