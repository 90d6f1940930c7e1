//! How Cassandra is reached, and how the keyspace is made.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::ConnectError;
use super::tls::Tls;

/// Longest name of a keyspace that Cassandra takes.
const KEYSPACE_LETTERS: usize = 48;

/// How Cassandra is reached, and how the keyspace is made if it is not there.
#[derive(Debug, Clone)]
pub struct CassandraOptions {
    /// Nodes to begin with, as `host:port`; the others are learnt from them.
    pub nodes: Vec<String>,
    /// The keyspace: a small letter, then small letters, digits and `_`.
    pub keyspace: String,
    /// The data centre that this process is in. Its nodes alone are asked, and a quorum of its copies answers. Without it every
    /// node counts as near, which is right only where there is one data centre.
    pub data_center: Option<String>,
    /// Copies of each row, for the keyspace when it is made; an existing one is left as it is.
    pub copies: Copies,
    /// User and password.
    pub credentials: Option<Credentials>,
    /// Encryption of the links.
    pub tls: Option<Tls>,
    /// Connections to each node.
    pub connections_per_node: usize,
    /// Most time for one read or write, repetitions included.
    pub request_timeout: Duration,
    /// Time after which the same is asked of a second node as well; `None` never. Everything that is asked may be asked twice.
    pub second_node_after: Option<Duration>,
    /// Most requests of one step of a batch, or of one listing, that are under way at the same time.
    pub requests_at_once: usize,
    /// Most pages and listings that are read at the same time; others wait. One may take some tens of megabytes where all texts
    /// are of the greatest length.
    pub pages_at_once: usize,
}

impl CassandraOptions {
    /// The defaults, for a cluster that `nodes` are of.
    pub fn of_nodes(nodes: impl IntoIterator<Item = impl Into<String>>) -> CassandraOptions {
        CassandraOptions {
            nodes: nodes.into_iter().map(Into::into).collect(),
            keyspace: "banter".to_owned(),
            data_center: None,
            copies: Copies::InEveryDataCenter(3),
            credentials: None,
            tls: None,
            connections_per_node: 1,
            request_timeout: Duration::from_secs(5),
            second_node_after: Some(Duration::from_millis(100)),
            requests_at_once: 128,
            pages_at_once: 64,
        }
    }

    /// Refuses what Cassandra, or the CQL made of it, would not take.
    pub(super) fn check(&self) -> Result<(), ConnectError> {
        let wrong = |reason: &str| Err(ConnectError::Options(reason.to_owned()));
        if self.nodes.is_empty() {
            return wrong("no node of Cassandra is named");
        }
        if !is_keyspace(&self.keyspace) {
            return wrong("the keyspace is to be a small letter, then small letters, digits and _, at most 48 in all");
        }
        let copies = match &self.copies {
            Copies::InEveryDataCenter(copies) => vec![("", *copies)],
            Copies::InDataCenters(copies) => copies.iter().map(|(name, copies)| (name.as_str(), *copies)).collect(),
        };
        if copies.is_empty() || copies.iter().any(|(name, copies)| *copies == 0 || name.contains('\'')) {
            return wrong("each data centre is to hold at least one copy, and its name no quotation mark");
        }
        Ok(())
    }
}

fn is_keyspace(name: &str) -> bool {
    name.len() <= KEYSPACE_LETTERS
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
}

/// How many copies of each row there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copies {
    /// So many in every data centre.
    InEveryDataCenter(u32),
    /// So many in each of these.
    InDataCenters(BTreeMap<String, u32>),
}

impl Copies {
    /// The `replication` of a `CREATE KEYSPACE`.
    pub(super) fn to_cql(&self) -> String {
        match self {
            Copies::InEveryDataCenter(copies) => {
                format!("{{'class': 'NetworkTopologyStrategy', 'replication_factor': {copies}}}")
            }
            Copies::InDataCenters(copies) => {
                let each: String = copies.iter().map(|(name, copies)| format!(", '{name}': {copies}")).collect();
                format!("{{'class': 'NetworkTopologyStrategy'{each}}}")
            }
        }
    }
}

/// User and password. The password is not shown where this is printed.
#[derive(Clone)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// Their password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cassandra_would_not_take_is_refused() {
        let options = CassandraOptions::of_nodes(["127.0.0.1:9042"]);
        assert!(options.check().is_ok());
        let none = CassandraOptions { nodes: vec![], ..options.clone() };
        assert!(none.check().is_err());
        for keyspace in ["", "Banter", "1banter", "_banter", "ban-ter", "banter; DROP", &"b".repeat(49)] {
            let options = CassandraOptions { keyspace: keyspace.to_owned(), ..options.clone() };
            assert!(options.check().is_err(), "{keyspace:?} was taken");
        }
        let quoted = BTreeMap::from([("east'".to_owned(), 3)]);
        for copies in [Copies::InEveryDataCenter(0), Copies::InDataCenters(BTreeMap::new()), Copies::InDataCenters(quoted)] {
            assert!(CassandraOptions { copies, ..options.clone() }.check().is_err());
        }
    }

    #[test]
    fn copies_are_told_by_data_center() {
        let copies = BTreeMap::from([("east".to_owned(), 3), ("west".to_owned(), 2)]);
        let expected = "{'class': 'NetworkTopologyStrategy', 'east': 3, 'west': 2}";
        assert_eq!(Copies::InDataCenters(copies).to_cql(), expected);
    }

    #[test]
    fn a_password_is_not_printed() {
        let credentials = Credentials { user: "banter".to_owned(), password: "secret".to_owned() };
        assert_eq!(format!("{credentials:?}"), "Credentials { user: \"banter\", .. }");
    }
}
