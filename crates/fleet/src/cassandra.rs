//! The history in Cassandra (5.0 or later), through the `scylla` driver.
//!
//! Cassandra has no transactions, so a batch is written step by step in an order in which nothing shows before it is whole
//! ([`banter_store::history`] plans it), each row at a time that is the position of the command that made it. **What that
//! promises**: whatever is interrupted, however many workers of one partition are at it, the rows come out as if one worker had written
//! them once. What a failed batch left is not shown, and is written again, the same, by whoever applies these commands next.
//!
//! **Reads and writes** are answered by a quorum of the copies in this data centre, so what was acknowledged is read from then on, by
//! anybody there. **Durable** is what Cassandra says is: see [`CassandraHistory::examine`] for what weakens it.
//!
//! The position of a partition is written behind its batch, not before the answer: it only says from where to apply commands again,
//! and applying more of them again changes nothing.

mod connection;
mod counters;
mod examine;
mod movable;
mod options;
mod page;
mod positions;
mod reading;
mod row;
mod schema;
mod statements;
mod tls;
mod walk;
mod write;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use self::connection::Connection;
use self::positions::Positions;

pub use counters::CassandraCounters;
pub use options::{CassandraOptions, Copies, Credentials};
pub use schema::FORMAT;
pub use tls::{ClientCertificate, Tls};

/// Longest that [`CassandraHistory::close`] waits for positions to be written.
const CLOSING: Duration = Duration::from_secs(5);

/// The history cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The options are of no use.
    #[error("{0}")]
    Options(String),
    /// Cassandra cannot be reached, or refused.
    #[error("Cassandra: {0}")]
    Engine(String),
    /// Nobody made the tables yet.
    #[error("there is no history in the keyspace {keyspace}: make one first")]
    NoHistory {
        /// The keyspace.
        keyspace: String,
    },
    /// Another banter made the tables.
    #[error(
        "the history in Cassandra has format {found}, and this program knows format {FORMAT} only: run the banter that made it"
    )]
    OtherFormat {
        /// The version found.
        found: u32,
    },
    /// A move into the history has not come to its end.
    #[error("the history in the keyspace {keyspace} is being filled by a move that has not ended: run the same command again")]
    BeingMoved {
        /// The keyspace.
        keyspace: String,
    },
}

impl ConnectError {
    fn engine(error: impl std::fmt::Display) -> ConnectError {
        ConnectError::Engine(error.to_string())
    }
}

/// The history in a keyspace of Cassandra.
///
/// [`CassandraHistory::close`] ends it in good order; dropping it leaves the last positions unwritten, so that some commands are
/// applied again later, which changes nothing.
pub struct CassandraHistory {
    connection: Arc<Connection>,
    positions: Positions,
    /// Places for those who read many rows.
    pages: Semaphore,
}

impl CassandraHistory {
    /// Makes keyspace and tables where they are missing. To be run by one process at a time; running it again does nothing.
    pub async fn migrate(options: &CassandraOptions) -> Result<(), ConnectError> {
        let session = connection::session(options).await?;
        schema::create(&session, options).await
    }

    /// Connects to a keyspace that was made by [`CassandraHistory::migrate`]. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// Also when a move into the history has not come to its end ([`ConnectError::BeingMoved`]).
    pub async fn connect(options: &CassandraOptions) -> Result<CassandraHistory, ConnectError> {
        let history = CassandraHistory::connect_to_move(options).await?;
        match schema::move_note(&history.connection).await.map_err(ConnectError::engine)?.0 {
            Some(_) => Err(ConnectError::BeingMoved { keyspace: options.keyspace.clone() }),
            None => Ok(history),
        }
    }

    /// The same, for who fills the history from another one: a move that has not ended is no hindrance.
    pub async fn connect_to_move(options: &CassandraOptions) -> Result<CassandraHistory, ConnectError> {
        let connection = Arc::new(Connection::open(options).await?);
        let positions = Positions::start(Arc::clone(&connection));
        Ok(CassandraHistory { connection, positions, pages: Semaphore::new(options.pages_at_once.max(1)) })
    }

    /// What was asked of Cassandra so far.
    pub fn counters(&self) -> &Arc<CassandraCounters> {
        &self.connection.counters
    }

    /// What makes this cluster less durable or less private than it should be, in sentences; empty when all is well.
    pub async fn examine(&self, options: &CassandraOptions) -> Result<Vec<String>, ConnectError> {
        examine::examine(&self.connection, options).await
    }

    /// Waits until the positions of what was stored are written too, at most some seconds.
    pub async fn close(&self) {
        if tokio::time::timeout(CLOSING, self.positions.settled()).await.is_err() {
            tracing::warn!("the last positions were not written: some commands will be applied again, which changes nothing");
        }
    }
}

#[cfg(test)]
mod tests;
