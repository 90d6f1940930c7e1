//! Against servers of a few lines.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use banter_model::{DeviceId, UserId};
use banter_protocol::api::Tokens;
use banter_protocol::frame::{Empty, SyncQuestion};
use futures_util::{SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::*;
use crate::api::Api;
use crate::test_server::serve;

type Socket = WebSocketStream<TcpStream>;

/// Takes one WebSocket and gives it to `session`.
async fn accept<F: Future<Output = ()> + std::marker::Send + 'static>(
    session: impl FnOnce(Socket) -> F + std::marker::Send + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        session(tokio_tungstenite::accept_async(stream).await.unwrap()).await;
    });
    base
}

fn welcome(heartbeat_ms: u64) -> ServerFrame {
    ServerFrame::Welcome { session: "s".into(), user: UserId(1), device: DeviceId(2), at: 1, heartbeat_ms }
}

fn text(frame: &ServerFrame) -> Message {
    Message::text(serde_json::to_string(frame).unwrap())
}

async fn read(socket: &mut Socket) -> ClientFrame {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            _ => continue,
        }
    }
}

#[tokio::test]
async fn frames_go_both_ways_in_order_and_the_close_code_arrives() {
    let base = accept(|mut socket| async move {
        assert!(matches!(read(&mut socket).await, ClientFrame::Hello(hello) if hello.token == "t"));
        socket.send(text(&welcome(45_000))).await.unwrap();
        for number in 0..1_000 {
            let ClientFrame::Sync(question) = read(&mut socket).await else { panic!("a question") };
            assert_eq!(question.since, Some(number.to_string()));
        }
        socket.send(Message::text(r#"{"type":"of_a_newer_server","x":1}"#)).await.unwrap();
        socket.send(text(&ServerFrame::Pong {})).await.unwrap();
        let close = CloseFrame { code: close_code::TOO_SLOW.into(), reason: "slow".into() };
        socket.close(Some(close)).await.unwrap();
    })
    .await;
    let mut connection = connect(&base, "t").await.unwrap();
    assert_eq!(connection.next().await.unwrap(), welcome(45_000));
    for number in 0..1_000 {
        connection.send(&ClientFrame::Sync(SyncQuestion { since: Some(number.to_string()), more: None })).unwrap();
    }
    assert_eq!(connection.next().await.unwrap(), ServerFrame::Pong {}, "what is unknown is passed over");
    assert_eq!(connection.next().await.unwrap_err().code, Some(close_code::TOO_SLOW));
}

#[tokio::test]
async fn a_silent_server_is_pinged_and_given_up() {
    let (heard, pings) = tokio::sync::oneshot::channel();
    let base = accept(|mut socket| async move {
        read(&mut socket).await;
        socket.send(text(&welcome(1_000))).await.unwrap();
        assert_eq!(read(&mut socket).await, ClientFrame::Ping(Empty {}));
        heard.send(()).unwrap();
        // Stalled: it neither answers nor closes.
        std::future::pending().await
    })
    .await;
    let mut connection = connect(&base, "t").await.unwrap();
    connection.next().await.unwrap();
    let closed = connection.next().await.unwrap_err();
    assert_eq!((closed.code, closed.silent), (None, true));
    pings.await.unwrap();
}

#[tokio::test]
async fn a_frame_that_comes_in_pieces_is_no_silence() {
    let base = serve_pieces(Duration::from_millis(400)).await;
    let mut connection = connect(&base, "t").await.unwrap();
    assert_eq!(connection.next().await.unwrap(), welcome(1_000));
    assert_eq!(connection.next().await.unwrap(), ServerFrame::Resync {}, "it took longer than one and a half heartbeats");
}

/// A server that sends its welcome at once, and the next frame a few bytes at a time with a pause before each.
async fn serve_pieces(pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        read(&mut socket).await;
        socket.send(text(&welcome(1_000))).await.unwrap();
        let json = serde_json::to_vec(&ServerFrame::Resync {}).unwrap();
        let frame = [&[0x81, json.len() as u8][..], &json].concat();
        for piece in frame.chunks(3) {
            tokio::time::sleep(pause).await;
            tokio::io::AsyncWriteExt::write_all(socket.get_mut(), piece).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    base
}

fn api(base: &str) -> Api {
    let tokens = Tokens { access_token: "a".into(), expires_at: u64::MAX >> 12, refresh_token: "r".into() };
    Api::new(base, Some(tokens), None).unwrap()
}

#[tokio::test]
async fn where_websocket_is_blocked_long_polling_is_used() {
    let (upgrades, polls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (upgraded, polled) = (upgrades.clone(), polls.clone());
    let base = serve(move |request| {
        let line = request.lines().next().unwrap();
        Some(match line {
            _ if line.starts_with("GET /v1/socket ") => {
                upgraded.fetch_add(1, Ordering::SeqCst);
                (403, "<html>blocked".into())
            }
            "GET /health HTTP/1.1" => (200, "ok".into()),
            "POST /v1/sessions HTTP/1.1" => {
                assert!(request.contains(r#"{"type":"resume","token":"a","since":"p"}"#));
                let welcome = serde_json::to_string(&welcome(45_000)).unwrap();
                (200, format!(r#"{{"session":"secret","frames":[{welcome}],"cursor":0}}"#))
            }
            "POST /v1/sessions/secret/frames HTTP/1.1" => {
                assert!(request.ends_with(r#"[{"type":"sync"},{"type":"sync"}]"#), "{request}");
                (202, String::new())
            }
            // The first answer is lost: it is asked for again with the cursor before.
            "GET /v1/sessions/secret/frames?after=0 HTTP/1.1" if polled.fetch_add(1, Ordering::SeqCst) == 0 => return None,
            "GET /v1/sessions/secret/frames?after=0 HTTP/1.1" => {
                (200, r#"{"frames":[{"type":"resync"},{"type":"new"}],"cursor":7}"#.into())
            }
            "GET /v1/sessions/secret/frames?after=7 HTTP/1.1" => {
                (200, r#"{"frames":[{"type":"bye","code":4005,"message":"out"}],"cursor":8}"#.into())
            }
            other => panic!("{other}"),
        })
    })
    .await;
    let api = api(&base);
    let mut dialer = Dialer::new(&api, &[]);
    assert!(dialer.dial(&api, Some("p".into())).await.is_err(), "once may be chance");
    let (mut connection, frame) = dialer.dial(&api, Some("p".into())).await.unwrap();
    assert_eq!((upgrades.load(Ordering::SeqCst), connection.is_polling(), frame), (2, true, welcome(45_000)));
    let question = ClientFrame::Sync(SyncQuestion::default());
    connection.send(&question).unwrap();
    connection.send(&question).unwrap();
    assert_eq!(connection.next().await.unwrap(), ServerFrame::Resync {});
    assert_eq!(polls.load(Ordering::SeqCst), 2);
    assert!(matches!(connection.next().await.unwrap(), ServerFrame::Bye { .. }));
    assert!(connection.next().await.unwrap_err().is_signed_out());
}

#[tokio::test]
async fn an_upgrade_that_carries_no_session_is_tried_once_and_then_less_often() {
    let base = serve(|request| {
        Some(match request.lines().next().unwrap() {
            line if line.starts_with("GET /v1/socket ") => (403, "<html>blocked".into()),
            "GET /health HTTP/1.1" => (200, "ok".into()),
            "POST /v1/sessions HTTP/1.1" => {
                let welcome = serde_json::to_string(&welcome(45_000)).unwrap();
                (200, format!(r#"{{"session":"secret","frames":[{welcome}],"cursor":0}}"#))
            }
            other => panic!("{other}"),
        })
    })
    .await;
    let api = api(&base);
    let mut dialer = Dialer::new(&api, &[]);
    assert!(dialer.dial(&api, None).await.is_err(), "once may be chance");
    let mut times = vec![];
    for _ in 0..7 {
        let (connection, _) = dialer.dial(&api, None).await.unwrap();
        assert!(connection.is_polling());
        times.push(dialer.until_probe().as_secs());
        // A probe's upgrade gets through, the session that is tried next does not.
        dialer.use_websocket();
    }
    assert_eq!(times, [180, 360, 720, 1_440, 2_880, 3_600, 3_600]);
}

#[tokio::test]
async fn a_dead_server_is_passed_over() {
    let base = accept(|mut socket| async move {
        read(&mut socket).await;
        socket.send(text(&welcome(45_000))).await.unwrap();
        read(&mut socket).await;
    })
    .await;
    let api = api("http://127.0.0.1:1");
    let servers = ["", base.as_str()].map(|url| banter_protocol::api::ChatServer { url: url.into() });
    let mut dialer = Dialer::new(&api, &servers);
    assert!(dialer.dial(&api, None).await.is_err());
    assert!(dialer.dial(&api, None).await.is_ok());
}

#[tokio::test]
async fn dead_servers_are_no_blocked_websocket() {
    let works = accept(|mut socket| async move {
        read(&mut socket).await;
        socket.send(text(&welcome(45_000))).await.unwrap();
        std::future::pending().await
    })
    .await;
    // The API is on another host, and answers.
    let api = api(&serve(|_| Some((200, "{}".into()))).await);
    let servers = ["http://127.0.0.1:1", "http://127.0.0.1:2", works.as_str()];
    let mut dialer = Dialer::new(&api, &servers.map(|url| banter_protocol::api::ChatServer { url: url.into() }));
    for _ in 0..2 {
        assert!(dialer.dial(&api, None).await.is_err());
    }
    let (connection, _) = dialer.dial(&api, None).await.unwrap();
    assert!(matches!(connection, Connection::WebSocket(_)), "long polling for minutes, though WebSocket gets through");
}

#[tokio::test]
async fn a_silent_server_is_passed_over() {
    let api = api("http://127.0.0.1:1");
    let servers = ["http://127.0.0.1:2", "http://127.0.0.1:3"].map(|url| banter_protocol::api::ChatServer { url: url.into() });
    let mut dialer = Dialer::new(&api, &servers);
    dialer.pass_over();
    assert_eq!(dialer.server(), servers[1].url);
    dialer.pass_over();
    assert_eq!(dialer.server(), servers[0].url);
}

#[tokio::test]
async fn when_no_server_works_others_are_asked_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let works = accept(|mut socket| async move {
        read(&mut socket).await;
        socket.send(text(&welcome(45_000))).await.unwrap();
        std::future::pending().await
    })
    .await;
    let told = format!(r#"{{"servers":[{{"url":"{works}"}}]}}"#);
    let base = serve(move |request| match request.lines().next().unwrap() {
        "GET /v1/servers HTTP/1.1" => {
            counted.fetch_add(1, Ordering::SeqCst);
            Some((200, told.clone()))
        }
        _ => Some((404, "{}".into())),
    })
    .await;
    let api = api(&base);
    let gone = || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        banter_protocol::api::ChatServer { url: format!("http://{}", listener.local_addr().unwrap()) }
    };
    let servers = [gone().await, gone().await];
    let mut dialer = Dialer::new(&api, &servers);
    assert_eq!(dialer.server(), servers[0].url);
    assert!(dialer.dial(&api, None).await.is_err());
    assert_eq!((dialer.server(), asked.load(Ordering::SeqCst)), (servers[1].url.as_str(), 0), "the next one may be alive");
    assert!(dialer.dial(&api, None).await.is_err());
    assert_eq!((dialer.server(), asked.load(Ordering::SeqCst)), (works.as_str(), 1));
    let (_connection, frame) = dialer.dial(&api, None).await.unwrap();
    assert_eq!(frame, welcome(45_000));
}
