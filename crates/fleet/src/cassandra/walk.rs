//! Going through all rows of a table, a bounded number at a time.
//!
//! Cassandra keeps partitions in the order of a hash of their keys, the token, and can go on after a token. Two keys may have the
//! same one: among billions of conversations some have. So who goes on after a row reads the rest of its partition first, then the
//! partitions with the same token that come after it, and then what has a greater token. The last row's key is all that has to be
//! remembered.

use banter_store::StoreError;
use scylla::response::query_result::QueryRowsResult;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::{CqlValue, Row};

use super::connection::{Connection, unreadable};

/// The statements that go through a table. Each ends with the number of rows.
pub(super) struct Walk<'a> {
    /// From the beginning.
    pub first: &'a PreparedStatement,
    /// The rest of a partition: partition key, row key.
    pub rest: &'a PreparedStatement,
    /// The keys of all partitions with the token of a partition, without a number of rows.
    pub same_token: &'a PreparedStatement,
    /// After the token of a partition.
    pub greater_tokens: &'a PreparedStatement,
    /// What is before every row key.
    pub before_first: CqlValue,
}

/// The key of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    /// That of its partition.
    pub partition: Vec<CqlValue>,
    /// Its own within that.
    pub row: CqlValue,
}

/// Where one is in a table.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    /// Before all rows.
    Beginning,
    /// After a row, or where it would be.
    After(Key),
    /// After all rows of a partition, and of those with its token that come before it.
    AfterPartition(Vec<CqlValue>),
    /// After all rows.
    End,
}

impl Walk<'_> {
    /// At most `limit` rows from `spot` on, of which there may be none though it is not the end. `spot` is moved; `last` reads the key
    /// of the last row of an answer.
    pub async fn read(
        &self,
        connection: &Connection,
        spot: &mut Spot,
        limit: usize,
        last: impl Fn(&QueryRowsResult) -> Result<Option<Key>, StoreError>,
    ) -> Result<Option<QueryRowsResult>, StoreError> {
        // Cassandra takes no limit of 0.
        let limit = limit.clamp(1, i32::MAX as usize);
        let bound = CqlValue::Int(limit as i32);
        let with = |values: &[CqlValue], more: &[CqlValue]| [values, more].concat();
        let (rows, partition) = match &*spot {
            Spot::Beginning => (connection.read(self.first, vec![bound]).await?, None),
            Spot::After(Key { partition, row }) => {
                let values = with(partition, &[row.clone(), bound]);
                (connection.read(self.rest, values).await?, Some(partition.clone()))
            }
            Spot::AfterPartition(partition) => (connection.read(self.greater_tokens, with(partition, &[bound])).await?, None),
            Spot::End => return Ok(None),
        };
        *spot = match (partition, last(&rows)?) {
            (_, Some(key)) if rows.rows_num() >= limit => Spot::After(key),
            (Some(partition), _) => self.after_partition(connection, partition).await?,
            (None, _) => Spot::End,
        };
        Ok(Some(rows))
    }

    /// The place after all rows of `partition`.
    async fn after_partition(&self, connection: &Connection, partition: Vec<CqlValue>) -> Result<Spot, StoreError> {
        let rows = connection.read(self.same_token, partition.clone()).await?;
        let mut rest = rows.rows::<Row>().map_err(unreadable)?;
        while let Some(row) = rest.next() {
            if key_of(row.map_err(unreadable)?) == partition {
                let next = rest.next().transpose().map_err(unreadable)?;
                return Ok(match next {
                    Some(next) => Spot::After(Key { partition: key_of(next), row: self.before_first.clone() }),
                    None => Spot::AfterPartition(partition),
                });
            }
        }
        Ok(Spot::AfterPartition(partition))
    }
}

fn key_of(row: Row) -> Vec<CqlValue> {
    row.columns.into_iter().flatten().collect()
}
