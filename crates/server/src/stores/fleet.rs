//! The engines of a fleet: PostgreSQL, Cassandra, Kafka, Redis and ZooKeeper.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use banter_fleet::cassandra::{CassandraHistory, CassandraOptions, ClientCertificate, ConnectError, Copies, Credentials, Tls};
use banter_fleet::kafka::{
    KafkaConfig, KafkaFeed, KafkaFeedConfig, KafkaQueue, KafkaReaders, KafkaSasl, KafkaSecurity, KafkaTls, SaslMechanism,
    TopicEpoch, TopicPlan, create_topic, examine_topic,
};
use banter_fleet::sessions::{RedisOptions, RedisSessions, RedisTls};
use banter_fleet::zookeeper::{ZooKeeperCredentials, ZooKeeperNode, ZooKeeperOptions, ZooKeeperTls};
use banter_store::cluster::{NodeProfile, Role};
use banter_store::directory::sql::SqlDirectory;
use banter_store::{Cluster, Feed, PartitionAssignment, StoreError};

use super::engine_metrics::EngineCollector;
use super::unqueued::Unqueued;
use super::{Closing, Stores};
use crate::config::{Config, ConfigError, Fleet, Queue};
use crate::serve::ServeError;

/// The longest that what was taken is waited for when the queue is closed.
const DRAINED_WITHIN: Duration = Duration::from_secs(10);
/// The longest that a node waits until another one has made the tables of the history.
const TABLES_WITHIN: Duration = Duration::from_secs(120);
/// How often it looks.
const TABLES_EVERY: Duration = Duration::from_secs(1);

/// What an engine said, as an error.
pub(crate) fn engine_failed(engine: &'static str) -> impl Fn(&dyn std::fmt::Display) -> ServeError {
    move |error| ServeError::Engine { engine, message: error.to_string() }
}

impl Stores {
    /// Connects to the engines of a fleet, and joins it as the node that `profile` describes. What is missing (tables, topics) is made.
    ///
    /// # Errors
    /// When an engine is not reached, or is not as it has to be.
    pub async fn fleet(config: &Config, fleet: &Fleet, profile: NodeProfile) -> Result<Stores, ServeError> {
        let key = config.secret.read()?;
        let directory = Arc::new(SqlDirectory::connect(&fleet.directory.url).await?);
        let works = profile.roles.has(Role::Worker);
        let kafka = kafka_config(&fleet.queue)?;
        prepare_topics(&kafka, &fleet.queue).await?;
        let sessions = RedisSessions::new(redis_options(fleet)?).map_err(|error| engine_failed("the sessions")(&error))?;
        let cassandra = cassandra_options(fleet);
        let connected = CassandraHistory::connect(&cassandra).await;
        // Last, for from now on others count with this node; but who makes the tables is decided among the members.
        let cluster: Arc<dyn Cluster> = Arc::new(ZooKeeperNode::join(zookeeper_options(fleet)?, profile).await?);
        let history = match connected {
            Err(ConnectError::NoHistory { .. }) => first_history(&cassandra, &*cluster).await,
            connected => connected,
        };
        let history = Arc::new(history.map_err(|error| engine_failed("the history")(&error))?);
        let unqueued = Arc::new(Unqueued::default());
        let queue = KafkaQueue::open(&kafka, unqueued.clone());
        let queue = Arc::new(queue.map_err(|error| engine_failed("the queue")(&error))?);
        let readers = works.then(|| KafkaReaders::open(&kafka)).transpose();
        let readers = readers.map_err(|error| engine_failed("the queue")(&error))?;
        let feed = match works && fleet.queue.feed {
            true => Some(Arc::new(feed(&kafka, &fleet.queue)?)),
            false => None,
        };
        let collector = EngineCollector {
            history: history.counters().clone(),
            queue: queue.counters().clone(),
            readers: readers.as_ref().map(|readers| readers.counters().clone()),
            feed: feed.clone(),
            sessions: sessions.counters().clone(),
            directory: directory.counters().clone(),
        };
        let closing = ClosingFleet { history: history.clone(), queue: queue.clone(), directory: directory.clone() };
        Ok(Stores {
            history,
            queue,
            unqueued,
            assignment: readers.map(|readers| Box::new(readers) as Box<dyn PartitionAssignment>),
            feed: feed.map(|feed| feed as Arc<dyn Feed>),
            directory,
            cluster,
            sessions: Some(Arc::new(sessions)),
            key,
            collector: Some(Box::new(collector)),
            closing: Box::new(closing),
        })
    }
}

/// Makes the tables, which one node does: the member with the lowest number. Others wait for it.
async fn first_history(options: &CassandraOptions, cluster: &dyn Cluster) -> Result<CassandraHistory, ConnectError> {
    let deadline = tokio::time::Instant::now() + TABLES_WITHIN;
    loop {
        let lowest = cluster.members().borrow().first().map(|member| member.node.number);
        if lowest.is_none_or(|lowest| lowest == cluster.number()) {
            CassandraHistory::migrate(options).await?;
        }
        match CassandraHistory::connect(options).await {
            Err(ConnectError::NoHistory { .. }) if tokio::time::Instant::now() < deadline => {
                tokio::time::sleep(TABLES_EVERY).await;
            }
            connected => return connected,
        }
    }
}

/// The topics that a fleet has: that of the commands, and that of the feed if there is one.
pub(crate) fn topics(queue: &Queue) -> impl Iterator<Item = &str> {
    [Some(&queue.topic), queue.feed.then_some(&queue.events_topic)].into_iter().flatten().map(String::as_str)
}

/// Makes the topics that are missing, and refuses those that would lose or mix up what is in them.
pub(crate) async fn prepare_topics(kafka: &KafkaConfig, queue: &Queue) -> Result<(), ServeError> {
    for topic in topics(queue) {
        prepare_topic(&KafkaConfig { topic: topic.to_owned(), ..kafka.clone() }, queue).await?;
    }
    Ok(())
}

async fn prepare_topic(kafka: &KafkaConfig, queue: &Queue) -> Result<(), ServeError> {
    let engine = engine_failed("the queue");
    let safe = TopicPlan::safe(&kafka.topic, queue.partitions);
    let replicas = queue.replication_factor;
    let retention = Duration::from_secs(u64::from(queue.retention_hours) * 3_600);
    // As many as may be lost one less than there are; with one or two copies there is none to spare.
    let plan = TopicPlan { replicas, in_sync: replicas.saturating_sub(1).max(1), retention, ..safe };
    create_topic(kafka, &plan).await.map_err(|error| engine(&error))?;
    for finding in examine_topic(kafka).await.map_err(|error| engine(&error))? {
        if finding.is_fatal() {
            return Err(engine(&format!("{}: {finding}", kafka.topic)));
        }
        tracing::warn!(topic = kafka.topic, "{finding}");
    }
    Ok(())
}

/// How Kafka is reached.
///
/// # Errors
/// When the mechanism is none.
pub(crate) fn kafka_config(queue: &Queue) -> Result<KafkaConfig, ConfigError> {
    let mechanism = match queue.sasl_mechanism.as_str() {
        "PLAIN" => SaslMechanism::Plain,
        "SCRAM-SHA-256" => SaslMechanism::ScramSha256,
        "SCRAM-SHA-512" => SaslMechanism::ScramSha512,
        _ => {
            let message = "`queue.sasl_mechanism` is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512";
            return Err(ConfigError::Contradiction(message.to_owned()));
        }
    };
    let (authorities, identity) = (queue.tls().authority(), queue.tls().identity());
    let sasl = KafkaSasl { mechanism, user: queue.username.clone(), password: queue.password.clone() };
    let security = KafkaSecurity {
        tls: queue.security.ends_with("ssl").then_some(KafkaTls { authorities, identity }),
        sasl: queue.security.starts_with("sasl").then_some(sasl),
    };
    Ok(KafkaConfig {
        security,
        topic: queue.topic.clone(),
        epoch: TopicEpoch(queue.epoch),
        group: queue.group.clone(),
        ..KafkaConfig::new(queue.brokers.clone(), queue.partitions)
    })
}

/// The feed that workers write.
fn feed(kafka: &KafkaConfig, queue: &Queue) -> Result<KafkaFeed, ServeError> {
    let feed = KafkaFeedConfig { topic: queue.events_topic.clone(), ..KafkaFeedConfig::default() };
    KafkaFeed::open(kafka, &feed).map_err(|error| engine_failed("the feed")(&error))
}

/// How Cassandra is reached.
pub(crate) fn cassandra_options(fleet: &Fleet) -> CassandraOptions {
    let history = &fleet.history;
    let client = history.tls().identity().map(|(chain, key)| ClientCertificate { chain, key });
    let tls = history.tls().authority().map(|authorities| Tls { authorities, client, names_checked: history.tls_names });
    let credentials = Credentials { user: history.username.clone(), password: history.password.clone() };
    CassandraOptions {
        keyspace: history.keyspace.clone(),
        data_center: Some(history.datacenter.clone()).filter(|name| !name.is_empty()),
        copies: Copies::InEveryDataCenter(history.replication_factor),
        credentials: (!history.username.is_empty()).then_some(credentials),
        tls,
        ..CassandraOptions::of_nodes(history.contact_points.clone())
    }
}

/// How Redis is reached.
///
/// # Errors
/// When a file of its links cannot be read.
pub(crate) fn redis_options(fleet: &Fleet) -> Result<RedisOptions, ConfigError> {
    let (urls, files) = (fleet.sessions.url.clone(), fleet.sessions.tls());
    let (authority, identity) = (files.read_authority()?, files.read_identity()?);
    let tls = (authority.is_some() || identity.is_some()).then_some(RedisTls { authority, identity });
    Ok(RedisOptions { cluster: urls.len() > 1, urls, tls, ..RedisOptions::new("") })
}

/// How ZooKeeper is reached.
///
/// # Errors
/// When the credentials are none, or a file of its links cannot be read.
pub(crate) fn zookeeper_options(fleet: &Fleet) -> Result<ZooKeeperOptions, ConfigError> {
    let cluster = &fleet.cluster;
    let credentials = match cluster.credentials.split_once(':') {
        Some((user, password)) => Some(ZooKeeperCredentials { user: user.to_owned(), password: password.to_owned() }),
        None if cluster.credentials.is_empty() => None,
        None => return Err(ConfigError::Contradiction("`cluster.credentials` is user:password".to_owned())),
    };
    let identity = cluster.tls().read_identity()?;
    let tls = cluster.tls().read_authority()?.map(|authority| ZooKeeperTls { authority, identity });
    Ok(ZooKeeperOptions {
        tls,
        root: cluster.root.clone(),
        session_timeout: Duration::from_millis(cluster.session_timeout_ms),
        credentials,
        ..ZooKeeperOptions::new(cluster.servers.join(","))
    })
}

struct ClosingFleet {
    history: Arc<CassandraHistory>,
    queue: Arc<KafkaQueue>,
    directory: Arc<SqlDirectory>,
}

#[async_trait]
impl Closing for ClosingFleet {
    async fn close_queue(&self) {
        let unsent = self.queue.drain(DRAINED_WITHIN).await;
        if unsent > 0 {
            tracing::warn!(unsent, "commands did not get into the queue: their devices send them again");
        }
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.history.close().await;
        self.directory.close().await;
        Ok(())
    }
}
