//! Ids of other people's conversations, messages and devices, and ids of nothing.

use serde_json::json;

use crate::scene::Scene;
use crate::support::polling::Polling;
use crate::support::socket::Socket;

#[tokio::test]
async fn frames_about_conversations_of_others() {
    let mut scene = Scene::set().await;
    for conversation in [scene.talk.to_string(), scene.group.to_string(), "g.999999".to_owned(), "d.1.2".to_owned()] {
        for frame in [
            json!({"type": "send", "tag": 1, "conversation": conversation, "text": "bad"}),
            json!({"type": "send", "tag": 1, "conversation": conversation, "text": "bad @ada", "reply_to": 1}),
            json!({"type": "edit", "tag": 1, "conversation": conversation, "target": 1, "text": "bad"}),
            json!({"type": "redact", "tag": 1, "conversation": conversation, "target": 1}),
            json!({"type": "react", "tag": 1, "conversation": conversation, "target": 1, "emoji": "👍", "add": true}),
            json!({"type": "read", "conversation": conversation, "seq": 1}),
            json!({"type": "delivered", "conversation": conversation, "seq": 1}),
        ] {
            scene.refuses(&scene.eve, &frame.to_string(), "not_a_member").await;
        }
        // This one has no answer, not even a refusal.
        let mut socket = Socket::open(&scene.world, &scene.eve).await;
        socket.send(json!({"type": "typing", "conversation": conversation})).await;
        socket.quiet().await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn requests_about_conversations_of_others() {
    let mut scene = Scene::set().await;
    let mut wanted = 0;
    for conversation in [scene.talk.to_string(), scene.group.to_string(), "g.999999".to_owned(), "d.1.2".to_owned()] {
        let path = format!("/v1/conversations/{conversation}");
        for (method, path, body) in [
            ("GET", path.clone(), None),
            ("GET", format!("{path}/events"), None),
            ("GET", format!("{path}/events?around=1"), None),
            ("GET", format!("{path}/markers"), None),
            ("PUT", format!("{path}/read"), Some(json!({"seq": 1}))),
        ] {
            let answer = scene.world.call(method, &path, Some(&scene.eve.token), body).await;
            assert_eq!(answer.refusal(), (404, "not_a_member"), "{method} {path}");
            wanted += 1;
        }
    }
    let group = scene.group.to_string();
    for group in [group.trim_start_matches("g."), "999999"] {
        let path = format!("/v1/groups/{group}");
        for (method, path, body) in [
            ("PATCH", path.clone(), Some(json!({"title": "bad"}))),
            ("PATCH", path.clone(), Some(json!({}))),
            ("POST", format!("{path}/members"), Some(json!({"members": [scene.eve.user]}))),
            ("DELETE", format!("{path}/members/{}", scene.bob.user), None),
            ("PUT", format!("{path}/members/{}/role", scene.eve.user), Some(json!({"role": "owner"}))),
            ("POST", format!("{path}/leave"), None),
        ] {
            let answer = scene.world.call(method, &path, Some(&scene.eve.token), body).await;
            assert_eq!(answer.refusal(), (404, "not_a_member"), "{method} {path}");
            wanted += 1;
        }
    }
    assert_eq!(scene.refused("not_a_member").await, wanted);
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn messages_and_devices_of_others() {
    let mut scene = Scene::set().await;
    for frame in [
        json!({"type": "edit", "tag": 1, "conversation": scene.talk, "target": 1, "text": "bad"}),
        json!({"type": "redact", "tag": 1, "conversation": scene.talk, "target": 1}),
        json!({"type": "edit", "tag": 1, "conversation": scene.group, "target": 2, "text": "bad"}),
        json!({"type": "redact", "tag": 1, "conversation": scene.group, "target": 2}),
    ] {
        scene.refuses(&scene.bob, &frame.to_string(), "not_your_message").await;
    }
    // Places where no message is: nothing, the group's beginning, beyond the end, beyond every end.
    for (conversation, target) in [(scene.talk, 0), (scene.group, 1), (scene.talk, 2), (scene.talk, u64::MAX)] {
        let reply = json!({"type": "send", "tag": 1, "conversation": conversation, "text": "bad", "reply_to": target});
        let amendments = [
            json!({"type": "redact", "tag": 1, "conversation": conversation, "target": target}),
            json!({"type": "react", "tag": 1, "conversation": conversation, "target": target, "emoji": "👍", "add": true}),
        ];
        // Any event that is there can be answered, a message or not.
        for frame in amendments.into_iter().chain((target != 1).then_some(reply)) {
            scene.refuses(&scene.bob, &frame.to_string(), "unknown_message").await;
        }
    }
    let device = format!("/v1/devices/{}", scene.ada.device);
    let answer = scene.world.call("DELETE", &device, Some(&scene.eve.token), None).await;
    assert_eq!(answer.refusal(), (404, "unknown_device"));
    // Another one's session is found by its secret name alone, whatever token comes with it.
    let polling = Polling::open(&scene.world, &scene.ada).await;
    let guess = format!("{}A", &polling.name[..polling.name.len() - 1]);
    for name in ["1", "", "..", guess.as_str()].into_iter().filter(|name| *name != polling.name) {
        let path = format!("/v1/sessions/{name}/frames?after=0");
        assert_eq!(scene.world.call("GET", &path, Some(&scene.ada.token), None).await.status, 404, "{name}");
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn markers_beyond_the_end_stop_at_the_end() {
    let scene = Scene::set().await;
    let mut socket = Socket::open(&scene.world, &scene.bob).await;
    for seq in [u64::MAX, 1 << 53, 2, 0] {
        socket.send(json!({"type": "read", "conversation": scene.talk, "seq": seq})).await;
        socket.send(json!({"type": "delivered", "conversation": scene.talk, "seq": seq})).await;
    }
    socket.quiet().await;
    let path = format!("/v1/conversations/{}/markers", scene.talk);
    let markers = scene.world.api(&scene.ada, "GET", &path, None).await;
    let of_bob =
        markers["members"].as_array().unwrap().iter().find(|entry| entry["user"] == json!(scene.bob.user)).unwrap().clone();
    assert_eq!((&of_bob["read"], &of_bob["delivered"]), (&json!(1), &json!(1)));
}
