//! Devices that were signed out while their access token is still good.

use banter_model::DeviceId;

/// The devices that were removed within the life of an access token.
#[derive(Debug, Default)]
pub struct RemovedDevices {}

impl RemovedDevices {
    /// Was `device` removed?
    pub fn contains(&self, device: DeviceId) -> bool {
        let _ = device;
        false
    }
}
