//! Texts that are no frames, and frames that are not ours.

use serde_json::{Value, json};

use crate::scene::Scene;
use crate::support::polling::Polling;
use crate::support::socket::Socket;

#[tokio::test]
async fn malformed_json() {
    let mut scene = Scene::set().await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_field = format!(r#"{{"type":"ping","x":{deep}}}"#);
    for text in [
        "",
        " ",
        "{",
        "}",
        "null",
        "7",
        "\"ping\"",
        "[]",
        "[{\"type\":\"ping\"}]",
        "{\"type\":\"ping\"",
        "{\"type\":\"ping\"}x",
        "{\"type\":\"ping\"}{\"type\":\"ping\"}",
        "{'type':'ping'}",
        "{\"type\":\"ping\",}",
        "{type:\"ping\"}",
        "\u{feff}{\"type\":\"ping\"}",
        "{\"type\":\"pi\nng\"}",
        &deep,
        &deep_field,
    ] {
        scene.refuses(&scene.ada, text, "invalid_frame").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn unknown_frame_types_and_fields() {
    let mut scene = Scene::set().await;
    let (talk, token) = (scene.talk, scene.ada.token.clone());
    for frame in [
        json!({}),
        json!({"type": "shout"}),
        json!({"type": "Ping"}),
        json!({"type": null}),
        json!({"type": 1}),
        json!({"type": "welcome", "session": "1"}),
        json!({"type": "event"}),
        json!({"type": "ping", "extra": 1}),
        json!({"type": "sync", "until": "x"}),
        json!({"type": "typing", "conversation": talk, "seconds": 5}),
        // Only the first frame of a session is one of these.
        json!({"type": "hello", "token": token}),
        json!({"type": "resume", "token": token}),
    ] {
        scene.refuses(&scene.ada, &frame.to_string(), "invalid_frame").await;
    }
    scene.refuses(&scene.ada, r#"{"type":"ping","type":"ping"}"#, "invalid_frame").await;
    // A parser quotes what it does not know, and is not let quote a megabyte.
    scene.refuses(&scene.ada, &json!({"type": "x".repeat(1_000_000)}).to_string(), "invalid_frame").await;
    let error = scene.refuses(&scene.ada, &send_with(&scene, "colour", json!("red")), "invalid_frame").await;
    assert_eq!((&error["tag"], &error["conversation"]), (&json!(2), &json!(talk)), "the device knows which frame it was");
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn fields_of_the_wrong_type_or_missing() {
    let mut scene = Scene::set().await;
    for (field, values) in [
        ("tag", vec![json!("1"), json!(1.5), json!(-1), json!(null), json!(1e300), json!([])]),
        (
            "conversation",
            vec![
                json!(1),
                json!(""),
                json!("x"),
                json!("d.1"),
                json!("d.9.3"),
                json!("d.1.1"),
                json!("g."),
                json!("g.-1"),
                json!("g.01"),
                json!("g.99999999999999999999"),
            ],
        ),
        ("text", vec![json!(1), json!(null), json!(["x"])]),
        ("reply_to", vec![json!("1"), json!(-1), json!(0.5)]),
    ] {
        for value in values {
            scene.refuses(&scene.ada, &send_with(&scene, field, value), "invalid_frame").await;
        }
    }
    for field in ["tag", "conversation", "text"] {
        let mut frame: Value = serde_json::from_str(&send_with(&scene, "text", json!("x"))).unwrap();
        frame.as_object_mut().unwrap().remove(field);
        scene.refuses(&scene.ada, &frame.to_string(), "invalid_frame").await;
    }
    for frame in [
        json!({"type": "read", "conversation": scene.talk, "seq": -1}),
        json!({"type": "react", "tag": 2, "conversation": scene.talk, "target": 1, "emoji": "x", "add": "yes"}),
        json!({"type": "presence", "users": ["x"]}),
        json!({"type": "presence", "users": [1]}),
        json!({"type": "presence", "users": vec!["7"; 201]}),
        json!({"type": "sync", "since": 5}),
    ] {
        scene.refuses(&scene.ada, &frame.to_string(), "invalid_frame").await;
    }
    for (since, more) in [(Some("x"), None), (None, Some("x")), (Some(""), None)] {
        let frame = json!({"type": "sync", "since": since, "more": more});
        scene.refuses(&scene.ada, &frame.to_string(), "invalid_parameter").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn tags_that_are_none() {
    let mut scene = Scene::set().await;
    for tag in [0, 1_u64 << 53, u64::MAX] {
        let error = scene.refuses(&scene.ada, &send_with(&scene, "tag", json!(tag)), "invalid_tag").await;
        assert_eq!((&error["tag"], &error["conversation"]), (&json!(tag), &json!(scene.talk)));
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn a_tag_below_the_window() {
    let scene = Scene::set().await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    socket.say(1_000, scene.talk, "far ahead").await;
    let error = scene.refuses(&scene.ada, &send_with(&scene, "tag", json!(936)), "stale_tag").await;
    assert_eq!((&error["tag"], &error["conversation"]), (&json!(936), &json!(scene.talk)));
    assert_eq!(scene.world.head(&scene.bob, scene.talk).await, 2);
}

#[tokio::test]
async fn too_many_malformed_frames() {
    let mut scene = Scene::set().await;
    let mut socket = Socket::open(&scene.world, &scene.ada).await;
    for _ in 0..16 {
        socket.send_text("{").await;
        assert_eq!(socket.refused().await, "invalid_frame");
    }
    socket.quiet().await;
    socket.send_text("{").await;
    assert_eq!(socket.closed().await, 4004);
    assert_eq!(scene.closed(4004).await, 1);

    let mut polling = Polling::open(&scene.world, &scene.ada).await;
    for _ in 0..17 {
        polling.send(json!([{"type": "shout"}])).await;
        assert_eq!(polling.expect("error").await["code"], "invalid_frame");
    }
    assert_eq!(polling.expect("bye").await["code"], 4004);
    assert_eq!(polling.post(json!([])).await.refusal(), (404, "unknown_session"));
    assert_eq!((scene.closed(4004).await, scene.refused("invalid_frame").await), (2, 16 + 1 + 17));
    scene.is_as_it_was().await;
}

fn send_with(scene: &Scene, field: &str, value: Value) -> String {
    let mut frame = json!({"type": "send", "tag": 2, "conversation": scene.talk, "text": "bad"});
    frame[field] = value;
    frame.to_string()
}
