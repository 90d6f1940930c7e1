//! `banter config check`: what is wrong with a configuration, and what is unsafe. Connects to every engine and changes nothing.

use std::future::Future;
use std::time::Duration;

use banter_fleet::cassandra::{CassandraHistory, ConnectError};
use banter_fleet::kafka::{KafkaConfig, TopicFinding, examine_topic};
use banter_fleet::sessions::RedisSessions;
use banter_store::Sessions;
use banter_store::data_folder::{Finding, Severity};
use banter_store::directory::sql::SqlDirectory;
use tokio::net::TcpStream;

use super::links::{host, unsafe_links};
use super::{Config, ConfigError, Fleet};
use crate::delivery::NodeTls;
use crate::stores::fleet as engines;

/// The longest that an engine is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Fewer copies than this, and the loss of one host can stop a fleet or lose what it was told.
const SAFE_COPIES: u32 = 3;

/// Examines a configuration that was read, the engines it names included.
pub async fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    findings.node(config);
    match config.fleet() {
        Ok(Some(fleet)) => {
            findings.copies(&fleet);
            unsafe_links(config, &fleet).into_iter().for_each(|text| findings.warning(text));
            if let Err(error) = NodeTls::of(&config.node) {
                findings.fault(error.to_string());
            }
            findings.engines(&fleet).await;
        }
        Ok(None) => {
            let data = config.node.data.display();
            findings.fine(format!("a server of its own, in {data}: `banter doctor` examines the folder"));
        }
        Err(error) => findings.fault(error.to_string()),
    }
    findings.0
}

struct Findings(Vec<Finding>);

impl Findings {
    fn fine(&mut self, text: String) {
        self.0.push(Finding { severity: Severity::Fine, text });
    }

    fn warning(&mut self, text: String) {
        self.0.push(Finding { severity: Severity::Warning, text });
    }

    fn fault(&mut self, text: String) {
        self.0.push(Finding { severity: Severity::Fault, text });
    }

    fn node(&mut self, config: &Config) {
        let node = &config.node;
        if node.unlimited {
            self.warning("`node.unlimited`: passwords can be guessed as fast as they are hashed".to_owned());
        }
        if !node.listen.ip().is_loopback() && node.trust_proxy.is_empty() {
            let text = "`node.listen` takes connections from elsewhere, in plain text and from whoever asks: put a proxy with TLS in front, \
                        and name its header in `node.trust_proxy`";
            self.warning(text.to_owned());
        }
        if node.client_url.starts_with("http://") {
            self.warning("`node.client_url` is plain http: passwords and messages can be read on the way".to_owned());
        }
        if !config.secret.key.is_empty() {
            self.warning(
                "`secret.key` may be read with the configuration or the environment: `secret.key_file` is safer".to_owned(),
            );
        }
    }

    fn copies(&mut self, fleet: &Fleet) {
        for (key, copies) in [
            ("history.replication_factor", fleet.history.replication_factor),
            ("queue.replication_factor", u32::from(fleet.queue.replication_factor)),
        ] {
            if copies < SAFE_COPIES {
                self.warning(format!(
                    "`{key}` is {copies}: with fewer than {SAFE_COPIES} copies the loss of one host can lose messages"
                ));
            }
        }
        let servers = fleet.cluster.servers.len();
        if servers < SAFE_COPIES as usize {
            self.warning(format!("`cluster.servers` names {servers}: three go on when one of them is lost"));
        }
    }

    async fn engines(&mut self, fleet: &Fleet) {
        self.engine("[directory]", directory(fleet)).await;
        self.engine("[history]", history(fleet)).await;
        self.engine("[queue]", queue(fleet)).await;
        self.engine("[sessions]", sessions(fleet)).await;
        self.engine("[cluster]", cluster(fleet)).await;
    }

    /// Waits for what an engine answers: what it is and what is unsafe about it, or why not.
    async fn engine(&mut self, section: &str, answer: impl Future<Output = Result<Examined, String>>) {
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(Examined { at, unsafe_since })) => {
                self.fine(format!("{section} is reached at {at}"));
                unsafe_since.into_iter().for_each(|text| self.warning(format!("{section} {text}")));
            }
            Ok(Err(error)) => self.fault(format!("{section} {error}")),
            Err(_) => self.fault(format!("{section} did not answer within {} s", PATIENCE.as_secs())),
        }
    }
}

/// What was found out about an engine.
struct Examined {
    at: String,
    unsafe_since: Vec<String>,
}

async fn directory(fleet: &Fleet) -> Result<Examined, String> {
    let url = &fleet.directory.url;
    // PostgreSQL's own library takes a folder for a host, which only its client can say anything of.
    let at = if url.contains(":///") { "its socket".to_owned() } else { reachable(std::slice::from_ref(url), 5432).await? };
    SqlDirectory::reach(url).await.map_err(|error| error.to_string())?;
    Ok(Examined { at, unsafe_since: Vec::new() })
}

async fn sessions(fleet: &Fleet) -> Result<Examined, String> {
    let at = reachable(&fleet.sessions.url, 6379).await?;
    let options = engines::redis_options(fleet).map_err(|error| error.to_string())?;
    let sessions = RedisSessions::new(options).map_err(|error| error.to_string())?;
    sessions.nodes().await.map_err(|error| error.to_string())?;
    Ok(Examined { at, unsafe_since: Vec::new() })
}

async fn cluster(fleet: &Fleet) -> Result<Examined, String> {
    let at = reachable(&fleet.cluster.servers, 2181).await?;
    let options = engines::zookeeper_options(fleet).map_err(|error| error.to_string())?;
    options.reach().await.map_err(|error| error.to_string())?;
    Ok(Examined { at, unsafe_since: Vec::new() })
}

async fn history(fleet: &Fleet) -> Result<Examined, String> {
    let at = reachable(&fleet.history.contact_points, 9042).await?;
    let options = engines::cassandra_options(fleet);
    let unsafe_since = match CassandraHistory::connect(&options).await {
        Ok(history) => history.examine(&options).await.map_err(|error| error.to_string())?,
        Err(ConnectError::NoHistory { .. }) => vec!["has no tables yet: the first node makes them".to_owned()],
        Err(error) => return Err(error.to_string()),
    };
    Ok(Examined { at, unsafe_since })
}

async fn queue(fleet: &Fleet) -> Result<Examined, String> {
    let at = reachable(&fleet.queue.brokers, 9092).await?;
    let kafka = engines::kafka_config(&fleet.queue).map_err(|error| error.to_string())?;
    let mut unsafe_since = Vec::new();
    for topic in engines::topics(&fleet.queue) {
        let kafka = KafkaConfig { topic: topic.to_owned(), ..kafka.clone() };
        for finding in examine_topic(&kafka).await.map_err(|error| error.to_string())? {
            match finding {
                TopicFinding::Missing(topic) => unsafe_since.push(format!("has no topic {topic} yet: the first node makes it")),
                fatal if fatal.is_fatal() => return Err(format!("{topic}: {fatal}")),
                finding => unsafe_since.push(format!("{topic}: {finding}")),
            }
        }
    }
    Ok(Examined { at, unsafe_since })
}

/// Connects to one of `addresses` after the other.
async fn reachable(addresses: &[String], port: u16) -> Result<String, String> {
    let mut failed = Vec::new();
    for address in addresses {
        let address = host_and_port(address, port);
        match TcpStream::connect(&address).await {
            Ok(_) => return Ok(address),
            Err(error) => failed.push(format!("{address}: {error}")),
        }
    }
    if failed.is_empty() { Err("names nobody to connect to".to_owned()) } else { Err(failed.join("; ")) }
}

/// The part of a URL or an address that names host and port.
fn host_and_port(address: &str, port: u16) -> String {
    let host = host(address);
    let has_port = host.rsplit_once(':').is_some_and(|(_, digits)| digits.parse::<u16>().is_ok());
    if has_port { host.to_owned() } else { format!("{host}:{port}") }
}

/// Reads and examines: what cannot be read is the one finding.
pub async fn findings(config: Result<Config, ConfigError>) -> Vec<Finding> {
    match config {
        Ok(config) => check(&config).await,
        Err(error) => vec![Finding { severity: Severity::Fault, text: error.to_string() }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_urls_and_addresses() {
        for (address, wanted) in [
            ("postgres://banter:se@cret@db.example.org/banter?x=1", "db.example.org:5432"),
            ("redis://127.0.0.1:6380", "127.0.0.1:6380"),
            ("rediss://banter:secret@cache:6380#insecure", "cache:6380"),
            ("broker:9092", "broker:9092"),
            ("[::1]", "[::1]:5432"),
            ("[::1]:77", "[::1]:77"),
        ] {
            assert_eq!(host_and_port(address, 5432), wanted);
        }
    }

    #[tokio::test]
    async fn engines_that_are_not_there_are_faults() {
        let nowhere = || vec!["127.0.0.1:1".to_owned()];
        let config = Config {
            directory: Some(super::super::Directory { url: "postgres://127.0.0.1:1/banter".to_owned() }),
            history: Some(super::super::History { contact_points: nowhere(), ..Default::default() }),
            queue: Some(super::super::Queue { brokers: nowhere(), replication_factor: 1, ..Default::default() }),
            sessions: Some(super::super::Sessions::default()),
            cluster: Some(super::super::Cluster { servers: nowhere(), ..Default::default() }),
            ..Config::default()
        };
        let findings = check(&config).await;
        let with = |severity, text: &str| findings.iter().any(|found| found.severity == severity && found.text.contains(text));
        for section in ["[directory] 127", "[history] 127", "[queue] 127", "[sessions] names nobody", "[cluster] 127"] {
            assert!(with(Severity::Fault, section), "{findings:?}");
        }
        assert!(with(Severity::Warning, "queue.replication_factor"), "{findings:?}");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap().to_string();
        assert_eq!(reachable(&[nowhere().remove(0), here.clone()], 1).await, Ok(here), "one of them is enough");
    }
}
