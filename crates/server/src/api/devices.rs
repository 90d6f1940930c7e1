//! A user's logins.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::{DeviceId, UserId};
use banter_protocol::api::{Device, Devices};
use banter_protocol::frame::AccountPart;
use banter_protocol::{ErrorCode, ServerFrame};

use super::errors::ApiError;
use super::extract::{Authenticated, Json, Path};
use crate::clock::now;
use crate::node::Node;

/// All logins of mine, the one used last first.
#[utoipa::path(get, path = "/v1/devices", tag = "accounts", responses((status = 200, body = Devices)))]
pub(super) async fn devices(State(node): State<Arc<Node>>, who: Authenticated) -> Result<Json<Devices>, ApiError> {
    let devices = node.directory.devices(who.user).await?;
    let devices = devices.into_iter().map(|device| Device {
        device: device.id,
        name: device.name,
        created_at: device.created_at,
        used_at: device.used_at,
        current: device.id == who.device,
    });
    Ok(Json(Devices { devices: devices.collect() }))
}

/// Revoke a login.
#[utoipa::path(
    delete,
    path = "/v1/devices/{device}",
    tag = "accounts",
    params(("device" = String, Path, description = "The device.")),
    responses((status = 204))
)]
pub(super) async fn revoke_device(
    State(node): State<Arc<Node>>,
    who: Authenticated,
    Path(device): Path<DeviceId>,
) -> Result<StatusCode, ApiError> {
    if !node.directory.delete_device(who.user, device, now()).await? {
        return Err(ApiError::new(ErrorCode::UnknownDevice, "you have no such device"));
    }
    sign_out(&node, who.user, &[device]);
    Ok(StatusCode::NO_CONTENT)
}

/// Devices that the directory has removed: their tokens are refused from now on, their sessions end, the others are told.
pub(super) fn sign_out(node: &Node, user: UserId, devices: &[DeviceId]) {
    let now = now();
    for device in devices {
        // In this order: a session that opens at the same time finds the device removed, or is found by the hub.
        node.removed_devices.insert(*device, now);
        node.hub.sign_out(user, *device);
    }
    if !devices.is_empty() {
        node.hub.send_to_user(user, &ServerFrame::Account { changed: AccountPart::Devices }, None);
    }
}
