//! What makes a cluster less durable or less private than it should be.

use super::connection::Connection;
use super::{CassandraOptions, ConnectError};

/// Fewest copies of which one may be lost while a quorum is left.
const ENOUGH_COPIES: u32 = 3;

/// Looks at the keyspace, at one node's settings and at the options.
pub(super) async fn examine(connection: &Connection, options: &CassandraOptions) -> Result<Vec<String>, ConnectError> {
    let mut found = Vec::new();
    if options.tls.is_none() {
        found.push("the links to Cassandra are not encrypted".to_owned());
    }
    if options.credentials.is_none() && options.tls.as_ref().is_none_or(|tls| tls.client.is_none()) {
        found.push("Cassandra is used without a password or certificate: whoever reaches it may read everything".to_owned());
    }
    for (place, copies) in copies(connection, &options.keyspace).await? {
        if copies < ENOUGH_COPIES {
            found.push(format!(
                "{place}, the history has {copies} copies of each row: below {ENOUGH_COPIES}, one node that is down stops it, \
                 and with 1 a lost disk loses messages"
            ));
        }
    }
    let rows = connection.session.query_unpaged("SELECT name, value FROM system_views.settings", ()).await;
    // An old Cassandra, or a user without the right to look: then nothing is known.
    let Some(rows) = rows.ok().and_then(|rows| rows.into_rows_result().ok()) else {
        found.push("the settings of Cassandra cannot be read, so nobody knows whether it syncs what it acknowledges".to_owned());
        return Ok(found);
    };
    for row in rows.rows::<(&str, Option<&str>)>().map_err(ConnectError::engine)? {
        let (name, value) = row.map_err(ConnectError::engine)?;
        found.extend(unsafe_setting(name, value.unwrap_or_default()));
    }
    Ok(found)
}

/// What is wrong with a setting of Cassandra's, if something is.
fn unsafe_setting(name: &str, value: &str) -> Option<String> {
    let set = !matches!(value, "" | "null");
    match name {
        "commitlog_sync" if value == "periodic" => Some(
            "Cassandra acknowledges before it syncs (commitlog_sync: periodic): a power cut that takes all copies at once loses \
             the last seconds; use group, with a window of a few milliseconds"
                .to_owned(),
        ),
        // Rows are written at times that are positions and places, not microseconds.
        "minimum_timestamp_fail_threshold" | "maximum_timestamp_fail_threshold" if set => {
            Some(format!("{name} of Cassandra is set ({value}), and would refuse rows of the history: leave it empty"))
        }
        _ => None,
    }
}

/// How many copies there are, and where.
async fn copies(connection: &Connection, keyspace: &str) -> Result<Vec<(String, u32)>, ConnectError> {
    use scylla::cluster::metadata::Strategy;
    let cluster = connection.session.get_cluster_state();
    let Some(keyspace) = cluster.get_keyspace(keyspace) else {
        return Err(ConnectError::NoHistory { keyspace: keyspace.to_owned() });
    };
    let number = |copies: usize| u32::try_from(copies).unwrap_or(u32::MAX);
    Ok(match &keyspace.strategy {
        Strategy::SimpleStrategy { replication_factor } => vec![("in the cluster".to_owned(), number(*replication_factor))],
        Strategy::NetworkTopologyStrategy { datacenter_repfactors } => {
            datacenter_repfactors.iter().map(|(name, copies)| (format!("in {name}"), number(*copies))).collect()
        }
        _ => vec![("as its keyspace is set up".to_owned(), 1)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_lose_messages_are_told() {
        assert!(unsafe_setting("commitlog_sync", "periodic").is_some());
        assert!(unsafe_setting("commitlog_sync", "group").is_none());
        assert!(unsafe_setting("maximum_timestamp_fail_threshold", "null").is_none());
        assert!(unsafe_setting("maximum_timestamp_fail_threshold", "1d").is_some());
    }
}
