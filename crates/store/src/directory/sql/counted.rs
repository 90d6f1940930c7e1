//! Pools and transactions that count what they ask of the database, for a metrics page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::{AnyConnection, AnyPool};

use super::DirectoryError;

/// Counters since the directory was opened. They only grow; read them with [`Ordering::Relaxed`].
///
/// A statement is one round trip to PostgreSQL. Not counted: preparing a statement when a connection first runs it, rolling back, and
/// what opening a connection takes.
#[derive(Debug, Default)]
pub struct DirectoryCounters {
    /// Statements executed, the beginnings and ends of transactions among them.
    pub statements: AtomicU64,
    /// Transactions begun.
    pub transactions: AtomicU64,
    /// Connections that were asked whether they are still there, after a time in which nobody used them.
    pub pings: AtomicU64,
}

/// Connections to the database.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pool: AnyPool,
    counters: Arc<DirectoryCounters>,
}

impl Pool {
    pub fn new(pool: AnyPool, counters: Arc<DirectoryCounters>) -> Pool {
        Pool { pool, counters }
    }

    /// Where to execute one statement.
    pub fn statement(&self) -> &AnyPool {
        count(&self.counters.statements);
        &self.pool
    }

    pub async fn begin(&self) -> Result<Transaction, DirectoryError> {
        count(&self.counters.statements);
        count(&self.counters.transactions);
        Ok(Transaction { transaction: self.pool.begin().await?, counters: self.counters.clone() })
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    pub fn counters(&self) -> &Arc<DirectoryCounters> {
        &self.counters
    }
}

/// A transaction. Dropping it rolls it back.
pub(super) struct Transaction {
    transaction: sqlx::Transaction<'static, sqlx::Any>,
    counters: Arc<DirectoryCounters>,
}

impl Transaction {
    /// Where to execute one statement of it.
    pub fn statement(&mut self) -> &mut AnyConnection {
        count(&self.counters.statements);
        &mut self.transaction
    }

    pub async fn commit(self) -> Result<(), DirectoryError> {
        count(&self.counters.statements);
        Ok(self.transaction.commit().await?)
    }
}

/// Counts one more.
pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
