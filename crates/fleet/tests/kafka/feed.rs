//! The feed in a topic.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use async_trait::async_trait;
use banter_fleet::kafka::{KafkaConfig, KafkaFeed, KafkaFeedConfig};
use banter_store::HistoryBatch;
use banter_store::behaviour::feed::{self, Dealt, Logs, Source};
use banter_store::feed::{Fact, Feed, FeedError, FeedWriter};
use tokio::sync::Mutex;

use super::{Topic, in_time, topic};

/// Workers without a history: they write the facts alone.
struct Workers {
    feed: KafkaFeed,
    partitions: u32,
    writers: Mutex<HashMap<u32, Box<dyn FeedWriter>>>,
}

impl Topic {
    /// The feed in this topic, of workers that reach it, or wait for [`Topic::flow`].
    fn workers(&self, unkept: usize) -> Workers {
        let config = KafkaConfig { brokers: vec![self.broker.clone()], ..self.config.clone() };
        Workers { feed: self.feed_of(&config, unkept), partitions: config.partitions, writers: Mutex::default() }
    }

    /// The feed in this topic, for readers.
    fn feed(&self) -> KafkaFeed {
        self.feed_of(&self.config, 1_000)
    }

    fn feed_of(&self, config: &KafkaConfig, unkept: usize) -> KafkaFeed {
        let groups = format!("{}-", self.config.topic);
        KafkaFeed::open(config, &KafkaFeedConfig { topic: self.config.topic.clone(), groups, unkept }).unwrap()
    }
}

/// What a worker appends of a batch.
fn facts(batch: &HistoryBatch) -> Vec<Fact> {
    let mut rows: Vec<_> = batch.events.iter().collect();
    rows.sort_by_key(|row| row.position);
    rows.into_iter().map(|row| Fact::of(row.conversation, &row.event)).collect()
}

#[async_trait]
impl Source for Workers {
    fn feed(&self) -> &dyn Feed {
        &self.feed
    }

    fn partitions(&self) -> u32 {
        self.partitions
    }

    async fn store(&self, batch: HistoryBatch) {
        let mut writers = self.writers.lock().await;
        let writer = writers.entry(batch.partition).or_insert_with(|| self.feed.writer(batch.partition, 0).unwrap());
        // Each part of the behaviour begins its logs anew, with positions of before.
        let position = batch.position.max(writer.kept_up_to() + 1);
        assert!(writer.try_append(position, &facts(&batch)), "nothing waits");
        writer.kept_beyond(position - 1).await;
        assert_eq!(writer.kept_up_to(), position);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn feed_behaves() {
    for partitions in [1, 6] {
        let Some(topic) = topic("feed", partitions, false).await else { return };
        in_time(feed::all(Arc::new(topic.workers(1_000)), topic.seed)).await;
        topic.gone().await;
    }
}

/// Two of a name share the partitions; what one has not confirmed when it goes comes to the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_of_a_name_share_the_work() {
    let Some(topic) = topic("share", 6, false).await else { return };
    in_time(async {
        let workers = topic.workers(1_000);
        workers.feed.register("reader").await.unwrap();
        workers.feed.register("reader").await.unwrap();
        let mut logs = Logs::new(6, topic.seed);
        let mut readers = [workers.feed.reader("reader").await.unwrap(), workers.feed.reader("reader").await.unwrap()];
        let mut dealt = [Dealt::default(), Dealt::default()];
        // Until both have something to do: one may have come in before the other.
        while dealt.iter().any(|dealt| dealt.new < 20) {
            workers.store(logs.batch(5)).await;
            for (reader, dealt) in readers.iter_mut().zip(&mut dealt) {
                while let Ok(facts) = tokio::time::timeout(Duration::from_millis(20), reader.next(10)).await {
                    // A partition that moves goes on where it is confirmed, in another one's hands.
                    for fact in facts.unwrap().unwrap() {
                        let last = dealt.with.entry(fact.conversation).or_default();
                        dealt.new += u64::from(fact.seq > *last);
                        *last = fact.seq.max(*last);
                    }
                    reader.confirm().await.unwrap();
                }
            }
        }
        let [first, mut second] = readers;
        let done = |id| dealt.iter().filter_map(|dealt| dealt.with.get(id)).copied().max();
        let mut all = Dealt { with: logs.ends().keys().map(|id| (*id, done(id).unwrap_or(0))).collect(), ..Dealt::default() };
        drop(first);
        for _ in 0..20 {
            workers.store(logs.batch(5)).await;
        }
        while all.with != logs.ends() {
            all.deal(second.next(10).await.unwrap().unwrap());
        }
    })
    .await;
    topic.gone().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_falls_behind_the_retention_is_told() {
    let Some(topic) = topic("lost", 1, false).await else { return };
    in_time(async {
        let workers = topic.workers(1_000);
        workers.feed.register("slow").await.unwrap();
        let mut logs = Logs::new(1, topic.seed);
        let mut records = 0;
        while records < 8 {
            let batch = logs.batch(3);
            records += u32::from(!batch.events.is_empty());
            workers.store(batch).await;
        }
        topic.delete_before(0, 5).await;
        let mut reader = workers.feed.reader("slow").await.unwrap();
        match reader.next(10).await {
            Err(FeedError::Lost { facts, .. }) => assert_eq!(facts, 5, "a record has a fact at least"),
            other => panic!("{other:?}"),
        }
        let mut got = HashMap::new();
        while got.iter().any(|(id, seq)| logs.ends()[id] != *seq) || got.is_empty() {
            for fact in reader.next(10).await.unwrap().unwrap() {
                got.insert(fact.conversation, fact.seq);
            }
        }
        reader.confirm().await.unwrap();
    })
    .await;
    topic.gone().await;
}

/// What the topic does not take waits, bounded, and says that it is not kept; a successor of a worker that died with it writes it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_while_the_topic_takes_nothing() {
    let Some(topic) = topic("outage", 1, true).await else { return };
    in_time(async {
        let reading = topic.feed();
        reading.register("reader").await.unwrap();
        let workers = topic.workers(100);
        let mut first = workers.feed.writer(0, 7).unwrap();
        let mut second = workers.feed.writer(0, 7).unwrap();
        let mut logs = Logs::new(1, topic.seed);
        let mut batches = Vec::new();
        let refused = loop {
            let mut batch = logs.batch(10);
            batch.position += 7;
            if !first.try_append(batch.position, &facts(&batch)) {
                break batch;
            }
            batches.push(batch);
        };
        let taken: usize = batches.iter().map(|batch| batch.events.len()).sum();
        assert!((100..110).contains(&taken), "{taken} were taken");
        assert_eq!(first.kept_up_to(), 7);
        let waiting = tokio::time::timeout(Duration::from_millis(200), first.kept_beyond(7)).await;
        assert!(waiting.is_err() && first.kept_up_to() == 7, "nothing is kept");
        // It may have sent some, and what it sent may come when its successor has written it.
        drop(first);
        for batch in &batches {
            assert!(second.try_append(batch.position, &facts(batch)));
        }
        topic.flow().await;
        let last = batches.last().unwrap().position;
        second.kept_beyond(last - 1).await;
        assert!(second.try_append(refused.position, &facts(&refused)));
        second.kept_beyond(refused.position - 1).await;
        assert_eq!(second.kept_up_to(), refused.position);
        assert_eq!(workers.feed.facts_written(), (taken + refused.events.len()) as u64, "those that one writer has written");
        let records = workers.feed.counters().records.load(Relaxed);
        assert!(records >= 2 && records < workers.feed.facts_written(), "{records} records");
        let mut reader = reading.reader("reader").await.unwrap();
        let mut dealt = Dealt::default();
        while dealt.new < logs.events() {
            dealt.deal(reader.next(50).await.unwrap().unwrap());
        }
        assert_eq!(dealt.with, logs.ends());
    })
    .await;
    topic.gone().await;
}
