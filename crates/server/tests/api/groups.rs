//! Groups over the API.

use banter_model::{Action, UserId};
use serde_json::{Value, json};

use crate::support::{Person, World, direct};

async fn roles(world: &World, who: &Person, group: &str) -> Vec<(UserId, String)> {
    let summary = world.get(who, &format!("/v1/conversations/g.{group}")).await;
    let members = summary.ok()["group"]["members"].as_array().unwrap().clone();
    let entry = |member: Value| (member["user"].as_str().unwrap().parse().unwrap(), member["role"].as_str().unwrap().to_owned());
    members.into_iter().map(entry).collect()
}

#[tokio::test]
async fn making_a_group() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let wish = |members: Value, key: &str| json!({"title": "Sailing", "members": members, "key": key});
    let made = world.post(&ada, "/v1/groups", wish(json!([bob.user, bob.user, ada.user]), "k1")).await;
    assert_eq!(made.status, 201);
    let again = world.post(&ada, "/v1/groups", wish(json!([bob.user]), "k1")).await;
    assert_eq!((again.status, &again.json), (201, &made.json), "the same key, the same group");
    let other = world.post(&bob, "/v1/groups", wish(json!([ada.user]), "k1")).await;
    assert_ne!(other.json, made.json, "another user's key");
    let group = made.json["conversation"].as_str().unwrap().strip_prefix("g.").unwrap().to_owned();
    assert_eq!(roles(&world, &bob, &group).await, [(ada.user, "owner".into()), (bob.user, "member".into())]);
    let page = world.get(&bob, &format!("/v1/conversations/g.{group}/events")).await;
    assert_eq!(page.json["events"][0]["content"]["kind"], "group_created");
    assert_eq!(page.json["head_seq"], 1, "made once");
    assert_eq!(world.get(&eve, &format!("/v1/conversations/g.{group}")).await.refusal(), (404, "not_a_member"));

    for (wish, status, code) in [
        (wish(json!([]), ""), 400, "invalid_parameter"),
        (wish(json!([]), &"k".repeat(65)), 400, "invalid_parameter"),
        (json!({"title": " ", "members": [], "key": "k2"}), 422, "invalid_title"),
        (json!({"title": "x", "members": ["0"], "key": "k2"}), 400, "invalid_json"),
        (json!({"title": "x", "members": [7], "key": "k2"}), 400, "invalid_json"),
        (wish(json!(["77"]), "k2"), 404, "unknown_user"),
        (wish(json!((1..=100).map(|id| id.to_string()).collect::<Vec<_>>()), "k2"), 422, "group_full"),
    ] {
        assert_eq!(world.post(&ada, "/v1/groups", wish.clone()).await.refusal(), (status, code), "{wish}");
    }
    let answer = world.post(&ada, "/v1/groups", wish(json!([bob.user, "77"]), "k2")).await;
    assert!(answer.json["message"].as_str().unwrap().contains("77"), "it says who");
    world.act(&eve, "PUT", &format!("/v1/blocks/{}", ada.user)).await;
    let answer = world.post(&ada, "/v1/groups", wish(json!([bob.user, eve.user]), "k2")).await;
    assert_eq!(answer.refusal(), (403, "may_not_write"));
    assert!(answer.json["message"].as_str().unwrap().contains(&eve.user.to_string()));
    // The key is not used up by what was refused.
    assert_eq!(world.post(&ada, "/v1/groups", wish(json!([bob.user]), "k2")).await.status, 201);
}

#[tokio::test]
async fn two_who_make_one_group_at_once_make_one() {
    let world = World::start().await;
    let ada = world.sign_up("ada").await;
    let wish = || world.post(&ada, "/v1/groups", json!({"title": "x", "members": [], "key": "k"}));
    let (one, other) = tokio::join!(wish(), wish());
    assert_eq!((one.status, other.status, &one.json), (201, 201, &other.json));
}

#[tokio::test]
async fn changing_a_group() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[&bob], false).await.to_string();
    let id = group.strip_prefix("g.").unwrap().to_owned();
    let path = |rest: &str| format!("/v1/groups/{id}{rest}");
    let patch = async |who: &Person, body: Value| world.call("PATCH", &path(""), Some(&who.token), Some(body)).await;

    assert_eq!(patch(&ada, json!({"title": "Rowing"})).await.json, json!({"seq": 2}));
    assert_eq!(patch(&ada, json!({"title": "Rowing!", "earlier_history": true})).await.json, json!({"seq": 4}));
    assert_eq!(patch(&ada, json!({})).await.json, json!({"seq": 4}), "nothing to change");
    assert_eq!(patch(&ada, json!({"title": ""})).await.refusal(), (422, "invalid_title"));
    assert_eq!(patch(&bob, json!({"title": "mine"})).await.refusal(), (403, "not_permitted"));
    assert_eq!(patch(&eve, json!({"title": "mine"})).await.refusal(), (404, "not_a_member"));
    assert_eq!(patch(&eve, json!({})).await.refusal(), (404, "not_a_member"));
    let summary = world.get(&bob, &format!("/v1/conversations/{group}")).await;
    assert_eq!(summary.json["group"]["title"], "Rowing!");
    assert_eq!(summary.json["group"]["earlier_history"], true);

    let add = async |who: &Person, members: Value| world.post(who, &path("/members"), json!({"members": members})).await;
    assert_eq!(add(&bob, json!([eve.user])).await.refusal(), (403, "not_permitted"));
    assert_eq!(add(&eve, json!([eve.user])).await.refusal(), (404, "not_a_member"));
    assert_eq!(add(&ada, json!([])).await.refusal(), (422, "nobody_to_add"));
    assert_eq!(add(&ada, json!([bob.user, ada.user])).await.refusal(), (422, "nobody_to_add"));
    assert_eq!(add(&ada, json!(["77"])).await.refusal(), (404, "unknown_user"));
    let many: Vec<_> = (1..=99).map(|id| id.to_string()).collect();
    assert_eq!(add(&ada, json!(many)).await.refusal(), (422, "group_full"));
    assert_eq!(add(&ada, json!([bob.user, eve.user])).await.json, json!({"seq": 5}));

    let put = async |who: &Person, member: UserId, role: &str| {
        let path = path(&format!("/members/{member}/role"));
        world.call("PUT", &path, Some(&who.token), Some(json!({"role": role}))).await
    };
    assert_eq!(put(&ada, bob.user, "king").await.refusal(), (400, "invalid_json"));
    assert_eq!(put(&bob, eve.user, "admin").await.refusal(), (403, "not_permitted"));
    assert_eq!(put(&ada, UserId(77), "admin").await.refusal(), (404, "unknown_member"));
    assert_eq!(put(&ada, ada.user, "member").await.refusal(), (422, "owner_required"));
    assert_eq!(put(&ada, bob.user, "admin").await.json, json!({"seq": 6}));

    let remove = |member: UserId| path(&format!("/members/{member}"));
    assert_eq!(world.act(&bob, "DELETE", &remove(ada.user)).await.refusal(), (403, "not_permitted"));
    assert_eq!(world.act(&bob, "DELETE", &remove(bob.user)).await.refusal(), (422, "cannot_remove_self"));
    assert_eq!(world.act(&bob, "DELETE", &remove(UserId(77))).await.refusal(), (404, "unknown_member"));
    assert_eq!(world.act(&bob, "DELETE", &remove(eve.user)).await.json, json!({"seq": 7}));
    assert_eq!(world.act(&ada, "POST", &path("/leave")).await.json, json!({"seq": 8}));
    assert_eq!(world.act(&ada, "POST", &path("/leave")).await.refusal(), (404, "not_a_member"));
    assert_eq!(roles(&world, &bob, &id).await, [(bob.user, "owner".into())]);
    assert_eq!(world.act(&bob, "POST", "/v1/groups/77/leave").await.refusal(), (404, "not_a_member"));
}

#[tokio::test]
async fn who_is_a_member_already_is_not_checked_again() {
    let world = World::start().await;
    let (ada, bob, eve) = (world.sign_up("ada").await, world.sign_up("bob").await, world.sign_up("eve").await);
    let group = world.group(&ada, &[&bob], false).await;
    world.act(&bob, "PUT", &format!("/v1/blocks/{}", ada.user)).await;
    let path = format!("/v1/groups/{}/members", group.to_string().strip_prefix("g.").unwrap());
    let added = world.post(&ada, &path, json!({"members": [bob.user, eve.user]})).await;
    assert_eq!(added.json, json!({"seq": 2}));
    let talk = direct(&ada, &eve);
    assert_eq!(world.run(&ada, group, Action::Leave).await, 3);
    assert_eq!(world.say(&ada, talk, "bye").await, 1);
}
