//! How sessions begin and end.

use banter_protocol::limits::{LATEST_BYTES, LATEST_EVENTS};
use banter_server::conversations::listing::LISTINGS_AT_ONCE;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::polling::Polling;
use crate::support::socket::Socket;
use crate::support::{Settings, World, direct, http, soon};

#[tokio::test]
async fn from_signing_up_to_a_message() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let talk = direct(&ada, &bob);
    at_ada.say(1, talk, "hello").await;
    assert_eq!(at_bob.expect("event").await["event"]["content"], json!({"kind": "message", "text": "hello"}));
}

#[tokio::test]
async fn every_session_has_its_own_number() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let mut socket = Socket::connect(world.address).await;
        socket.send(json!({"type": "hello", "token": ada.token})).await;
        numbers.push(socket.expect("welcome").await["session"].as_str().unwrap().to_owned());
    }
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), 3);
}

#[tokio::test]
async fn frames_behind_hello_in_the_same_packet_are_taken() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let mut socket = Socket::connect(world.address).await;
    let mut bytes = Vec::new();
    let send = crate::support::send(1, direct(&ada, &bob), "early");
    for frame in [json!({"type": "resume", "token": ada.token}), send, json!({"type": "ping"})] {
        bytes.extend(crate::support::socket::frame(0x81, frame.to_string().as_bytes()));
    }
    socket.send_raw(&bytes).await;
    socket.expect("welcome").await;
    socket.expect("sync").await;
    let mut kinds = vec![socket.text().await["type"].clone(), socket.text().await["type"].clone()];
    kinds.sort_by_key(Value::to_string);
    assert_eq!(kinds, ["pong", "sent"]);
}

#[tokio::test]
async fn more_resume_at_once_than_are_answered_at_once() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    Socket::open(&world, &ada).await.say(1, direct(&ada, &bob), "hello").await;
    // All questions are there before the first answer is read.
    let mut sockets = Vec::new();
    for _ in 0..3 * LISTINGS_AT_ONCE {
        let mut socket = Socket::connect(world.address).await;
        socket.send(json!({"type": "resume", "token": bob.token})).await;
        sockets.push(socket);
    }
    for socket in &mut sockets {
        socket.expect("welcome").await;
        assert_eq!(socket.synced().await["conversations"][0]["head_seq"], 1);
    }
}

#[tokio::test]
async fn resume_tells_what_changed_since() {
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_bob, nothing) = Socket::resume(&world, &bob, None).await;
    assert_eq!((&nothing["conversations"], &nothing["more"]), (&json!([]), &Value::Null));
    let mut at_ada = Socket::open(&world, &ada).await;
    at_ada.say(1, talk, "one").await;
    at_ada.say(2, talk, "two").await;
    at_bob.expect("event").await;
    drop(at_bob);

    let (mut at_bob, sync) = Socket::resume(&world, &bob, nothing["point"].as_str()).await;
    let summary = &sync["conversations"][0];
    assert_eq!((&summary["conversation"], &summary["head_seq"], &summary["unread"]), (&json!(talk), &json!(2), &json!(2)));
    assert_eq!((&summary["member"], &summary["preview"]["text"]), (&json!(true), &json!("two")));
    assert_eq!(sync["conversations"].as_array().unwrap().len(), 1);
    assert_eq!(texts(&summary["latest"]), ["one", "two"], "what was missed came with the answer");

    // The same by `sync`, at any time; and live frames go on.
    at_bob.send(json!({"type": "sync", "since": sync["point"]})).await;
    assert!(at_bob.synced().await["point"].is_string());
    at_ada.say(3, talk, "three").await;
    assert_eq!(at_bob.expect("event").await["event"]["seq"], 3);

    // Somebody else is told of nothing.
    let (_, others) = Socket::resume(&world, &eve, None).await;
    assert_eq!(others["conversations"], json!([]));
}

fn texts(events: &Value) -> Vec<&str> {
    events.as_array().into_iter().flatten().filter_map(|event| event["content"]["text"].as_str()).collect()
}

#[tokio::test]
async fn the_latest_events_come_with_the_answer_as_far_as_there_is_room() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (socket, nothing) = Socket::resume(&world, &bob, None).await;
    drop(socket);
    let mut at_ada = Socket::open(&world, &ada).await;
    let count = LATEST_EVENTS as u64 + 5;
    for tag in 1..=count {
        at_ada.say(tag, talk, &format!("number {tag}")).await;
    }
    let (_, sync) = Socket::resume(&world, &bob, nothing["point"].as_str()).await;
    let latest = &sync["conversations"][0]["latest"];
    assert_eq!(latest.as_array().unwrap().len(), LATEST_EVENTS);
    assert_eq!((&latest[0]["seq"], &latest[LATEST_EVENTS - 1]["seq"]), (&json!(6), &json!(count)));
    // Without a point everything is listed, and nothing comes along.
    let (_, all) = Socket::resume(&world, &bob, None).await;
    assert_eq!(all["conversations"][0]["latest"], Value::Null);
    // A text that is too long for an answer is left to be asked for.
    at_ada.say(count + 1, talk, &"x".repeat(LATEST_BYTES + 1)).await;
    let (_, sync) = Socket::resume(&world, &bob, nothing["point"].as_str()).await;
    let summary = &sync["conversations"][0];
    assert_eq!((&summary["head_seq"], &summary["latest"]), (&json!(count + 1), &Value::Null));
}

#[tokio::test]
async fn a_point_that_was_never_given_is_refused_and_the_session_stands() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut socket = Socket::connect(world.address).await;
    socket.send(json!({"type": "resume", "token": ada.token, "since": "yesterday"})).await;
    socket.expect("welcome").await;
    assert_eq!(socket.refused().await, "invalid_parameter");
    socket.send(json!({"type": "sync"})).await;
    assert_eq!(socket.expect("sync").await["conversations"], json!([]));
}

#[tokio::test]
async fn logging_out_ends_the_sessions_of_that_device_alone() {
    let world = World::start().await;
    let phone = world.person("ada").await;
    let desk = world.another_device(&phone).await;
    let (mut at_phone, mut at_desk) = (Socket::open(&world, &phone).await, Socket::open(&world, &desk).await);
    let mut polling = Polling::open(&world, &phone).await;
    world.api(&phone, "POST", "/v1/logout", None).await;
    assert_eq!(at_phone.closed().await, 4005);
    assert_eq!(polling.expect("bye").await["code"], 4005);
    assert_eq!(polling.poll(polling.cursor).await.refusal(), (404, "unknown_session"));
    at_desk.quiet().await;
    world.metric_becomes("closed_total{code=\"4005\"}", 2).await;
    world.metric_becomes("sessions", 1).await;
}

#[tokio::test]
async fn the_oldest_of_too_many_sessions_goes() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut sockets = Vec::new();
    for _ in 0..50 {
        sockets.push(Socket::open(&world, &ada).await);
    }
    sockets[0].quiet().await;
    let mut newest = Socket::open(&world, &ada).await;
    assert_eq!(sockets[0].closed().await, 1001);
    newest.quiet().await;
    sockets[1].quiet().await;
}

#[tokio::test]
async fn a_full_server_takes_nobody_in_until_somebody_goes() {
    let world = World::start_with(Settings { sessions: Some(2), ..Settings::default() }).await;
    let [ada, bob, cid] = world.people(["ada", "bob", "cid"]).await;
    let mut first = Socket::open(&world, &ada).await;
    let _second = Polling::open(&world, &bob).await;
    let mut third = Socket::connect(world.address).await;
    third.send(json!({"type": "hello", "token": cid.token})).await;
    assert_eq!(third.closed().await, 1001);
    let polling = world.call("POST", "/v1/sessions", None, Some(json!({"type": "hello", "token": cid.token}))).await;
    assert_eq!((polling.status, polling.json["code"].as_str()), (503, Some("busy")), "{}", polling.text);
    first.quiet().await;
    drop(first);
    world.metric_becomes("sessions", 1).await;
    Socket::open(&world, &cid).await.quiet().await;
}

#[tokio::test]
async fn a_device_that_closes_is_answered() {
    let world = World::start().await;
    let ada = world.person("ada").await;
    let mut socket = Socket::open(&world, &ada).await;
    socket.send_raw(&crate::support::socket::frame(0x88, &1000_u16.to_be_bytes())).await;
    let crate::support::socket::Incoming::Close(code, _) = socket.next().await else { panic!("no close frame") };
    assert_eq!(code, 1000);
    world.metric_becomes("sessions", 0).await;
}

/// Every session is told, what was acknowledged is there afterwards, and whoever comes back gets it.
#[tokio::test]
async fn a_graceful_stop_says_goodbye_and_loses_nothing() {
    let mut world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let polling = Polling::open(&world, &bob).await;
    // A connection that is there already: the listener takes no new ones while it goes down.
    let mut connection = TcpStream::connect(world.address).await.unwrap();
    connection.write_all(b"GET /health HTTP/1.1\r\nHost: banter\r\n\r\n").await.unwrap();
    let mut first = [0; 1_024];
    assert!(soon("an answer", connection.read(&mut first)).await.unwrap() > 0);
    at_ada.say(1, talk, "before").await;

    let poll = http::request("GET", &format!("/v1/sessions/{}/frames?after=0", polling.name), None, None);
    connection.write_all(poll.as_bytes()).await.unwrap();
    let polled = http::answers(&http::read_to_end(&mut connection).await).remove(0);
    assert_eq!(polled.json["frames"][0]["type"], "event");
    let mut connection = TcpStream::connect(world.address).await.unwrap();
    connection.write_all(b"GET /health HTTP/1.1\r\nHost: banter\r\n\r\n").await.unwrap();
    assert!(soon("an answer", connection.read(&mut first)).await.unwrap() > 0);

    at_bob.expect("event").await;
    world.begin_stop();
    let poll = http::request("GET", &format!("/v1/sessions/{}/frames?after=1", polling.name), None, None);
    connection.write_all(poll.as_bytes()).await.unwrap();
    assert_eq!(at_ada.closed().await, 1001);
    assert_eq!(at_bob.closed().await, 1001);
    let polled = http::answers(&http::read_to_end(&mut connection).await).remove(0);
    assert_eq!((&polled.json["frames"][0]["type"], &polled.json["frames"][0]["code"]), (&json!("bye"), &json!(1001)));
    let folder = world.stop().await;

    let world = World::start_in(folder, Settings::default()).await;
    let (_, sync) = Socket::resume(&world, &bob, None).await;
    assert_eq!(sync["conversations"][0]["preview"]["text"], "before");
    // The tag is remembered too.
    let mut at_ada = Socket::open(&world, &ada).await;
    assert_eq!(at_ada.say(1, talk, "before").await["seq"], 1);
    assert_eq!(world.head(&ada, talk).await, 1);
}
