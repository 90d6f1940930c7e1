//! Accounts, logins, devices, profile and settings.

use banter_model::{DeviceId, Millis, UserId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/accounts`: sign up. Answers like a login.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct SignUp {
    /// The unique name: 3 to 32 of a-z, 0-9 and `_`, beginning with a letter.
    #[schema(example = "ada")]
    pub handle: String,
    /// 8 characters to 1,024 bytes.
    pub password: String,
    /// The name shown; the handle when absent.
    #[serde(default)]
    pub display_name: Option<String>,
    /// What to call this device in the list of devices.
    #[serde(default)]
    pub device_name: Option<String>,
}

/// `POST /v1/login`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The handle.
    pub handle: String,
    /// The password.
    pub password: String,
    /// What to call this device in the list of devices.
    #[serde(default)]
    pub device_name: Option<String>,
}

/// The answer to sign-up and login.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct LoggedIn {
    /// Who.
    #[schema(value_type = String)]
    pub user: UserId,
    /// The new device.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// Tokens of the device.
    pub tokens: Tokens,
    /// Chat servers to connect to, best first.
    pub servers: Vec<ChatServer>,
}

/// Tokens of a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Tokens {
    /// Goes into `Authorization: Bearer` and into `hello`.
    pub access_token: String,
    /// When it expires, in milliseconds since the Unix epoch.
    pub expires_at: Millis,
    /// Gets the next pair, once: using one twice revokes the device.
    pub refresh_token: String,
}

/// A chat server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct ChatServer {
    /// Where its API and long polling are; empty for "where you asked".
    pub url: String,
}

/// The answer to `GET /v1/servers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Servers {
    /// Chat servers to connect to, best first.
    pub servers: Vec<ChatServer>,
}

/// `POST /v1/refresh`. Answers with [`Tokens`].
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct Refresh {
    /// The latest refresh token of the device.
    pub refresh_token: String,
}

/// A login of the user's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Device {
    /// Which.
    #[schema(value_type = String)]
    pub device: DeviceId,
    /// What the user called it.
    pub name: String,
    /// Logged in at.
    pub created_at: Millis,
    /// Last refreshed or connected at.
    pub used_at: Millis,
    /// Is it the one that asks?
    pub current: bool,
}

/// `GET /v1/devices`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Devices {
    /// All of the user's, the one used last first.
    pub devices: Vec<Device>,
}

/// `POST /v1/password`. Logs out all other devices.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password so far.
    pub current: String,
    /// The password from now on.
    pub new: String,
}

/// `DELETE /v1/account`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct DeleteAccount {
    /// The password, so that a borrowed phone cannot do it.
    pub password: String,
}

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Profile {
    /// Who.
    #[schema(value_type = String)]
    pub user: UserId,
    /// The unique name; absent for a deleted user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// The name shown; `deleted user` for a deleted one.
    pub display_name: String,
    /// A line about them.
    pub about: String,
    /// Did they delete their account?
    pub deleted: bool,
}

/// `GET /v1/users?ids=...`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Profiles {
    /// One for each id asked for, in the same order.
    pub users: Vec<Profile>,
}

/// `PATCH /v1/profile`: what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct ChangeProfile {
    /// The name shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The line about oneself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
}

/// `GET /v1/settings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
pub struct Settings {
    /// Who sees whether one is online, and when last.
    pub presence: Audience,
    /// Who may write first, and add one to groups: everyone or friends.
    pub writers: Writers,
    /// Do others see how far one has read?
    pub read_receipts: bool,
}

/// `PATCH /v1/settings`: what is absent stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS), ts(optional_fields))]
#[serde(deny_unknown_fields)]
pub struct ChangeSettings {
    /// Who sees whether one is online, and when last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<Audience>,
    /// Who may write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writers: Option<Writers>,
    /// Do others see how far one has read?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_receipts: Option<bool>,
}

/// Who sees one's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// Everyone who is not blocked.
    Everyone,
    /// Friends.
    Friends,
    /// Nobody.
    Nobody,
}

/// Who may write to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "snake_case")]
pub enum Writers {
    /// Everyone who is not blocked.
    Everyone,
    /// Friends.
    Friends,
}
