//! Devices that were signed out while their access token is still good.

use std::collections::HashMap;

use banter_model::{DeviceId, Millis};
use banter_store::Directory;
use banter_store::directory::DirectoryError;
use parking_lot::RwLock;

use super::tokens::ACCESS_TOKEN_MS;

/// How far apart the clocks of two nodes may be, in milliseconds.
pub const CLOCKS_DIFFER_MS: Millis = 60_000;

/// How long a removed device is remembered, in milliseconds: the life of its last token, and a minute for clocks that differ.
const REMEMBERED_MS: Millis = ACCESS_TOKEN_MS + CLOCKS_DIFFER_MS;

/// The devices that were removed within the life of an access token.
///
/// Holds as many as were removed in that time; the limits on logins and deletions bound them.
#[derive(Debug, Default)]
pub struct RemovedDevices {
    inner: RwLock<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    removed_at: HashMap<DeviceId, Millis>,
    pruned_at: Millis,
}

impl RemovedDevices {
    /// Those that the directory knows of: called once, before the first token is checked.
    pub async fn load(directory: &dyn Directory, now: Millis) -> Result<Self, DirectoryError> {
        let removed = directory.removed_devices(now.saturating_sub(REMEMBERED_MS)).await?;
        let removed_at = removed.into_iter().map(|(device, _, at)| (device, at)).collect();
        Ok(RemovedDevices { inner: RwLock::new(Inner { removed_at, pruned_at: now }) })
    }

    /// Was `device` removed?
    pub fn contains(&self, device: DeviceId) -> bool {
        self.inner.read().removed_at.contains_key(&device)
    }

    /// Notes that `device` was removed, and forgets those whose tokens have all expired.
    pub fn insert(&self, device: DeviceId, now: Millis) {
        let mut inner = self.inner.write();
        inner.removed_at.insert(device, now);
        // Once a minute, so that many removals do not each walk the whole table.
        if now >= inner.pruned_at + 60_000 {
            inner.pruned_at = now;
            inner.removed_at.retain(|_, removed_at| *removed_at + REMEMBERED_MS > now);
        }
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.inner.read().removed_at.len()
    }

    /// Is none remembered?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_remembered_as_long_as_its_tokens_live() {
        let removed = RemovedDevices::default();
        let start = 1_800_000_000_000;
        removed.insert(DeviceId(1), start);
        assert!(removed.contains(DeviceId(1)) && !removed.contains(DeviceId(2)));
        removed.insert(DeviceId(2), start + ACCESS_TOKEN_MS);
        assert!(removed.contains(DeviceId(1)), "its last token may have been issued just before");
        removed.insert(DeviceId(3), start + REMEMBERED_MS + 60_000);
        assert!(!removed.contains(DeviceId(1)) && removed.contains(DeviceId(2)) && removed.len() == 2);
    }
}
