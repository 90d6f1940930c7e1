//! An installation of its own on the engines.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use banter_model::{DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use banter_server::config::{Cluster, Config, Directory as DirectoryAt, History, Queue, Secret, Sessions};
use banter_server::gateway::FrameRate;
use banter_server::rate_limit::RateLimitConfig;
use banter_server::serve::{Internal, ServeError, ServeOptions, Server};
use banter_server::stores::Stores;
use banter_store::Directory;
use banter_store::behaviour::{Random, seed};
use banter_store::cluster::Role;
use banter_store::directory::sql::SqlDirectory;
use banter_store::directory::{Device, NewUser};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use scylla::client::session_builder::SessionBuilder;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Counters;
use crate::support::http::{self, Answer};
use crate::support::{Person, soon};

/// The key of the installation.
const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// Keyspace, topics, group and root of this test alone; the database and Redis are shared with others, whose users have other ids.
pub struct Fleet {
    pub config: Config,
    tokens: AccessTokens,
    next: AtomicU64,
}

/// A node that runs.
pub struct Node {
    pub address: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Fleet {
    /// `None`, and why, where an engine is not named.
    pub fn new() -> Option<Fleet> {
        let named = |engine: &str| {
            let variable = format!("BANTER_TEST_{engine}");
            let value = std::env::var(&variable).ok();
            if value.is_none() {
                eprintln!("not run: {variable} is not set");
            }
            value
        };
        let mut random = Random::new(seed());
        let own = |what: &str, mark: u64| format!("{what}_{mark:x}");
        let mark = random.bits();
        let queue = Queue {
            brokers: vec![named("KAFKA")?],
            topic: own("commands", mark),
            feed: true,
            events_topic: own("events", mark),
            group: own("workers", mark),
            partitions: 4,
            replication_factor: 1,
            ..Queue::default()
        };
        let history = History {
            contact_points: vec![named("CASSANDRA")?],
            keyspace: own("banter", mark),
            replication_factor: 1,
            ..History::default()
        };
        let config = Config {
            secret: Secret { key: KEY.to_owned(), ..Secret::default() },
            directory: Some(DirectoryAt { url: named("POSTGRES")? }),
            history: Some(history),
            queue: Some(queue),
            sessions: Some(Sessions { url: vec![named("REDIS")?], ..Sessions::default() }),
            cluster: Some(Cluster {
                servers: vec![named("ZOOKEEPER")?],
                root: format!("/{}", own("banter", mark)),
                ..Cluster::default()
            }),
            ..Config::default()
        };
        let tokens = AccessTokens::new(&config.secret.read().unwrap());
        Some(Fleet { config, tokens, next: AtomicU64::new(random.bits() >> 2) })
    }

    /// Starts a node, which makes what is missing.
    pub async fn start(&self, roles: &[Role]) -> Node {
        let mut options = ServeOptions::new("nowhere".into(), "127.0.0.1:0".parse().unwrap());
        options.rate_limits = RateLimitConfig::unlimited();
        options.frame_rate = FrameRate::UNLIMITED;
        options.roles = roles.iter().copied().collect();
        options.internal = Some(Internal { listen: "127.0.0.1:0".parse().unwrap(), address: String::new(), tls: None });
        let fleet = self.config.fleet().unwrap().unwrap();
        let server = Server::over(options, |profile| Stores::fleet(&self.config, &fleet, profile)).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = server.address();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Node { address, stop, running }
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(&self, node: Node) {
        let _ = node.stop.send(());
        soon("the end", node.running).await.unwrap().unwrap();
    }

    pub async fn call(&self, node: &Node, path: &str) -> Answer {
        http::call(node.address, "GET", path, None, None).await
    }

    /// What all counters of the engines have come to.
    pub async fn counters(&self, nodes: &[&Node]) -> Counters {
        let mut sums = Counters::new();
        for node in nodes {
            let text = self.call(node, "/metrics").await.text;
            for line in text.lines().filter_map(|line| line.strip_prefix("banter_")) {
                let engine = ["history", "queue", "feed", "sessions_", "directory"].iter().any(|engine| line.starts_with(engine));
                if let Some((name, value)) = line.rsplit_once(' ')
                    && engine
                {
                    *sums.entry(name.to_owned()).or_default() += value.parse::<u64>().unwrap();
                }
            }
        }
        sums
    }

    pub async fn person(&self, name: &str) -> Person {
        let directory = self.directory().await;
        let (user, device, now) = (UserId(self.number()), DeviceId(self.number()), clock::now());
        let handle = format!("{name}_{}", user.0);
        let new = NewUser {
            id: user,
            handle: handle.clone(),
            display_name: name.to_owned(),
            password_hash: "none".to_owned(),
            created_at: now,
        };
        directory.create_user(new).await.unwrap();
        let of_user = Device { id: device, user, name: String::new(), created_at: now, used_at: now };
        directory.create_device(of_user, 20).await.unwrap();
        let (token, _) = self.tokens.issue(user, device, now);
        Person { handle, user, device, token }
    }

    pub async fn acquaint(&self, one: &Person, other: &Person) {
        let directory = self.directory().await;
        directory.request_friend(one.user, other.user, clock::now()).await.unwrap();
        assert!(directory.accept_friend(other.user, one.user, clock::now()).await.unwrap());
    }

    /// Removes what is its own. Nothing of it is used any more.
    pub async fn gone(self) {
        let (history, queue) = (self.config.history.unwrap(), self.config.queue.unwrap());
        let session = SessionBuilder::new().known_nodes(&history.contact_points).build().await.unwrap();
        session.query_unpaged(format!("DROP KEYSPACE {}", history.keyspace), ()).await.unwrap();
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", queue.brokers.join(",")).create().unwrap();
        admin.delete_topics(&[&queue.topic, &queue.events_topic], &AdminOptions::new()).await.unwrap();
    }

    async fn directory(&self) -> SqlDirectory {
        SqlDirectory::connect(&self.config.directory.as_ref().unwrap().url).await.unwrap()
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
