//! The directory over SQLite; and over PostgreSQL, where `BANTER_TEST_POSTGRES` names a database
//! (`postgres://user:password@host/database`), which the tests add rows to.

// What the tests share is no test itself, and fails with them.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use banter_model::{DeviceId, GroupId, UserId};
use banter_store::behaviour::directory as behaviour;
use banter_store::directory::sql::{SqlDirectory, examine_sqlite};
use banter_store::directory::{
    Device, Directory, DirectoryError, FriendState, NewUser, REMOVED_DEVICES_KEPT_MS, Rotation, Settings,
};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};

macro_rules! behaviours {
    ($($module:ident { $($name:ident),* $(,)? })*) => {
        mod sqlite {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    let folder = tempfile::tempdir().unwrap();
                    let directory = super::SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap();
                    super::behaviour::$module::$name(super::Arc::new(directory)).await;
                }
            )*)*
        }

        mod postgres {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    match std::env::var("BANTER_TEST_POSTGRES") {
                        Ok(url) => {
                            let directory = super::SqlDirectory::connect(&url).await.unwrap();
                            super::behaviour::$module::$name(super::Arc::new(directory)).await;
                        }
                        Err(_) => eprintln!("not run: BANTER_TEST_POSTGRES is not set"),
                    }
                }
            )*)*
        }
    };
}

behaviours! {
    accounts {
        users_come_back, large_ids_come_back, accounts_change, a_handle_belongs_to_one_user, an_id_belongs_to_one_user,
        unknown_users_are_told, questions_are_bounded, a_key_makes_one_group, nothing_of_a_deleted_user_stays,
        users_who_block_each_other_go_at_once,
    }
    devices {
        devices_are_listed_by_use, the_device_used_longest_ago_goes, logins_at_once_are_bounded, devices_are_removed,
        a_refresh_token_works_once, an_old_refresh_token_removes_the_device, refreshes_at_once_agree,
    }
    friends {
        friends_are_made_and_unmade, lists_are_by_handle, requests_that_cross_make_friends, blocks_end_friendships,
        relations_tell_users_apart,
    }
    movable {
        records_come_out_and_go_back, restored_records_win, records_of_nobody_are_refused,
    }
    presence {
        last_seen_only_grows, the_latest_of_times_noted_at_once_stays, a_user_who_goes_does_not_fail_the_batch,
    }
}

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);
const NOW: u64 = 1_780_000_000_000;

async fn add(directory: &SqlDirectory, id: UserId, handle: &str) {
    let (display_name, password_hash) = ("Ada".to_owned(), "hash".to_owned());
    let user = NewUser { id, handle: handle.into(), display_name, password_hash, created_at: NOW };
    directory.create_user(user).await.unwrap();
}

fn device(id: u64, at: u64) -> Device {
    Device { id: DeviceId(id), user: ADA, name: "phone".into(), created_at: at, used_at: at }
}

/// Runs `sql` on the database, past the directory.
async fn execute(path: &Path, sql: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    connection.execute(sql).await.unwrap();
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    // A name with everything that a URL would take for something else.
    let path = folder.path().join("the directory #1 50%25?mode=memory é.db");
    let settings = Settings { friends_only: true, ..Settings::default() };
    {
        let directory = SqlDirectory::open_sqlite(&path).await.unwrap();
        add(&directory, ADA, "ada").await;
        add(&directory, BOB, "bob").await;
        directory.create_device(device(10, NOW), 5).await.unwrap();
        directory.create_device(device(11, NOW), 5).await.unwrap();
        directory.delete_device(ADA, DeviceId(11), NOW).await.unwrap();
        directory.rotate_refresh(DeviceId(10), 1, NOW, 0).await.unwrap();
        directory.request_friend(ADA, BOB, NOW).await.unwrap();
        directory.set_settings(ADA, settings).await.unwrap();
        directory.set_last_seen(&[(ADA, NOW)]).await.unwrap();
        directory.group_for_key(ADA, "key", GroupId(7)).await.unwrap();
        // Not closed: what was done is durable all the same.
        std::mem::forget(directory);
    }
    assert!(path.exists());
    for _ in 0..2 {
        let directory = SqlDirectory::open_sqlite(&path).await.unwrap();
        assert_eq!(directory.user_by_handle("ada").await.unwrap().map(|user| user.id), Some(ADA));
        assert_eq!(directory.devices(ADA).await.unwrap().len(), 1);
        assert_eq!(directory.removed_devices(NOW).await.unwrap(), [(DeviceId(11), ADA, NOW)]);
        let again = directory.rotate_refresh(DeviceId(10), 1, NOW, 1).await.unwrap();
        assert_eq!(again, Rotation::Rotated { user: ADA, generation: 2 });
        assert_eq!(directory.friends(BOB).await.unwrap()[0].1, FriendState::Incoming);
        assert_eq!(directory.settings(ADA).await.unwrap(), Some(settings));
        assert_eq!(directory.last_seen(&[ADA]).await.unwrap(), [(ADA, NOW)]);
        assert_eq!(directory.group_for_key(ADA, "key", GroupId(8)).await.unwrap(), GroupId(7));
        directory.close().await;
        assert!(directory.settings(ADA).await.is_err(), "closed");
    }
}

#[tokio::test]
async fn removed_devices_are_kept_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let directory = SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap();
    add(&directory, ADA, "ada").await;
    let later = NOW + REMOVED_DEVICES_KEPT_MS;
    for (id, at) in [(1, NOW), (2, later), (3, later + 1)] {
        directory.create_device(device(id, at), 5).await.unwrap();
        directory.delete_device(ADA, DeviceId(id), at).await.unwrap();
        let kept: Vec<u64> = directory.removed_devices(0).await.unwrap().iter().map(|(device, ..)| device.0).collect();
        let expected: &[u64] = [&[1][..], &[1, 2], &[2, 3]][id as usize - 1];
        assert_eq!(kept, expected);
    }
}

/// Every statement is counted, on either engine: those of a transaction, and its beginning and end, each by itself.
#[tokio::test]
async fn statements_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut directories = vec![SqlDirectory::open_sqlite(&folder.path().join("directory.db")).await.unwrap()];
    match std::env::var("BANTER_TEST_POSTGRES") {
        Ok(url) => directories.push(SqlDirectory::connect(&url).await.unwrap()),
        Err(_) => eprintln!("not run: BANTER_TEST_POSTGRES is not set"),
    }
    for directory in directories {
        let counters = directory.counters();
        let seen = || [&counters.statements, &counters.transactions].map(|counter| counter.load(Relaxed));
        assert_eq!(seen(), [0, 0]);
        // Nobody has such an id.
        assert_eq!(directory.users(&[UserId(u64::MAX >> 1)]).await.unwrap(), []);
        assert_eq!(seen(), [1, 0]);
        let nobody = UserId(u64::MAX >> 1);
        assert!(!directory.delete_device(nobody, DeviceId(u64::MAX >> 1), NOW).await.unwrap());
        assert_eq!(seen(), [1 + 3, 1], "beginning, deleting, committing");
        directory.close().await;
    }
}

#[tokio::test]
async fn the_schema_is_brought_up_to_date_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    let one = SqlDirectory::open_sqlite(&path).await.unwrap();
    add(&one, ADA, "ada").await;
    let other = SqlDirectory::open_sqlite(&path).await.unwrap();
    assert_eq!(other.user_by_handle("ada").await.unwrap().map(|user| user.id), Some(ADA));
    add(&other, BOB, "bob").await;
    assert_eq!(one.users(&[ADA, BOB]).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_newer_schema_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    SqlDirectory::open_sqlite(&path).await.unwrap().close().await;
    execute(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (999, 'x', 1, x'00', 0)",
    )
    .await;
    let Err(DirectoryError::Failed(reason)) = SqlDirectory::open_sqlite(&path).await else { panic!("it was opened") };
    assert!(reason.contains("newer banter"), "{reason}");
    assert_eq!(examine_sqlite(&path).await.unwrap(), ["migration 999 is of a newer banter"]);
}

#[tokio::test]
async fn the_examination_finds_what_is_wrong_and_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("directory.db");
    assert!(examine_sqlite(&path).await.is_err(), "there is none yet");
    assert!(!path.exists());
    let directory = SqlDirectory::open_sqlite(&path).await.unwrap();
    for id in 1..200 {
        add(&directory, UserId(id), &format!("user{id}")).await;
    }
    assert_eq!(examine_sqlite(&path).await.unwrap(), [] as [String; 0], "beside a server");
    directory.close().await;
    let before = std::fs::read(&path).unwrap();
    assert_eq!(examine_sqlite(&path).await.unwrap(), [] as [String; 0]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a file was left");

    execute(&path, "PRAGMA foreign_keys = OFF; INSERT INTO last_seen VALUES (5000, 1); DELETE FROM _sqlx_migrations;").await;
    let problems = examine_sqlite(&path).await.unwrap();
    assert_eq!(problems, ["1 rows name users that do not exist", "migration 1 is missing: start the server to apply it"]);

    let mut damaged = before;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4_096].fill(0xa5);
    std::fs::write(&path, damaged).unwrap();
    let found = examine_sqlite(&path).await;
    assert!(found.is_err() || !found.as_ref().unwrap().is_empty(), "{found:?}");
}

#[tokio::test]
async fn what_is_no_postgres_url_is_told() {
    let Err(DirectoryError::Failed(reason)) = SqlDirectory::connect("mysql://localhost/x").await else { panic!("connected") };
    assert!(reason.contains("postgres://"), "{reason}");
}
