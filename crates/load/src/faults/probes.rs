//! What somebody tries while a fault lasts: reading a page of history, logging in, opening a session.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use banter_client::api::{Api, log_in, sign_up};
use banter_client::connection::connect;
use banter_client::sync::Window;
use banter_model::ConversationId;
use banter_protocol::ServerFrame;
use banter_protocol::api::{LoggedIn, Login, SignUp};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::journalled::people::PASSWORD;

/// What is not there within this time did not work.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// Events of a page that is read.
const PAGE: usize = 50;

/// How attempts at one thing went.
#[derive(Debug, Clone, Default)]
pub struct Attempts {
    tried: u64,
    worked: u64,
    slowest_ms: u64,
    longest_failing_ms: u64,
    failing_since: Option<Instant>,
    error: Option<String>,
}

impl Attempts {
    fn note(&mut self, began: Instant, result: Result<()>) {
        self.tried += 1;
        match result {
            Ok(()) => {
                self.worked += 1;
                self.slowest_ms = self.slowest_ms.max(began.elapsed().as_millis() as u64);
                self.failing_since = None;
            }
            Err(error) => {
                let since = *self.failing_since.get_or_insert(began);
                self.longest_failing_ms = self.longest_failing_ms.max(since.elapsed().as_millis() as u64);
                self.error = Some(format!("{error:#}"));
            }
        }
    }

    /// As figures.
    pub fn figures(&self) -> Value {
        json!({
            "tried": self.tried,
            "worked": self.worked,
            "slowest, ms": self.slowest_ms,
            "failing for, ms": self.longest_failing_ms,
            "last error": self.error,
        })
    }

    /// For people: how many of how many worked, and the slowest.
    pub fn summary(&self) -> String {
        format!("{}/{} {:.1}s", self.worked, self.tried, self.slowest_ms as f64 / 1_000.0)
    }
}

/// How all attempts went.
#[derive(Debug, Clone, Default)]
pub struct Tried {
    /// Reading a page of history through the API.
    pub reading: Attempts,
    /// Logging in as a new device.
    pub login: Attempts,
    /// Opening a session at the first chat server that the login named.
    pub session: Attempts,
}

/// Somebody who tries.
#[derive(Clone)]
pub struct Prober {
    /// The address.
    pub base: String,
    /// What handles of those who log in begin with.
    pub handles: String,
    /// A device that reads.
    pub reader: Api,
    /// What it reads.
    pub conversation: ConversationId,
}

/// Attempts under way.
pub struct Trying {
    tried: Arc<Mutex<Tried>>,
    tasks: JoinSet<()>,
}

impl Prober {
    /// Signs somebody up who will log in again and again: the `number`-th, since one user has a limited number of devices.
    ///
    /// # Errors
    /// When the account cannot be made.
    pub async fn somebody(&self, number: usize) -> Result<Login> {
        let (handle, password) = (format!("{}login{number}", self.handles), PASSWORD.to_owned());
        let account = SignUp { handle: handle.clone(), password: password.clone(), display_name: None, device_name: None };
        sign_up(&self.base, &account).await?;
        Ok(Login { handle, password, device_name: None })
    }

    /// Begins to try, about once a second each; `login` is the account that logs in.
    pub fn begin(&self, login: &Login) -> Trying {
        let tried = Arc::new(Mutex::new(Tried::default()));
        let mut tasks = JoinSet::new();
        let (prober, noted) = (self.clone(), tried.clone());
        tasks.spawn(async move {
            loop {
                let began = Instant::now();
                let result = within(prober.read()).await;
                noted.lock().reading.note(began, result);
                sleep(PAUSE).await;
            }
        });
        let (prober, noted, login) = (self.clone(), tried.clone(), login.clone());
        tasks.spawn(async move {
            loop {
                let began = Instant::now();
                let logged_in = within(prober.log_in(&login)).await;
                let failed = logged_in.as_ref().err().map(|error| anyhow::anyhow!("{error:#}"));
                noted.lock().login.note(began, failed.map_or(Ok(()), Err));
                if let Ok(device) = logged_in {
                    let began = Instant::now();
                    let result = within(prober.session(&device)).await;
                    noted.lock().session.note(began, result);
                    // One that cannot be logged out now stays.
                    let _ = within(prober.log_out(device)).await;
                }
                sleep(PAUSE).await;
            }
        });
        Trying { tried, tasks }
    }

    async fn read(&self) -> Result<()> {
        let page = self.reader.page(self.conversation, Window::Newest, PAGE).await?;
        anyhow::ensure!(!page.events.is_empty(), "an empty page");
        Ok(())
    }

    async fn log_in(&self, login: &Login) -> Result<LoggedIn> {
        Ok(log_in(&self.base, login).await?)
    }

    async fn session(&self, device: &LoggedIn) -> Result<()> {
        let first = device.servers.first().map(|server| server.url.clone()).filter(|url| !url.is_empty());
        let mut connection = connect(first.as_deref().unwrap_or(&self.base), &device.tokens.access_token).await?;
        let frame = connection.next().await?;
        anyhow::ensure!(matches!(frame, ServerFrame::Welcome { .. }), "{frame:?} instead of a welcome");
        connection.close().await;
        Ok(())
    }

    async fn log_out(&self, device: LoggedIn) -> Result<()> {
        Ok(Api::new(&self.base, Some(device.tokens), None)?.log_out().await?)
    }
}

impl Trying {
    /// Ends, and says how it went. What is under way is not counted.
    pub async fn end(mut self) -> Tried {
        self.tasks.shutdown().await;
        self.tried.lock().clone()
    }
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(PATIENCE, work).await.with_context(|| format!("nothing within {} s", PATIENCE.as_secs()))?
}
