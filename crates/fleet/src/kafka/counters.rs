//! What was asked of Kafka, for a metrics page.
//!
//! Records are counted here, where they are acknowledged or handed out. Requests are counted by Kafka's client, which alone knows how many
//! records went with one: it reports its figures every [`KafkaConfig::figures_every`], so they lag by that much.
//!
//! [`KafkaConfig::figures_every`]: super::KafkaConfig::figures_every

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::error::KafkaError;
use serde::Deserialize;

/// Counters of one client since it was opened. They only grow; read them with [`Ordering::Relaxed`]. A request is one round trip to a
/// broker.
#[derive(Debug, Default)]
pub struct KafkaCounters {
    /// Records that all replicas in sync have acknowledged, of one that writes; records handed out, of one that reads.
    pub records: AtomicU64,
    /// Requests that wrote records, each with the batches of one broker's partitions.
    pub produce_requests: AtomicU64,
    /// Requests for records. One that finds none is held by the broker for a while.
    pub fetch_requests: AtomicU64,
    /// All other requests: metadata, the group, connecting.
    pub other_requests: AtomicU64,
    /// Was no broker connected, in the last figures and those before them?
    away: AtomicBool,
}

impl KafkaCounters {
    /// Counts.
    pub(super) fn add(counter: &AtomicU64, count: u64) {
        counter.fetch_add(count, Ordering::Relaxed);
    }

    /// Does the client know of no broker that answers? Learned from its figures, so it is known late by up to twice the time between
    /// them, and asks nothing.
    pub fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }
}

/// Takes the figures of one client. Another client that takes its place has another of these, over the same counters.
pub(super) struct Reported {
    counters: Arc<KafkaCounters>,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    requests: Requests,
    /// Had it a connection?
    connected: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Requests {
    produce: u64,
    fetch: u64,
    other: u64,
}

/// The part of librdkafka's figures that is of use here; the rest, which grows with the partitions, is passed over.
#[derive(Deserialize)]
struct Figures {
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    #[serde(default)]
    state: String,
    #[serde(default)]
    req: HashMap<String, i64>,
}

impl Reported {
    pub fn new(counters: Arc<KafkaCounters>) -> Reported {
        // Taken for connected until two figures say that it is not.
        Reported { counters, last: Mutex::new(Last { connected: true, ..Last::default() }) }
    }

    /// Counts what is new in the client's figures, which count from when it was made.
    pub fn take(&self, figures: &[u8]) {
        let figures: Figures = match serde_json::from_slice(figures) {
            Ok(figures) => figures,
            Err(error) => return tracing::error!(%error, "figures of Kafka's client"),
        };
        let mut sent = Requests::default();
        for (kind, count) in figures.brokers.values().flat_map(|broker| &broker.req) {
            let count = u64::try_from(*count).unwrap_or(0);
            match kind.as_str() {
                "Produce" => sent.produce += count,
                "Fetch" => sent.fetch += count,
                _ => sent.other += count,
            }
        }
        let connected = figures.brokers.values().any(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE"));
        let mut last = self.last.lock();
        let last = &mut *last;
        // A broker that is no more takes its figures along: then nothing is counted until they are where they were.
        for (counter, now, before) in [
            (&self.counters.produce_requests, sent.produce, &mut last.requests.produce),
            (&self.counters.fetch_requests, sent.fetch, &mut last.requests.fetch),
            (&self.counters.other_requests, sent.other, &mut last.requests.other),
        ] {
            KafkaCounters::add(counter, now.saturating_sub(*before));
            *before = now.max(*before);
        }
        // Connections that nobody used are closed by the brokers, and made anew.
        self.counters.away.store(!connected && !last.connected, Ordering::Relaxed);
        last.connected = connected;
    }
}

/// The context of a producer of which nothing but the figures is wanted.
pub(super) struct Counting {
    reported: Reported,
    what: &'static str,
}

impl Counting {
    /// For the producer of `what`.
    pub fn new(counters: Arc<KafkaCounters>, what: &'static str) -> Counting {
        Counting { reported: Reported::new(counters), what }
    }
}

impl ClientContext for Counting {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the producer of {}", self.what);
    }

    fn stats_raw(&self, figures: &[u8]) {
        self.reported.take(figures);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(brokers: &[(&str, i64, i64, i64)]) -> Vec<u8> {
        let broker = |(index, (state, produce, fetch, metadata)): (usize, &(&str, i64, i64, i64))| {
            format!(
                r#""b{index}": {{"name": "b", "state": "{state}", "tx": 9, "req": {{"Produce": {produce}, "Fetch": {fetch}, "Metadata": {metadata}}}}}"#
            )
        };
        let brokers: Vec<String> = brokers.iter().enumerate().map(broker).collect();
        format!(r#"{{"name": "banter", "topics": {{"t": {{"partitions": {{}}}}}}, "brokers": {{{}}}}}"#, brokers.join(", "))
            .into()
    }

    fn seen(counters: &KafkaCounters) -> [u64; 3] {
        [&counters.produce_requests, &counters.fetch_requests, &counters.other_requests].map(|one| one.load(Ordering::Relaxed))
    }

    #[test]
    fn what_is_new_is_counted() {
        let counters = Arc::<KafkaCounters>::default();
        let client = Reported::new(counters.clone());
        client.take(&figures(&[("UP", 3, 0, 1), ("UP", 4, 5, 1)]));
        assert_eq!(seen(&counters), [7, 5, 2]);
        client.take(&figures(&[("UP", 5, 0, 1), ("UP", 4, 5, 2)]));
        assert_eq!(seen(&counters), [9, 5, 3]);
        // A broker went.
        client.take(&figures(&[("UP", 5, 0, 1)]));
        client.take(&figures(&[("UP", 10, 0, 1)]));
        assert_eq!(seen(&counters), [10, 5, 3]);
        // One that takes its place counts from nothing.
        Reported::new(counters.clone()).take(&figures(&[("UP", 2, 0, 0)]));
        assert_eq!(seen(&counters), [12, 5, 3]);
    }

    #[test]
    fn kafka_is_away_when_no_broker_is_connected_twice() {
        let counters = Arc::<KafkaCounters>::default();
        let client = Reported::new(counters.clone());
        let away = |states: &[&str]| {
            let brokers: Vec<_> = states.iter().map(|state| (*state, 0, 0, 0)).collect();
            client.take(&figures(&brokers));
            counters.is_away()
        };
        assert!(!away(&["DOWN", "TRY_CONNECT"]));
        assert!(away(&["DOWN", "INIT"]));
        assert!(!away(&["DOWN", "UP"]));
        assert!(!away(&["DOWN", "DOWN"]));
    }
}
