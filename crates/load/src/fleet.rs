//! Pairs against an installation that runs already, a fleet, and against an embedded server of its own in the same run.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use banter_client::api;
use banter_protocol::api::SignUp;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use rand::RngExt;
use serde_json::{Map, Value, json};

use crate::Common;
use crate::counters::Counters;
use crate::journalled::people::PASSWORD;
use crate::pairs::traffic::{self, Run, Target};
use crate::pairs::{Pairs, figures_of};
use crate::process;
use crate::server::{Server, User};

/// Sign-ups on their way at once: each costs the installation a hashed password.
const SIGN_UPS_AT_ONCE: usize = 4;
/// What the names of counters of requests to engines begin with.
const ENGINES: [&str; 5] = ["banter_history_", "banter_queue_", "banter_feed_", "banter_sessions_", "banter_directory_"];

/// Pairs on a fleet that runs, and on an embedded server, in turn: as fast as it goes, and at a steady rate.
///
/// The fleet has to be without rate limits, and its gateways have to be reached at their own addresses
/// (`scripts/fleet up --direct --unlimited`).
#[derive(Args, Clone, Debug)]
pub struct Fleet {
    #[command(flatten)]
    pairs: Pairs,
    /// Where the API of the fleet is.
    #[arg(long)]
    address: String,
    /// Where its gateways are (host:port), separated by commas. Pairs use each together with each.
    #[arg(long, value_delimiter = ',', required = true)]
    gateways: Vec<String>,
    /// Where its other nodes show their metrics (host:port), separated by commas.
    #[arg(long, value_delimiter = ',')]
    nodes: Vec<String>,
    /// Messages a second of the second part.
    #[arg(long, default_value_t = 500.0)]
    steady: f64,
}

impl Fleet {
    /// Runs all four.
    pub async fn run(&self, common: &Common) -> Result<Map<String, Value>> {
        ensure!(self.pairs.rate.is_none(), "the rate of the second part is --steady");
        let steady = Pairs { rate: Some(self.steady), ..self.pairs.clone() };
        let (mut fleet, mut embedded) = (Vec::new(), Vec::new());
        for pairs in [&self.pairs, &steady] {
            // Other people each time: a device's tags begin at 1 once.
            fleet.push(traffic::run(pairs, &self.target().await?).await?);
            let mut server = Server::start(common, pairs.pairs * 2).await?;
            let users = std::mem::take(&mut server.users).into();
            embedded.push(traffic::run(pairs, &Target::one(server.address, server.pid(), users)).await?);
        }
        let ratio = |quantile| at(&fleet[1], quantile) / at(&embedded[1], quantile);
        let figures = json!({
            "pairs": self.pairs.pairs, "window": self.pairs.window, "characters": self.pairs.length, "steady, messages a second": self.steady,
            "messages a second: fleet / embedded": fleet[0].messages_a_second() / embedded[0].messages_a_second(),
            "steady, p50: fleet / embedded": ratio(0.5),
            "steady, p99: fleet / embedded": ratio(0.99),
            "fleet, as fast as it goes": of_fleet(&fleet[0]),
            "fleet, steady": of_fleet(&fleet[1]),
            "embedded, as fast as it goes": figures_of(&embedded[0]),
            "embedded, steady": figures_of(&embedded[1]),
        });
        Ok(figures.as_object().cloned().unwrap_or_default())
    }

    /// Signs up the people of the pairs.
    async fn target(&self) -> Result<Target> {
        let gateways: Arc<[SocketAddr]> = self.gateways.iter().map(|name| resolve(name)).collect::<Result<_>>()?;
        let others = self.nodes.iter().map(|name| resolve(name));
        let nodes: Arc<[SocketAddr]> = gateways.iter().copied().map(Ok).chain(others).collect::<Result<_>>()?;
        let processes = nodes.iter().map(|node| process::listening(node.port())).collect::<Result<_>>()?;
        // Of each run others: what they wrote stays in the fleet.
        let run: u32 = rand::rng().random();
        let people = stream::iter((0..self.pairs.pairs * 2).map(|number| sign_up(&self.address, run, number)));
        let users: Vec<User> = people.buffered(SIGN_UPS_AT_ONCE).try_collect().await?;
        Ok(Target { gateways, nodes, processes, users: users.into() })
    }
}

async fn sign_up(address: &str, run: u32, number: u64) -> Result<User> {
    let handle = format!("load{run:08x}_{number}");
    let body = SignUp { handle, password: PASSWORD.to_owned(), display_name: None, device_name: None };
    let made = api::sign_up(address, &body).await.with_context(|| format!("a sign-up at {address}"))?;
    Ok(User { id: made.user, token: made.tokens.access_token })
}

fn resolve(name: &str) -> Result<SocketAddr> {
    let mut addresses = name.to_socket_addrs().with_context(|| format!("{name} is no address"))?;
    addresses.next().with_context(|| format!("{name} has no address"))
}

fn at(run: &Run, quantile: f64) -> f64 {
    run.receipt.value_at_quantile(quantile) as f64
}

fn of_fleet(run: &Run) -> Map<String, Value> {
    let mut figures = figures_of(run);
    figures.insert("processors used by the engines and the kernel".to_owned(), run.other_processors.into());
    figures.insert("requests to engines".to_owned(), requests(&run.change));
    figures
}

/// What the nodes asked of the engines: for each event, and for each round of a worker.
fn requests(change: &Counters) -> Value {
    let (events, rounds) = (change.of("banter_events_total").max(1.0), change.of("banter_rounds_total").max(1.0));
    let of_engine = |name: &str| name.contains("_total") && ENGINES.iter().any(|prefix| name.starts_with(prefix));
    let counted = change.iter().filter(|(name, count)| of_engine(name) && *count > 0.0);
    counted.map(|(name, count)| (name.to_owned(), json!({"per event": count / events, "per round": count / rounds}))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_requests_to_engines_count() {
        let page = "banter_events_total 100\nbanter_rounds_total 10\nbanter_history_requests_total{kind=\"write\"} 40\nbanter_sessions 7\nbanter_queue_records_total 0\n";
        let expected = json!({"banter_history_requests_total{kind=\"write\"}": {"per event": 0.4, "per round": 4.0}});
        assert_eq!(requests(&Counters::parse(page)), expected);
    }
}
