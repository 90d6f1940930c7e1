//! A server to be measured: its people made beforehand, its process started and stopped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::{DeviceId, Millis, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::{clock, secret_key};
use banter_store::data_folder::DataFolder;
use banter_store::directory::NewUser;
use banter_store::directory::sql::SqlDirectory;

use crate::Common;
use crate::groups::prepared::{self, Entry};

/// Somebody with an account and an access token.
pub struct User {
    /// Who.
    pub id: UserId,
    /// Goes into `hello`.
    pub token: String,
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From starting the process to the line that says it is ready.
    pub start_time: Duration,
    /// Where its data is.
    pub folder: tempfile::TempDir,
    /// Its people.
    pub users: Vec<User>,
    /// What it signs tokens with: a run that outlives those of its people makes new ones.
    pub key: [u8; 32],
}

impl Server {
    /// Makes a data folder with `users` accounts and starts a server on it. Accounts are written into the directory as a sign-up
    /// would, but for the hashing of a password: that is argon2id by design and would be all that is measured.
    pub async fn start(common: &Common, users: u64) -> Result<Server> {
        Self::start_after(common, users, []).await
    }

    /// The same, with a history: `entries` are written before the server starts (see [`prepared::write`]).
    pub async fn start_after(common: &Common, users: u64, entries: impl IntoIterator<Item = Entry>) -> Result<Server> {
        let folder = new_folder(common)?;
        let key = people(folder.path(), users).await?;
        prepared::write(folder.path(), entries).await?;
        let tokens = AccessTokens::new(&key);
        let now = clock::now();
        let token = |number| {
            let id = UserId(number);
            User { id, token: tokens.issue(id, DeviceId(number), now).0 }
        };
        Server::start_on(common, folder, (1..=users).map(token).collect(), key, None)
    }

    /// Starts a server on a data folder that is ready, with room for `sessions` if the binary wants to be told.
    pub fn start_on(
        common: &Common,
        folder: tempfile::TempDir,
        users: Vec<User>,
        key: [u8; 32],
        sessions: Option<u64>,
    ) -> Result<Server> {
        let (child, address, start_time) = launch(common, folder.path(), "127.0.0.1:0", sessions)?;
        Ok(Server { child, address, start_time, folder, users, key })
    }

    /// Kills the server with SIGKILL, and starts it again where it was.
    pub fn kill_and_start(&mut self, common: &Common, sessions: Option<u64>) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        let (child, address, start_time) = launch(common, self.folder.path(), &self.address.to_string(), sessions)?;
        (self.child, self.address, self.start_time) = (child, address, start_time);
        Ok(())
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's binary: the one named, or the one beside this program.
pub(crate) fn binary(common: &Common) -> Result<PathBuf> {
    if let Some(binary) = &common.server {
        return Ok(binary.clone());
    }
    let beside = std::env::current_exe()?.with_file_name("banter");
    ensure!(
        beside.is_file(),
        "there is no {}: build it with `cargo build --release`, or name one with --server",
        beside.display()
    );
    Ok(beside)
}

/// An empty folder for the data.
pub fn new_folder(common: &Common) -> Result<tempfile::TempDir> {
    Ok(match &common.folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    })
}

/// Does `banter serve` take `--sessions`?
pub fn takes_sessions(common: &Common) -> Result<bool> {
    let help = Command::new(binary(common)?).args(["serve", "--help"]).output()?;
    Ok(String::from_utf8_lossy(&help.stdout).contains("--sessions "))
}

pub(crate) fn launch(
    common: &Common,
    folder: &Path,
    listen: &str,
    sessions: Option<u64>,
) -> Result<(Child, SocketAddr, Duration)> {
    let binary = binary(common)?;
    let mut command = Command::new(&binary);
    command.args(["serve", "--unlimited", "--listen", listen, "--data"]).arg(folder).stdout(Stdio::piped());
    if let Some(sessions) = sessions
        && takes_sessions(common)?
    {
        command.arg("--sessions").arg(sessions.to_string());
    }
    let started = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{} does not start", binary.display()))?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
    let start_time = started.elapsed();
    let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
    let address = address.context("the server did not say where it listens")?.parse()?;
    Ok((child, address, start_time))
}

/// Makes a data folder in which there are the users 1 to `users`. Returns the key that signs their access tokens.
pub async fn people(path: &Path, users: u64) -> Result<[u8; 32]> {
    let folder = DataFolder::open(path)?;
    let key = secret_key::load(&folder.secret_key())?;
    let directory = SqlDirectory::open_sqlite(&folder.directory()).await?;
    let now: Millis = clock::now();
    let person = |number| {
        let handle = format!("user{number}");
        NewUser { id: UserId(number), display_name: handle.clone(), handle, password_hash: String::new(), created_at: now }
    };
    directory.create_users((1..=users).map(person)).await?;
    directory.close().await;
    Ok(key)
}
