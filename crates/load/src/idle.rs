//! Idle sessions: what one costs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};

use crate::{Common, process, server::Server, wire};

/// Descriptors that a process needs besides those of its sessions.
const DESCRIPTORS_BESIDES: u64 = 100;

/// Idle sessions, one of each user.
#[derive(Args)]
pub struct Idle {
    /// How many.
    #[arg(long, default_value_t = 20_000)]
    sessions: u64,
    /// Connections opened at the same time.
    #[arg(long, default_value_t = 200)]
    at_once: usize,
    /// Seconds to wait after the last one, so that what is not idle settles.
    #[arg(long, default_value_t = 10)]
    settle: u64,
}

impl Idle {
    /// Opens the sessions, and compares the server's memory before and after.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        ensure!(
            self.sessions + DESCRIPTORS_BESIDES <= limit,
            "{} sessions need as many descriptors in each process, and the limit here is {limit}: ask for fewer, or raise it (ulimit -n)",
            self.sessions
        );
        let server = Arc::new(Server::start(common, self.sessions).await?);
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (empty, empty_anonymous) = process::resident(server.pid())?;
        let kernel_before = process::kernel_tcp_bytes()?;
        let places = Arc::new(Semaphore::new(self.at_once));
        let (opened, mut streams) = mpsc::unbounded_channel();
        let start = Instant::now();
        for number in 0..self.sessions {
            let place = places.clone().acquire_owned().await?;
            let (server, opened) = (server.clone(), opened.clone());
            tokio::spawn(async move {
                let token = &server.users[number as usize].token;
                let stream = open(&server, number, token).await;
                drop(place);
                let _ = opened.send(stream);
            });
        }
        drop(opened);
        let mut held = Vec::new();
        while let Some(stream) = streams.recv().await {
            held.push(stream?);
        }
        let seconds = start.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(self.settle)).await;
        let (full, full_anonymous) = process::resident(server.pid())?;
        let kernel = process::kernel_tcp_bytes()?.saturating_sub(kernel_before);
        let sessions = self.sessions as f64;
        let figures = json!({
            "sessions": held.len(),
            "start of the server, ms": server.start_time.as_secs_f64() * 1000.0,
            "empty server, MiB": empty as f64 / f64::from(1 << 20),
            "server with the sessions, MiB": full as f64 / f64::from(1 << 20),
            "process memory per session, bytes": (full.saturating_sub(empty)) as f64 / sessions,
            "anonymous memory per session, bytes": (full_anonymous.saturating_sub(empty_anonymous)) as f64 / sessions,
            "socket buffers in the kernel per session (both ends), bytes": kernel as f64 / sessions,
            "sessions opened a second": sessions / seconds,
        });
        match figures {
            Value::Object(figures) => Ok(figures),
            _ => Ok(Map::new()),
        }
    }
}

async fn open(server: &Server, number: u64, token: &str) -> Result<TcpStream> {
    let stream = wire::connect(server.address, number, token).await?;
    // The welcome is read, so that its bytes wait nowhere.
    let mut buffer = vec![0; 512];
    let mut filled = 0;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut buffer[filled..]) {
            Ok(0) => anyhow::bail!("the server closed"),
            Ok(bytes) => filled += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error.into()),
        }
        if wire::parse(&buffer[..filled])?.is_some() {
            return Ok(stream);
        }
    }
}
