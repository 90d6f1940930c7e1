//! Tokens that are forged, expired or of devices that are gone.

use banter_server::auth::tokens::AccessTokens;
use serde_json::json;

use crate::scene::Scene;
use crate::support::Person;
use crate::support::socket::Socket;

/// Everywhere a token goes, this one is refused.
async fn refused_everywhere(scene: &Scene, token: &str, close_code: u16, code: &str) {
    let (closed, refused) = (scene.closed(close_code).await, scene.refused(code).await);
    for kind in ["hello", "resume"] {
        let mut socket = Socket::connect(scene.world.address).await;
        socket.send(json!({"type": kind, "token": token})).await;
        assert_eq!(socket.closed().await, close_code, "{token}");
    }
    let opened = scene.world.call("POST", "/v1/sessions", None, Some(json!({"type": "hello", "token": token}))).await;
    assert_eq!(opened.refusal(), (401, code), "{token}");
    for (method, path) in [("GET", "/v1/profile"), ("DELETE", "/v1/account"), ("POST", "/v1/logout")] {
        let answer = scene.world.call(method, path, Some(token), None).await;
        assert_eq!(answer.refusal(), (401, code), "{token}");
        assert!(answer.head.contains("www-authenticate: bearer"));
    }
    assert_eq!((scene.closed(close_code).await, scene.refused(code).await), (closed + 2, refused + 4));
}

#[tokio::test]
async fn forged() {
    let mut scene = Scene::set().await;
    let (other_key, _) = AccessTokens::new(&[7; 32]).issue(scene.ada.user, scene.ada.device, banter_server::clock::now());
    let good = scene.ada.token.clone();
    // Another letter in the payload, and another one in the signature.
    let changed = |place: usize| {
        let letter = if good.as_bytes()[place] == b'A' { "B" } else { "A" };
        format!("{}{letter}{}", &good[..place], &good[place + 1..])
    };
    let (other_payload, other_signature) = (changed(9), changed(good.len() - 9));
    for token in ["x", "null", &other_key, &other_signature, &other_payload, &good[1..], &format!("{good}A"), &"A".repeat(20_000)]
    {
        refused_everywhere(&scene, token, 4001, "unauthenticated").await;
    }
    for header in ["", "Authorization: \r\n", "Authorization: Basic eDp5\r\n", "Authorization: Bearer\r\n"] {
        let request = format!("GET /v1/profile HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n");
        let answer = crate::support::http::exchange(scene.world.address, request.as_bytes()).await.remove(0);
        assert_eq!(answer.refusal(), (401, "unauthenticated"), "{header}");
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn expired() {
    let mut scene = Scene::set().await;
    let old = scene.world.token_of_age(&scene.ada, 15 * 60 * 1_000 + 1);
    refused_everywhere(&scene, &old, 4001, "token_expired").await;
    // One of a minute before that is good, so it is the age that counts.
    let young = Person { token: scene.world.token_of_age(&scene.ada, 14 * 60 * 1_000), ..scene.ada.clone() };
    Socket::open(&scene.world, &young).await.quiet().await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn of_a_device_that_was_removed() {
    let mut scene = Scene::set().await;
    let desk = scene.world.another_device(&scene.ada).await;
    let mut session = Socket::open(&scene.world, &desk).await;
    scene.world.api(&scene.ada, "DELETE", &format!("/v1/devices/{}", desk.device), None).await;
    assert_eq!(session.closed().await, 4005);
    refused_everywhere(&scene, &desk.token, 4005, "unauthenticated").await;
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn refresh_tokens_and_passwords() {
    let mut scene = Scene::set().await;
    scene.world.sign_up("zoe").await;
    for token in ["", "x", &scene.ada.token, &"A".repeat(10_000)] {
        let answer = scene.world.call("POST", "/v1/refresh", None, Some(json!({"refresh_token": token}))).await;
        assert_eq!(answer.refusal(), (401, "invalid_refresh_token"), "{token}");
    }
    for (handle, password) in [("zoe", "wrong password"), ("nobody", "wrong password"), ("a\0", "x"), ("", "")] {
        let answer = scene.world.call("POST", "/v1/login", None, Some(json!({"handle": handle, "password": password}))).await;
        assert_eq!(answer.refusal(), (401, "wrong_credentials"), "{handle:?}");
    }
    assert_eq!((scene.refused("invalid_refresh_token").await, scene.refused("wrong_credentials").await), (4, 4));
    scene.is_as_it_was().await;
}
