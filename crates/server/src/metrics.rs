//! Counters, in the text format of OpenMetrics.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use banter_store::embedded::history::EmbeddedHistory;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The label of [`Metrics::refused`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: String,
}

/// The label of [`Metrics::closed`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseCode {
    code: u16,
}

/// Every counter of this process. Each can be counted up from any thread without a lock.
pub struct Metrics {
    registry: Registry,
    /// Sessions now.
    pub sessions: Gauge,
    /// HTTP connections now that are not (yet) sessions.
    pub connections: Gauge,
    /// HTTP connections that ended with a malformed head, or idle or unfinished for too long.
    pub broken_connections: Counter,
    /// Frames taken from devices.
    pub frames_taken: Counter,
    /// Frames that waited because their session sent too many.
    pub frames_slowed: Counter,
    /// Frames encoded for devices: one for each message, however many receive it.
    pub frames_encoded: Counter,
    /// Frames put into outboxes.
    pub frames_queued: Counter,
    /// Frames not put into an outbox because its session resyncs or ends.
    pub frames_dropped: Counter,
    /// Outboxes that were full and became a `resync`.
    pub outboxes_overflowed: Counter,
    /// Read calls on WebSockets that brought bytes.
    pub socket_reads: Counter,
    /// Write calls on WebSockets: fewer than frames when several go at once.
    pub socket_writes: Counter,
    /// Commands folded.
    pub commands: Counter,
    /// Events stored.
    pub events: Counter,
    /// Batches of commands folded.
    pub rounds: Counter,
    /// Batches that were tried again, because the history could not be read or written, or another worker was ahead.
    pub rounds_repeated: Counter,
    /// Commands of each batch.
    pub commands_per_round: Histogram,
    /// Commands that had been applied before.
    pub duplicates: Counter,
    /// Partitions that could not be read, or no longer.
    pub partitions_failed: Counter,
    /// Parcels sent to other nodes.
    pub parcels_sent: Counter,
    /// Queues to other nodes that were full.
    pub links_overflowed: Counter,
    /// Streams to other nodes that broke, or did not come about.
    pub links_broken: Counter,
    refused: Family<Code, Counter>,
    closed: Family<CloseCode, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        Metrics::new(Registry::with_prefix("banter"))
    }
}

impl Metrics {
    /// Counters of a process, and what its engines count by themselves.
    pub fn with(collector: Option<Box<dyn Collector>>) -> Self {
        let mut registry = Registry::with_prefix("banter");
        if let Some(collector) = collector {
            registry.register_collector(collector);
        }
        Metrics::new(registry)
    }

    fn new(mut registry: Registry) -> Self {
        let sessions = Gauge::default();
        registry.register("sessions", "Sessions now", sessions.clone());
        let connections = Gauge::default();
        registry.register("connections", "HTTP connections now that are not sessions", connections.clone());
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let broken_connections = counter(
            "broken_connections",
            "HTTP connections that ended with a malformed head, or idle or unfinished for too long",
        );
        let frames_taken = counter("frames_taken", "Frames taken from devices");
        let frames_slowed = counter("frames_slowed", "Frames that waited because their session sent too many");
        let frames_encoded = counter("frames_encoded", "Frames encoded for devices");
        let frames_queued = counter("frames_queued", "Frames put into outboxes");
        let frames_dropped = counter("frames_dropped", "Frames for sessions that resync or end anyway");
        let outboxes_overflowed = counter("outboxes_overflowed", "Outboxes that were full and became a resync");
        let socket_reads = counter("socket_reads", "Read calls on WebSockets that brought bytes");
        let socket_writes = counter("socket_writes", "Write calls on WebSockets");
        let commands = counter("commands", "Commands folded");
        let events = counter("events", "Events stored");
        let rounds = counter("rounds", "Batches of commands folded");
        let rounds_repeated = counter("rounds_repeated", "Batches of commands that were tried again");
        let duplicates = counter("duplicates", "Commands that had been applied before");
        let partitions_failed = counter("partitions_failed", "Partitions that could not be read, or no longer");
        let parcels_sent = counter("parcels_sent", "Parcels sent to other nodes");
        let links_overflowed = counter("links_overflowed", "Queues to other nodes that were full");
        let links_broken = counter("links_broken", "Streams to other nodes that broke or did not come about");
        // Powers of two: up to the most commands of a round.
        let commands_per_round = Histogram::new(exponential_buckets(1.0, 2.0, 11));
        registry.register("commands_per_round", "Commands of each batch", commands_per_round.clone());
        let refused = Family::default();
        registry.register("refused", "Requests and frames refused, by error code", refused.clone());
        let closed = Family::default();
        registry.register("closed", "Sessions ended by the server, by close code", closed.clone());
        Metrics {
            registry,
            sessions,
            connections,
            broken_connections,
            frames_taken,
            frames_slowed,
            frames_encoded,
            frames_queued,
            frames_dropped,
            outboxes_overflowed,
            socket_reads,
            socket_writes,
            commands,
            events,
            rounds,
            rounds_repeated,
            commands_per_round,
            duplicates,
            partitions_failed,
            parcels_sent,
            links_overflowed,
            links_broken,
            refused,
            closed,
        }
    }

    /// Counts a refused request or frame by its code.
    pub fn refused(&self, code: &str) {
        self.refused.get_or_create(&Code { code: code.to_owned() }).inc();
    }

    /// Counts a session that the server ended.
    pub fn closed(&self, code: u16) {
        self.closed.get_or_create(&CloseCode { code }).inc();
    }

    /// All counters as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

/// Reads what the embedded history counts by itself.
pub struct HistoryCollector(pub Arc<EmbeddedHistory>);

impl fmt::Debug for HistoryCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistoryCollector")
    }
}

impl Collector for HistoryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counters = self.0.counters();
        for (name, help, counter) in [
            ("history_batches", "Batches stored", &counters.batches),
            ("history_writes", "Writes of the history; each takes every batch that waits", &counters.writes),
            ("history_syncs", "Syncs of the history's journal", &counters.syncs),
            ("history_bytes", "Bytes of the rows stored", &counters.bytes),
            ("history_write_microseconds", "Time spent in writes, syncs included", &counters.write_microseconds),
            ("history_refused", "Batches and advances refused: disk full, or failed", &counters.refused),
        ] {
            let value = ConstCounter::new(counter.load(Ordering::Relaxed));
            value.encode(encoder.encode_descriptor(name, help, None, MetricType::Counter)?)?;
        }
        let sizes = counters.sync_sizes();
        let (events, syncs) = (counters.synced_events.load(Ordering::Relaxed), sizes.iter().map(|size| size.1).sum());
        encoder
            .encode_descriptor("history_events_per_sync", "Event rows of each sync", None, MetricType::Histogram)?
            .encode_histogram::<NoLabelSet>(events as f64, syncs, &sizes, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_in_the_text() {
        let metrics = Metrics::default();
        metrics.refused("rate_limited");
        metrics.closed(4001);
        metrics.commands.inc();
        let text = metrics.render();
        for line in
            ["banter_refused_total{code=\"rate_limited\"} 1", "banter_closed_total{code=\"4001\"} 1", "banter_commands_total 1"]
        {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
