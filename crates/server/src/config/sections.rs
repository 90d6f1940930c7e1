//! The sections of the engines, with what each key means and its value when it is not set.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use super::tls::TlsFiles;

pub(super) fn contradiction(message: String) -> ConfigError {
    ConfigError::Contradiction(message)
}

/// `[directory]`: PostgreSQL.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Directory {
    /// `postgres://user:password@host/database`; over TLS with `?sslmode=verify-full`, and `&sslrootcert=FILE` for an authority that the
    /// system does not know.
    pub url: String,
}

/// `[history]`: Cassandra.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct History {
    /// Some of its nodes, `host:port`.
    pub contact_points: Vec<String>,
    /// The keyspace; made if it is missing.
    pub keyspace: String,
    /// The data centre whose nodes are asked first. Empty: all are alike.
    pub datacenter: String,
    /// How many nodes hold each row, when the keyspace is made.
    pub replication_factor: u32,
    /// Who one is to Cassandra. Empty: nobody asks.
    pub username: String,
    /// The password that goes with it.
    pub password: String,
    /// The certificates (PEM) that sign those of Cassandra's nodes. Empty: no TLS.
    pub tls_ca: PathBuf,
    /// The certificate (PEM) that is shown to Cassandra. Empty: none.
    pub tls_cert: PathBuf,
    /// The key of `tls_cert` (PEM).
    pub tls_key: PathBuf,
    /// Whether the certificates have to name the addresses that the nodes are reached at, which are IP addresses. Without it any certificate
    /// of `tls_ca` is good for any node.
    pub tls_names: bool,
}

impl Default for History {
    fn default() -> Self {
        History {
            contact_points: Vec::new(),
            keyspace: "banter".to_owned(),
            datacenter: String::new(),
            replication_factor: 3,
            username: String::new(),
            password: String::new(),
            tls_ca: PathBuf::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
            tls_names: false,
        }
    }
}

impl History {
    /// The files of its links.
    pub fn tls(&self) -> TlsFiles<'_> {
        TlsFiles { keys: "history.tls", ca: &self.tls_ca, cert: &self.tls_cert, key: &self.tls_key }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        self.tls().validate_with_authority()?;
        let plain = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !plain(&self.keyspace) {
            return Err(contradiction("`history.keyspace` is made of letters, digits and _".to_owned()));
        }
        if self.replication_factor == 0 {
            return Err(contradiction("`history.replication_factor` is at least 1".to_owned()));
        }
        Ok(())
    }
}

/// `[queue]`: Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Queue {
    /// Some of its brokers, `host:port`.
    pub brokers: Vec<String>,
    /// The topic of the commands; made if it is missing.
    pub topic: String,
    /// Do workers write on what they stored, for readers that follow (push, search)? Off, as long as nothing reads: a reader begins at the
    /// end, so what is written before there is one is read by nobody.
    pub feed: bool,
    /// The topic of that feed; made if it is missing and there is a feed.
    pub events_topic: String,
    /// The consumer group that the workers are.
    pub group: String,
    /// Which making of the topic of commands it is: 0, and one more each time that it was deleted and made anew.
    pub epoch: u16,
    /// Partitions of the topics when they are made. Fixed from then on: sync points and positions name them.
    pub partitions: u32,
    /// How many brokers hold each record, when the topics are made.
    pub replication_factor: u16,
    /// For how long commands are kept, in hours, when the topic is made: a worker that was away for longer cannot go on by itself.
    pub retention_hours: u32,
    /// `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security: String,
    /// `PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`, with `sasl_…`.
    pub sasl_mechanism: String,
    /// Who one is to Kafka, with `sasl_…`.
    pub username: String,
    /// The password that goes with it.
    pub password: String,
    /// The certificates (PEM) that sign those of the brokers, with `…ssl`. Empty: those of the system.
    pub tls_ca: PathBuf,
    /// The certificate (PEM) that is shown to the brokers. Empty: none.
    pub tls_cert: PathBuf,
    /// The key of `tls_cert` (PEM).
    pub tls_key: PathBuf,
}

impl Default for Queue {
    fn default() -> Self {
        Queue {
            brokers: Vec::new(),
            topic: "commands".to_owned(),
            feed: false,
            events_topic: "events".to_owned(),
            group: "banter-workers".to_owned(),
            epoch: 0,
            partitions: 256,
            replication_factor: 3,
            retention_hours: 168,
            security: "plaintext".to_owned(),
            sasl_mechanism: "SCRAM-SHA-512".to_owned(),
            username: String::new(),
            password: String::new(),
            tls_ca: PathBuf::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}

/// Most partitions: a sync point names the position of each.
const MOST_PARTITIONS: u32 = 4_096;

impl Queue {
    /// The files of its links.
    pub fn tls(&self) -> TlsFiles<'_> {
        TlsFiles { keys: "queue.tls", ca: &self.tls_ca, cert: &self.tls_cert, key: &self.tls_key }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        let wrong = if !(1..=MOST_PARTITIONS).contains(&self.partitions) {
            "`queue.partitions` is between 1 and 4,096"
        } else if self.replication_factor == 0 {
            "`queue.replication_factor` is at least 1"
        } else if self.retention_hours == 0 {
            "`queue.retention_hours` is at least 1"
        } else if self.feed && (self.events_topic.is_empty() || self.events_topic == self.topic) {
            "`queue.events_topic` is a topic of its own"
        } else if !["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(&self.security.as_str()) {
            "`queue.security` is plaintext, ssl, sasl_plaintext or sasl_ssl"
        } else if self.security.starts_with("sasl") && self.username.is_empty() {
            "`queue.security` asks for `queue.username` and `queue.password`"
        } else {
            return self.tls().validate();
        };
        Err(contradiction(wrong.to_owned()))
    }
}

/// `[sessions]`: Redis or Valkey.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Sessions {
    /// `redis://user:password@host:port`, or `rediss://` over TLS. With several, they are nodes of a Redis cluster.
    pub url: Vec<String>,
    /// The certificates (PEM) that sign that of the server, with `rediss://`. Empty, and for a cluster always: those of the system.
    pub tls_ca: PathBuf,
    /// The certificate (PEM) that is shown to the server. Empty: none.
    pub tls_cert: PathBuf,
    /// The key of `tls_cert` (PEM).
    pub tls_key: PathBuf,
}

impl Sessions {
    /// The files of its links.
    pub fn tls(&self) -> TlsFiles<'_> {
        TlsFiles { keys: "sessions.tls", ca: &self.tls_ca, cert: &self.tls_cert, key: &self.tls_key }
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.tls().is_on() && !self.url.iter().all(|url| url.starts_with("rediss://")) {
            return Err(contradiction("`sessions.tls_ca` is for addresses that begin with rediss://".to_owned()));
        }
        self.tls().validate()
    }
}

/// `[cluster]`: ZooKeeper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Its servers, `host:port`.
    pub servers: Vec<String>,
    /// The node under which everything of this installation is.
    pub root: String,
    /// Milliseconds of silence after which a node counts as dead.
    pub session_timeout_ms: u64,
    /// Who one is to ZooKeeper (digest), `user:password`. Empty: nobody asks.
    pub credentials: String,
    /// The certificates (PEM) that sign those of its servers. Empty: no TLS.
    pub tls_ca: PathBuf,
    /// The certificate (PEM) that is shown to the servers. Empty: none.
    pub tls_cert: PathBuf,
    /// The key of `tls_cert` (PEM).
    pub tls_key: PathBuf,
}

impl Cluster {
    /// The files of its links.
    pub fn tls(&self) -> TlsFiles<'_> {
        TlsFiles { keys: "cluster.tls", ca: &self.tls_ca, cert: &self.tls_cert, key: &self.tls_key }
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Cluster {
            servers: Vec::new(),
            root: "/banter".to_owned(),
            session_timeout_ms: 6_000,
            credentials: String::new(),
            tls_ca: PathBuf::new(),
            tls_cert: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}
