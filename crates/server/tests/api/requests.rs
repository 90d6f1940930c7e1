//! What is the same for all endpoints: bodies, parameters, tokens, methods, headers, limits.

use axum::body::Body;
use axum::http::{Request, header};
use banter_server::rate_limit::{ProxyHeader, Quota, RateLimitConfig};
use serde_json::json;
use std::time::Duration;

use crate::support::{Answer, PASSWORD, World};

async fn post(world: &World, content_type: Option<&str>, body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method("POST").uri("/v1/login");
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    world.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn bodies_that_are_not_taken() {
    let world = World::start().await;
    let json = Some("application/json");
    let right = json!({"handle": "nobody", "password": PASSWORD}).to_string();
    assert_eq!(post(&world, json, right.clone()).await.refusal(), (401, "wrong_credentials"));
    assert_eq!(post(&world, None, right.clone()).await.refusal(), (415, "unsupported_media_type"));
    assert_eq!(post(&world, Some("text/plain"), right.clone()).await.refusal(), (415, "unsupported_media_type"));
    for wrong in [
        "",
        "{",
        "[]",
        "null",
        r#"{"handle":"ada"}"#,
        r#"{"handle":"ada","password":7}"#,
        r#"{"handle":"ada","password":"x","colour":"red"}"#,
        r#"{"handle":"ada","handle":"bob","password":"x"}"#,
        r#"{"handle":"ada","password":"\ud800"}"#,
        r#"{"handle":"ada","password":"x"} trailing"#,
    ] {
        let answer = post(&world, json, wrong).await;
        assert_eq!(answer.refusal(), (400, "invalid_json"), "{wrong}");
    }
    let answer = post(&world, json, r#"{"handle":"ada","colour":"red"}"#).await;
    let message = answer.json["message"].as_str().unwrap();
    assert!(message.contains("colour") && message.contains("line 1 column"), "it says what and where: {message}");
    assert_eq!(post(&world, json, &b"{\"handle\":\"\xff\",\"password\":\"x\"}"[..]).await.refusal(), (400, "invalid_json"));
    assert_eq!(post(&world, json, "[".repeat(60_000)).await.refusal(), (400, "invalid_json"));
    assert_eq!(post(&world, json, vec![b' '; 64 * 1_024 + 1]).await.refusal(), (413, "too_large"));
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(60_000));
    assert!(post(&world, json, long).await.text.len() < 1_000, "a hostile body is not echoed whole");
}

#[tokio::test]
async fn tokens_that_are_not_taken() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let none = world.call("GET", "/v1/profile", None, None).await;
    assert_eq!(none.refusal(), (401, "unauthenticated"));
    assert_eq!(none.headers["www-authenticate"], "Bearer");
    assert_eq!(world.call("GET", "/v1/profile", Some("x"), None).await.refusal(), (401, "unauthenticated"));
    assert_eq!(world.call("GET", "/v1/profile", Some(&ada.refresh_token), None).await.refusal(), (401, "unauthenticated"));
    let (expired, _) = world.node.tokens.issue(ada.user, ada.device, banter_server::clock::now() - 900_000);
    assert_eq!(world.call("GET", "/v1/profile", Some(&expired), None).await.refusal(), (401, "token_expired"));
    assert_eq!(world.get(&ada, "/v1/profile").await.status, 200);
}

/// Every path of the document but the open ones asks for a token before anything else.
#[tokio::test]
async fn everything_else_is_closed() {
    let world = World::start().await;
    let document: serde_json::Value = serde_json::from_str(banter_server::api::openapi::json()).unwrap();
    let mut closed = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if operation.get("security") == Some(&json!([{}])) {
                continue;
            }
            let path = path.replace("{conversation}", "d.1.2").replace(['{', '}'], "");
            let answer = world.call(&method.to_uppercase(), &path, None, None).await;
            assert_eq!(answer.refusal(), (401, "unauthenticated"), "{method} {path}");
            closed += 1;
        }
    }
    assert!(closed >= 30, "{closed}");
}

#[tokio::test]
async fn paths_methods_and_parameters() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    assert_eq!(world.get(&ada, "/v1/nothing").await.refusal(), (404, "not_found"));
    assert_eq!(world.get(&ada, "/").await.refusal(), (404, "not_found"));
    let wrong = world.act(&ada, "DELETE", "/v1/profile").await;
    assert_eq!(wrong.refusal(), (405, "method_not_allowed"));
    let allowed = wrong.headers["allow"].to_str().unwrap();
    assert!(allowed.contains("GET") && allowed.contains("PATCH"), "{allowed}");
    for (method, path) in [
        ("DELETE", "/v1/devices/x"),
        ("DELETE", "/v1/devices/0"),
        ("DELETE", "/v1/devices/07"),
        ("DELETE", "/v1/devices/18446744073709551616"),
        ("GET", "/v1/conversations/x"),
        ("GET", "/v1/conversations/d.9.3"),
        ("GET", "/v1/conversations/g.0/events"),
        ("GET", "/v1/conversations/g.1/events?limit=0"),
        ("GET", "/v1/conversations/g.1/events?limit=201"),
        ("GET", "/v1/conversations/g.1/events?limit=x"),
        ("GET", "/v1/conversations/g.1/events?after=-1"),
        ("GET", "/v1/conversations/g.1/events?after=1&before=2"),
        ("GET", "/v1/conversations/g.1/events?colour=red"),
        ("GET", "/v1/conversations?more=x"),
        ("GET", "/v1/users"),
        ("GET", "/v1/users?ids="),
        ("GET", "/v1/users?ids=1,x"),
        ("GET", "/v1/presence?ids=0"),
        ("GET", "/v1/handles/%ff"),
        ("POST", "/v1/friends/ada"),
    ] {
        assert_eq!(world.act(&ada, method, path).await.refusal(), (400, "invalid_parameter"), "{method} {path}");
    }
}

#[tokio::test]
async fn headers_and_counters() {
    let world = World::start().await;
    let health = world.call("GET", "/health", None, None).await;
    assert_eq!((health.status, health.text.as_str()), (200, "ok"));
    assert_eq!(health.headers["x-content-type-options"], "nosniff");
    assert_eq!(health.headers["cache-control"], "no-store");
    assert!(health.headers.contains_key("x-request-id"));
    world.call("GET", "/v1/nothing", None, None).await;
    let missing = world.call("GET", "/v1/nothing", None, None).await;
    assert_eq!(missing.headers["cache-control"], "no-store");
    let metrics = world.call("GET", "/metrics", None, None).await;
    assert!(metrics.text.contains(r#"banter_refused_total{code="not_found"} 2"#), "{}", metrics.text);
    let document = world.call("GET", "/v1/openapi.json", None, None).await;
    assert_eq!((document.status, document.text.as_str()), (200, banter_server::api::openapi::json()));
}

#[tokio::test]
async fn a_handler_that_panics_answers() {
    async fn panics() {
        panic!("on purpose");
    }
    let world = World::start().await;
    let routes = axum::Router::new().route("/panics", axum::routing::get(panics));
    let router = banter_server::api::finish(&world.node, routes);
    let world = World { router, ..world };
    assert_eq!(world.call("GET", "/panics", None, None).await.refusal(), (500, "internal"));
    assert_eq!(world.call("GET", "/health", None, None).await.refusal(), (404, "not_found"));
}

#[tokio::test]
async fn limits_by_address_handle_and_user() {
    let hour = Duration::from_secs(3_600);
    let limits = RateLimitConfig {
        trusted_proxy: Some(ProxyHeader::XForwardedFor),
        keys: 1_000,
        sign_up: Quota::new(2, hour),
        login_from_address: Quota::new(3, hour),
        login_to_handle_from_address: Quota::new(2, hour),
        login_to_handle: Quota::new(5, hour),
        refresh: Quota::new(1, hour),
        password: Quota::new(1, hour),
        friend_requests: Quota::new(1, hour),
        handle_look_ups: Quota::new(1, hour),
        group_creations: Quota::new(1, hour),
        requests: Quota::new(20, hour),
    };
    let world = World::start_with(limits).await;
    let from = async |address: &str, path: &str, body: serde_json::Value| {
        let request = Request::builder().method("POST").uri(path).header("x-forwarded-for", address);
        let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string())).unwrap();
        world.send(request).await
    };
    let account = |handle: &str| json!({"handle": handle, "password": PASSWORD});
    assert_eq!(from("192.0.2.1", "/v1/accounts", account("ada")).await.status, 201);
    let bob = from("192.0.2.1", "/v1/accounts", account("bob")).await;
    assert_eq!(bob.status, 201);
    let refused = from("192.0.2.1", "/v1/accounts", account("eve")).await;
    assert_eq!(refused.refusal(), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], refused.json["retry_after"].to_string());
    let seconds = refused.json["retry_after"].as_u64().unwrap();
    assert!((1..=3_600).contains(&seconds), "{seconds}");
    assert_eq!(from("192.0.2.2", "/v1/accounts", account("eve")).await.status, 201, "another address");

    // Two to one handle from one address, and three from that address. What is refused there does not count elsewhere.
    for _ in 0..2 {
        assert_eq!(from("192.0.2.3", "/v1/login", account("ada")).await.status, 200);
    }
    assert_eq!(from("192.0.2.3", "/v1/login", account("ada")).await.refusal(), (429, "rate_limited"));
    assert_eq!(from("192.0.2.3", "/v1/login", account("bob")).await.refusal(), (429, "rate_limited"));
    // Three more to that handle from elsewhere.
    for address in ["192.0.2.4", "192.0.2.5", "192.0.2.6"] {
        assert_eq!(from(address, "/v1/login", account("ada")).await.status, 200);
    }
    assert_eq!(from("192.0.2.7", "/v1/login", account("ada")).await.refusal(), (429, "rate_limited"));
    assert_eq!(from("192.0.2.7", "/v1/login", account("bob")).await.status, 200);

    let token = json!({"refresh_token": bob.json["tokens"]["refresh_token"]});
    assert_eq!(from("192.0.2.7", "/v1/refresh", token.clone()).await.status, 200);
    assert_eq!(from("192.0.2.7", "/v1/refresh", token).await.refusal(), (429, "rate_limited"));

    let token = Some(bob.json["tokens"]["access_token"].as_str().unwrap());
    let eve = world.node.directory.user_by_handle("eve").await.unwrap().unwrap().id;
    let once: [(&str, String, Option<serde_json::Value>); 4] = [
        ("POST", format!("/v1/friends/{eve}"), None),
        ("GET", "/v1/handles/eve".into(), None),
        ("POST", "/v1/groups".into(), Some(json!({"title": "x", "members": [], "key": "k"}))),
        ("POST", "/v1/password".into(), Some(json!({"current": "wrong password", "new": PASSWORD}))),
    ];
    for (method, path, body) in once {
        let first = world.call(method, &path, token, body.clone()).await;
        assert_ne!(first.status, 429, "{path}");
        assert_eq!(world.call(method, &path, token, body).await.refusal(), (429, "rate_limited"), "{path}");
    }
    let answered = {
        let mut answered = 0;
        while world.call("GET", "/v1/profile", token, None).await.status == 200 {
            answered += 1;
        }
        answered
    };
    assert_eq!(answered, 12, "20 requests of all kinds, 8 of them before");
}

#[tokio::test]
async fn a_server_that_is_about_to_stop_takes_no_new_clients() {
    let world = World::start().await;
    assert_eq!(world.call("GET", "/ready", None, None).await.status, 200);
    world.node.readiness.drain();
    let ready = world.call("GET", "/ready", None, None).await;
    assert_eq!((ready.status, &ready.json["draining"]), (503, &json!(true)));
    assert_eq!(ready.headers["retry-after"], "2");
    assert_eq!(world.call("GET", "/health", None, None).await.status, 200);
}
