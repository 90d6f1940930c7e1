//! Counters of a server, read from its metrics page.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Counters by name, labels included.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counters(BTreeMap<String, f64>);

impl Counters {
    /// What the metrics page of the server at `address` says now.
    pub async fn read(address: SocketAddr) -> Result<Counters> {
        let mut stream = tokio::net::TcpStream::connect(address).await?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await?;
        Ok(Counters::parse(&text))
    }

    /// Counters of a page of metrics; other lines are passed over.
    pub fn parse(text: &str) -> Counters {
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Counters(lines.filter_map(|(name, value)| Some((name.to_owned(), value.trim().parse().ok()?))).collect())
    }

    /// Adds what another process counted.
    pub fn add(&mut self, other: &Counters) {
        for (name, value) in &other.0 {
            *self.0.entry(name.clone()).or_default() += value;
        }
    }

    /// Every counter with its value, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// What came since `before`.
    pub fn since(&self, before: &Counters) -> Counters {
        Counters(self.0.iter().map(|(name, value)| (name.clone(), value - before.of(name))).collect())
    }

    /// A counter; 0 if the server has none of this name.
    pub fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(0.0)
    }

    /// Quantiles of the histogram `name`. It counts in buckets: each figure is the upper end of its bucket. `null` if the server has none
    /// of this name, or nothing was counted.
    pub fn quantiles(&self, name: &str) -> Value {
        let prefix = format!("{name}_bucket{{le=\"");
        let bucket =
            |(name, count): (&String, &f64)| Some((name.strip_prefix(&prefix)?.trim_end_matches("\"}").parse().ok()?, *count));
        let mut buckets: Vec<(f64, f64)> = self.0.iter().filter_map(bucket).collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let all = buckets.last().map_or(0.0, |bucket| bucket.1);
        if all == 0.0 {
            return Value::Null;
        }
        let at = |quantile: f64| buckets.iter().find(|bucket| bucket.1 >= quantile * all).map(|bucket| bucket.0);
        json!({"p10": at(0.1), "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# TYPE size histogram\nsize_bucket{le=\"1.0\"} 5\nsize_bucket{le=\"2.0\"} 5\nsize_bucket{le=\"4.0\"} 5\nsize_bucket{le=\"16.0\"} 5\nsize_bucket{le=\"+Inf\"} 5\nevents_total 7\n";
    const AFTER: &str = "size_bucket{le=\"1.0\"} 5\nsize_bucket{le=\"2.0\"} 95\nsize_bucket{le=\"4.0\"} 104\nsize_bucket{le=\"16.0\"} 105\nsize_bucket{le=\"+Inf\"} 105\nevents_total 107\n";

    #[test]
    fn only_what_came_since_counts() {
        let change = Counters::parse(AFTER).since(&Counters::parse(BEFORE));
        assert_eq!((change.of("events_total"), change.of("unheard_of")), (100.0, 0.0));
        let quantiles = json!({"p10": 2.0, "p50": 2.0, "p90": 2.0, "p99": 4.0, "max": 16.0});
        assert_eq!(change.quantiles("size"), quantiles);
        assert_eq!(change.quantiles("unheard_of"), Value::Null);
        assert_eq!(Counters::parse(BEFORE).since(&Counters::parse(BEFORE)).quantiles("size"), Value::Null);
        let mut both = change.clone();
        both.add(&change);
        assert_eq!((both.of("events_total"), both.quantiles("size")), (200.0, quantiles));
    }
}
