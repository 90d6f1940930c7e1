//! How Kafka is reached, and what its clients may take.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;

/// Which making of a topic it is: 0 for the first, one more each time that it was deleted and made anew. In the high bits of all
/// positions, so that they grow on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct TopicEpoch(pub u16);

/// How the queue of commands is reached, and the limits of its clients.
#[derive(Debug, Clone)]
pub struct KafkaConfig {
    /// `host:port` of some brokers; the others are learned from them.
    pub brokers: Vec<String>,
    /// Encryption and credentials.
    pub security: KafkaSecurity,
    /// The topic of the commands.
    pub topic: String,
    /// Which making of the topic it is.
    pub epoch: TopicEpoch,
    /// Partitions of the installation; the topic has as many.
    pub partitions: u32,
    /// The consumer group of the workers.
    pub group: String,
    /// What this process is called in Kafka's logs and figures.
    pub client: String,
    /// How long a command may wait for others to be sent with it.
    pub linger: Duration,
    /// Compress batches with LZ4?
    pub compress: bool,
    /// What the commands that a partition's leader has not acknowledged weigh together, at most ([`banter_model::Action::weight`]).
    pub unacknowledged: u32,
    /// Bytes of commands that no leader has acknowledged, of all partitions together, at most.
    pub unacknowledged_bytes: usize,
    /// After how long a command that is not acknowledged fails for good. `None`: never, while there is room; it is sent when Kafka is
    /// back, in its order. A command that failed may be in the topic all the same.
    pub give_up_after: Option<Duration>,
    /// Bytes read ahead of the workers, of all partitions together, at most; at least 64 KiB for each partition.
    pub prefetch_bytes: usize,
    /// The longest that a broker holds a request of a reader when there is nothing to read. A command that arrives ends it at once; a
    /// partition that is assigned may have to wait for it.
    pub fetch_wait: Duration,
    /// How long a member may be silent before its partitions go to others. Kafka refuses less than 6 s unless it is set up for it.
    pub session_timeout: Duration,
    /// The longest that a partition that goes to another member waits for the round under way.
    pub handover: Duration,
    /// How often the clients report how many requests they sent, and which brokers they reach ([`super::KafkaCounters`]).
    pub figures_every: Duration,
}

impl KafkaConfig {
    /// The usual limits, for `partitions` partitions of the topic `commands` at `brokers`.
    pub fn new(brokers: Vec<String>, partitions: u32) -> KafkaConfig {
        KafkaConfig {
            brokers,
            security: KafkaSecurity::default(),
            topic: "commands".to_owned(),
            epoch: TopicEpoch::default(),
            partitions,
            group: "workers".to_owned(),
            client: "banter".to_owned(),
            linger: Duration::from_micros(500),
            compress: true,
            unacknowledged: 4_096,
            unacknowledged_bytes: 64 << 20,
            give_up_after: None,
            prefetch_bytes: 64 << 20,
            fetch_wait: Duration::from_millis(100),
            session_timeout: Duration::from_secs(6),
            handover: Duration::from_secs(2),
            figures_every: Duration::from_secs(5),
        }
    }

    /// What all clients have in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set_log_level(RDKafkaLogLevel::Warning)
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", &self.client)
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.timeout.ms", ANSWERED_WITHIN.as_millis().to_string())
            .set("message.max.bytes", MESSAGE_BYTES.to_string())
            .set("topic.metadata.refresh.interval.ms", "30000");
        self.security.set(&mut client);
        client
    }

    /// For one whose context takes the figures.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut client = self.client();
        client
            .set("statistics.interval.ms", self.figures_every.as_millis().to_string())
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", (self.linger.as_secs_f64() * 1_000.0).to_string())
            .set("compression.codec", if self.compress { "lz4" } else { "none" })
            // 0 is for ever.
            .set("message.timeout.ms", self.give_up_after.map_or(0, |after| after.as_millis().max(1)).to_string())
            // They are counted by what they weigh, for each partition.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", (self.unacknowledged_bytes / 1_024).max(1).to_string());
        client
    }

    pub(super) fn consumer(&self) -> ClientConfig {
        let each = (self.prefetch_bytes / self.partitions.max(1) as usize).max(LEAST_PREFETCH_BYTES);
        let mut client = self.client();
        client
            .set("group.id", &self.group)
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", self.session_timeout.as_millis().to_string())
            .set("heartbeat.interval.ms", (self.session_timeout.as_millis() / 5).max(1).to_string())
            .set("max.poll.interval.ms", self.session_timeout.as_millis().max(300_000).to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Nothing is skipped in silence.
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", self.fetch_wait.as_millis().to_string())
            .set("fetch.message.max.bytes", FETCH_PARTITION_BYTES.to_string())
            .set("fetch.max.bytes", FETCH_BYTES.to_string())
            // Both limits are for each partition, since each has a queue of its own.
            .set("queued.max.messages.kbytes", (each / 1_024).to_string())
            .set("queued.min.messages", PREFETCH_COMMANDS.to_string())
            // How long a partition whose queue is full is not asked for.
            .set("fetch.queue.backoff.ms", "10")
            .set("fetch.error.backoff.ms", "100");
        client
    }
}

/// A broker that does not answer within this time is given up, and what it was asked goes to the leader there is by then: a broker that hangs
/// keeps its connections, and the default of a minute would hold up everything that it led. What it had done already is not done twice.
const ANSWERED_WITHIN: Duration = Duration::from_secs(6);
/// Most bytes of one command, with room to spare: a text has at most 400,000, and as many places where somebody is named as its limits allow.
pub(super) const MESSAGE_BYTES: usize = 1_000_000;
/// Bytes that are asked for of one partition at a time.
const FETCH_PARTITION_BYTES: usize = 256 << 10;
/// Bytes that are asked for of one broker at a time.
const FETCH_BYTES: usize = 8 << 20;
/// Commands of a partition that are read ahead: what four rounds take.
const PREFETCH_COMMANDS: usize = 4_096;
/// Bytes of a partition that are read ahead, at least.
const LEAST_PREFETCH_BYTES: usize = 64 << 10;

/// Encryption and credentials. The default is neither, which is for a network that nobody else is on.
#[derive(Debug, Clone, Default)]
pub struct KafkaSecurity {
    /// TLS to the brokers.
    pub tls: Option<KafkaTls>,
    /// Who this is.
    pub sasl: Option<KafkaSasl>,
}

/// TLS to the brokers. Their certificates and names are always checked.
#[derive(Debug, Clone, Default)]
pub struct KafkaTls {
    /// Certificates of the authorities to trust, in a PEM file; the system's if there is none.
    pub authorities: Option<PathBuf>,
    /// Certificate and key of this client, in PEM files, where brokers ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A name and its password.
#[derive(Clone)]
pub struct KafkaSasl {
    /// How they are shown to the broker.
    pub mechanism: SaslMechanism,
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl fmt::Debug for KafkaSasl {
    /// Everything but the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSasl").field("mechanism", &self.mechanism).field("user", &self.user).finish_non_exhaustive()
    }
}

/// How a password is shown to a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaslMechanism {
    /// As it is. Only over TLS.
    Plain,
    /// By a challenge, with SHA-256.
    ScramSha256,
    /// By a challenge, with SHA-512.
    ScramSha512,
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::ScramSha256 => "SCRAM-SHA-256",
            SaslMechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaSecurity {
    fn set(&self, client: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        client.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            if let Some(path) = &tls.authorities {
                client.set("ssl.ca.location", path.to_string_lossy());
            }
            if let Some((certificate, key)) = &tls.identity {
                client.set("ssl.certificate.location", certificate.to_string_lossy());
                client.set("ssl.key.location", key.to_string_lossy());
            }
        }
        if let Some(sasl) = &self.sasl {
            client.set("sasl.mechanism", sasl.mechanism.name());
            client.set("sasl.username", &sasl.user);
            client.set("sasl.password", &sasl.password);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocol_follows_from_what_is_given() {
        let sasl = KafkaSasl { mechanism: SaslMechanism::ScramSha512, user: "ada".into(), password: "se3ret".into() };
        let protocol = |tls: bool, with: bool| {
            let security = KafkaSecurity { tls: tls.then(KafkaTls::default), sasl: with.then(|| sasl.clone()) };
            let mut client = ClientConfig::new();
            security.set(&mut client);
            client.get("security.protocol").map(str::to_owned)
        };
        let got = [protocol(false, false), protocol(true, false), protocol(false, true), protocol(true, true)];
        assert_eq!(got.map(Option::unwrap), ["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"]);
        assert!(!format!("{sasl:?}").contains("se3ret"));
    }

    #[test]
    fn read_ahead_is_shared_out() {
        let mut config = KafkaConfig::new(vec!["127.0.0.1:9".into()], 256);
        config.prefetch_bytes = 256 << 20;
        assert_eq!(config.consumer().get("queued.max.messages.kbytes"), Some("1024"));
        config.prefetch_bytes = 0;
        assert_eq!(config.consumer().get("queued.max.messages.kbytes"), Some("64"));
        assert_eq!(config.producer().get("linger.ms"), Some("0.5"));
    }
}
