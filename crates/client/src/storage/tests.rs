//! The store keeps what the engine needs, across a restart.

use std::sync::Arc;
use std::time::Duration;

use banter_model::{Action, ConversationId, DeviceId, EventId, Tag, UserId};
use banter_protocol::api::{ChatServer, Tokens};
use banter_protocol::{Content, Event, ServerFrame};

use super::*;
use crate::sync::{Effect, Engine, Input, Notification, Write};

const DIRECT: ConversationId = ConversationId::Direct(UserId(1), UserId(2));

fn account() -> Account {
    let tokens = Tokens { access_token: "a".into(), expires_at: 1, refresh_token: "r".into() };
    Account {
        api: "http://localhost:1".into(),
        user: UserId(1),
        device: DeviceId(u64::MAX),
        handle: "ada".into(),
        tokens: Some(tokens),
        servers: vec![ChatServer { url: String::new() }],
        from_the_start: true,
    }
}

fn event(seq: u64, content: Content) -> Event {
    let (sender, device) = (UserId(2), DeviceId(20));
    Event { seq, ordinal: seq, id: EventId(seq), at: seq, sender, device, tag: Tag::new(seq).ok(), content }
}

fn message(text: &str) -> Content {
    Content::Message {
        text: text.into(),
        reply_to: None,
        mentions: vec![],
        edited_at: None,
        redacted: false,
        reactions: vec![],
        amended_up_to: 0,
    }
}

fn append(event: Event) -> Effect {
    Effect::Write(Write::Append { conversation: DIRECT, event: Arc::new(event) })
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("profile/banter.sqlite");
    let store = Store::open(&file).await.unwrap();
    assert!(store.snapshot().await.unwrap().is_none());
    store.begin(&account()).await.unwrap();
    let mut engine = Engine::new(store.snapshot().await.unwrap().unwrap());
    let welcome =
        ServerFrame::Welcome { session: "s".into(), user: UserId(1), device: DeviceId(u64::MAX), at: 1, heartbeat_ms: 45_000 };
    engine.handle(0, Input::Frame(welcome));
    engine.handle(0, Input::Frame(ServerFrame::Sync { conversations: vec![], point: "p".into(), more: None }));
    let action = Action::Send { text: "hi \u{1F600}".into(), reply_to: None, mentions: vec![] };
    engine.queue(0, DIRECT, action.clone()).unwrap();
    engine.queue(0, DIRECT, action).unwrap();
    engine.handle(
        0,
        Input::Frame(ServerFrame::Sent {
            tag: Tag::new(1).unwrap(),
            conversation: DIRECT,
            seq: 1,
            ordinal: 1,
            id: EventId(5),
            at: 9,
            mentions: vec![],
        }),
    );
    let told = store.apply(&engine.take_effects()).await.unwrap();
    assert!(told.iter().any(|one| matches!(one, Notification::Stored(stored) if stored.seq == 1)));
    store.close().await;

    let store = Store::open(&file).await.unwrap();
    let snapshot = store.snapshot().await.unwrap().unwrap();
    assert_eq!((snapshot.point.as_deref(), snapshot.device), (Some("p"), DeviceId(u64::MAX)));
    assert_eq!(snapshot.outbox.iter().map(|entry| entry.1.get()).collect::<Vec<_>>(), [2]);
    assert_eq!((snapshot.conversations[0].have, snapshot.conversations[0].next_tag), (Some(1), 3));
    let found = store.find_tag(DIRECT, DeviceId(u64::MAX), Tag::new(1).unwrap()).await.unwrap();
    assert_eq!(found, Some((1, EventId(5), 9)));
    #[cfg(unix)]
    for entry in std::fs::read_dir(file.parent().unwrap()).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn amendments_are_applied_in_order_and_once() {
    let store = Store::in_memory().await.unwrap();
    store.begin(&account()).await.unwrap();
    let edit = || event(2, Content::Edit { target: 1, text: "two".into(), mentions: vec![] });
    let told = store.apply(&[append(event(1, message("one"))), append(edit())]).await.unwrap();
    assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["event 1", "event 2", "amended 1"]);
    // A page that was read before the edit, and one event after a gap.
    let events = vec![event(1, message("one"))];
    store.apply(&[Effect::Write(Write::Keep { conversation: DIRECT, events, have: 2 })]).await.unwrap();
    let stored = store.event(DIRECT, 1).await.unwrap().unwrap();
    assert!(matches!(&stored.content, Content::Message { text, amended_up_to: 2, .. } if text == "two"));
    let redaction = event(3, Content::Redaction { target: 1 });
    store.apply(&[Effect::Write(Write::Keep { conversation: DIRECT, events: vec![redaction], have: 2 })]).await.unwrap();
    let told = store.apply(&[Effect::Write(Write::Deliver { conversation: DIRECT, after: 2, to: 3 })]).await.unwrap();
    assert_eq!(told.iter().map(kind).collect::<Vec<_>>(), ["event 3", "amended 1"]);
    let events = store.events(DIRECT, 1, 9, 10).await.unwrap();
    assert!(matches!(&events[0].content, Content::Message { text, redacted: true, .. } if text.is_empty()));
    assert!(matches!(&events[1].content, Content::Edit { text, .. } if text.is_empty()), "no copy of the text is left");
}

fn kind(notification: &Notification) -> String {
    match notification {
        Notification::Event { event, .. } => format!("event {}", event.seq),
        Notification::Amended { message, .. } => format!("amended {}", message.seq),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_are_kept_and_taken_away() {
    let store = Store::in_memory().await.unwrap();
    store.begin(&account()).await.unwrap();
    let next = Tokens { access_token: "b".into(), expires_at: 2, refresh_token: "s".into() };
    store.save_tokens(Some(&next)).await.unwrap();
    assert_eq!(store.account().await.unwrap().unwrap().tokens, Some(next));
    store.save_tokens(None).await.unwrap();
    assert_eq!(store.account().await.unwrap().unwrap().tokens, None);
}

#[tokio::test]
async fn a_folder_is_used_by_one_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let lock = FolderLock::take(folder.path(), Duration::ZERO).await.unwrap();
    assert_eq!(FolderLock::take(folder.path(), Duration::ZERO).await.unwrap_err().code, Error::IN_USE);
    drop(lock);
    FolderLock::take(folder.path(), Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn a_handle_is_of_who_had_it_last() {
    let store = Store::in_memory().await.unwrap();
    store.remember_handles([(UserId(2), "bob"), (UserId(3), "eve")]).await.unwrap();
    store.remember_handles([(UserId(3), "bob")]).await.unwrap();
    assert_eq!(store.user_of_handle("bob").await.unwrap(), Some(UserId(3)));
    assert_eq!((store.handle_of(UserId(2)).await.unwrap(), store.user_of_handle("eve").await.unwrap()), (None, None));
    store.begin(&account()).await.unwrap();
    assert_eq!(store.user_of_handle("bob").await.unwrap(), None, "another server may be behind another login");
}
