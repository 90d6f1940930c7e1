//! Two nodes of a fleet over the real engines, when `BANTER_TEST_POSTGRES`, `BANTER_TEST_CASSANDRA`, `BANTER_TEST_KAFKA`,
//! `BANTER_TEST_REDIS` and `BANTER_TEST_ZOOKEEPER` name them.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod fleet;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use banter_fleet::kafka::{KafkaConfig, KafkaFeed, KafkaFeedConfig};
use banter_store::Feed;
use banter_store::cluster::Role;
use fleet::Fleet;
use support::direct;
use support::socket::Socket;

/// Enough that some rounds have several.
const MESSAGES: u64 = 40;

/// What goes in by a gateway comes out of the feed once, in order; and what that cost each engine is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_in_the_feed_once() {
    let Some(fleet) = Fleet::new() else { return };
    let worker = fleet.start(&[Role::Worker]).await;
    let front = fleet.start(&[Role::Api, Role::Gateway, Role::Presence]).await;
    assert_eq!(fleet.call(&front, "/ready").await.json["ready"], true);
    let queue = fleet.config.queue.clone().unwrap();
    let kafka = KafkaConfig { topic: queue.topic.clone(), ..KafkaConfig::new(queue.brokers.clone(), queue.partitions) };
    let config = KafkaFeedConfig { topic: queue.events_topic.clone(), groups: format!("{}-", queue.group), ..Default::default() };
    let feed = KafkaFeed::open(&kafka, &config).unwrap();
    feed.register("reader").await.unwrap();

    let [ada, bob] = [fleet.person("ada").await, fleet.person("bob").await];
    fleet.acquaint(&ada, &bob).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open_at(front.address, &ada).await;
    let mut at_bob = Socket::open_at(front.address, &bob).await;
    let before = fleet.counters(&[&worker, &front]).await;
    for tag in 1..=MESSAGES {
        at_ada.say(tag, talk, &format!("number {tag}")).await;
    }
    // Known already: it is answered, and is no event.
    at_ada.say(MESSAGES, talk, &format!("number {MESSAGES}")).await;
    for seq in 1..=MESSAGES {
        assert_eq!(at_bob.expect("event").await["event"]["seq"], seq);
    }
    let mut reader = feed.reader("reader").await.unwrap();
    let mut seqs = Vec::new();
    while (seqs.len() as u64) < MESSAGES {
        let facts = support::soon("facts", reader.next(100)).await.unwrap().unwrap();
        seqs.extend(facts.iter().filter(|fact| fact.conversation == talk).map(|fact| fact.seq));
    }
    // Whoever works next has nothing to repeat.
    fleet.stop(worker).await;
    let worker = fleet.start(&[Role::Worker]).await;
    at_ada.say(MESSAGES + 1, talk, "and one more").await;
    let last = support::soon("the last fact", async {
        loop {
            let facts = reader.next(100).await.unwrap().unwrap();
            seqs.extend(facts.iter().map(|fact| fact.seq));
            if facts.iter().any(|fact| fact.seq == MESSAGES + 1) {
                break;
            }
        }
    });
    last.await;
    assert_eq!(seqs, (1..=MESSAGES + 1).collect::<Vec<_>>());
    drop((reader, feed));

    // The clients of Kafka say some seconds later how many requests they sent.
    let moved = support::soon("the requests to Kafka", async {
        loop {
            let after = fleet.counters(&[&worker, &front]).await;
            let moved = |name: &str| after.get(name).copied().unwrap_or(0);
            if moved("queue_requests_total{kind=\"produce\"}") > 0 && moved("feed_requests_total") > 0 {
                break after;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    });
    let moved = moved.await;
    eprintln!("{before:#?}\n{moved:#?}");
    let at_least = |name: &str, least: u64| {
        let found = moved.get(name).copied().unwrap_or(0);
        assert!(found >= least, "{name} is {found}, and at least {least} is wanted");
    };
    at_least("queue_records_total{kind=\"written\"}", MESSAGES + 2);
    at_least("queue_records_total{kind=\"read\"}", 1);
    at_least("queue_requests_total{kind=\"fetch\"}", 1);
    // Of the second worker: the conversation's head and events, and one event.
    at_least("history_requests_total{kind=\"read\"}", 1);
    at_least("history_requests_total{kind=\"write\"}", 2);
    at_least("history_events_total", 1);
    at_least("feed_facts_total", 1);
    at_least("feed_records_total", 1);
    at_least("sessions_requests_total", 2);
    at_least("directory_queries_total", 2);
    fleet.stop(front).await;
    fleet.stop(worker).await;
    fleet.gone().await;
}

/// Of all nodes together, by name without the prefix.
type Counters = BTreeMap<String, u64>;
