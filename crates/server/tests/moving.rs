//! An installation moved by the program itself, between two servers: people go on where they were.

// What tests share fails as a test does.
#![allow(clippy::unwrap_used)]

mod support;

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use banter_store::behaviour::{Random, seed};
use serde_json::Value;
use support::socket::Socket;
use support::{Settings, World, direct, send, soon};
use tokio::process::Command;

fn banter(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_banter"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true).env_remove("BANTER_DATA");
    command
}

/// Runs it to its end; a server that was stopped may be letting go of its folder still.
async fn run(arguments: &[&str]) -> Output {
    soon("the end of the program", async {
        loop {
            let output = banter(arguments).output().await.unwrap();
            if output.status.success() || !text(&output).contains("in use by another server") {
                return output;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

async fn succeeds(arguments: &[&str]) -> String {
    let output = run(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", text(&output));
    text(&output)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// What a sync answer says of a conversation: its last place.
fn head_of(answer: &Value, conversation: &str) -> Option<u64> {
    let found = answer["conversations"].as_array().unwrap().iter().find(|summary| summary["conversation"] == conversation)?;
    found["head_seq"].as_u64()
}

#[tokio::test]
async fn people_go_on_where_they_were() {
    let seed = seed();
    eprintln!("BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    world.acquaint(&ada, &bob).await;
    let talk = direct(&ada, &bob);
    let group = world.group(&ada, &[&bob], false).await;
    let mut at_ada = Socket::open(&world, &ada).await;
    for tag in 1..=300 {
        at_ada.send(send(tag, talk, &format!("number {tag}"))).await;
        at_ada.expect("sent").await;
    }
    let (at_bob, before) = Socket::resume(&world, &bob, None).await;
    drop(at_bob);
    assert_eq!(head_of(&before, &talk.to_string()), Some(300));
    let since = before["point"].as_str().unwrap();
    // What bob has not seen when the server stops.
    let unseen = at_ada.say(301, talk, "one more").await;
    let in_group = at_ada.say(1, group, "and here").await;
    drop(at_ada);
    let from = world.stop().await;

    let to = tempfile::tempdir().unwrap();
    let arguments = ["migrate", "--from", path(from.path()), "--to", path(to.path())];
    for _ in 0..6 {
        let mut moving = banter(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let ended = tokio::time::timeout(Duration::from_millis(random.below(250)), moving.wait()).await;
        if ended.is_err() {
            moving.kill().await.unwrap();
        }
    }
    let last = run(&arguments).await;
    // One of those that were to be killed may have come to its end before.
    assert!(last.status.success() || text(&last).contains("the target is not empty"), "{}", text(&last));

    let world = World::start_in(to, Settings::default()).await;
    // The same tokens, and the same sync point.
    let (mut at_bob, after) = Socket::resume(&world, &bob, Some(since)).await;
    assert_eq!(head_of(&after, &talk.to_string()), Some(301));
    assert_eq!(head_of(&after, &group.to_string()), Some(2));
    assert!(world.events(&bob, talk).await.iter().any(|event| event.to_string().contains("one more")));
    let mut at_ada = Socket::open(&world, &ada).await;
    assert_eq!(at_ada.say(301, talk, "one more").await, unseen, "a resend makes no second event");
    assert_eq!(at_ada.say(1, group, "and here").await, in_group);
    assert_eq!(at_ada.say(302, talk, "from here").await["seq"], 302);
    assert_eq!(at_bob.expect("event").await["event"]["seq"], 302);
    let friends = world.api(&bob, "GET", "/v1/friends", None).await;
    assert_eq!(friends["friends"].as_array().map(Vec::len), Some(1), "{friends}");
    world.stop().await;
}

#[tokio::test]
async fn out_into_a_file_and_in_again() {
    let world = World::start().await;
    let [ada, bob] = world.people(["ada", "bob"]).await;
    let talk = direct(&ada, &bob);
    let mut at_ada = Socket::open(&world, &ada).await;
    at_ada.say(1, talk, "hello").await;
    let base = tempfile::tempdir().unwrap();
    let [first, second, target] = ["first", "second", "target"].map(|name| base.path().join(name));
    drop(at_ada);
    let from = world.stop().await;
    let told = succeeds(&["export", "--data", path(from.path()), path(&first)]).await;
    assert!(told.contains("2 users") && told.contains("1 events"), "{told}");
    succeeds(&["import", "--data", path(&target), path(&first)]).await;
    succeeds(&["export", "--data", path(&target), path(&second)]).await;
    let lines =
        |file: &Path| -> Vec<String> { std::fs::read_to_string(file).unwrap().lines().skip(1).map(str::to_owned).collect() };
    assert_eq!(lines(&first), lines(&second));
    let doctor = run(&["doctor", "--data", path(&target)]).await;
    assert!(doctor.status.success(), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[tokio::test]
async fn what_cannot_be_moved_is_told() {
    let base = tempfile::tempdir().unwrap();
    let [nowhere, file, new] = ["nowhere", "file", "new"].map(|name| base.path().join(name));
    let refused = async |arguments: &[&str], reason: &str| {
        let output = run(arguments).await;
        assert!(!output.status.success() && text(&output).contains(reason), "{arguments:?}: {}", text(&output));
    };
    refused(&["export", "--data", path(&nowhere), path(&file)], "no data folder in which a server has run").await;
    assert!(!nowhere.exists() && !file.exists());
    refused(&["import", "--data", path(&new), path(&file)], "No such file").await;
    let world = World::start().await;
    let folder = world.stop().await;
    let into_itself = banter(&["migrate", "--from", path(folder.path()), "--to", path(folder.path())]).output().await.unwrap();
    assert!(!into_itself.status.success() && text(&into_itself).contains("in use by another server"));
    let world = World::start_in(folder, Settings::default()).await;
    world.person("ada").await;
    let folder = world.stop().await;
    succeeds(&["export", "--data", path(folder.path()), path(&file)]).await;
    refused(&["export", "--data", path(folder.path()), path(&file)], "exists").await;
    refused(&["import", "--data", path(folder.path()), path(&file)], "the target is not empty").await;
}
