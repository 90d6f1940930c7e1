//! The task's own decisions.

use super::*;
use crate::test_server::ada;
use crate::{Client, Place};

fn answered(status: u16, code: &str) -> Error {
    Error { status: Some(status), ..Error::new(code, "no") }
}

#[test]
fn only_the_servers_own_word_ends_asking_for_events() {
    assert_eq!(fetch_error(&answered(403, "not_a_member")), FetchError::Gone);
    for status in [403, 404, 500] {
        let stranger = answered(status, Error::UNEXPECTED_ANSWER);
        assert_eq!(fetch_error(&stranger), FetchError::Later { retry_after: None });
    }
    let limited = Error { retry_after: Some(7), ..answered(429, "rate_limited") };
    assert_eq!(fetch_error(&limited), FetchError::Later { retry_after: Some(7) });
}

#[tokio::test]
async fn a_panic_while_fetching_answers_the_question() {
    let Background::Fetched(7, Err(FetchError::Later { .. })) = fetched(7, async { panic!("a bug") }).await else {
        panic!("the engine waits for the answer to 7");
    };
}

#[tokio::test]
async fn a_dropped_client_keeps_its_folder_until_its_task_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_owned();
    let store = Store::open(&place.join("banter.sqlite")).await.unwrap();
    // Nobody listens there.
    store.begin(&ada("http://127.0.0.1:1", Millis::MAX)).await.unwrap();
    store.close().await;
    let client = Client::open(Place::Folder(place.clone())).await.unwrap();
    drop(client);
    // The task has had no turn yet: it is still to end, and may write until then.
    let early = FolderLock::take(&place, Duration::ZERO).await;
    assert_eq!(early.unwrap_err().code, Error::IN_USE);
    FolderLock::take(&place, Duration::from_secs(60)).await.unwrap();
}
