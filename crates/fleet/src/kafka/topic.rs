//! Making the topics, and saying what is unsafe about those that are there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use banter_model::position::pack;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;

use super::KafkaConfig;
use super::config::MESSAGE_BYTES;

/// How long Kafka may take to answer.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long a topic that was just made may take until every partition of it has a leader that knows so.
const SETTLED_WITHIN: Duration = Duration::from_secs(30);
/// How often one looks.
const LOOK: Duration = Duration::from_millis(50);
/// Retention that is too short for a night in which nothing is stored.
const SHORT_RETENTION: Duration = Duration::from_secs(3 * 24 * 3_600);

/// Kafka could not be asked, or refused.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// Its client says why.
    #[error("Kafka: {0}")]
    Client(#[from] rdkafka::error::KafkaError),
    /// It refused, for the topic named.
    #[error("the topic {topic}: {code}")]
    Refused {
        /// The topic.
        topic: String,
        /// Why.
        code: RDKafkaErrorCode,
    },
    /// The question was not answered.
    #[error("asking Kafka: {0}")]
    Unanswered(String),
}

/// How a topic is made.
#[derive(Debug, Clone)]
pub struct TopicPlan {
    /// Its name.
    pub name: String,
    /// Its partitions: fixed at installation, for ever.
    pub partitions: u32,
    /// How many brokers have each partition.
    pub replicas: u16,
    /// How many of them have a command before it is acknowledged.
    pub in_sync: u16,
    /// How long it is kept.
    pub retention: Duration,
}

impl TopicPlan {
    /// A topic with `partitions` partitions, each on three brokers, two of which have what is acknowledged; kept for a week.
    pub fn safe(name: &str, partitions: u32) -> TopicPlan {
        let week = Duration::from_secs(7 * 24 * 3_600);
        TopicPlan { name: name.to_owned(), partitions, replicas: 3, in_sync: 2, retention: week }
    }
}

/// Makes the topic of `plan`. Says whether it did: `false` if there is one of that name, which is left as it is.
///
/// # Errors
/// Kafka refused, or did not answer.
pub async fn create_topic(config: &KafkaConfig, plan: &TopicPlan) -> Result<bool, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.client().create()?;
    let (in_sync, retention) = (plan.in_sync.to_string(), plan.retention.as_millis().to_string());
    let bytes = (MESSAGE_BYTES + MESSAGE_OVERHEAD).to_string();
    let topic = NewTopic::new(&plan.name, plan.partitions as i32, TopicReplication::Fixed(i32::from(plan.replicas)))
        .set("min.insync.replicas", &in_sync)
        .set("unclean.leader.election.enable", "false")
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention)
        .set("retention.bytes", "-1")
        .set("max.message.bytes", &bytes);
    let results = admin.create_topics([&topic], &options()).await?;
    let mut made = true;
    for result in results {
        match result {
            Ok(_) => {}
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => made = false,
            Err((topic, code)) => return Err(KafkaError::Refused { topic, code }),
        }
    }
    // Whoever looks at it next is not to find half of it. One that was there may lack a leader for long, and that is no reason to wait.
    let name = plan.name.clone();
    let look = move || settled(|| known(&admin, &name, made));
    tokio::task::spawn_blocking(look).await.map_err(|error| KafkaError::Unanswered(error.to_string()))??;
    Ok(made)
}

/// Asks again while the brokers have not told each other about a topic that was just made. Blocks.
pub(super) fn settled<T>(
    mut ask: impl FnMut() -> Result<T, rdkafka::error::KafkaError>,
) -> Result<T, rdkafka::error::KafkaError> {
    use RDKafkaErrorCode::{LeaderNotAvailable, NotLeaderForPartition, UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    let until = Instant::now() + SETTLED_WITHIN;
    loop {
        match ask() {
            Err(error)
                if Instant::now() < until
                    && matches!(
                        error.rdkafka_error_code(),
                        Some(
                            LeaderNotAvailable
                                | NotLeaderForPartition
                                | UnknownPartition
                                | UnknownTopic
                                | UnknownTopicOrPartition
                        )
                    ) =>
            {
                std::thread::sleep(LOOK);
            }
            answer => return answer,
        }
    }
}

/// A partition as the broker that is asked knows it.
struct Partition {
    is_led: bool,
    replicas: u32,
}

/// The partitions of a topic; none when the broker that is asked knows no such topic. Copied out, for what is borrowed from the client
/// stays on its thread. Blocks.
fn partitions(admin: &AdminClient<DefaultClientContext>, name: &str) -> Result<Vec<Partition>, rdkafka::error::KafkaError> {
    let metadata = admin.inner().fetch_metadata(Some(name), TIMEOUT)?;
    let topic = metadata.topics().iter().find(|topic| topic.name() == name && topic.error().is_none());
    let partitions = topic.map(|topic| topic.partitions()).unwrap_or_default().iter();
    Ok(partitions
        .map(|partition| Partition { is_led: partition.leader() >= 0, replicas: partition.replicas().len() as u32 })
        .collect())
}

/// Does the broker that is asked know the topic, and with `leaders` a leader for each of its partitions? Fails as Kafka does where not.
/// Blocks.
fn known(admin: &AdminClient<DefaultClientContext>, name: &str, leaders: bool) -> Result<(), rdkafka::error::KafkaError> {
    let partitions = partitions(admin, name)?;
    match (partitions.is_empty(), leaders && partitions.iter().any(|partition| !partition.is_led)) {
        (true, _) => Err(rdkafka::error::KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition)),
        (false, true) => Err(rdkafka::error::KafkaError::MetadataFetch(RDKafkaErrorCode::LeaderNotAvailable)),
        (false, false) => Ok(()),
    }
}

/// What a batch takes besides a command of the largest size.
const MESSAGE_OVERHEAD: usize = 48_576;

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(TIMEOUT)).operation_timeout(Some(TIMEOUT))
}

/// Something about a topic that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicFinding {
    /// There is no such topic.
    #[error("there is no topic {0}")]
    Missing(String),
    /// It has another number of partitions than the installation. Conversations would go to other logs than before.
    #[error("the topic has {found} partitions, and the installation {wanted}: they must be the same, for ever")]
    Partitions {
        /// Of the topic.
        found: u32,
        /// Of the installation.
        wanted: u32,
    },
    /// Nobody can write while one broker is away, or what is acknowledged is lost with it.
    #[error("a partition of the topic is on {0} broker(s) only: three are needed for one to fail without loss or standstill")]
    Replicas(u32),
    /// What is acknowledged is on one broker.
    #[error("min.insync.replicas is {0}: what one broker acknowledges alone is lost with it; set it to 2")]
    InSync(u32),
    /// As many as there are have to be in sync.
    #[error("min.insync.replicas is {in_sync} of {replicas} replicas: nothing is taken while one broker is away")]
    NoBrokerMayFail {
        /// Of these has to be in sync
        in_sync: u32,
        /// so many.
        replicas: u32,
    },
    /// A broker that missed what was acknowledged may become the leader.
    #[error(
        "unclean.leader.election.enable is on: a broker that missed acknowledged commands may take them away from all others"
    )]
    UncleanElection,
    /// Commands are removed before they may be stored.
    #[error("retention.ms is {0}: commands are removed after that time, stored or not; give it a week")]
    Retention(u64),
    /// Commands are removed by size.
    #[error("retention.bytes is {0}: commands are removed when there are more, stored or not; set it to -1")]
    RetentionBytes(u64),
    /// Commands are removed by key.
    #[error("cleanup.policy is {0}: it must be delete")]
    Cleanup(String),
    /// Long texts are refused.
    #[error("max.message.bytes is {found}: the longest commands have {wanted}")]
    MessageBytes {
        /// Of the topic.
        found: u64,
        /// What is needed.
        wanted: u64,
    },
}

impl TopicFinding {
    /// Does it forbid to start?
    pub fn is_fatal(&self) -> bool {
        matches!(self, TopicFinding::Missing(_) | TopicFinding::Partitions { .. } | TopicFinding::Cleanup(_))
    }
}

/// Looks at the topic of `config` as it is, and says what is wrong or unsafe about it.
///
/// # Errors
/// Kafka refused, or did not answer.
pub async fn examine_topic(config: &KafkaConfig) -> Result<Vec<TopicFinding>, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.client().create()?;
    let described = admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &options()).await?;
    let name = config.topic.clone();
    let ask = move || partitions(&admin, &name);
    let partitions = tokio::task::spawn_blocking(ask).await.map_err(|error| KafkaError::Unanswered(error.to_string()))??;
    if partitions.is_empty() {
        return Ok(vec![TopicFinding::Missing(config.topic.clone())]);
    }
    let replicas: Vec<u32> = partitions.iter().map(|partition| partition.replicas).collect();
    let mut settings = BTreeMap::new();
    for resource in described {
        let resource = resource.map_err(|code| KafkaError::Refused { topic: config.topic.clone(), code })?;
        settings.extend(resource.entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?))));
    }
    Ok(findings(config.partitions, &replicas, &settings))
}

/// The positions that the topic's partitions have reached: each that of its last command, 0 of its epoch where there is none. As many
/// as the topic has partitions.
///
/// # Errors
/// Kafka refused, or did not answer.
pub async fn last_positions(config: &KafkaConfig) -> Result<Vec<u64>, KafkaError> {
    let admin: AdminClient<DefaultClientContext> = config.client().create()?;
    let (name, epoch) = (config.topic.clone(), config.epoch.0);
    let ask = move || {
        let count = partitions(&admin, &name)?.len() as i32;
        let ends = (0..count).map(|partition| {
            let end = settled(|| admin.inner().fetch_watermarks(&name, partition, TIMEOUT))?.1;
            Ok::<_, rdkafka::error::KafkaError>(u64::try_from(end).unwrap_or(0))
        });
        ends.collect::<Result<Vec<u64>, rdkafka::error::KafkaError>>()
    };
    let ends = tokio::task::spawn_blocking(ask).await.map_err(|error| KafkaError::Unanswered(error.to_string()))??;
    let position = |end: u64| {
        // The command before it.
        let last = match end.checked_sub(1) {
            Some(offset) => pack(epoch, offset),
            None => pack(epoch, 0).map(|first| first - 1),
        };
        last.ok_or_else(|| KafkaError::Unanswered(format!("epoch {epoch} and offset {end} are beyond all positions")))
    };
    ends.into_iter().map(position).collect()
}

/// What is wrong about a topic with these numbers of replicas, one for each partition, and settings.
fn findings(partitions: u32, replicas: &[u32], settings: &BTreeMap<String, String>) -> Vec<TopicFinding> {
    let text = |name: &str| settings.get(name).map(String::as_str).unwrap_or_default();
    // A setting that is missing, or no number, is not complained about: Kafka has checked them.
    let number = |name: &str| text(name).parse::<i64>().ok();
    let mut findings = Vec::new();
    let found = replicas.len() as u32;
    if found != partitions {
        findings.push(TopicFinding::Partitions { found, wanted: partitions });
    }
    let replicas = replicas.iter().copied().min().unwrap_or(0);
    if replicas < 3 {
        findings.push(TopicFinding::Replicas(replicas));
    }
    if let Some(in_sync) = number("min.insync.replicas").and_then(|number| u32::try_from(number).ok()) {
        if in_sync < 2 {
            findings.push(TopicFinding::InSync(in_sync));
        } else if in_sync >= replicas {
            findings.push(TopicFinding::NoBrokerMayFail { in_sync, replicas });
        }
    }
    if text("unclean.leader.election.enable") == "true" {
        findings.push(TopicFinding::UncleanElection);
    }
    // -1 is for ever.
    if let Some(millis) = number("retention.ms").and_then(|number| u64::try_from(number).ok())
        && u128::from(millis) < SHORT_RETENTION.as_millis()
    {
        findings.push(TopicFinding::Retention(millis));
    }
    if let Some(bytes) = number("retention.bytes").and_then(|number| u64::try_from(number).ok()) {
        findings.push(TopicFinding::RetentionBytes(bytes));
    }
    if !matches!(text("cleanup.policy"), "delete" | "") {
        findings.push(TopicFinding::Cleanup(text("cleanup.policy").to_owned()));
    }
    if let Some(found) = number("max.message.bytes").and_then(|number| u64::try_from(number).ok())
        && found < MESSAGE_BYTES as u64
    {
        findings.push(TopicFinding::MessageBytes { found, wanted: MESSAGE_BYTES as u64 });
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(changed: &[(&str, &str)]) -> BTreeMap<String, String> {
        let safe = [
            ("min.insync.replicas", "2"),
            ("unclean.leader.election.enable", "false"),
            ("retention.ms", "604800000"),
            ("retention.bytes", "-1"),
            ("cleanup.policy", "delete"),
            ("max.message.bytes", "1048588"),
        ];
        safe.iter().chain(changed).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_safe_topic_has_nothing_to_be_said_about() {
        assert_eq!(findings(2, &[3, 3], &settings(&[])), []);
        assert_eq!(findings(2, &[3, 3], &settings(&[("retention.ms", "-1")])), []);
    }

    #[test]
    fn each_danger_is_named() {
        let of = |replicas: &[u32], changed: &[(&str, &str)]| findings(2, replicas, &settings(changed));
        assert_eq!(of(&[3, 3, 3], &[]), [TopicFinding::Partitions { found: 3, wanted: 2 }]);
        assert_eq!(of(&[3, 2], &[]), [TopicFinding::Replicas(2), TopicFinding::NoBrokerMayFail { in_sync: 2, replicas: 2 }]);
        assert_eq!(of(&[3, 3], &[("min.insync.replicas", "1")]), [TopicFinding::InSync(1)]);
        assert_eq!(of(&[3, 3], &[("min.insync.replicas", "3")]), [TopicFinding::NoBrokerMayFail { in_sync: 3, replicas: 3 }]);
        assert_eq!(of(&[3, 3], &[("unclean.leader.election.enable", "true")]), [TopicFinding::UncleanElection]);
        assert_eq!(of(&[3, 3], &[("retention.ms", "3600000")]), [TopicFinding::Retention(3_600_000)]);
        assert_eq!(of(&[3, 3], &[("retention.bytes", "1000")]), [TopicFinding::RetentionBytes(1_000)]);
        assert_eq!(of(&[3, 3], &[("cleanup.policy", "compact")]), [TopicFinding::Cleanup("compact".into())]);
        assert_eq!(
            of(&[3, 3], &[("max.message.bytes", "1000")]),
            [TopicFinding::MessageBytes { found: 1_000, wanted: 1_000_000 }]
        );
    }
}
