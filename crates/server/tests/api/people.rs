//! Profiles, settings, friends, blocks, presence.

use serde_json::{Value, json};

use crate::support::{Answer, Person, World, frames};

async fn patch(world: &World, who: &Person, path: &str, body: Value) -> Answer {
    world.call("PATCH", path, Some(&who.token), Some(body)).await
}

fn handles(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|profile| profile["handle"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn profiles() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let session = world.session(&ada);
    let changed = patch(&world, &ada, "/v1/profile", json!({"about": "sails\non Sundays"})).await;
    let expected =
        json!({"user": ada.user, "handle": "ada", "display_name": "ada", "about": "sails\non Sundays", "deleted": false});
    assert_eq!(changed.json, expected);
    assert_eq!(frames(&session), [json!({"type": "account", "changed": "profile"})]);
    assert_eq!(patch(&world, &ada, "/v1/profile", json!({})).await.json, expected);
    assert!(frames(&session).is_empty(), "nothing changed");
    let changed = patch(&world, &ada, "/v1/profile", json!({"display_name": "Ada L."})).await;
    assert_eq!((&changed.json["display_name"], &changed.json["about"]), (&json!("Ada L."), &json!("sails\non Sundays")));
    let wrong = patch(&world, &ada, "/v1/profile", json!({"display_name": ""})).await;
    assert_eq!(wrong.refusal(), (422, "invalid_display_name"));
    let wrong = patch(&world, &ada, "/v1/profile", json!({"about": "x".repeat(281)})).await;
    assert_eq!(wrong.refusal(), (422, "invalid_about"));
    assert_eq!(patch(&world, &ada, "/v1/profile", json!({"handle": "eve"})).await.refusal(), (400, "invalid_json"));

    for handle in ["ada", "ADA", "@ada", "%40ada"] {
        assert_eq!(world.get(&bob, &format!("/v1/handles/{handle}")).await.ok()["display_name"], "Ada L.", "{handle}");
    }
    assert_eq!(world.get(&bob, "/v1/handles/eve").await.refusal(), (404, "unknown_user"));
    assert_eq!(world.get(&bob, "/v1/handles/e").await.refusal(), (422, "invalid_handle"));
    let asked = world.get(&bob, &format!("/v1/users?ids={},77,{}", bob.user, ada.user)).await;
    let names: Vec<_> = asked.ok()["users"].as_array().unwrap().iter().map(|user| user["display_name"].clone()).collect();
    assert_eq!(names, ["bob", "deleted user", "Ada L."], "in the order asked");
    let many = vec!["77"; 201].join(",");
    assert_eq!(world.get(&bob, &format!("/v1/users?ids={many}")).await.refusal(), (400, "invalid_parameter"));
}

#[tokio::test]
async fn settings() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let session = world.session(&ada);
    let before = json!({"presence": "everyone", "writers": "everyone", "read_receipts": true});
    assert_eq!(world.get(&ada, "/v1/settings").await.json, before);
    let changed = patch(&world, &ada, "/v1/settings", json!({"presence": "nobody"})).await;
    assert_eq!(changed.json, json!({"presence": "nobody", "writers": "everyone", "read_receipts": true}));
    assert_eq!(frames(&session), [json!({"type": "account", "changed": "settings"})]);
    patch(&world, &ada, "/v1/settings", json!({"presence": "nobody"})).await;
    assert!(frames(&session).is_empty(), "nothing changed");
    let changed = patch(&world, &ada, "/v1/settings", json!({"writers": "friends", "read_receipts": false})).await;
    let after = json!({"presence": "nobody", "writers": "friends", "read_receipts": false});
    assert_eq!((&changed.json, &world.get(&ada, "/v1/settings").await.json), (&after, &after));
    for wrong in [json!({"presence": "some"}), json!({"read_receipts": "no"}), json!({"colour": "red"})] {
        assert_eq!(patch(&world, &ada, "/v1/settings", wrong).await.refusal(), (400, "invalid_json"));
    }
}

#[tokio::test]
async fn friends() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let (ada_session, bob_session) = (world.session(&ada), world.session(&bob));
    let to = |other: &Person| format!("/v1/friends/{}", other.user);
    let accept = |other: &Person| format!("/v1/friends/{}/accept", other.user);
    let friends_changed = json!({"type": "account", "changed": "friends"});

    assert_eq!(world.act(&ada, "POST", &to(&ada)).await.refusal(), (422, "not_yourself"));
    assert_eq!(world.act(&ada, "POST", "/v1/friends/77").await.refusal(), (404, "unknown_user"));
    assert_eq!(world.act(&ada, "POST", &accept(&bob)).await.refusal(), (404, "no_friend_request"));

    assert_eq!(world.act(&ada, "POST", &to(&bob)).await.json, json!({"state": "requested"}));
    assert!(frames(&ada_session).contains(&friends_changed) && frames(&bob_session).contains(&friends_changed));
    assert_eq!(world.act(&ada, "POST", &to(&bob)).await.json, json!({"state": "requested"}), "asking again changes nothing");
    assert_eq!(world.act(&ada, "POST", &accept(&bob)).await.refusal(), (404, "no_friend_request"), "not one's own");
    let listed = world.get(&bob, "/v1/friends").await;
    assert_eq!((handles(&listed.json["incoming"]), handles(&listed.json["outgoing"])), (vec!["ada"], vec![]));
    let listed = world.get(&ada, "/v1/friends").await;
    assert_eq!((handles(&listed.json["incoming"]), handles(&listed.json["outgoing"])), (vec![], vec!["bob"]));

    assert_eq!(world.act(&bob, "POST", &accept(&ada)).await.json, json!({"state": "friends"}));
    assert_eq!(world.act(&bob, "POST", &accept(&ada)).await.json, json!({"state": "friends"}), "again is fine");
    assert_eq!(world.act(&ada, "POST", &to(&bob)).await.json, json!({"state": "friends"}));
    assert_eq!(handles(&world.get(&ada, "/v1/friends").await.json["friends"]), ["bob"]);

    // Who asks the one who asked is a friend at once.
    world.act(&eve, "POST", &to(&ada)).await;
    assert_eq!(world.act(&ada, "POST", &to(&eve)).await.json, json!({"state": "friends"}));
    assert_eq!(handles(&world.get(&ada, "/v1/friends").await.json["friends"]), ["bob", "eve"], "by handle");

    frames(&bob_session);
    assert_eq!(world.act(&ada, "DELETE", &to(&bob)).await.status, 204);
    assert!(frames(&bob_session).contains(&friends_changed));
    assert_eq!(world.act(&ada, "DELETE", &to(&bob)).await.status, 204, "again is fine");
    assert_eq!(handles(&world.get(&bob, "/v1/friends").await.json["friends"]), Vec::<&str>::new());
}

#[tokio::test]
async fn blocks() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    world.befriend(&ada, &bob).await;
    let block = |other: &Person| format!("/v1/blocks/{}", other.user);
    assert_eq!(world.act(&ada, "PUT", &block(&ada)).await.refusal(), (422, "not_yourself"));
    assert_eq!(world.act(&ada, "PUT", "/v1/blocks/77").await.refusal(), (404, "unknown_user"));
    assert!(world.node.relations.of(bob.user, ada.user).await.unwrap().unwrap().may_write());

    let bob_session = world.session(&bob);
    assert_eq!(world.act(&ada, "PUT", &block(&bob)).await.status, 204);
    assert_eq!(frames(&bob_session), [json!({"type": "account", "changed": "friends"})], "the friendship ended");
    assert_eq!(handles(&world.get(&ada, "/v1/blocks").await.json["users"]), ["bob"]);
    assert_eq!(handles(&world.get(&ada, "/v1/friends").await.json["friends"]), Vec::<&str>::new());
    for (one, other) in [(&bob, &ada), (&ada, &bob)] {
        let relation = world.node.relations.of(one.user, other.user).await.unwrap().unwrap();
        assert!(!relation.may_write() && !relation.friends, "what was remembered is forgotten");
        let asked = world.act(one, "POST", &format!("/v1/friends/{}", other.user)).await;
        assert_eq!(asked.refusal(), (403, "may_not_write"));
    }

    assert_eq!(world.act(&ada, "DELETE", &block(&bob)).await.status, 204);
    assert!(world.node.relations.of(bob.user, ada.user).await.unwrap().unwrap().may_write());
    frames(&bob_session);
    world.act(&ada, "PUT", &block(&bob)).await;
    assert!(frames(&bob_session).is_empty(), "a block that ends no friendship is not noticed");
    world.act(&ada, "DELETE", &block(&bob)).await;
    assert_eq!(world.act(&ada, "DELETE", &block(&bob)).await.status, 204, "again is fine");
    assert_eq!(world.get(&ada, "/v1/blocks").await.json, json!({"users": []}));
}

#[tokio::test]
async fn friends_only_still_takes_requests() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    patch(&world, &ada, "/v1/settings", json!({"writers": "friends"})).await;
    assert!(!world.node.relations.of(bob.user, ada.user).await.unwrap().unwrap().may_write());
    world.befriend(&bob, &ada).await;
    assert!(world.node.relations.of(bob.user, ada.user).await.unwrap().unwrap().may_write());
}

#[tokio::test]
async fn presence() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let _session = world.session(&bob);
    patch(&world, &eve, "/v1/settings", json!({"presence": "nobody"})).await;
    let asked = world.get(&ada, &format!("/v1/presence?ids={},{},77", bob.user, eve.user)).await;
    let users = asked.ok()["users"].as_array().unwrap();
    assert_eq!(users.len(), 2, "who does not exist is left out");
    assert!(users.contains(&json!({"user": bob.user, "state": "online"})), "{users:?}");
    assert!(users.contains(&json!({"user": eve.user, "state": "hidden"})), "{users:?}");
}

#[tokio::test]
async fn what_is_remembered_is_forgotten_in_both_directions() {
    let world = World::start().await;
    let (ada, bob) = (world.sign_up("ada").await, world.sign_up("bob").await);
    let relations = &world.node.relations;
    assert_eq!(relations.known(ada.user, bob.user), None);
    assert!(relations.of(ada.user, bob.user).await.unwrap().is_some());
    assert!(relations.of(bob.user, ada.user).await.unwrap().is_some());
    assert!(relations.known(ada.user, bob.user).is_some() && relations.known(bob.user, ada.user).is_some());
    relations.forget(bob.user);
    assert!(relations.known(ada.user, bob.user).is_none() && relations.known(bob.user, ada.user).is_none());
    assert_eq!(relations.of(ada.user, banter_model::UserId(77)).await.unwrap(), None);
    let everyone = [banter_model::UserId(77), ada.user, bob.user];
    assert_eq!(relations.shows_reading(&everyone).await.unwrap(), [ada.user, bob.user]);
    patch(&world, &bob, "/v1/settings", json!({"read_receipts": false})).await;
    assert_eq!(relations.shows_reading(&everyone).await.unwrap(), [ada.user]);
}
