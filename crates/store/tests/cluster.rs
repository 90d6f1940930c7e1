//! The embedded cluster and the embedded registry of sessions: the behaviour that all engines share.

// Helpers of tests unwrap as tests do.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use banter_store::behaviour::{self, cluster};
use banter_store::cluster::{Cluster, Lease, NodeIncarnation};
use banter_store::embedded::cluster::{EmbeddedCluster, alone};
use banter_store::embedded::id_floor::FileFloor;
use banter_store::embedded::sessions::EmbeddedSessions;

#[tokio::test]
async fn members_come_and_go() {
    let engine = EmbeddedCluster::new();
    let join = async |profile| engine.join(profile).unwrap();
    cluster::members_come_and_go(join, async |node| drop(node)).await;
}

#[tokio::test]
async fn numbers_are_leased() {
    let engine = EmbeddedCluster::new();
    let join = async |profile| engine.join(profile).unwrap();
    cluster::numbers_are_leased(join, async |node| drop(node), 4).await;
    cluster::floors_rise(join).await;
}

#[tokio::test]
async fn a_single_server_is_its_only_member_and_keeps_its_floor_in_the_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ids");
    let open = || alone(0, cluster::profile("127.0.0.1:1"), Arc::new(FileFloor::open(&path).unwrap()));
    let node = open();
    let NodeIncarnation { number, incarnation } = node.node();
    assert_eq!((number, node.standing().borrow().lease, node.members().borrow().len()), (0, Lease::Held, 1));
    let until = cluster::some_ids(&node).await;
    drop(node);
    let next = open();
    assert!(next.id_floor().after() >= until);
    assert!(next.node().incarnation >= incarnation);
    next.leave().await;
    assert_eq!((next.id_floor().until(until + 1), next.members().borrow().len()), (0, 0));
}

#[tokio::test]
async fn the_registry_behaves() {
    let sessions = EmbeddedSessions::new();
    behaviour::sessions::users_come_and_go(&sessions, behaviour::seed()).await;
    behaviour::sessions::lives_are_told_apart(&sessions, behaviour::seed()).await;
    behaviour::sessions::many_at_once(&sessions, behaviour::seed()).await;
}
