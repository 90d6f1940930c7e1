//! Whole clients, over real sockets, against the small server of the engine's tests, which cuts connections at random.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use banter_protocol::api::{Login, Tokens};
use banter_protocol::{ClientFrame, Content, ServerFrame};
use futures_util::{SinkExt, StreamExt};
use parking::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use super::*;
use crate::sync::Window;
use crate::sync::tests::Random;
use crate::sync::tests::server::Server;
use crate::test_server::ada;

/// A lock that is not poisoned by a test that fails.
mod parking {
    pub struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub fn new(value: T) -> Self {
            Mutex(std::sync::Mutex::new(value))
        }

        pub fn lock(&self) -> std::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
        }
    }
}

struct Host {
    server: Server,
    random: Random,
    sessions: HashMap<u64, (UserId, mpsc::UnboundedSender<ServerFrame>)>,
    next: u64,
}

type Shared = Arc<Mutex<Host>>;

async fn host(seed: u64) -> (Shared, String) {
    let host = Host { server: Server::default(), random: Random(seed), sessions: HashMap::new(), next: 0 };
    let shared = Arc::new(Mutex::new(host));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let host = shared.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(host.clone(), stream));
        }
    });
    (shared, base)
}

async fn serve(host: Shared, mut stream: TcpStream) {
    let mut head = vec![0; 4_096];
    let peeked = stream.peek(&mut head).await.unwrap();
    if head[..peeked].starts_with(b"GET /v1/socket") {
        if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
            session(host, socket).await;
        }
        return;
    }
    let Ok(read) = stream.read(&mut head).await else { return };
    let request = String::from_utf8_lossy(&head[..read]).into_owned();
    let body = page(&host, &request).unwrap_or_else(|| "{}".to_owned());
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.ok();
}

/// The answer to `GET /v1/conversations/{id}/events?...`. The token says who asks.
fn page(host: &Shared, request: &str) -> Option<String> {
    let path = request.lines().next()?.split(' ').nth(1)?;
    let (id, query) = path.strip_prefix("/v1/conversations/")?.split_once("/events?")?;
    let token = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "))?;
    let user = token.split_once('.')?.0.parse().ok()?;
    let value = |name| query.split('&').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')?.parse().ok());
    let window = match (value("after"), value("before")) {
        (Some(seq), _) => Window::After(seq),
        (_, Some(seq)) => Window::Before(seq),
        _ => Window::Newest,
    };
    let page = host.lock().server.page(user, id.parse().ok()?, window, value("limit")?)?;
    serde_json::to_string(&page).ok()
}

async fn session(host: Shared, mut socket: tokio_tungstenite::WebSocketStream<TcpStream>) {
    let (sender, mut outgoing) = mpsc::unbounded_channel();
    let mut who = None;
    let number = {
        let mut host = host.lock();
        host.next += 1;
        host.next
    };
    loop {
        tokio::select! {
            frame = outgoing.recv() => {
                let Some(frame) = frame else { break };
                if socket.send(Message::text(serde_json::to_string(&frame).unwrap())).await.is_err() {
                    break;
                }
            }
            message = socket.next() => {
                let Some(Ok(Message::Text(text))) = message else { break };
                let frame: ClientFrame = serde_json::from_str(&text).unwrap();
                let mut host = host.lock();
                if let ClientFrame::Resume(resume) = &frame {
                    let (user, device) = resume.token.split_once('.').unwrap();
                    who = Some((user.parse().unwrap(), device.parse().unwrap()));
                    host.sessions.insert(number, (user.parse().unwrap(), sender.clone()));
                }
                let (user, device) = who.expect("resume comes first");
                // Cut before the command is taken in, or after it with its answer lost.
                let (before, after) = (host.random.chance(1), host.random.chance(1));
                if before {
                    break;
                }
                let (answers, fanout) = host.server.take(user, device, frame);
                for (to, frame) in fanout {
                    for (session, (user, sender)) in &host.sessions {
                        if *user == to && *session != number {
                            sender.send(frame.clone()).ok();
                        }
                    }
                }
                if after {
                    break;
                }
                answers.into_iter().for_each(|answer| {
                    sender.send(answer).ok();
                });
            }
        }
    }
    host.lock().sessions.remove(&number);
}

async fn client(base: &str, folder: &Path, user: u64) -> Client {
    let store = Store::open(&folder.join(format!("{user}.sqlite"))).await.unwrap();
    if store.account().await.unwrap().is_none() {
        let access_token = format!("{user}.{user}1");
        let tokens = Tokens { access_token, expires_at: u64::MAX >> 12, refresh_token: "r".into() };
        let account = Account {
            api: base.to_owned(),
            user: UserId(user),
            device: DeviceId(user * 10 + 1),
            handle: format!("user{user}"),
            tokens: Some(tokens),
            servers: vec![],
            from_the_start: true,
        };
        store.begin(&account).await.unwrap();
    }
    let account = store.account().await.unwrap().unwrap();
    let api = Api::new(base, account.tokens.clone(), Some(store.clone())).unwrap();
    Client::start(Profile { lock: None, store, account, api }).await.unwrap()
}

/// Writes `count` messages, and returns once each is in the outbox.
async fn write(client: &Client, conversation: ConversationId, name: &str, count: usize) -> Vec<Ticket> {
    let mut tickets = Vec::new();
    for number in 0..count {
        tickets.push(client.send(conversation, &format!("{name} {number}"), None).await.unwrap());
    }
    tickets
}

#[tokio::test]
async fn cut_connections_and_a_restart_lose_nothing_and_repeat_nothing() {
    let seed = std::process::id().into();
    eprintln!("seed {seed}");
    let (host, base) = host(seed).await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&base, folder.path(), 1).await;
    let bob = client(&base, folder.path(), 2).await;
    let direct = ada.direct(bob.user()).unwrap();
    let mut heard = bob.notifications();
    let from_ada = write(&ada, direct, "ada", 200).await;
    let from_bob = write(&bob, direct, "bob", 200).await;
    // Ada's client ends with most of it unanswered, and its next run sends the rest.
    from_ada.into_iter().next().unwrap().stored().await.unwrap();
    ada.shutdown().await;
    let ada = client(&base, folder.path(), 1).await;
    for ticket in write(&ada, direct, "more", 20).await {
        ticket.stored().await.unwrap();
    }
    for ticket in from_bob {
        ticket.stored().await.unwrap();
    }
    assert_eq!((ada.unanswered().await.unwrap(), bob.unanswered().await.unwrap()), (0, 0));
    let mut told = 0;
    while told < 420 {
        if let Some(Notification::Event { event, .. }) = heard.next().await {
            assert_eq!(event.seq, told + 1);
            told = event.seq;
        }
    }
    let log: Vec<banter_protocol::Event> =
        host.lock().server.logs[&direct].events.iter().cloned().map(banter_protocol::Event::from).collect();
    let texts = |name: &str| {
        let text = |event: &banter_protocol::Event| match &event.content {
            Content::Message { text, .. } => text.strip_prefix(name).map(|rest| rest.trim().parse::<usize>().unwrap()),
            _ => None,
        };
        log.iter().filter_map(text).collect::<Vec<_>>()
    };
    assert_eq!(texts("ada"), (0..200).collect::<Vec<_>>());
    assert_eq!(texts("bob"), (0..200).collect::<Vec<_>>());
    assert_eq!(texts("more"), (0..20).collect::<Vec<_>>());
    let page = bob.page(direct, Window::Around(100), 50).await.unwrap();
    assert!(page.events == log[page.from as usize - 1..page.to as usize] && page.events.len() == 50);
    bob.mark_read(direct, 420).await.unwrap();
    assert_eq!(bob.conversation(direct).await.unwrap().unwrap().unread(), 0);
    bob.shutdown().await;
    assert_eq!(bob.send(direct, "too late", None).await.unwrap_err().code, Error::CLOSED);
    assert_eq!(heard_to_the_end(&mut heard).await, None);
}

/// What comes after the last notification: nothing, rather than waiting for ever.
async fn heard_to_the_end(heard: &mut Notifications) -> Option<Notification> {
    while heard.next().await.is_some() {}
    heard.next().await
}

#[tokio::test]
async fn whoever_waits_for_an_answer_hears_that_the_device_was_logged_out() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let written = Arc::new(AtomicBool::new(false));
    let out = written.clone();
    // Nothing gets through until something waits for its answer.
    let base = crate::test_server::serve(move |_| {
        out.load(Ordering::SeqCst).then(|| (401, r#"{"code":"invalid_refresh_token","message":"out"}"#.to_owned()))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("1.sqlite")).await.unwrap();
    store.begin(&ada(&base, 0)).await.unwrap();
    store.close().await;
    let ada = client(&base, folder.path(), 1).await;
    let ticket = ada.send(ada.direct(UserId(2)).unwrap(), "hello?", None).await.unwrap();
    written.store(true, Ordering::SeqCst);
    assert_eq!(ticket.stored().await.unwrap_err().code, Error::SIGNED_OUT);
    assert_eq!(ada.unanswered().await.unwrap(), 1, "it stays in the outbox");
    assert!(!ada.status().borrow().synced);
    ada.shutdown().await;
}

#[tokio::test]
async fn a_login_takes_the_place_of_another_only_when_that_is_asked_for() {
    let base = crate::test_server::serve(|_| {
        let tokens = r#"{"access_token":"a","expires_at":9000000000000,"refresh_token":"r"}"#;
        let answer = format!(r#"{{"user":"2","device":"21","tokens":{tokens},"servers":[]}}"#);
        Some((200, answer))
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("banter.sqlite");
    let place = || Place::Folder(folder.path().to_owned());
    let login = |handle: &str| Login { handle: handle.into(), password: "long enough".into(), device_name: None };
    drop(Profile::log_in(place(), &base, &login("ada")).await.unwrap());
    assert_eq!(Profile::check_free(place()).await.unwrap_err().code, Error::OCCUPIED);
    let refused = Profile::log_in(place(), &base, &login("bob")).await.err().unwrap();
    assert_eq!((refused.code.as_str(), refused.message.as_str()), (Error::OCCUPIED, "@ada is logged in here"));
    let profile = Profile::open(place()).await.unwrap();
    profile.check_all_sent().await.unwrap();
    let mut engine = crate::sync::Engine::new(profile.store().snapshot().await.unwrap().unwrap());
    let action = Action::Send { text: "hi".into(), reply_to: None, mentions: vec![] };
    engine.queue(0, ConversationId::direct(profile.account().user, UserId(1)).unwrap(), action).unwrap();
    profile.store().apply(&engine.take_effects()).await.unwrap();
    assert_eq!(profile.check_all_sent().await.unwrap_err().message, "1 command is not sent yet");
    // Logged out by another device: what was written is still there.
    profile.api().forget_tokens().await.unwrap();
    drop(profile);
    let refused = Profile::log_in(place(), &base, &login("bob")).await.err().unwrap();
    assert_eq!(refused.message, "1 command is not sent yet (@ada was logged in here)");
    drop(Profile::log_in_instead(place(), &base, &login("bob")).await.unwrap());
    let store = Store::open(&file).await.unwrap();
    assert_eq!((store.account().await.unwrap().unwrap().handle.as_str(), store.unanswered().await.unwrap()), ("bob", 0));
}

#[tokio::test]
async fn connecting_is_told_once_however_often_it_is_tried() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let tried = Arc::new(AtomicUsize::new(0));
    let count = tried.clone();
    let base = crate::test_server::serve(move |_| {
        count.fetch_add(1, Ordering::SeqCst);
        None
    })
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ada = client(&base, folder.path(), 1).await;
    let mut heard = ada.notifications();
    while tried.load(Ordering::SeqCst) < 4 {
        ada.reconnect().await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    ada.shutdown().await;
    let mut connecting = 0;
    while let Some(notification) = heard.next().await {
        connecting += usize::from(matches!(notification, Notification::Connection { .. }));
    }
    assert_eq!(connecting, 1);
}
