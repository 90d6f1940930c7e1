//! More than one session may send.

use banter_server::gateway::FrameRate;
use serde_json::json;

use crate::scene::Scene;
use crate::support::socket::{Socket, TEXT, frame};
use crate::support::{Settings, send};

/// At one frame a second, 200 of them cannot all be let through however slow the machine: they are sent in one go.
#[tokio::test]
async fn frames_beyond_the_rate_are_refused_for_a_while() {
    let frame_rate = FrameRate { per_second: 1, burst: 20 };
    let scene = Scene::set_with(Settings { frame_rate, ..Settings::default() }).await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    let flood: Vec<u8> = (2..=201).flat_map(|tag| frame(TEXT, send(tag, scene.talk, "flood").to_string().as_bytes())).collect();
    socket.send_raw(&flood).await;
    let (mut stored, mut refused) = (0, 0);
    while stored + refused < 200 {
        let frame = socket.text().await;
        if frame["type"] == "sent" {
            stored += 1;
            continue;
        }
        assert_eq!((&frame["code"], &frame["conversation"]), (&json!("rate_limited"), &json!(scene.talk)));
        assert!(frame["tag"].is_u64() && frame["retry_after"].as_u64().is_some_and(|seconds| seconds >= 1), "{frame}");
        refused += 1;
    }
    assert!(stored >= 20 && refused > 0, "{stored} {refused}");
    assert_eq!(scene.refused("rate_limited").await, refused);
    assert_eq!(scene.world.head(&scene.bob, scene.talk).await, 1 + stored);
    // A ping is always answered, and other sessions have their own rate.
    socket.quiet().await;
    Socket::open(&scene.world, &scene.bob).await.say(1, scene.talk, "calm").await;
}
