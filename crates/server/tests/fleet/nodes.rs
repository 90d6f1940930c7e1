//! The nodes, and what they share.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use banter_model::{ConversationId, DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use banter_server::gateway::FrameRate;
use banter_server::rate_limit::RateLimitConfig;
use banter_server::serve::{Internal, ServeError, ServeOptions, Server};
use banter_server::stores::{Closing, Stores};
use banter_store::cluster::{Role, Roles};
use banter_store::data_folder::DataFolder;
use banter_store::directory::sql::SqlDirectory;
use banter_store::directory::{Device, NewUser};
use banter_store::embedded::cluster::{EmbeddedCluster, EmbeddedMember};
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::embedded::queue::{EmbeddedAssignment, EmbeddedQueue};
use banter_store::embedded::sessions::EmbeddedSessions;
use banter_store::{Cluster, Directory, StoreError};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::http::{self, Answer};
use crate::support::{Person, soon};

pub const KEY: [u8; 32] = [7; 32];
const PARTITIONS: u32 = 8;

/// What all nodes share.
pub struct Fleet {
    pub cluster: EmbeddedCluster,
    history: Arc<EmbeddedHistory>,
    queue: Arc<EmbeddedQueue>,
    assignment: Option<EmbeddedAssignment>,
    pub directory: Arc<SqlDirectory>,
    sessions: Arc<EmbeddedSessions>,
    tokens: AccessTokens,
    next: AtomicU64,
    _folder: TempDir,
}

/// A node that runs.
pub struct Node {
    pub address: SocketAddr,
    pub member: Arc<EmbeddedMember>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServeError>>,
}

/// How a node differs from others.
pub struct Wish<'a> {
    pub roles: &'a [Role],
    /// Where it listens for others, and the address that they are told: a proxy's, say.
    pub internal: Internal,
    pub grace: Duration,
    pub drain: Duration,
    /// Where clients are told that it is.
    pub client_url: &'a str,
    /// Origins of pages that may connect.
    pub web_origins: &'a [&'a str],
}

/// A gateway and nothing else.
pub const GATEWAY: &[Role] = &[Role::Gateway];

impl<'a> Wish<'a> {
    pub fn of(roles: &'a [Role]) -> Self {
        let internal = Internal { listen: "127.0.0.1:0".parse().unwrap(), address: String::new(), tls: None };
        Wish { roles, internal, grace: Duration::from_millis(50), drain: Duration::ZERO, client_url: "", web_origins: &[] }
    }
}

/// The stores outlive each node.
struct StaysOpen;

#[async_trait]
impl Closing for StaysOpen {
    async fn close_queue(&self) {}

    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Fleet {
    pub async fn new() -> Fleet {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(DataFolder::open(folder.path()).unwrap());
        let directory = Arc::new(SqlDirectory::open_sqlite(&data.directory()).await.unwrap());
        let options = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
        let history = Arc::new(EmbeddedHistory::open(data, options).unwrap());
        let (queue, assignment) = EmbeddedQueue::assigned(PARTITIONS, 1_024);
        Fleet {
            cluster: EmbeddedCluster::new(),
            history,
            queue: Arc::new(queue),
            assignment: Some(assignment),
            directory,
            sessions: Arc::new(EmbeddedSessions::new()),
            tokens: AccessTokens::new(&KEY),
            next: AtomicU64::new(1_000),
            _folder: folder,
        }
    }

    /// Starts a node. The first worker gets all partitions.
    pub async fn start(&mut self, wish: Wish<'_>) -> Node {
        let roles: Roles = wish.roles.iter().copied().collect();
        let mut options = ServeOptions::new("nowhere".into(), "127.0.0.1:0".parse().unwrap());
        options.rate_limits = RateLimitConfig::unlimited();
        options.frame_rate = FrameRate::UNLIMITED;
        options.presence_grace = wish.grace;
        options.roles = roles;
        options.internal = Some(wish.internal);
        options.drain = wish.drain;
        options.client_url = wish.client_url.to_owned();
        options.web_origins = wish.web_origins.iter().map(|&origin| origin.to_owned()).collect();
        let assignment = self.assignment.take_if(|_| roles.has(Role::Worker));
        let mut joined = None;
        let server = Server::over(options, async |profile| {
            let member = Arc::new(self.cluster.join(profile)?);
            joined = Some(member.clone());
            Ok(Stores {
                history: self.history.clone(),
                queue: self.queue.clone(),
                unqueued: Arc::default(),
                assignment: assignment.map(|assignment| Box::new(assignment) as _),
                feed: None,
                directory: self.directory.clone(),
                cluster: member,
                sessions: Some(self.sessions.clone()),
                key: KEY,
                collector: None,
                closing: Box::new(StaysOpen),
            })
        });
        let server = server.await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = server.address();
        let running = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Node { address, member: joined.unwrap(), stop, running }
    }

    /// A node with every role, and a gateway besides.
    pub async fn pair(&mut self) -> (Node, Node) {
        (self.start(Wish::of(&Role::ALL)).await, self.start(Wish::of(GATEWAY)).await)
    }

    pub async fn person(&self, handle: &str) -> Person {
        let user = UserId(self.number());
        let new = NewUser {
            id: user,
            handle: handle.to_owned(),
            display_name: handle.to_owned(),
            password_hash: "none".to_owned(),
            created_at: clock::now(),
        };
        self.directory.create_user(new).await.unwrap();
        self.device(handle, user).await
    }

    pub async fn people<const N: usize>(&self, handles: [&str; N]) -> [Person; N] {
        let mut people = Vec::new();
        for handle in handles {
            people.push(self.person(handle).await);
        }
        people.try_into().unwrap()
    }

    pub async fn another_device(&self, who: &Person) -> Person {
        self.device(&who.handle, who.user).await
    }

    pub async fn acquaint(&self, one: &Person, other: &Person) {
        self.directory.request_friend(one.user, other.user, clock::now()).await.unwrap();
        assert!(self.directory.accept_friend(other.user, one.user, clock::now()).await.unwrap());
    }

    async fn device(&self, handle: &str, user: UserId) -> Person {
        let id = DeviceId(self.number());
        let now = clock::now();
        self.directory.create_device(Device { id, user, name: String::new(), created_at: now, used_at: now }, 20).await.unwrap();
        let (token, _) = self.tokens.issue(user, id, now);
        Person { handle: handle.to_owned(), user, device: id, token }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}

impl Node {
    /// A request to the API, which has to succeed.
    pub async fn api(&self, who: &Person, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.call(Some(who), method, path, body).await;
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.text);
        answer.json
    }

    /// Any request.
    pub async fn call(&self, who: Option<&Person>, method: &str, path: &str, body: Option<Value>) -> Answer {
        let token = who.map(|who| who.token.as_str());
        http::call(self.address, method, path, token, body.map(|body| body.to_string())).await
    }

    pub async fn group(&self, owner: &Person, members: &[&Person], key: &str) -> ConversationId {
        let members: Vec<_> = members.iter().map(|member| member.user).collect();
        let wish = json!({"title": "Sailing", "members": members, "earlier_history": false, "key": key});
        let made = self.api(owner, "POST", "/v1/groups", Some(wish)).await;
        made["conversation"].as_str().unwrap().parse().unwrap()
    }

    /// Tells it to stop, and waits until it has.
    pub async fn stop(self) {
        let _ = self.stop.send(());
        soon("the end", self.running).await.unwrap().unwrap();
    }

    /// Others see it die; its sessions stay in the registry.
    pub async fn die(&self) {
        self.member.leave().await;
    }

    /// A counter's value.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.call(None, "GET", "/metrics", None).await.text;
        let line = text.lines().find_map(|line| line.strip_prefix("banter_")?.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }
}
