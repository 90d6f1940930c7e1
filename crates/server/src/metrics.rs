//! Counters, in the text format of Prometheus.

/// Every counter of this process.
#[derive(Debug, Default)]
pub struct Metrics {}

impl Metrics {
    /// Counts a refused request or frame by its code.
    pub fn refused(&self, code: &str) {
        let _ = code;
    }

    /// All counters as text.
    pub fn render(&self) -> String {
        String::new()
    }
}
