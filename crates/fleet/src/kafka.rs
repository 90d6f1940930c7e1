//! The command queue in a Kafka topic, its readers as members of a consumer group, and the feed in another topic.
//!
//! **Writing** ([`KafkaQueue`]): one idempotent producer for each gateway, acknowledged by all replicas that are in sync, each
//! command in the Kafka partition that has the number of its conversation's partition. What a producer takes reaches the topic in its order.
//!
//! **Reading** ([`KafkaReaders`]): Kafka says which member of the group owns which partition; where a reader begins is said by the
//! history alone, and no offset is ever committed. So what was stored and where to go on are one fact, in one place.
//!
//! **What was applied** goes on, as facts, in a topic of its own ([`KafkaFeed`]).
//!
//! **Positions** are Kafka's offsets in the topic's epoch (`banter_model::position`). Settings and what they cost: `docs/operations/kafka.md`; why so:
//! `docs/decisions/0015-kafka.md`.

mod config;
mod counters;
mod feed;
mod feed_reader;
mod feed_writer;
mod membership;
mod queue;
mod reader;
mod readers;
mod topic;

pub use config::{KafkaConfig, KafkaSasl, KafkaSecurity, KafkaTls, SaslMechanism, TopicEpoch};
pub use counters::KafkaCounters;
pub use feed::{KafkaFeed, KafkaFeedConfig};
pub use queue::{KafkaQueue, QueueFigures, Unsent};
pub use readers::KafkaReaders;
pub use topic::{KafkaError, TopicFinding, TopicPlan, create_topic, examine_topic, last_positions};
