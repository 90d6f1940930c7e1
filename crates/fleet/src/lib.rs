//! The traits of `banter-store` over engines that many hosts share: Cassandra, Kafka, Redis and ZooKeeper.

pub mod cassandra;
pub mod kafka;
pub mod sessions;
pub mod tls;
pub mod zookeeper;
