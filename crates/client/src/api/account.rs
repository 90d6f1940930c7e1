//! Accounts, devices, profile and settings.

use banter_model::DeviceId;
use banter_protocol::api::{
    ChangePassword, ChangeProfile, ChangeSettings, DeleteAccount, Devices, LoggedIn, Login, Profile, Servers, Settings, SignUp,
};
use reqwest::Method;

use super::{Api, answer, base_of, decode, encode, http_client};
use crate::Error;

/// Makes an account at the server `base`, and a device of it.
pub async fn sign_up(base: &str, body: &SignUp) -> Result<LoggedIn, Error> {
    without_token(base, "/v1/accounts", encode(body)?).await
}

/// Makes a device of an account at the server `base`.
pub async fn log_in(base: &str, body: &Login) -> Result<LoggedIn, Error> {
    without_token(base, "/v1/login", encode(body)?).await
}

async fn without_token(base: &str, path: &str, body: Vec<u8>) -> Result<LoggedIn, Error> {
    let request = http_client()?.post(format!("{}{path}", base_of(base)?));
    decode(answer(request.header("content-type", "application/json").body(body)).await?).await
}

impl Api {
    /// Ends this device at the server.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.tell(Method::POST, "/v1/logout", None).await
    }

    /// Chat servers to connect to, best first.
    pub async fn servers(&self) -> Result<Servers, Error> {
        self.get("/v1/servers").await
    }

    /// The user's devices.
    pub async fn devices(&self) -> Result<Devices, Error> {
        self.get("/v1/devices").await
    }

    /// Ends another device.
    pub async fn revoke(&self, device: DeviceId) -> Result<(), Error> {
        self.tell(Method::DELETE, &format!("/v1/devices/{device}"), None).await
    }

    /// Changes the password; ends the other devices.
    pub async fn change_password(&self, body: &ChangePassword) -> Result<(), Error> {
        self.tell(Method::POST, "/v1/password", Some(encode(body)?)).await
    }

    /// Deletes the account. What was written stays, by "deleted user".
    pub async fn delete_account(&self, body: &DeleteAccount) -> Result<(), Error> {
        self.tell(Method::DELETE, "/v1/account", Some(encode(body)?)).await
    }

    /// The user's own profile.
    pub async fn profile(&self) -> Result<Profile, Error> {
        self.get("/v1/profile").await
    }

    /// Changes the profile; what is absent stays.
    pub async fn change_profile(&self, body: &ChangeProfile) -> Result<Profile, Error> {
        self.ask(Method::PATCH, "/v1/profile", body).await
    }

    /// The user's settings.
    pub async fn settings(&self) -> Result<Settings, Error> {
        self.get("/v1/settings").await
    }

    /// Changes the settings; what is absent stays.
    pub async fn change_settings(&self, body: &ChangeSettings) -> Result<Settings, Error> {
        self.ask(Method::PATCH, "/v1/settings", body).await
    }
}
