//! The order of what a device writes, where a command has to be sent again.

use std::sync::Arc;

use banter_fleet::kafka::Unsent;
use banter_model::{Action, Command, EventId, Tag};
use banter_server::stores::unqueued::Unqueued;
use banter_store::{Envelope, Origin};
use serde_json::json;

use crate::support::World;

/// Later commands wait for one that could not be checked. When it comes again it may be refused before it gets as far as they wait for it:
/// they are not to wait for ever.
#[tokio::test]
async fn a_command_that_is_refused_when_it_comes_again_holds_up_nobody() {
    let world = World::start().await;
    let unqueued = Arc::new(Unqueued::default());
    world.gateway.tell_answers(unqueued.clone());
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let conversation = world.group(&ada, &[&bob], false).await;
    let opened = world.call("POST", "/v1/sessions", None, Some(json!({"type": "hello", "token": ada.token}))).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let session: u64 = opened.json["frames"][0]["session"].as_str().unwrap().parse().unwrap();
    let command = |number| {
        let action = Action::Send { text: "x".to_owned(), reply_to: Some(99), mentions: Vec::new() };
        let tag = Some(Tag::new(number).unwrap());
        let command = Command { conversation, sender: ada.user, device: ada.device, tag, id: EventId(1), action };
        Envelope { command, origin: Origin { gateway: world.node.number, session }, objection: None }
    };
    unqueued.failed(command(1));
    assert!(unqueued.holds_back(&command(2)));
    let path = format!("/v1/sessions/{}/frames", opened.json["session"].as_str().unwrap());
    for number in [1, 2] {
        let frame = json!([{"type": "send", "tag": number, "conversation": conversation, "text": "x", "reply_to": 99}]);
        assert_eq!(world.call("POST", &path, None, Some(frame)).await.status, 202);
    }
    let polled = world.call("GET", &format!("{path}?after=0"), None, None).await;
    assert_eq!(polled.json["frames"][0]["code"], "unknown_message", "{}", polled.text);
    assert!(!unqueued.holds_back(&command(3)));
}
