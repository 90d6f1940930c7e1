//! More than one session may send.

use banter_server::gateway::FrameRate;
use futures_util::future::select_all;
use serde_json::json;

use crate::scene::Scene;
use crate::support::polling::Polling;
use crate::support::socket::{Socket, TEXT, frame};
use crate::support::{Settings, direct, send};

#[tokio::test]
async fn frames_beyond_the_rate_wait_and_stay_in_order() {
    let frame_rate = FrameRate { per_second: 20, burst: 20 };
    let scene = Scene::set_with(Settings { frame_rate, ..Settings::default() }).await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    // In one go: however slow the machine, it does not take forty of them at fifty milliseconds each.
    let flood: Vec<u8> = (2..=61).flat_map(|tag| frame(TEXT, send(tag, scene.talk, "flood").to_string().as_bytes())).collect();
    socket.send_raw(&flood).await;
    // Other sessions have their own rate.
    let mut calm = Socket::open(&scene.world, &scene.eve).await;
    calm.say(1, direct(&scene.eve, &scene.bob), "calm").await;
    for tag in 2..=61 {
        let sent = socket.expect("sent").await;
        assert_eq!((&sent["tag"], &sent["seq"]), (&json!(tag), &json!(tag)));
    }
    assert!(scene.world.metric("frames_slowed_total").await > 0);
    assert_eq!(scene.world.head(&scene.bob, scene.talk).await, 61);
    socket.quiet().await;
}

/// A session that waits takes no ping; so the device is told that the server is there, which it otherwise takes for dead.
#[tokio::test]
async fn who_waits_long_is_told_that_somebody_is_there() {
    let frame_rate = FrameRate { per_second: 3, burst: 20 };
    let scene = Scene::set_with(Settings { frame_rate, ..Settings::default() }).await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    socket.send(json!({"type": "sync"})).await;
    socket.send(json!({"type": "sync"})).await;
    let mut signs = 0;
    for answers in 1..=2 {
        loop {
            let frame = socket.text().await;
            match frame["type"].as_str() {
                Some("working") => signs += 1,
                Some("sync") => break,
                _ => panic!("{frame} before answer {answers}"),
            }
        }
    }
    assert!(signs > 0, "the second answer waited for long, and nothing was said meanwhile");
}

/// None of them waits long, and none has an answer; together they are a silence in which the device would take the server for dead.
#[tokio::test]
async fn many_frames_without_an_answer_are_not_silence() {
    let frame_rate = FrameRate { per_second: 5, burst: 1 };
    let scene = Scene::set_with(Settings { frame_rate, ..Settings::default() }).await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    let typing = json!({"type": "typing", "conversation": scene.talk}).to_string();
    let mut flood: Vec<u8> = (0..30).flat_map(|_| frame(TEXT, typing.as_bytes())).collect();
    flood.extend(frame(TEXT, br#"{"type":"ping"}"#));
    socket.send_raw(&flood).await;
    socket.expect("working").await;
}

/// Each is in memory while it waits, and its client may have hung up: more are not even read.
#[tokio::test]
async fn few_posts_of_a_session_wait_for_each_other() {
    let frame_rate = FrameRate { per_second: 1, burst: 1 };
    let scene = Scene::set_with(Settings { frame_rate, ..Settings::default() }).await;
    let polling = Polling::open(&scene.world, &scene.ada).await;
    let frames = json!(vec![json!({"type": "typing", "conversation": scene.talk}); 60]);
    let posts = (0..5).map(|_| Box::pin(polling.post(frames.clone())));
    // The first takes a minute, and three wait for it.
    let (first, ..) = select_all(posts).await;
    assert_eq!(first.refusal(), (503, "busy"));
}
