//! What the engines of a fleet were asked by this node: how many round trips a message costs each of them is counted, not guessed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use banter_fleet::cassandra::CassandraCounters;
use banter_fleet::kafka::{KafkaCounters, KafkaFeed};
use banter_fleet::sessions::RedisCounters;
use banter_store::directory::sql::DirectoryCounters;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

/// Reads the counters of each engine that the node uses.
pub(super) struct EngineCollector {
    pub history: Arc<CassandraCounters>,
    pub queue: Arc<KafkaCounters>,
    /// Of a node that reads the queue.
    pub readers: Option<Arc<KafkaCounters>>,
    /// Of a node that writes the feed.
    pub feed: Option<Arc<KafkaFeed>>,
    pub sessions: Arc<RedisCounters>,
    pub directory: Arc<DirectoryCounters>,
}

impl fmt::Debug for EngineCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EngineCollector")
    }
}

/// A counter with its kinds, where it has some: name, help, and the value of each.
type Counted = (&'static str, &'static str, Vec<(&'static str, u64)>);

impl EngineCollector {
    fn history(&self) -> [Counted; 6] {
        let history = &self.history;
        let kinds = |read, written| vec![("read", now(read)), ("write", now(written))];
        [
            ("history_requests", "Requests to Cassandra", kinds(&history.read_requests, &history.write_requests)),
            ("history_rows", "Rows that they brought or wrote", kinds(&history.rows_read, &history.rows_written)),
            ("history_failed_requests", "Requests to Cassandra that failed", one(&history.failed_requests)),
            ("history_batches", "Batches stored", one(&history.batches)),
            ("history_steps", "Steps of those batches, one after the other", one(&history.steps)),
            ("history_events", "Event rows in those batches", one(&history.events)),
        ]
    }

    fn queue(&self) -> [Counted; 2] {
        let mut records = vec![("written", now(&self.queue.records))];
        let mut requests = vec![("produce", now(&self.queue.produce_requests)), ("other", now(&self.queue.other_requests))];
        if let Some(readers) = &self.readers {
            records.push(("read", now(&readers.records)));
            requests.push(("fetch", now(&readers.fetch_requests)));
            requests.push(("group", now(&readers.other_requests)));
        }
        [
            ("queue_records", "Commands that Kafka acknowledged, or that were read", records),
            ("queue_requests", "Requests to Kafka: for writing commands, for reading them, and what goes with each", requests),
        ]
    }

    fn feed(&self) -> Vec<Counted> {
        let Some(feed) = &self.feed else { return Vec::new() };
        let counters = feed.counters();
        vec![
            ("feed_facts", "Facts that Kafka acknowledged", vec![("", feed.facts_written())]),
            ("feed_records", "Records that they went in", one(&counters.records)),
            ("feed_requests", "Requests to Kafka that write facts", one(&counters.produce_requests)),
        ]
    }

    fn others(&self) -> [Counted; 6] {
        let (sessions, directory) = (&self.sessions, &self.directory);
        [
            ("sessions_requests", "Round trips to Redis", one(&sessions.requests)),
            ("sessions_commands", "Commands in them", one(&sessions.commands)),
            ("sessions_failed_requests", "Round trips to Redis without an answer", one(&sessions.failed_requests)),
            ("directory_queries", "Statements executed by PostgreSQL", one(&directory.statements)),
            ("directory_transactions", "Transactions of PostgreSQL", one(&directory.transactions)),
            ("directory_pings", "Connections to PostgreSQL that were asked whether they stand", one(&directory.pings)),
        ]
    }
}

fn now(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A counter without kinds.
fn one(counter: &AtomicU64) -> Vec<(&'static str, u64)> {
    vec![("", now(counter))]
}

impl Collector for EngineCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counted = self.history().into_iter().chain(self.queue()).chain(self.feed()).chain(self.others());
        for (name, help, values) in counted {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for (kind, value) in values {
                match kind {
                    "" => metric.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                    kind => metric.encode_family(&[("kind", kind)])?.encode_counter::<NoLabelSet, _, u64>(&value, None)?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn every_engine_is_in_the_text() {
        let collector = EngineCollector {
            history: Arc::default(),
            queue: Arc::default(),
            readers: Some(Arc::default()),
            feed: None,
            sessions: Arc::default(),
            directory: Arc::default(),
        };
        let count = |counter: &AtomicU64, value| counter.store(value, Ordering::Relaxed);
        count(&collector.history.read_requests, 1);
        count(&collector.history.write_requests, 2);
        count(&collector.queue.records, 3);
        count(&collector.queue.produce_requests, 4);
        count(&collector.readers.as_ref().unwrap().fetch_requests, 5);
        count(&collector.sessions.requests, 6);
        count(&collector.directory.statements, 7);
        let text = Metrics::with(Some(Box::new(collector))).render();
        for line in [
            "banter_history_requests_total{kind=\"read\"} 1",
            "banter_history_requests_total{kind=\"write\"} 2",
            "banter_queue_records_total{kind=\"written\"} 3",
            "banter_queue_requests_total{kind=\"produce\"} 4",
            "banter_queue_requests_total{kind=\"fetch\"} 5",
            "banter_sessions_requests_total 6",
            "banter_directory_queries_total 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
