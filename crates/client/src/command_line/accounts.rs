//! Signing up, in and out; profile, settings, devices, password.

use banter_protocol::api::{self, ChangePassword};

use super::arguments::{ChangeProfile, ChangeSettings, DeviceAction, LogIn, NewLogin, SignUp};
use super::input::{new_password, password};
use super::output::{Output, Style, clean, clock};
use crate::{Error, Place, Profile};

/// What a device is called if nobody says otherwise.
const DEVICE_NAME: &str = "banter chat";

pub(super) async fn sign_up(place: Place, output: &Output, sign_up: SignUp) -> Result<(), Error> {
    let SignUp { handle, display_name, login } = sign_up;
    let NewLogin { server, device_name, forget } = login;
    if !forget {
        Profile::check_free(place.clone()).await.map_err(or_forget)?;
    }
    let password = new_password("BANTER_PASSWORD", "password")?;
    let device_name = Some(device_name.unwrap_or_else(|| DEVICE_NAME.to_owned()));
    let body = api::SignUp { handle, password, display_name, device_name };
    let profile = if forget {
        Profile::sign_up_instead(place, &server, &body).await?
    } else {
        Profile::sign_up(place, &server, &body).await.map_err(or_forget)?
    };
    logged_in(&profile, output);
    Ok(())
}

pub(super) async fn log_in(place: Place, output: &Output, log_in: LogIn) -> Result<(), Error> {
    let LogIn { handle, login } = log_in;
    let NewLogin { server, device_name, forget } = login;
    if !forget {
        Profile::check_free(place.clone()).await.map_err(or_forget)?;
    }
    let password = password("BANTER_PASSWORD", "password")?;
    let device_name = Some(device_name.unwrap_or_else(|| DEVICE_NAME.to_owned()));
    let body = api::Login { handle, password, device_name };
    let profile = if forget {
        Profile::log_in_instead(place, &server, &body).await?
    } else {
        Profile::log_in(place, &server, &body).await.map_err(or_forget)?
    };
    logged_in(&profile, output);
    Ok(())
}

/// Says how to go on where something would be forgotten.
fn or_forget(mut error: Error) -> Error {
    if error.code == Error::OCCUPIED {
        error.message.push_str("; --forget goes on without it");
    }
    error
}

fn logged_in(profile: &Profile, output: &Output) {
    let account = profile.account();
    let object = serde_json::json!({ "user": account.user, "device": account.device, "handle": account.handle });
    output.either(&object, || format!("logged in as @{} (user {})", account.handle, account.user));
}

pub(super) async fn log_out(profile: &Profile, output: &Output, forget: bool) -> Result<(), Error> {
    if !forget {
        profile.check_all_sent().await.map_err(or_forget)?;
    }
    match profile.api().log_out().await {
        Err(error) if !error.is_signed_out() => return Err(error),
        _ => profile.api().forget_tokens().await?,
    }
    if forget {
        profile.store().forget_unanswered().await?;
    }
    output.done("logged out");
    Ok(())
}

pub(super) async fn profile(profile: &Profile, output: &Output, change: ChangeProfile) -> Result<(), Error> {
    let ChangeProfile { display_name, about } = change;
    let found = if display_name.is_none() && about.is_none() {
        profile.api().profile().await?
    } else {
        profile.api().change_profile(&api::ChangeProfile { display_name, about }).await?
    };
    output.either(&found, || describe(output, &found));
    Ok(())
}

/// A profile in one line, or two.
pub(super) fn describe(output: &Output, profile: &api::Profile) -> String {
    let handle = profile.handle.as_deref().map_or(String::new(), |handle| format!(" @{}", clean(handle)));
    let about = if profile.about.is_empty() { String::new() } else { format!("\n{}", clean(&profile.about)) };
    format!("{}{handle} (user {}){about}", output.styled(Style::Bold, &clean(&profile.display_name)), profile.user)
}

pub(super) async fn settings(profile: &Profile, output: &Output, change: ChangeSettings) -> Result<(), Error> {
    let ChangeSettings { presence, writers, read_receipts } = change;
    let body = api::ChangeSettings { presence: presence.map(Into::into), writers: writers.map(Into::into), read_receipts };
    let nothing = body.presence.is_none() && body.writers.is_none() && body.read_receipts.is_none();
    let settings = if nothing { profile.api().settings().await? } else { profile.api().change_settings(&body).await? };
    output.either(&settings, || {
        let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let presence = serde_json::to_value(settings.presence).map(word).unwrap_or_default();
        let writers = serde_json::to_value(settings.writers).map(word).unwrap_or_default();
        format!("presence: {presence}\nwriters: {writers}\nread receipts: {}", settings.read_receipts)
    });
    Ok(())
}

pub(super) async fn devices(profile: &Profile, output: &Output, action: Option<DeviceAction>) -> Result<(), Error> {
    if let Some(DeviceAction::Revoke { device }) = action {
        profile.api().revoke(device).await?;
        output.done("revoked");
        return Ok(());
    }
    for device in profile.api().devices().await?.devices {
        output.either(&device, || {
            let current = if device.current { " (this one)" } else { "" };
            format!("{} {}{current}, last used {}", device.device, clean(&device.name), clock(device.used_at))
        });
    }
    Ok(())
}

pub(super) async fn change_password(profile: &Profile, output: &Output) -> Result<(), Error> {
    let current = password("BANTER_PASSWORD", "password so far")?;
    let new = new_password("BANTER_NEW_PASSWORD", "password from now on")?;
    profile.api().change_password(&ChangePassword { current, new }).await?;
    output.done("changed; the other devices are logged out");
    Ok(())
}
