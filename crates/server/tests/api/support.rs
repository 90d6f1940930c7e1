//! A whole node in this process, in a folder of its own, and requests to its router.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use banter_model::{Action, Command, ConversationId, DeviceId, EventId, Tag, UserId};
use banter_server::api;
use banter_server::auth::passwords::Passwords;
use banter_server::auth::refresh_tokens::RefreshTokens;
use banter_server::auth::removed_devices::RemovedDevices;
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock::Ids;
use banter_server::commands::Commands;
use banter_server::conversations::listing::LISTINGS_AT_ONCE;
use banter_server::conversations::points::Points;
use banter_server::conversations::recent::Recent;
use banter_server::conversations::relations::Relations;
use banter_server::gateway::hub::Hub;
use banter_server::gateway::session::{Session, Transport};
use banter_server::gateway::shards::Shards;
use banter_server::gateway::{FrameRate, Gateway};
use banter_server::metrics::Metrics;
use banter_server::node::Node;
use banter_server::notices::Notices;
use banter_server::presence::Presence;
use banter_server::rate_limit::{RateLimitConfig, RateLimits};
use banter_server::worker::Worker;
use banter_store::cluster::{NodeProfile, Roles};
use banter_store::data_folder::DataFolder;
use banter_store::directory::sql::SqlDirectory;
use banter_store::embedded::cluster::EmbeddedCluster;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::embedded::queue::EmbeddedQueue;
use banter_store::{Directory, Envelope, History, Origin};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse";

const KEY: [u8; 32] = [42; 32];
const NUMBER: u16 = 3;
const PARTITIONS: u32 = 4;

/// A node and the router in front of it.
pub struct World {
    pub node: Arc<Node>,
    pub gateway: Arc<Gateway>,
    pub router: Router,
    pub history: Arc<EmbeddedHistory>,
    /// Removed with it.
    pub _folder: tempfile::TempDir,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    pub json: Value,
}

/// Somebody who signed up.
#[derive(Debug, Clone)]
pub struct Person {
    pub user: UserId,
    pub device: DeviceId,
    pub token: String,
    pub refresh_token: String,
}

impl World {
    pub async fn start() -> World {
        World::start_with(RateLimitConfig::unlimited()).await
    }

    pub async fn start_with(limits: RateLimitConfig) -> World {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(DataFolder::open(folder.path()).unwrap());
        let directory: Arc<dyn Directory> = Arc::new(SqlDirectory::open_sqlite(&data.directory()).await.unwrap());
        let options = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
        let history = Arc::new(EmbeddedHistory::open(data, options).unwrap());
        let (queue, readers) = EmbeddedQueue::new(PARTITIONS, 1_024, &[0; PARTITIONS as usize]);
        let queue = Arc::new(queue);
        let metrics = Arc::new(Metrics::default());
        let ids = Arc::new(Ids::open(NUMBER, &folder.path().join("ids")).unwrap());
        let hub = Arc::new(Hub::new(metrics.clone()));
        let relations = Arc::new(Relations::new(directory.clone()));
        let removed_devices = Arc::new(RemovedDevices::load(&*directory, banter_server::clock::now()).await.unwrap());
        let notices = Arc::new(Notices::new(NUMBER, hub.clone(), relations.clone(), removed_devices.clone(), None));
        let presence = Presence::new(directory.clone(), relations.clone(), hub.clone(), notices.clone(), None, Duration::ZERO);
        let profile = NodeProfile {
            roles: Roles::all(),
            client_url: String::new(),
            internal_address: String::new(),
            region: String::new(),
            coordinates: None,
            capacity: 1,
        };
        let node = Arc::new(Node {
            number: NUMBER,
            directory: directory.clone(),
            history: history.clone(),
            queue: queue.clone(),
            commands: Arc::new(Commands::new(queue, ids.clone(), NUMBER)),
            ids,
            hub,
            presence: Arc::new(presence),
            tokens: AccessTokens::new(&KEY),
            refresh_tokens: RefreshTokens::new(&KEY),
            passwords: Passwords::new(NonZeroUsize::new(2).unwrap()),
            notices,
            removed_devices,
            relations,
            listings: Semaphore::new(LISTINGS_AT_ONCE),
            points: Points::Applied(Recent::new(&[0; PARTITIONS as usize], banter_server::clock::now())),
            cluster: Arc::new(EmbeddedCluster::new().join(profile).unwrap()),
            discovery: banter_server::discovery::Discovery::default(),
            readiness: banter_server::readiness::Readiness::default(),
            web_origins: Default::default(),
            rate_limits: RateLimits::new(&limits),
            metrics: metrics.clone(),
        });
        let gateway = Gateway::new(node.clone(), FrameRate::default(), Shards::start(0, 0).unwrap(), usize::MAX);
        for reader in readers {
            let history: Arc<dyn History> = history.clone();
            tokio::spawn(Worker::new(Box::new(reader), history, gateway.clone(), metrics.clone()).run());
        }
        let router = api::router(node.clone()).merge(gateway.routes());
        World { router, node, gateway, history, _folder: folder }
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status: parts.status.as_u16(), headers: parts.headers, text, json }
    }

    /// A request with a JSON body and a token, or without.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    pub async fn get(&self, who: &Person, path: &str) -> Answer {
        self.call("GET", path, Some(&who.token), None).await
    }

    pub async fn post(&self, who: &Person, path: &str, body: Value) -> Answer {
        self.call("POST", path, Some(&who.token), Some(body)).await
    }

    /// A method without a body.
    pub async fn act(&self, who: &Person, method: &str, path: &str) -> Answer {
        self.call(method, path, Some(&who.token), None).await
    }

    pub async fn sign_up(&self, handle: &str) -> Person {
        let answer = self.call("POST", "/v1/accounts", None, Some(json!({"handle": handle, "password": PASSWORD}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        person(&answer.json)
    }

    pub async fn log_in(&self, handle: &str) -> Person {
        let answer = self.call("POST", "/v1/login", None, Some(json!({"handle": handle, "password": PASSWORD}))).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        person(&answer.json)
    }

    pub async fn befriend(&self, one: &Person, other: &Person) {
        assert_eq!(self.act(one, "POST", &format!("/v1/friends/{}", other.user)).await.status, 200);
        let answer = self.act(other, "POST", &format!("/v1/friends/{}/accept", one.user)).await;
        assert_eq!((answer.status, answer.json), (200, json!({"state": "friends"})));
    }

    /// Makes a group of `owner` and `members`.
    pub async fn group(&self, owner: &Person, members: &[&Person], earlier_history: bool) -> ConversationId {
        let members: Vec<_> = members.iter().map(|member| member.user).collect();
        let key = self.node.ids.try_next().unwrap().to_string();
        let wish = json!({"title": "Sailing", "members": members, "earlier_history": earlier_history, "key": key});
        let answer = self.post(owner, "/v1/groups", wish).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json["conversation"].as_str().unwrap().parse().unwrap()
    }

    /// Does something in a conversation as the API does, and returns the place of the event.
    pub async fn run(&self, who: &Person, conversation: ConversationId, action: Action) -> u64 {
        self.node.commands.run(who.user, who.device, conversation, action).await.unwrap().seq
    }

    pub async fn say(&self, who: &Person, conversation: ConversationId, text: &str) -> u64 {
        self.run(who, conversation, Action::Send { text: text.to_owned(), reply_to: None, mentions: vec![] }).await
    }

    /// Says something with a tag, as a device does, and waits until it is there.
    pub async fn say_with_tag(&self, who: &Person, conversation: ConversationId, tag: u64, text: &str) -> u64 {
        let before = self.head(conversation).await;
        let action = Action::Send { text: text.to_owned(), reply_to: None, mentions: vec![] };
        let id = EventId(self.node.ids.try_next().unwrap());
        let tag = Some(Tag::new(tag).unwrap());
        let command = Command { conversation, sender: who.user, device: who.device, tag, id, action };
        self.node
            .queue
            .push(Envelope { command, origin: Origin { gateway: NUMBER, session: 0 }, objection: None })
            .await
            .unwrap();
        loop {
            let head = self.head(conversation).await;
            if head > before {
                return head;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn head(&self, conversation: ConversationId) -> u64 {
        self.node.history.heads(&[conversation]).await.unwrap()[0].as_ref().map_or(0, |head| head.seq)
    }

    /// A session of a person's, whose frames are read with [`frames`].
    pub fn session(&self, who: &Person) -> Arc<Session> {
        let number = self.node.hub.next_number();
        let session = Arc::new(Session::new(number, who.user, who.device, Transport::Polling, 0));
        self.node.hub.register(session.clone());
        session
    }
}

/// What a session got since the last look.
pub fn frames(session: &Session) -> Vec<Value> {
    let (frames, _) = session.take(usize::MAX);
    frames.iter().map(|frame| serde_json::from_slice(frame.json()).unwrap()).collect()
}

/// The direct conversation of two people.
pub fn direct(one: &Person, other: &Person) -> ConversationId {
    ConversationId::direct(one.user, other.user).unwrap()
}

fn person(logged_in: &Value) -> Person {
    let text = |pointer: &str| logged_in.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    Person {
        user: text("/user").parse().unwrap(),
        device: text("/device").parse().unwrap(),
        token: text("/tokens/access_token"),
        refresh_token: text("/tokens/refresh_token"),
    }
}

impl Answer {
    /// Status and code of a refusal.
    #[track_caller]
    pub fn refusal(&self) -> (u16, &str) {
        let code = self.json["code"].as_str().unwrap_or_else(|| panic!("no refusal: {} {}", self.status, self.text));
        assert!(self.json["message"].as_str().is_some_and(|message| !message.is_empty()));
        (self.status, code)
    }

    /// The body of a success.
    #[track_caller]
    pub fn ok(&self) -> &Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.text);
        &self.json
    }
}
