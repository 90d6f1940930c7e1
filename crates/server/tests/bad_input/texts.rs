//! Texts that are no messages.

use serde_json::{Value, json};

use crate::scene::Scene;

/// A `send` and an `edit` with this text, as it stands between the quotes of the JSON.
async fn refuses_text(scene: &Scene, escaped: &str, code: &str) {
    let talk = scene.talk;
    let send = format!(r#"{{"type":"send","tag":2,"conversation":"{talk}","text":"{escaped}"}}"#);
    let edit = format!(r#"{{"type":"edit","tag":3,"conversation":"{talk}","target":1,"text":"{escaped}"}}"#);
    for (frame, tag) in [(send, 2), (edit, 3)] {
        let error = scene.refuses(&scene.ada, &frame, code).await;
        if code != "invalid_frame" {
            assert_eq!((&error["tag"], &error["conversation"]), (&json!(tag), &json!(talk)));
        }
    }
}

#[tokio::test]
async fn too_long() {
    let mut scene = Scene::set().await;
    for text in ["a".repeat(100_001), "😀".repeat(100_001), r"\u0061".repeat(100_001), " ".repeat(100_001)] {
        refuses_text(&scene, &text, "text_too_long").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn empty_and_blank() {
    let mut scene = Scene::set().await;
    for text in ["", " ", r"\n\t\r\n", "\u{3000}\u{2003}", r"\u00a0"] {
        refuses_text(&scene, text, "text_empty").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn nul_and_control_characters() {
    let mut scene = Scene::set().await;
    for text in [r"a\u0000b", r"\u0000", r"a\u001b[31mb", r"a\u0007", r"\bx", r"a\u007f", r"a\u0085"] {
        refuses_text(&scene, text, "control_character").await;
    }
    // Raw, they are not even JSON.
    for text in ["a\0b", "a\nb", "a\u{1b}b"] {
        refuses_text(&scene, text, "invalid_frame").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn lone_surrogates() {
    let mut scene = Scene::set().await;
    for text in
        [r"\ud83d", r"\ude00", r"\ud83dx", r"\ude00\ud83d", r"\ud83d\ud83d\ude00", r"\uD83D\u0041", r"\ud83", r"\uzzzz", r"\x41"]
    {
        refuses_text(&scene, text, "invalid_frame").await;
    }
    scene.is_as_it_was().await;
}

#[tokio::test]
async fn reactions_titles_and_names() {
    let mut scene = Scene::set().await;
    for emoji in [String::new(), " ".to_owned(), "x".repeat(65), "a\u{0}b".to_owned()] {
        let frame = json!({"type": "react", "tag": 2, "conversation": scene.talk, "target": 1, "emoji": emoji, "add": true});
        scene.refuses(&scene.ada, &frame.to_string(), "invalid_reaction").await;
    }
    let group = format!("/v1/groups/{}", scene.group.to_string().trim_start_matches("g."));
    let call =
        async |method: &str, path: &str, body: Value| scene.world.call(method, path, Some(&scene.ada.token), Some(body)).await;
    for title in ["", " ", "a\0b", &"x".repeat(101)] {
        assert_eq!(call("PATCH", &group, json!({"title": title})).await.refusal(), (422, "invalid_title"), "{title:?}");
        let wish = json!({"title": title, "members": [], "key": "k"});
        assert_eq!(call("POST", "/v1/groups", wish).await.refusal(), (422, "invalid_title"), "{title:?}");
    }
    for name in ["", "a\0b", &"x".repeat(65)] {
        let answer = call("PATCH", "/v1/profile", json!({"display_name": name})).await;
        assert_eq!(answer.refusal(), (422, "invalid_display_name"), "{name:?}");
    }
    for handle in ["", "ab", "Ädä", "a b", "1ada", &"x".repeat(33), "a\0b"] {
        let answer = call("POST", "/v1/accounts", json!({"handle": handle, "password": "correct horse"})).await;
        assert_eq!(answer.refusal(), (422, "invalid_handle"), "{handle:?}");
    }
    for password in ["", "short", &"x".repeat(1_025)] {
        let answer = call("POST", "/v1/accounts", json!({"handle": "someone", "password": password})).await;
        assert_eq!(answer.refusal(), (422, "invalid_password"), "{password:?}");
    }
    scene.is_as_it_was().await;
}
