//! The program that kills, stops and cuts off what a fleet is made of.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::process::Command;
use tokio::time::timeout;

use super::table::Fault;

/// The longest that one call takes: `start` waits until the started answers.
const CALL: Duration = Duration::from_secs(180);

/// `<program> kill|start|pause|resume|cut|mend NAME [NUMBER]`: `scripts/fleet`, or anything that does the same to another fleet.
#[derive(Debug, Clone)]
pub struct Control(pub PathBuf);

impl Control {
    /// Begins a fault.
    ///
    /// # Errors
    /// When the program does not do it.
    pub async fn breaks(&self, fault: &Fault) -> Result<()> {
        self.call(fault.how.breaks(), fault).await
    }

    /// Ends a fault. Returns when what was killed answers again.
    ///
    /// # Errors
    /// When the program does not do it.
    pub async fn mends(&self, fault: &Fault) -> Result<()> {
        self.call(fault.how.mends(), fault).await
    }

    async fn call(&self, verb: &str, fault: &Fault) -> Result<()> {
        let mut command = Command::new(&self.0);
        command.arg(verb).args(fault.place());
        let what = format!("{} {verb} {}", self.0.display(), fault.place().join(" "));
        let status = timeout(CALL, command.status()).await.with_context(|| format!("waiting for {what}"))?;
        let status = status.with_context(|| what.clone())?;
        ensure!(status.success(), "{what}: {status}");
        Ok(())
    }
}
