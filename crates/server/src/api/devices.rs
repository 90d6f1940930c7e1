//! A user's logins.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use banter_model::DeviceId;
use banter_protocol::ErrorCode;
use banter_protocol::api::{Device, Devices};

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
    node.notices.sign_out(who.user, &[device]);
    Ok(StatusCode::NO_CONTENT)
}
