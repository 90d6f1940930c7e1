//! The engines of a fleet, for a move.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use banter_fleet::cassandra::CassandraHistory;
use banter_fleet::kafka::{KafkaConfig, last_positions};
use banter_fleet::zookeeper::StoppedCluster;
use banter_model::Millis;
use banter_model::position::unpack;
use banter_moving::{Identity, Installation, MoveError, Queue};
use banter_store::History;
use banter_store::directory::sql::SqlDirectory;

use super::{Close, MovingError, Opened};
use crate::config::{Config, Fleet, Overrides};
use crate::stores::fleet::{cassandra_options, engine_failed, kafka_config, prepare_topics, zookeeper_options};

/// The fleet that a configuration names, to be moved away.
///
/// # Errors
/// When it still runs, or was stopped before everything in its queue was applied.
pub(super) async fn source(path: &Path) -> Result<Opened, MovingError> {
    let (config, fleet) = read(path)?;
    let cluster = StoppedCluster::connect(zookeeper_options(&fleet)?).await?;
    let history = CassandraHistory::connect(&cassandra_options(&fleet)).await;
    let history = history.map_err(|error| engine_failed("the history")(&error))?;
    let kafka = kafka_config(&fleet.queue)?;
    let queued = reached(&kafka).await?;
    // Partitions are numbered with 32 bits.
    let partitions: Vec<u32> = (0..queued.len() as u32).collect();
    let applied = history.positions(&partitions).await.map_err(MoveError::from)?;
    for (partition, (queued, applied)) in queued.iter().copied().zip(applied).enumerate() {
        if !is_applied(queued, applied) {
            return Err(MovingError::NotApplied { partition, applied, queued });
        }
    }
    open(&config, &fleet, history, cluster, queued).await
}

/// The fleet that a configuration names, to be filled. Tables and topic are made where they are missing.
///
/// # Errors
/// When it runs.
pub(super) async fn target(path: &Path) -> Result<Opened, MovingError> {
    let (config, fleet) = read(path)?;
    let cluster = StoppedCluster::connect(zookeeper_options(&fleet)?).await?;
    let options = cassandra_options(&fleet);
    let failed = engine_failed("the history");
    CassandraHistory::migrate(&options).await.map_err(|error| failed(&error))?;
    let history = CassandraHistory::connect_to_move(&options).await.map_err(|error| failed(&error))?;
    let kafka = kafka_config(&fleet.queue)?;
    prepare_topics(&kafka, &fleet.queue).await?;
    open(&config, &fleet, history, cluster, reached(&kafka).await?).await
}

fn read(path: &Path) -> Result<(Config, Fleet), MovingError> {
    let config = Config::load(Some(path), &Overrides::default())?;
    let fleet = config.fleet()?.ok_or_else(|| MovingError::NoFleet(path.to_owned()))?;
    Ok((config, fleet))
}

/// How far the partitions of the queue are.
async fn reached(kafka: &KafkaConfig) -> Result<Vec<u64>, MovingError> {
    let positions = last_positions(kafka).await.map_err(|error| engine_failed("the queue")(&error))?;
    let (found, wanted) = (positions.len(), kafka.partitions);
    if u32::try_from(found).ok() != Some(wanted) {
        let message = format!("the topic {} has {found} partitions, and the configuration says {wanted}", kafka.topic);
        return Err(engine_failed("the queue")(&message).into());
    }
    Ok(positions)
}

/// Is everything up to `queued` stored, where `applied` is?
fn is_applied(queued: u64, applied: u64) -> bool {
    // A queue that nothing was ever put into has nothing to be applied, whatever its epoch.
    unpack(queued).1 == 0 || applied >= queued
}

async fn open(
    config: &Config,
    fleet: &Fleet,
    history: CassandraHistory,
    cluster: StoppedCluster,
    reached: Vec<u64>,
) -> Result<Opened, MovingError> {
    let (key, history) = (config.secret.read()?, Arc::new(history));
    let directory = Arc::new(SqlDirectory::connect(&fleet.directory.url).await?);
    let installation = Installation {
        directory: directory.clone(),
        history: history.clone(),
        identity: Arc::new(FleetIdentity { key, cluster }),
        queue: Queue::After(reached),
    };
    Ok(Opened { installation, closing: Box::new(Engines { history, directory }) })
}

/// What a fleet is beside its people and logs: the key is in its configuration, and how far ids went in ZooKeeper.
struct FleetIdentity {
    key: [u8; 32],
    cluster: StoppedCluster,
}

fn failed(error: impl std::fmt::Display) -> MoveError {
    MoveError::Identity(error.to_string())
}

#[async_trait]
impl Identity for FleetIdentity {
    async fn secret_key(&self) -> Result<Option<[u8; 32]>, MoveError> {
        Ok(Some(self.key))
    }

    async fn take_secret_key(&self, key: &[u8; 32]) -> Result<(), MoveError> {
        if *key == self.key { Ok(()) } else { Err(MoveError::OtherSecretKey) }
    }

    async fn ids_until(&self) -> Result<Millis, MoveError> {
        self.cluster.ids_until().await.map_err(failed)
    }

    async fn take_ids_until(&self, until: Millis) -> Result<(), MoveError> {
        self.cluster.raise_ids_until(until).await.map_err(failed)
    }

    async fn complete(&self) -> Result<(), MoveError> {
        Ok(())
    }
}

struct Engines {
    history: Arc<CassandraHistory>,
    directory: Arc<SqlDirectory>,
}

#[async_trait]
impl Close for Engines {
    async fn close(self: Box<Self>) {
        self.history.close().await;
        self.directory.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_has_to_be_applied() {
        let second = 1 << 48;
        assert!(is_applied(0, 0) && is_applied(7, 7) && is_applied(second, 9) && is_applied(second + 3, second + 3));
        assert!(!is_applied(7, 6) && !is_applied(second + 3, 9), "of the epoch before");
    }
}
