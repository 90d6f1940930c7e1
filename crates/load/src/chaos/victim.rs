//! The server that is killed: a process of the real binary, on one data folder and one port.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// A server says within this time that it is ready, or it does not start. Generous: the machine may be busy.
const READY: Duration = Duration::from_secs(60);
/// A question for the counters may come while the server is being killed.
const METRICS: Duration = Duration::from_secs(3);

/// A server, or the place of one.
pub struct Victim {
    binary: PathBuf,
    data: PathBuf,
    log: PathBuf,
    listen: SocketAddr,
    child: Option<(Child, BufReader<ChildStdout>)>,
}

impl Victim {
    /// A place for a server below `folder`. What it complains about goes into `server.log` there.
    pub fn new(binary: PathBuf, folder: &Path) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Victim { binary, data: folder.join("data"), log: folder.join("server.log"), listen, child: None }
    }

    /// Starts the process, on the port of the last time, and does not wait for it.
    pub fn spawn(&mut self) -> Result<()> {
        let log: File = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.binary);
        command.args(["serve", "--unlimited", "--listen"]).arg(self.listen.to_string()).arg("--data").arg(&self.data);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{} does not start", self.binary.display()))?;
        let output = child.stdout.take().context("no output")?;
        self.child = Some((child, BufReader::new(output)));
        Ok(())
    }

    /// Waits until it is ready, and says where it listens.
    pub async fn ready(&mut self) -> Result<SocketAddr> {
        let (_, output) = self.child.as_mut().context("no server was started")?;
        let mut line = String::new();
        let read = timeout(READY, output.read_line(&mut line)).await;
        read.context("waiting for the server to say that it is ready")??;
        let address = line.split("http://").nth(1).and_then(|rest| rest.split_whitespace().next());
        let Some(address) = address else { bail!("the server ended instead of starting: {}", self.complaints()) };
        self.listen = address.parse()?;
        Ok(self.listen)
    }

    /// Kills the process (SIGKILL) and waits until it is gone.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some((mut child, _)) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    /// A counter of the running server; `None` when it does not answer.
    pub async fn counter(&self, name: &str) -> Option<u64> {
        let question = async {
            let mut stream = TcpStream::connect(self.listen).await.ok()?;
            let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.listen);
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut text = String::new();
            stream.read_to_string(&mut text).await.ok()?;
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
        };
        timeout(METRICS, question).await.ok()?
    }

    /// The end of what the servers complained about.
    pub fn complaints(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}
