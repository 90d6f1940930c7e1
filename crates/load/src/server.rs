//! A server to be measured: its people made beforehand, its process started and stopped.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::{DeviceId, Millis, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::{clock, secret_key};
use banter_store::Directory;
use banter_store::data_folder::DataFolder;
use banter_store::directory::NewUser;
use banter_store::directory::sql::SqlDirectory;

use crate::Common;

/// Somebody with an account and an access token.
pub struct User {
    /// Who.
    pub id: UserId,
    /// Goes into `hello`.
    pub token: String,
}

/// A running server.
pub struct Server {
    process: Process,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// From starting the process to the line that says it is ready.
    pub start_time: Duration,
    /// Where its data is.
    pub folder: tempfile::TempDir,
    /// Its people.
    pub users: Vec<User>,
}

impl Server {
    /// Makes a data folder with `users` accounts and starts a server on it. Accounts are written into the directory as a sign-up
    /// would, but for the hashing of a password: that is argon2id by design and would be all that is measured.
    pub async fn start(common: &Common, users: u64) -> Result<Server> {
        let folder = match &common.folder {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let users = people(folder.path(), users).await?;
        let process = Process::start(&binary(common)?, folder.path())?;
        Ok(Server { address: process.address, start_time: process.start_time, process, folder, users })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The process of a server; killed when this is dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// From starting the process to the line that says it is ready.
    pub start_time: Duration,
}

impl Process {
    /// Starts `binary serve` on the data folder `folder`, and waits until it is ready.
    pub fn start(binary: &Path, folder: &Path) -> Result<Process> {
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args(["serve", "--unlimited", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} does not start", binary.display()))?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
        let start_time = started.elapsed();
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let address = address.context("the server did not say where it listens")?.parse()?;
        Ok(Process { child, address, start_time })
    }

    /// Its id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
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

async fn people(path: &Path, users: u64) -> Result<Vec<User>> {
    let folder = DataFolder::open(path)?;
    let tokens = AccessTokens::new(&secret_key::load(&folder.secret_key())?);
    let directory = SqlDirectory::open_sqlite(&folder.directory()).await?;
    let now: Millis = clock::now();
    let mut made = Vec::new();
    for number in 1..=users {
        let id = UserId(number);
        let handle = format!("user{number}");
        let user = NewUser { id, display_name: handle.clone(), handle, password_hash: String::new(), created_at: now };
        directory.create_user(user).await?;
        let (token, _) = tokens.issue(id, DeviceId(number), now);
        made.push(User { id, token });
    }
    directory.close().await;
    Ok(made)
}
