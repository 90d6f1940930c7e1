//! The sessions of this gateway, by user.

use banter_model::{DeviceId, UserId};
use banter_protocol::ServerFrame;

/// The sessions of this gateway.
#[derive(Debug, Default)]
pub struct Hub {}

impl Hub {
    /// Sends `frame` to every session of `user` but the one with the number `except`. Encoded once.
    pub fn send_to_user(&self, user: UserId, frame: &ServerFrame, except: Option<u64>) {
        let _ = (user, frame, except);
    }

    /// Ends the sessions of a device that was signed out.
    pub fn sign_out(&self, user: UserId, device: DeviceId) {
        let _ = (user, device);
    }
}
