//! What every [`Feed`] does.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banter_model::{ConversationId, Seq};

use super::Random;
use super::history::{head, message, row};
use super::queue::conversation_in;
use crate::feed::{Fact, Feed, FeedError, FeedReader};
use crate::history::HistoryBatch;

/// Where the events come from that a feed is about.
#[async_trait]
pub trait Source: Send + Sync {
    /// The feed.
    fn feed(&self) -> &dyn Feed;

    /// How many partitions there are.
    fn partitions(&self) -> u32;

    /// Has a batch stored, as a worker does, and waits until the feed keeps its facts if anybody is to read them.
    async fn store(&self, batch: HistoryBatch);
}

/// Logs of conversations in all partitions, that grow.
pub struct Logs {
    random: Random,
    positions: Vec<u64>,
    /// With the seq of the last event.
    conversations: Vec<Vec<(ConversationId, Seq)>>,
}

impl Logs {
    /// Two or three empty ones in each partition.
    pub fn new(partitions: u32, seed: u64) -> Logs {
        let mut random = Random::new(seed);
        let mut some = |partition| {
            let count = 2 + random.below(2);
            (0..count).map(|_| (conversation_in(partition, partitions, &mut random), 0)).collect()
        };
        let conversations = (0..partitions).map(&mut some).collect();
        Logs { positions: vec![0; partitions as usize], conversations, random }
    }

    /// The next batch of some partition, of up to `most` events, or of none now and then.
    pub fn batch(&mut self, most: u64) -> HistoryBatch {
        let partition = self.random.below(self.positions.len() as u64) as usize;
        let (position, conversations) = (&mut self.positions[partition], &mut self.conversations[partition]);
        let mut batch = HistoryBatch { partition: partition as u32, ..HistoryBatch::default() };
        for _ in 0..self.random.below(most + 1) {
            // Some commands make no event.
            *position += 1 + self.random.below(2);
            let place = self.random.below(conversations.len() as u64) as usize;
            let (id, seq) = &mut conversations[place];
            *seq += 1;
            batch.events.push(row(*id, *position, message(*seq, "text")));
            batch.heads.push((*id, head(*seq)));
        }
        *position += 1;
        batch.position = *position;
        // As workers give them: in no order.
        for place in (1..batch.events.len()).rev() {
            batch.events.swap(place, self.random.below(place as u64 + 1) as usize);
        }
        batch
    }

    /// How many events there are.
    pub fn events(&self) -> u64 {
        self.conversations.iter().flatten().map(|(_, seq)| seq).sum()
    }

    /// Where each log ends.
    pub fn ends(&self) -> HashMap<ConversationId, Seq> {
        self.conversations.iter().flatten().copied().filter(|(_, seq)| *seq > 0).collect()
    }
}

/// What a reader has dealt with: the greatest seq of each conversation.
#[derive(Debug, Default)]
pub struct Dealt {
    /// By conversation.
    pub with: HashMap<ConversationId, Seq>,
    /// How many were new.
    pub new: u64,
    /// How many were not.
    pub again: u64,
}

impl Dealt {
    /// Deals with facts. Of each conversation they are to begin with its first event or after what was dealt with, and to leave nothing out.
    pub fn deal(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            let last = self.with.entry(fact.conversation).or_default();
            if fact.seq <= *last {
                self.again += 1;
                continue;
            }
            assert_eq!(fact, Fact::of(fact.conversation, &message(*last + 1, "text")), "after {last} of {}", fact.conversation);
            *last = fact.seq;
            self.new += 1;
        }
    }
}

/// Runs all of them against the feed of `source`, with readers of their own.
pub async fn all(source: Arc<dyn Source>, seed: u64) {
    eprintln!("feed behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    names_are_checked(&*source).await;
    each_reads_at_its_own_pace(Arc::clone(&source), &mut random).await;
    what_is_confirmed_does_not_come_again(&*source, &mut random).await;
    a_reader_waits(&*source, &mut random).await;
    who_is_unregistered_begins_anew(&*source, &mut random).await;
}

/// A name of its own.
fn name(what: &str, random: &mut Random) -> String {
    format!("{what}-{:x}", random.bits())
}

/// What comes within `wait`, if something does.
async fn within(wait: Duration, reader: &mut Box<dyn FeedReader>) -> Option<Vec<Fact>> {
    tokio::time::timeout(wait, reader.next(1_000)).await.ok().map(|facts| facts.unwrap().unwrap())
}

async fn names_are_checked(source: &dyn Source) {
    for name in ["", "No", "a/b"] {
        assert!(matches!(source.feed().register(name).await, Err(FeedError::Name(_))));
        assert!(matches!(source.feed().reader(name).await.err(), Some(FeedError::Name(_))));
    }
}

/// Two names get everything, each at its own pace, while it is written; one of them is opened anew all the time, mostly without having
/// confirmed.
async fn each_reads_at_its_own_pace(source: Arc<dyn Source>, random: &mut Random) {
    let (steady, restless) = (name("steady", random), name("restless", random));
    source.feed().register(&steady).await.unwrap();
    source.feed().register(&restless).await.unwrap();
    source.feed().register(&steady).await.unwrap();
    let mut logs = Logs::new(source.partitions(), random.bits());
    let batches: Vec<HistoryBatch> = (0..120).map(|_| logs.batch(30)).collect();
    let (events, ends) = (logs.events(), logs.ends());
    let mut tasks = tokio::task::JoinSet::new();
    for (name, most_between, seed) in [(steady.clone(), u64::MAX, random.bits()), (restless.clone(), 600, random.bits())] {
        let (source, ends) = (Arc::clone(&source), ends.clone());
        tasks.spawn(async move {
            let mut random = Random::new(seed);
            let mut dealt = Dealt::default();
            while dealt.new < events {
                let mut reader = source.feed().reader(&name).await.unwrap();
                let mut left = most_between;
                while left > 0 && dealt.new < events {
                    let limit = 1 + random.below(50) as usize;
                    let facts = reader.next(limit).await.unwrap().unwrap();
                    assert!((1..=limit).contains(&facts.len()), "{} facts, at most {limit} were asked for", facts.len());
                    left = left.saturating_sub(facts.len() as u64);
                    dealt.deal(facts);
                    // So often that it gets on.
                    if random.below(4) == 0 {
                        reader.confirm().await.unwrap();
                    }
                }
            }
            assert_eq!((dealt.new, dealt.with), (events, ends), "{name}");
            dealt.again
        });
    }
    for batch in batches {
        source.store(batch).await;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    source.feed().unregister(&steady).await.unwrap();
    source.feed().unregister(&restless).await.unwrap();
}

async fn what_is_confirmed_does_not_come_again(source: &dyn Source, random: &mut Random) {
    let name = name("confirms", random);
    source.feed().register(&name).await.unwrap();
    let mut logs = Logs::new(source.partitions(), random.bits());
    let mut dealt = Dealt::default();
    for confirmed in [false, true, false, true] {
        for _ in 0..10 {
            source.store(logs.batch(5)).await;
        }
        let before = dealt.new;
        let mut reader = source.feed().reader(&name).await.unwrap();
        while dealt.new < logs.events() {
            dealt.deal(reader.next(7).await.unwrap().unwrap());
        }
        if confirmed {
            reader.confirm().await.unwrap();
        } else {
            // All of it comes again.
            drop(reader);
            let mut again = source.feed().reader(&name).await.unwrap();
            dealt.again = 0;
            while dealt.again < dealt.new - before {
                dealt.deal(again.next(7).await.unwrap().unwrap());
            }
        }
        dealt.again = 0;
    }
    let id = conversation_in(0, source.partitions(), random);
    for seq in 1.. {
        let position = (1 << 40) + seq;
        let heads = vec![(id, head(seq))];
        let events = vec![row(id, position, message(seq, "text"))];
        source.store(HistoryBatch { events, heads, position, ..HistoryBatch::default() }).await;
        let mut reader = source.feed().reader(&name).await.unwrap();
        let (expected, mut before) = (Fact::of(id, &message(seq, "text")), 0);
        loop {
            let facts = reader.next(1_000).await.unwrap().unwrap();
            before += facts.iter().filter(|fact| **fact != expected).count();
            if facts.contains(&expected) {
                break;
            }
        }
        reader.confirm().await.unwrap();
        if before == 0 {
            break;
        }
        // Nothing is kept while readers come and go among each other; that is soon over.
        assert!(seq < 10, "what was confirmed comes again and again");
    }
    source.feed().unregister(&name).await.unwrap();
}

async fn a_reader_waits(source: &dyn Source, random: &mut Random) {
    let name = name("waits", random);
    source.feed().register(&name).await.unwrap();
    let mut reader = source.feed().reader(&name).await.unwrap();
    let mut logs = Logs::new(source.partitions(), random.bits());
    let mut dealt = Dealt::default();
    for _ in 0..5 {
        // Given up and asked again.
        assert_eq!(within(Duration::from_millis(20), &mut reader).await, None);
        let before = logs.events();
        while logs.events() == before {
            source.store(logs.batch(3)).await;
        }
        while dealt.new < logs.events() {
            dealt.deal(reader.next(2).await.unwrap().unwrap());
        }
    }
    drop(reader);
    source.feed().unregister(&name).await.unwrap();
}

async fn who_is_unregistered_begins_anew(source: &dyn Source, random: &mut Random) {
    let name = name("gone", random);
    assert!(matches!(source.feed().reader(&name).await.err(), Some(FeedError::Unregistered(_))));
    source.feed().unregister(&name).await.unwrap();
    source.feed().register(&name).await.unwrap();
    let mut logs = Logs::new(source.partitions(), random.bits());
    while logs.events() == 0 {
        source.store(logs.batch(3)).await;
    }
    source.feed().unregister(&name).await.unwrap();
    assert!(matches!(source.feed().reader(&name).await.err(), Some(FeedError::Unregistered(_))));
    source.feed().register(&name).await.unwrap();
    let mut logs = Logs::new(source.partitions(), random.bits());
    while logs.events() == 0 {
        source.store(logs.batch(3)).await;
    }
    let mut reader = source.feed().reader(&name).await.unwrap();
    let mut dealt = Dealt::default();
    while dealt.new < logs.events() {
        dealt.deal(reader.next(10).await.unwrap().unwrap());
    }
    assert_eq!(dealt.with, logs.ends(), "nothing of before");
    drop(reader);
    source.feed().unregister(&name).await.unwrap();
}
