//! What costs once costs once, and nobody's slowness costs anybody else.

use std::time::Duration;

use banter_server::gateway::hub::SESSIONS_PER_USER;
use serde_json::{Value, json};
use tokio::net::TcpSocket;

use crate::support::socket::{Incoming, Socket, TEXT, frame};
use crate::support::{World, direct, send};

#[tokio::test]
async fn one_encoding_and_few_writes_for_many_receivers() {
    const MESSAGES: u64 = 100;
    let world = World::start().await;
    let [ada, bob, eve] = world.people(["ada", "bob", "eve"]).await;
    let group = world.group(&ada, &[&bob, &eve], false).await;
    let mut writer = Socket::open(&world, &ada).await;
    let mut readers = Vec::new();
    for person in [&ada, &bob, &eve] {
        for _ in 0..10 {
            readers.push(Socket::open(&world, person).await);
        }
    }
    for reader in &mut readers {
        reader.quiet().await;
    }
    let names = ["frames_encoded_total", "frames_queued_total", "socket_writes_total"];
    let mut before = Vec::new();
    for name in names {
        before.push(world.metric(name).await);
    }
    let all: Vec<u8> = (1..=MESSAGES).flat_map(|tag| frame(TEXT, send(tag, group, "ahoy").to_string().as_bytes())).collect();
    writer.send_raw(&all).await;
    for tag in 1..=MESSAGES {
        assert_eq!(writer.expect("sent").await["tag"], tag);
    }
    for reader in &mut readers {
        for tag in 1..=MESSAGES {
            assert_eq!(reader.expect("event").await["event"]["tag"], tag);
        }
    }
    let mut grown = Vec::new();
    for (name, before) in names.iter().zip(before) {
        grown.push(world.metric(name).await - before);
    }
    let delivered = MESSAGES * readers.len() as u64;
    assert_eq!(grown[0], 2 * MESSAGES, "each message once for its receivers and once for its writer");
    assert_eq!(grown[1], delivered + MESSAGES);
    assert!(grown[2] < grown[1] / 2, "{} writes of {} frames", grown[2], grown[1]);
}

/// The limit of unanswered commands holds a session back, and nothing is lost.
#[tokio::test]
async fn more_than_256_unanswered_commands_wait() {
    const MESSAGES: u64 = 2_000;
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut socket = Socket::open(&world, &ada).await;
    let all: Vec<u8> = (1..=MESSAGES).flat_map(|tag| frame(TEXT, send(tag, talk, "x").to_string().as_bytes())).collect();
    socket.send_raw(&all).await;
    for tag in 1..=MESSAGES {
        let sent = socket.expect("sent").await;
        assert_eq!((&sent["tag"], &sent["seq"]), (&json!(tag), &json!(tag)));
    }
    assert_eq!(world.head(&ada, talk).await, MESSAGES);
}

/// Two sessions read nothing while large messages come: they are told to resync, the one that reads again goes on from there, and the
/// one that never does is closed. Whoever reads notices nothing.
#[tokio::test]
async fn slow_receivers_resync_or_are_closed_and_others_go_on() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let (mut at_ada, mut at_bob) = (Socket::open(&world, &ada).await, Socket::open(&world, &bob).await);
    let mut slow = Socket::open_narrow(&world, &bob).await;
    let mut stuck = Socket::open_narrow(&world, &bob).await;
    let text = "😀".repeat(100_000);
    let mut last = 0;
    while world.metric("outboxes_overflowed_total").await < 2 {
        last += 1;
        assert!(last < 200, "80 MB wait for a session that reads nothing");
        at_ada.say(last, talk, &text).await;
        assert_eq!(at_bob.expect("event").await["event"]["seq"], last);
    }

    let mut seen = 0;
    loop {
        let frame = slow.text().await;
        match frame["type"].as_str() {
            Some("event") => {
                seen += 1;
                assert_eq!(frame["event"]["seq"], seen, "in order, as far as it goes");
            }
            Some("resync") => break,
            _ => panic!("{frame}"),
        }
    }
    assert!(seen < last);
    slow.send(json!({"type": "sync"})).await;
    assert_eq!(slow.expect("sync").await["conversations"][0]["head_seq"], last);
    at_ada.say(last + 1, talk, "small").await;
    assert_eq!(slow.expect("event").await["event"]["seq"], last + 1, "after resync, frames come again");
    assert_eq!(at_bob.expect("event").await["event"]["seq"], last + 1);

    // Half a minute without taking anything, looked at every few seconds.
    let closed = async {
        while world.metric("closed_total{code=\"4003\"}").await == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), closed).await.expect("a session that never reads is closed");
    world.metric_becomes("sessions", 3).await;
    // It takes nothing, so it is told nothing: what was on its way, and the end.
    loop {
        match stuck.next().await {
            Incoming::Text(frame) => assert_eq!(frame["type"], "event"),
            Incoming::Gone => break,
            other => panic!("{other:?}"),
        }
    }
    at_ada.say(last + 2, talk, "still there?").await;
    at_bob.expect("event").await;
    slow.expect("event").await;
}

/// It is not one of its user's any more, so nobody looks after it.
#[tokio::test]
async fn a_session_that_has_ended_does_not_stay_by_taking_nothing() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    let _stuck = Socket::open_narrow(&world, &bob).await;
    let text = "😀".repeat(100_000);
    let mut last = 0;
    while world.metric("outboxes_overflowed_total").await < 1 {
        last += 1;
        assert!(last < 200, "80 MB wait for a session that reads nothing");
        at_ada.say(last, direct(&ada, &bob), &text).await;
    }
    let mut others = Vec::new();
    for _ in 0..SESSIONS_PER_USER {
        others.push(Socket::open(&world, &bob).await);
    }
    world.metric_becomes("closed_total{code=\"1001\"}", 1).await;
}

impl Socket {
    /// A session whose kernel buffer is as small as can be.
    async fn open_narrow(world: &World, who: &crate::support::Person) -> Socket {
        let narrow = TcpSocket::new_v4().unwrap();
        narrow.set_recv_buffer_size(4_096).unwrap();
        let mut socket = Socket::over(narrow.connect(world.address).await.unwrap()).await;
        let hello: Value = json!({"type": "hello", "token": who.token});
        socket.send(hello).await;
        socket.expect("welcome").await;
        socket
    }
}
