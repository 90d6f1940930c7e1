//! Devices: logins, their refresh generations, and those that are gone.

use banter_model::{DeviceId, Millis, UserId};
use sqlx::any::AnyRow;
use sqlx::{Row, query};

use super::counted::{Pool, Transaction};
use super::{Device, DirectoryError, Rotation, row};
use crate::directory::REMOVED_DEVICES_KEPT_MS;

/// Adds a device; what is beyond `most` goes.
pub(super) async fn create(pool: &Pool, device: Device, most: usize) -> Result<Vec<DeviceId>, DirectoryError> {
    let mut transaction = pool.begin().await?;
    lock_user(&mut transaction, device.user).await?;
    let (user, id, now) = (device.user, device.id, device.created_at);
    query("INSERT INTO devices (id, user_id, name, created_at, used_at, generation) VALUES ($1, $2, $3, $4, $5, 1)")
        .bind(id.0 as i64)
        .bind(user.0 as i64)
        .bind(device.name)
        .bind(now as i64)
        .bind(device.used_at as i64)
        .execute(transaction.statement())
        .await?;
    let others = query("SELECT id FROM devices WHERE user_id = $1 AND id <> $2 ORDER BY used_at DESC, id DESC")
        .bind(user.0 as i64)
        .bind(id.0 as i64)
        .fetch_all(transaction.statement())
        .await?;
    let mut removed = Vec::new();
    for other in others.iter().skip(most.saturating_sub(1)) {
        let other = DeviceId(row::number(other, "id")?);
        query("DELETE FROM devices WHERE id = $1").bind(other.0 as i64).execute(transaction.statement()).await?;
        removed.push(other);
    }
    note_removed(&mut transaction, user, &removed, now).await?;
    transaction.commit().await?;
    Ok(removed)
}

/// A user's devices, the one used last first.
pub(super) async fn of_user(pool: &Pool, user: UserId) -> Result<Vec<Device>, DirectoryError> {
    let select =
        query("SELECT id, user_id, name, created_at, used_at FROM devices WHERE user_id = $1 ORDER BY used_at DESC, id DESC");
    let rows = select.bind(user.0 as i64).fetch_all(pool.statement()).await?;
    let device = |row: &AnyRow| {
        Ok(Device {
            id: DeviceId(row::number(row, "id")?),
            user: UserId(row::number(row, "user_id")?),
            name: row.try_get("name")?,
            created_at: row::number(row, "created_at")?,
            used_at: row::number(row, "used_at")?,
        })
    };
    rows.iter().map(device).collect()
}

/// Removes a device of a user.
pub(super) async fn delete(pool: &Pool, user: UserId, device: DeviceId, now: Millis) -> Result<bool, DirectoryError> {
    let mut transaction = pool.begin().await?;
    let delete = query("DELETE FROM devices WHERE id = $1 AND user_id = $2").bind(device.0 as i64).bind(user.0 as i64);
    let existed = delete.execute(transaction.statement()).await?.rows_affected() > 0;
    if existed {
        note_removed(&mut transaction, user, &[device], now).await?;
    }
    transaction.commit().await?;
    Ok(existed)
}

/// Removes all devices of a user but `keep`.
pub(super) async fn delete_others(
    pool: &Pool,
    user: UserId,
    keep: Option<DeviceId>,
    now: Millis,
) -> Result<Vec<DeviceId>, DirectoryError> {
    let mut transaction = pool.begin().await?;
    let removed = delete_all_but(&mut transaction, user, keep, now).await?;
    transaction.commit().await?;
    Ok(removed)
}

/// Uses a refresh token.
pub(super) async fn rotate(
    pool: &Pool,
    device: DeviceId,
    generation: u64,
    now: Millis,
    leeway_ms: u64,
) -> Result<Rotation, DirectoryError> {
    let mut transaction = pool.begin().await?;
    let used =
        query("UPDATE devices SET generation = generation + 1, used_at = $3 WHERE id = $1 AND generation = $2 RETURNING user_id");
    let used =
        used.bind(device.0 as i64).bind(generation as i64).bind(now as i64).fetch_optional(transaction.statement()).await?;
    if let Some(row) = used {
        let user = UserId(row::number(&row, "user_id")?);
        transaction.commit().await?;
        return Ok(Rotation::Rotated { user, generation: generation + 1 });
    }
    let select = query("SELECT user_id, generation, used_at FROM devices WHERE id = $1").bind(device.0 as i64);
    let Some(row) = select.fetch_optional(transaction.statement()).await? else { return Ok(Rotation::Unknown) };
    let user = UserId(row::number(&row, "user_id")?);
    let (current, used_at) = (row::number(&row, "generation")?, row::number(&row, "used_at")?);
    if generation > current {
        return Ok(Rotation::Unknown);
    }
    if generation + 1 == current && now.saturating_sub(used_at) < leeway_ms {
        return Ok(Rotation::Rotated { user, generation: current });
    }
    query("DELETE FROM devices WHERE id = $1").bind(device.0 as i64).execute(transaction.statement()).await?;
    note_removed(&mut transaction, user, &[device], now).await?;
    transaction.commit().await?;
    Ok(Rotation::Reused { user })
}

/// Devices that were removed at `since` or later.
pub(super) async fn removed(pool: &Pool, since: Millis) -> Result<Vec<(DeviceId, UserId, Millis)>, DirectoryError> {
    let select = query("SELECT device_id, user_id, removed_at FROM removed_devices WHERE removed_at >= $1");
    let rows = select.bind(since as i64).fetch_all(pool.statement()).await?;
    let removed = |row: &AnyRow| {
        let device = DeviceId(row::number(row, "device_id")?);
        Ok((device, UserId(row::number(row, "user_id")?), row::number(row, "removed_at")?))
    };
    rows.iter().map(removed).collect()
}

/// Makes this transaction the only one that counts or removes the user's devices, until it ends.
pub(super) async fn lock_user(transaction: &mut Transaction, user: UserId) -> Result<(), DirectoryError> {
    // SQLite knows no SELECT FOR UPDATE; both lock the row that they write.
    let lock = query("UPDATE users SET created_at = created_at WHERE id = $1").bind(user.0 as i64);
    if lock.execute(transaction.statement()).await?.rows_affected() == 0 { Err(DirectoryError::UnknownUser) } else { Ok(()) }
}

/// Removes all devices of a user but `keep`, and notes it.
pub(super) async fn delete_all_but(
    transaction: &mut Transaction,
    user: UserId,
    keep: Option<DeviceId>,
    now: Millis,
) -> Result<Vec<DeviceId>, DirectoryError> {
    // No device has the id 0.
    let keep = keep.map_or(0, |device| device.0 as i64);
    let delete = query("DELETE FROM devices WHERE user_id = $1 AND id <> $2 RETURNING id").bind(user.0 as i64).bind(keep);
    let rows = delete.fetch_all(transaction.statement()).await?;
    let removed: Vec<DeviceId> = rows.iter().map(|row| row::number(row, "id").map(DeviceId)).collect::<Result<_, _>>()?;
    note_removed(transaction, user, &removed, now).await?;
    Ok(removed)
}

/// Puts `devices` on the list of removed ones, and takes off it what is too old to matter.
async fn note_removed(
    transaction: &mut Transaction,
    user: UserId,
    devices: &[DeviceId],
    now: Millis,
) -> Result<(), DirectoryError> {
    for device in devices {
        let insert = query(
            "INSERT INTO removed_devices (device_id, user_id, removed_at) VALUES ($1, $2, $3)
             ON CONFLICT (device_id) DO NOTHING",
        );
        insert.bind(device.0 as i64).bind(user.0 as i64).bind(now as i64).execute(transaction.statement()).await?;
    }
    if !devices.is_empty() {
        let oldest = now.saturating_sub(REMOVED_DEVICES_KEPT_MS);
        let prune = query("DELETE FROM removed_devices WHERE removed_at < $1").bind(oldest as i64);
        prune.execute(transaction.statement()).await?;
    }
    Ok(())
}
