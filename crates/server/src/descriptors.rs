//! The limit on open descriptors: every session is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The system's own limit for one process.
const SYSTEM_LIMIT: &str = "/proc/sys/fs/nr_open";

/// Raises the limit as far as this process may: root up to the system's limit, others up to their hard limit.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let system: Option<u64> = std::fs::read_to_string(SYSTEM_LIMIT).ok().and_then(|text| text.trim().parse().ok());
    let set = |most: Option<u64>| setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most });
    if system.is_none_or(|system| set(Some(system)).is_err())
        && let Err(error) = set(limit.maximum)
    {
        tracing::warn!(%error, "the limit on open descriptors stays as it is");
    }
}

/// How many descriptors one table may hold.
pub fn limit() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
