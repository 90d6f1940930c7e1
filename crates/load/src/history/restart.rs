//! Starts the server on the folder.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::disk::Reading;
use crate::server::launch;
use crate::{Common, process};

/// How long a started server is left alone before its memory is looked at.
const SETTLING: Duration = Duration::from_secs(2);

/// A server's process, killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts `banter serve` on `folder` and kills it again, as it would be started after a crash.
pub async fn restart(common: &Common, folder: &Path) -> Result<Value> {
    let (child, _, start_time) = launch(common, folder, "127.0.0.1:0", None)?;
    let server = Running(child);
    let pid = server.0.id();
    let read = Reading::of(pid, folder)?;
    tokio::time::sleep(SETTLING).await;
    let processor = process::cpu_seconds(pid)?;
    let (resident, anonymous) = process::resident(pid)?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(json!({
        "seconds": start_time.as_secs_f64(), "seconds of processor": processor,
        "MiB from the disk": mib(read.bytes), "read calls": read.calls,
        "memory, MiB": mib(resident), "of that anonymous, MiB": mib(anonymous),
    }))
}
