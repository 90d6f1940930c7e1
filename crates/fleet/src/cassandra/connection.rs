//! The connection to a cluster, and the statements prepared on it.

use std::num::NonZeroUsize;
use std::sync::Arc;

use banter_store::StoreError;
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::policies::retry::DefaultRetryPolicy;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::response::query_result::QueryRowsResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchStatement, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::{Consistency, SerialConsistency};

use super::counters::CassandraCounters;
use super::statements::Statements;
use super::{CassandraOptions, ConnectError, schema};

/// An open connection. Every request goes to a node that holds the row, where the driver can tell, is answered by a quorum of the
/// data centre, and may be repeated: what is asked twice comes to the same.
pub(super) struct Connection {
    pub session: Session,
    pub statements: Statements,
    pub counters: Arc<CassandraCounters>,
    /// Most requests of one step or listing at the same time.
    pub requests_at_once: usize,
}

/// A session that uses no keyspace.
pub(super) async fn session(options: &CassandraOptions) -> Result<Session, ConnectError> {
    options.check()?;
    let mut balancing = DefaultPolicy::builder().token_aware(true);
    if let Some(data_center) = &options.data_center {
        balancing = balancing.prefer_datacenter(data_center.clone()).permit_dc_failover(false);
    }
    let mut profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(options.request_timeout))
        .retry_policy(Arc::new(DefaultRetryPolicy::new()))
        .load_balancing_policy(balancing.build());
    if let Some(retry_interval) = options.second_node_after {
        let second = SimpleSpeculativeExecutionPolicy { max_retry_count: 1, retry_interval };
        profile = profile.speculative_execution_policy(Some(Arc::new(second)));
    }
    let connections = NonZeroUsize::new(options.connections_per_node).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .connection_timeout(options.request_timeout)
        .pool_size(PoolSize::PerHost(connections))
        .keyspaces_to_fetch([&options.keyspace])
        .default_execution_profile_handle(profile.build().into_handle());
    if let Some(credentials) = &options.credentials {
        builder = builder.user(&credentials.user, &credentials.password);
    }
    if let Some(tls) = &options.tls {
        builder = builder.tls_context(Some(tls.config()?));
    }
    builder.build().await.map_err(ConnectError::engine)
}

impl Connection {
    /// Connects to a keyspace that [`schema::create`] made.
    pub async fn open(options: &CassandraOptions) -> Result<Connection, ConnectError> {
        let session = session(options).await?;
        schema::check_format(&session, &options.keyspace).await?;
        let statements = Statements::prepare(&session, &options.keyspace).await?;
        let counters = Arc::new(CassandraCounters::default());
        Ok(Connection { session, statements, counters, requests_at_once: options.requests_at_once.max(1) })
    }

    /// Asks for rows; all of them come at once, so the statement has to bound them.
    pub async fn read(&self, statement: &PreparedStatement, values: impl SerializeRow) -> Result<QueryRowsResult, StoreError> {
        CassandraCounters::add(&self.counters.read_requests, 1);
        let result = self.session.execute_unpaged(statement, values).await.map_err(|error| self.failed("reading", error))?;
        let rows = result.into_rows_result().map_err(unreadable)?;
        CassandraCounters::add(&self.counters.rows_read, rows.rows_num());
        Ok(rows)
    }

    /// Writes rows of one Cassandra partition: all of them or none, with one request. Each is a statement and its values.
    pub async fn write<V: SerializeRow>(&self, rows: &[(&PreparedStatement, V)]) -> Result<(), StoreError> {
        CassandraCounters::add(&self.counters.write_requests, 1);
        CassandraCounters::add(&self.counters.rows_written, rows.len());
        let written = match rows {
            [(statement, values)] => self.session.execute_unpaged(statement, values).await,
            rows => {
                let statements = rows.iter().map(|(statement, _)| BatchStatement::from((*statement).clone())).collect();
                // Not logged: a batch within one partition is one write to each copy as it is.
                let mut batch = Batch::new_with_statements(BatchType::Unlogged, statements);
                batch.set_is_idempotent(true);
                let values: Vec<&V> = rows.iter().map(|(_, values)| values).collect();
                self.session.batch(&batch, values).await
            }
        };
        written.map(drop).map_err(|error| self.failed("writing", error))
    }

    fn failed(&self, doing: &str, error: impl std::fmt::Display) -> StoreError {
        CassandraCounters::add(&self.counters.failed_requests, 1);
        StoreError::Failed(format!("{doing} in Cassandra: {error}"))
    }
}

/// What came is not what was asked for.
pub(super) fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Failed(format!("what Cassandra answered cannot be read: {error}"))
}
