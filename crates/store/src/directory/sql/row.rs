//! Rows as the directory's types.

use banter_model::UserId;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::{DirectoryError, Settings, User};
use crate::directory::Audience;

/// A whole number that is stored as the same 64 bits, signed.
pub(super) fn number(row: &AnyRow, column: &str) -> Result<u64, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)? as u64)
}

/// Yes or no, stored as 1 or 0.
pub(super) fn flag(row: &AnyRow, column: &str) -> Result<bool, sqlx::Error> {
    Ok(row.try_get::<i64, _>(column)? != 0)
}

/// Columns `id`, `handle`, `display_name`, `about`.
pub(super) fn user(row: &AnyRow) -> Result<User, sqlx::Error> {
    Ok(User {
        id: UserId(number(row, "id")?),
        handle: row.try_get("handle")?,
        display_name: row.try_get("display_name")?,
        about: row.try_get("about")?,
    })
}

/// Columns `presence`, `friends_only`, `read_receipts`.
pub(super) fn settings(row: &AnyRow) -> Result<Settings, DirectoryError> {
    let presence = match number(row, "presence")? {
        0 => Audience::Everyone,
        1 => Audience::Friends,
        2 => Audience::Nobody,
        other => return Err(DirectoryError::Failed(format!("{other} stands for no audience"))),
    };
    Ok(Settings { presence, friends_only: flag(row, "friends_only")?, read_receipts: flag(row, "read_receipts")? })
}
