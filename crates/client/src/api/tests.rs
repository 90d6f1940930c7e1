//! Against a server of a few lines: what it says decides what is done with the tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use banter_model::{DeviceId, UserId};
use banter_protocol::api::Tokens;

use super::*;
use crate::storage::{Account, Store};
use crate::test_server::serve;

fn tokens(number: usize) -> Tokens {
    let (access_token, refresh_token) = (format!("access{number}"), format!("refresh{number}"));
    Tokens { access_token, expires_at: u64::MAX >> 12, refresh_token }
}

async fn api(base: &str) -> (Api, Store) {
    let store = Store::in_memory().await.unwrap();
    let account = Account {
        api: base.to_owned(),
        user: UserId(1),
        device: DeviceId(2),
        handle: "ada".into(),
        tokens: Some(tokens(1)),
        servers: vec![],
        from_the_start: true,
    };
    store.begin(&account).await.unwrap();
    (Api::new(base, account.tokens, Some(store.clone())).unwrap(), store)
}

fn error(code: &str) -> String {
    format!(r#"{{"code":"{code}","message":"no"}}"#)
}

#[tokio::test]
async fn many_who_find_a_token_expired_refresh_it_once_even_if_an_answer_is_lost() {
    let refreshed = Arc::new(AtomicUsize::new(0));
    let count = refreshed.clone();
    let base = serve(move |request| {
        if request.starts_with("POST /v1/refresh") {
            assert!(request.contains("refresh1"), "only the first token is ever swapped: {request}");
            // The first answer is lost; the same question gets the same answer.
            return (count.fetch_add(1, Ordering::SeqCst) > 0).then(|| (200, serde_json::to_string(&tokens(2)).unwrap()));
        }
        if request.contains("access2") {
            return Some((200, r#"{"devices":[]}"#.into()));
        }
        Some((401, error("token_expired")))
    })
    .await;
    let (api, store) = api(&base).await;
    let answers = futures_util::future::join_all((0..8).map(|_| api.devices())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(refreshed.load(Ordering::SeqCst), 2);
    assert_eq!(store.account().await.unwrap().unwrap().tokens, Some(tokens(2)));
}

#[tokio::test]
async fn new_tokens_that_cannot_be_stored_are_used_and_stored_later() {
    let base = serve(move |request| {
        if request.starts_with("POST /v1/refresh") {
            assert!(request.contains("refresh1"), "a used token comes again: {request}");
            return Some((200, serde_json::to_string(&tokens(2)).unwrap()));
        }
        let known = request.contains("access2");
        Some(if known { (200, r#"{"devices":[]}"#.into()) } else { (401, error("token_expired")) })
    })
    .await;
    let (api, store) = api(&base).await;
    store.execute("CREATE TRIGGER full BEFORE UPDATE ON account BEGIN SELECT RAISE(FAIL, 'the disk is full'); END").await;
    api.devices().await.unwrap();
    api.devices().await.unwrap();
    assert_eq!(store.account().await.unwrap().unwrap().tokens, Some(tokens(1)));
    store.execute("DROP TRIGGER full").await;
    api.devices().await.unwrap();
    assert_eq!(store.account().await.unwrap().unwrap().tokens, Some(tokens(2)));
}

#[tokio::test]
async fn a_refused_refresh_token_signs_out() {
    let base = serve(|request| {
        let code = if request.starts_with("POST /v1/refresh") { "invalid_refresh_token" } else { "token_expired" };
        Some((401, error(code)))
    })
    .await;
    let (api, store) = api(&base).await;
    assert_eq!(api.devices().await.unwrap_err().code, Error::SIGNED_OUT);
    assert_eq!(store.account().await.unwrap().unwrap().tokens, None);
    assert!(api.profile().await.unwrap_err().is_signed_out());
}

#[tokio::test]
async fn a_strangers_401_at_refresh_keeps_the_login() {
    for body in [error("unauthenticated"), "<html>log in to the network".into()] {
        let base = serve(move |request| {
            let refreshes = request.starts_with("POST /v1/refresh");
            Some((401, if refreshes { body.clone() } else { error("token_expired") }))
        })
        .await;
        let (api, store) = api(&base).await;
        let refused = api.devices().await.unwrap_err();
        assert!(refused.is_transient() && !refused.is_signed_out(), "{refused:?}");
        assert_eq!(store.account().await.unwrap().unwrap().tokens, Some(tokens(1)));
    }
}

#[tokio::test]
async fn errors_keep_what_the_server_said() {
    let base = serve(|request| {
        let limited = r#"{"code":"rate_limited","message":"slower","retry_after":7}"#;
        Some(if request.contains("/v1/friends") { (429, limited.into()) } else { (502, "<html>".into()) })
    })
    .await;
    let (api, _) = api(&base).await;
    let limited = api.friends().await.unwrap_err();
    assert_eq!((limited.status, limited.code.as_str(), limited.retry_after), (Some(429), "rate_limited", Some(7)));
    let bad_gateway = api.profile().await.unwrap_err();
    assert!(bad_gateway.is_transient() && bad_gateway.status == Some(502));
    assert!(base_of("ftp://x").is_err() && base_of("chat.example.org").is_err());
}
