//! Starts the server on the folder.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use super::disk::Reading;
use crate::server::{Process, binary};
use crate::{Common, process};

/// How long a started server is left alone before its memory is looked at.
const SETTLING: Duration = Duration::from_secs(2);

/// Starts `banter serve` on `folder` and kills it again, as it would be started after a crash.
pub async fn restart(common: &Common, folder: &Path) -> Result<Value> {
    let server = Process::start(&binary(common)?, folder)?;
    let read = Reading::of(server.pid(), folder)?;
    tokio::time::sleep(SETTLING).await;
    let processor = process::cpu_seconds(server.pid())?;
    let (resident, anonymous) = process::resident(server.pid())?;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    Ok(json!({
        "seconds": server.start_time.as_secs_f64(), "seconds of processor": processor,
        "MiB from the disk": mib(read.bytes), "read calls": read.calls,
        "memory, MiB": mib(resident), "of that anonymous, MiB": mib(anonymous),
    }))
}
