//! The server as a process of its own, which holds its sessions in shards: these have descriptor tables apart from each other, and a
//! process that runs several servers and their clients would leave copies of each one's connections with the others.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;

use banter_server::serve::ServeError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Settings;

/// How many shards the servers of this run of the tests are to have; none when it is not set.
pub fn shards() -> Option<String> {
    std::env::var("BANTER_TEST_SHARDS").ok()
}

/// Starts a server with `shards`, and has it stopped when `stopped` is done.
pub async fn start(
    folder: &Path,
    settings: Settings,
    shards: &str,
    stopped: oneshot::Receiver<()>,
) -> (SocketAddr, JoinHandle<Result<(), ServeError>>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_banter"))
        .args(["serve", "--unlimited", "--listen", "127.0.0.1:0", "--shards", shards, "--data"])
        .arg(folder)
        .args(["--presence-grace-ms", &settings.grace.as_millis().to_string()])
        .args(["--reserve-mib", &(settings.reserve_bytes >> 20).to_string()])
        .args(settings.sessions.map(|sessions| format!("--sessions={sessions}")))
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = super::soon("the server", lines.next_line()).await.unwrap().expect("a server that is ready");
    let address = line.split("http://").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let running = tokio::spawn(async move {
        let asked = tokio::select! {
            // A test that ends without a word drops the other end.
            stop = stopped => stop.is_ok(),
            ended = child.wait() => panic!("the server ended by itself: {ended:?}"),
        };
        if asked {
            kill(Pid::from_raw(child.id().unwrap().cast_signed()), Signal::SIGTERM).unwrap();
            assert!(child.wait().await.unwrap().success());
        }
        Ok(())
    });
    (address, running)
}
