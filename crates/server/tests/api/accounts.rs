//! Sign-up, login, tokens, devices, password, the end of an account.

use banter_model::{Action, ConversationId};
use serde_json::json;
use sqlx::{Connection, Executor};

use crate::support::{PASSWORD, World, direct, frames};

#[tokio::test]
async fn signing_up() {
    let world = World::start().await;
    let wish = json!({"handle": "@Ada", "password": PASSWORD, "display_name": "Ada L.", "device_name": "phone"});
    let answer = world.call("POST", "/v1/accounts", None, Some(wish)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.json["servers"], json!([{"url": ""}]));
    let token = answer.json["tokens"]["access_token"].as_str().unwrap();
    let access = world.node.tokens.check(token, banter_server::clock::now()).unwrap();
    assert_eq!(answer.json["tokens"]["expires_at"], json!(access.expires_at));
    let profile = world.call("GET", "/v1/profile", Some(token), None).await;
    let user = &answer.json["user"];
    let expected = json!({"user": user, "handle": "ada", "display_name": "Ada L.", "about": "", "deleted": false});
    assert_eq!(profile.json, expected);
    let devices = world.call("GET", "/v1/devices", Some(token), None).await;
    assert_eq!(devices.json["devices"][0]["name"], "phone");
    assert_eq!(devices.json["devices"][0]["current"], true);

    for (wish, status, code) in [
        (json!({"handle": "ADA", "password": PASSWORD}), 409, "handle_taken"),
        (json!({"handle": "a b", "password": PASSWORD}), 422, "invalid_handle"),
        (json!({"handle": "bob", "password": "1234567"}), 422, "invalid_password"),
        (json!({"handle": "bob", "password": "x".repeat(1_025)}), 422, "invalid_password"),
        (json!({"handle": "bob", "password": PASSWORD, "display_name": " "}), 422, "invalid_display_name"),
        (json!({"handle": "bob", "password": PASSWORD, "device_name": "a\nb"}), 422, "invalid_display_name"),
    ] {
        let answer = world.call("POST", "/v1/accounts", None, Some(wish.clone())).await;
        assert_eq!(answer.refusal(), (status, code), "{wish}");
    }
}

#[tokio::test]
async fn of_two_who_want_one_handle_one_gets_it() {
    let world = World::start().await;
    let wish = || world.call("POST", "/v1/accounts", None, Some(json!({"handle": "ada", "password": PASSWORD})));
    let (one, other) = tokio::join!(wish(), wish());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
}

#[tokio::test]
async fn logging_in_and_out() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let session = world.session(&ada);
    let desk = world.log_in("ada").await;
    assert_eq!(desk.user, ada.user);
    assert_ne!(desk.device, ada.device);
    for (handle, password) in [("ada", "wrong password"), ("nobody", PASSWORD), ("no handle", PASSWORD), ("ada", "")] {
        let answer = world.call("POST", "/v1/login", None, Some(json!({"handle": handle, "password": password}))).await;
        assert_eq!(answer.refusal(), (401, "wrong_credentials"));
        assert_eq!(answer.json["message"], "handle or password is wrong", "what was wrong is not told");
    }
    let desk_session = world.session(&desk);
    frames(&session);
    assert_eq!(world.act(&desk, "POST", "/v1/logout").await.status, 204);
    assert!(desk_session.has_ended() && !session.has_ended());
    assert_eq!(frames(&session), [json!({"type": "account", "changed": "devices"})]);
    assert_eq!(world.get(&desk, "/v1/profile").await.refusal(), (401, "unauthenticated"));
    let refresh = json!({"refresh_token": desk.refresh_token});
    let answer = world.call("POST", "/v1/refresh", None, Some(refresh)).await;
    assert_eq!(answer.refusal(), (401, "invalid_refresh_token"));
    assert_eq!(world.get(&ada, "/v1/profile").await.status, 200);
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_stolen_one_revokes_the_device() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let session = world.session(&ada);
    let refresh = async |token: &str| world.call("POST", "/v1/refresh", None, Some(json!({"refresh_token": token}))).await;
    let token = |answer: &crate::support::Answer, name: &str| answer.ok()[name].as_str().unwrap().to_owned();

    let second = refresh(&ada.refresh_token).await;
    let second_token = token(&second, "refresh_token");
    assert_ne!(second_token, ada.refresh_token);
    let again = refresh(&ada.refresh_token).await;
    assert_eq!(token(&again, "refresh_token"), second_token, "the answer was lost: the same swap again");
    let third = token(&refresh(&second_token).await, "refresh_token");
    let access = token(&refresh(&third).await, "access_token");
    assert_eq!(world.call("GET", "/v1/profile", Some(&access), None).await.status, 200);

    assert_eq!(refresh(&ada.refresh_token).await.refusal(), (401, "invalid_refresh_token"));
    assert!(session.has_ended());
    assert_eq!(world.call("GET", "/v1/profile", Some(&access), None).await.refusal(), (401, "unauthenticated"));
    assert_eq!(refresh(&third).await.refusal(), (401, "invalid_refresh_token"), "whoever has the latest is out too");
    assert_eq!(refresh("x").await.refusal(), (401, "invalid_refresh_token"));
}

#[tokio::test]
async fn devices_are_listed_revoked_and_bounded() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let desk = world.log_in("ada").await;
    let bob = world.sign_up("bob").await;
    let listed = world.get(&ada, "/v1/devices").await;
    assert_eq!(listed.json["devices"].as_array().unwrap().len(), 2);
    let path = format!("/v1/devices/{}", desk.device);
    assert_eq!(world.act(&bob, "DELETE", &path).await.refusal(), (404, "unknown_device"), "not one of bob's");
    assert_eq!(world.get(&desk, "/v1/profile").await.status, 200);
    assert_eq!(world.act(&ada, "DELETE", &path).await.status, 204);
    assert_eq!(world.get(&desk, "/v1/profile").await.refusal(), (401, "unauthenticated"));
    assert_eq!(world.act(&ada, "DELETE", &path).await.refusal(), (404, "unknown_device"));
    // With the twentieth more the one used longest ago, the first, goes.
    for _ in 0..20 {
        world.log_in("ada").await;
    }
    assert_eq!(world.get(&ada, "/v1/profile").await.refusal(), (401, "unauthenticated"));
    let last = world.log_in("ada").await;
    assert_eq!(world.get(&last, "/v1/devices").await.json["devices"].as_array().unwrap().len(), 20);
}

#[tokio::test]
async fn a_login_that_races_a_change_of_the_password_leaves_no_device() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    // The password changes in the very moment in which the login, whose password was right, makes its device.
    let path = world._folder.path().join("directory.sqlite");
    let mut connection = sqlx::SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let trigger = "CREATE TRIGGER race AFTER INSERT ON devices BEGIN UPDATE users SET password_hash = 'another'; END";
    connection.execute(trigger).await.unwrap();
    let login = world.call("POST", "/v1/login", None, Some(json!({"handle": "ada", "password": PASSWORD}))).await;
    assert_eq!(login.refusal(), (401, "wrong_credentials"));
    let devices = world.get(&ada, "/v1/devices").await.ok()["devices"].as_array().unwrap().clone();
    assert_eq!(devices.len(), 1, "{devices:?}");
    assert_eq!(devices[0]["current"], true);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_devices() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let desk = world.log_in("ada").await;
    let change = async |current: &str, new: &str| world.post(&ada, "/v1/password", json!({"current": current, "new": new})).await;
    assert_eq!(change("wrong password", "battery staple").await.refusal(), (401, "wrong_credentials"));
    assert_eq!(change(PASSWORD, "short").await.refusal(), (422, "invalid_password"));
    assert_eq!(world.get(&desk, "/v1/profile").await.status, 200);
    assert_eq!(change(PASSWORD, "battery staple").await.status, 204);
    assert_eq!(world.get(&desk, "/v1/profile").await.refusal(), (401, "unauthenticated"));
    assert_eq!(world.get(&ada, "/v1/profile").await.status, 200);
    let login = async |password: &str| {
        world.call("POST", "/v1/login", None, Some(json!({"handle": "ada", "password": password}))).await.status
    };
    assert_eq!((login(PASSWORD).await, login("battery staple").await), (401, 200));
}

#[tokio::test]
async fn deleting_an_account() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    world.befriend(&ada, &bob).await;
    let group = world.group(&ada, &[&bob, &eve], false).await;
    world.say(&ada, group, "in the group").await;
    let talk = direct(&ada, &bob);
    world.say(&ada, talk, "just us").await;
    let (bob_session, ada_session) = (world.session(&bob), world.session(&ada));

    let wrong = world.call("DELETE", "/v1/account", Some(&ada.token), Some(json!({"password": "wrong password"}))).await;
    assert_eq!(wrong.refusal(), (401, "wrong_credentials"));
    let answer = world.call("DELETE", "/v1/account", Some(&ada.token), Some(json!({"password": PASSWORD}))).await;
    assert_eq!(answer.status, 204, "{}", answer.text);

    assert!(ada_session.has_ended());
    assert_eq!(world.get(&ada, "/v1/profile").await.refusal(), (401, "unauthenticated"));
    let login = world.call("POST", "/v1/login", None, Some(json!({"handle": "ada", "password": PASSWORD}))).await;
    assert_eq!(login.refusal(), (401, "wrong_credentials"));
    let told = frames(&bob_session);
    assert!(told.contains(&json!({"type": "account", "changed": "friends"})), "{told:?}");
    let hidden = json!({"type": "presence", "users": [{"user": ada.user, "state": "hidden"}]});
    assert!(told.contains(&hidden), "{told:?}");

    let profiles = world.get(&bob, &format!("/v1/users?ids={},{}", ada.user, bob.user)).await;
    let gone = json!({"user": ada.user, "display_name": "deleted user", "about": "", "deleted": true});
    assert_eq!(profiles.json["users"][0], gone);
    assert_eq!(profiles.json["users"][1]["handle"], "bob");
    assert_eq!(world.get(&bob, "/v1/friends").await.json, json!({"friends": [], "incoming": [], "outgoing": []}));

    let summary = world.get(&bob, &format!("/v1/conversations/{group}")).await;
    let members: Vec<_> = summary.json["group"]["members"].as_array().unwrap().clone();
    let owner = json!({"user": bob.user, "role": "owner"});
    assert!(members.len() == 2 && members.contains(&owner), "the group went to the one in it longest: {members:?}");
    let page = world.get(&bob, &format!("/v1/conversations/{talk}/events")).await;
    assert_eq!(page.json["events"][0]["content"]["text"], "just us", "what was written stays");
    let summary = world.get(&bob, &format!("/v1/conversations/{talk}")).await;
    assert_eq!(summary.json["peer"], json!({"delivered": 0}));

    let again = world.sign_up("ada").await;
    assert_ne!(again.user, ada.user);
    let page = world.get(&again, &format!("/v1/conversations/{talk}/events")).await;
    assert_eq!(page.refusal(), (404, "not_a_member"), "the handle is free, the past is not");
}

#[tokio::test]
async fn a_removed_device_stays_out_after_a_restart() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    world.act(&ada, "POST", "/v1/logout").await;
    let loaded = banter_server::auth::removed_devices::RemovedDevices::load(&*world.node.directory, banter_server::clock::now())
        .await
        .unwrap();
    assert!(loaded.contains(ada.device) && loaded.len() == 1);
    let later = banter_server::clock::now() + 17 * 60 * 1_000;
    let loaded = banter_server::auth::removed_devices::RemovedDevices::load(&*world.node.directory, later).await.unwrap();
    assert!(loaded.is_empty(), "its tokens have expired");
    let talk = ConversationId::direct(ada.user, banter_model::UserId(1)).unwrap();
    assert!(world.node.commands.run(ada.user, ada.device, talk, Action::Leave).await.is_err());
}
