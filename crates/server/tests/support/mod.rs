//! A whole server in this process (or one of its own, see [`process`]), on a port and in a folder of its own, and people with accounts on it.

// Each test program uses its part of this.
#![allow(dead_code)]

pub mod http;
pub mod polling;
pub mod process;
pub mod socket;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use banter_model::{ConversationId, DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use banter_server::gateway::FrameRate;
use banter_server::rate_limit::RateLimitConfig;
use banter_server::secret_key;
use banter_server::serve::{ServeError, ServeOptions, Server};
use banter_store::Directory;
use banter_store::data_folder::DataFolderError;
use banter_store::directory::sql::SqlDirectory;
use banter_store::directory::{Device, NewUser};
use banter_store::embedded::history::HistoryOptions;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use http::Answer;

/// How long anything is waited for, on however slow a machine.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// The password of those who sign up.
pub const PASSWORD: &str = "correct horse";

/// Waits for `what`, which has to come.
#[track_caller]
pub fn soon<F: Future>(what: &str, future: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("{what} did not come, waited for at {caller}"),
        }
    }
}

/// A server that runs.
pub struct World {
    pub address: SocketAddr,
    folder: Option<TempDir>,
    directory: SqlDirectory,
    tokens: AccessTokens,
    next: std::sync::atomic::AtomicU64,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), ServeError>>,
}

/// A device of somebody's.
#[derive(Debug, Clone)]
pub struct Person {
    pub handle: String,
    pub user: UserId,
    pub device: DeviceId,
    pub token: String,
}

/// How servers of tests differ from each other.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    pub grace: Duration,
    pub frame_rate: FrameRate,
    /// Room kept free on the disk: with `u64::MAX` it is always full.
    pub reserve_bytes: u64,
    /// Most sessions at once.
    pub sessions: Option<usize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { grace: Duration::from_millis(50), frame_rate: FrameRate::UNLIMITED, reserve_bytes: 0, sessions: None }
    }
}

impl World {
    pub async fn start() -> World {
        World::start_with(Settings::default()).await
    }

    pub async fn start_with(settings: Settings) -> World {
        World::start_in(tempfile::tempdir().unwrap(), settings).await
    }

    /// A server over a data folder that may have been used before.
    pub async fn start_in(folder: TempDir, settings: Settings) -> World {
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, running) = match process::shards() {
            Some(shards) => process::start(folder.path(), settings, &shards, stopped).await,
            None => serve_here(folder.path(), settings, stopped).await,
        };
        let directory = SqlDirectory::open_sqlite(&folder.path().join("directory.sqlite")).await.unwrap();
        let tokens = AccessTokens::new(&key(folder.path()));
        let next = std::sync::atomic::AtomicU64::new(1_000);
        World { address, folder: Some(folder), directory, tokens, next, stop, running }
    }

    /// Takes the server down, and gives the folder back for another one.
    pub async fn stop(mut self) -> TempDir {
        self.begin_stop();
        soon("the end", &mut self.running).await.unwrap().unwrap();
        self.directory.close().await;
        self.folder.take().unwrap()
    }

    /// Tells the server to go down, and does not wait.
    pub fn begin_stop(&mut self) {
        let (nothing, _) = oneshot::channel();
        let _ = std::mem::replace(&mut self.stop, nothing).send(());
    }

    /// Somebody with an account. Put into the directory as a sign-up does, but without the costly hash of a password: nobody logs in.
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

    /// Several people.
    pub async fn people<const N: usize>(&self, handles: [&str; N]) -> [Person; N] {
        let mut people = Vec::new();
        for handle in handles {
            people.push(self.person(handle).await);
        }
        people.try_into().unwrap()
    }

    /// Another device of a person's.
    pub async fn another_device(&self, who: &Person) -> Person {
        self.device(&who.handle, who.user).await
    }

    async fn device(&self, handle: &str, user: UserId) -> Person {
        let id = DeviceId(self.number());
        let now = clock::now();
        self.directory.create_device(Device { id, user, name: String::new(), created_at: now, used_at: now }, 20).await.unwrap();
        let (token, _) = self.tokens.issue(user, id, now);
        Person { handle: handle.to_owned(), user, device: id, token }
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }

    /// A token of the person's that this server gave out `age_ms` ago.
    pub fn token_of_age(&self, who: &Person, age_ms: u64) -> String {
        self.tokens.issue(who.user, who.device, clock::now() - age_ms).0
    }

    /// Signs up over HTTP.
    pub async fn sign_up(&self, handle: &str) -> Person {
        let answer = self.call("POST", "/v1/accounts", None, Some(json!({"handle": handle, "password": PASSWORD}))).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        let text = |pointer: &str| answer.json.pointer(pointer).unwrap().as_str().unwrap();
        Person {
            handle: handle.to_owned(),
            user: text("/user").parse().unwrap(),
            device: text("/device").parse().unwrap(),
            token: text("/tokens/access_token").to_owned(),
        }
    }

    /// A request to the API.
    pub async fn call(&self, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> Answer {
        http::call(self.address, method, path, token, body.map(|body| body.to_string())).await
    }

    /// A request of somebody's that has to succeed.
    #[track_caller]
    pub fn api(&self, who: &Person, method: &str, path: &str, body: Option<Value>) -> impl Future<Output = Value> {
        let (caller, method, path) = (std::panic::Location::caller(), method.to_owned(), path.to_owned());
        async move {
            let answer = self.call(&method, &path, Some(&who.token), body).await;
            assert!((200..300).contains(&answer.status), "{method} {path} at {caller}: {} {}", answer.status, answer.text);
            answer.json
        }
    }

    pub async fn befriend(&self, one: &Person, other: &Person) {
        self.api(one, "POST", &format!("/v1/friends/{}", other.user), None).await;
        self.api(other, "POST", &format!("/v1/friends/{}/accept", one.user), None).await;
    }

    /// Makes two people friends in the directory alone: nobody who is online is told.
    pub async fn acquaint(&self, one: &Person, other: &Person) {
        self.directory.request_friend(one.user, other.user, clock::now()).await.unwrap();
        assert!(self.directory.accept_friend(other.user, one.user, clock::now()).await.unwrap());
    }

    /// Makes a group.
    pub async fn group(&self, owner: &Person, members: &[&Person], earlier_history: bool) -> ConversationId {
        let members: Vec<_> = members.iter().map(|member| member.user).collect();
        let key = self.number().to_string();
        let wish = json!({"title": "Sailing", "members": members, "earlier_history": earlier_history, "key": key});
        let made = self.api(owner, "POST", "/v1/groups", Some(wish)).await;
        made["conversation"].as_str().unwrap().parse().unwrap()
    }

    /// The newest events of a conversation, as somebody sees them.
    pub async fn events(&self, who: &Person, conversation: ConversationId) -> Vec<Value> {
        let page = self.api(who, "GET", &format!("/v1/conversations/{conversation}/events?limit=200"), None).await;
        page["events"].as_array().unwrap().clone()
    }

    /// The last place of a conversation, as somebody sees it; 0 when there is no such conversation yet.
    pub async fn head(&self, who: &Person, conversation: ConversationId) -> u64 {
        let answer = self.call("GET", &format!("/v1/conversations/{conversation}"), Some(&who.token), None).await;
        answer.json["head_seq"].as_u64().unwrap_or(0)
    }

    /// A counter's value, 0 when it has not been counted yet. The name without `banter_`, with its labels.
    pub async fn metric(&self, name: &str) -> u64 {
        let text = self.call("GET", "/metrics", None, None).await.text;
        let line = text.lines().find_map(|line| line.strip_prefix("banter_")?.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a counter has a value.
    #[track_caller]
    pub fn metric_becomes(&self, name: &str, wanted: u64) -> impl Future<Output = ()> {
        let name = name.to_owned();
        soon("a counter's value", async move {
            loop {
                let value = self.metric(&name).await;
                if value == wanted {
                    return;
                }
                assert!(value < wanted || name == "sessions", "{name} is {value}, beyond {wanted}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }
}

/// The direct conversation of two people.
pub fn direct(one: &Person, other: &Person) -> ConversationId {
    ConversationId::direct(one.user, other.user).unwrap()
}

/// A `send` frame.
pub fn send(tag: u64, conversation: ConversationId, text: &str) -> Value {
    json!({"type": "send", "tag": tag, "conversation": conversation, "text": text})
}

fn key(folder: &Path) -> [u8; 32] {
    secret_key::load(&folder.join("secret")).unwrap()
}

async fn serve_here(
    folder: &Path,
    settings: Settings,
    stopped: oneshot::Receiver<()>,
) -> (SocketAddr, JoinHandle<Result<(), ServeError>>) {
    let mut options = ServeOptions::new(folder.to_owned(), "127.0.0.1:0".parse().unwrap());
    options.rate_limits = RateLimitConfig::unlimited();
    options.frame_rate = settings.frame_rate;
    options.presence_grace = settings.grace;
    options.sessions = settings.sessions;
    options.history = HistoryOptions { reserve_bytes: settings.reserve_bytes, ..HistoryOptions::default() };
    // The server before may be letting go of the folder still.
    let opening = async {
        loop {
            match Server::open(options.clone()).await {
                Err(ServeError::DataFolder(DataFolderError::InUse { .. })) => tokio::time::sleep(Duration::from_millis(20)).await,
                opened => return opened.unwrap(),
            }
        }
    };
    let server = soon("the folder", opening).await;
    let address = server.address();
    let running = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    (address, running)
}
