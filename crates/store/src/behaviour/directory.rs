//! What every directory does.
//!
//! The functions make users of their own with random ids and handles, so they can run side by side on a database that others
//! use too. They panic where a directory does not do what it promises.

// These are tests, though built with the crate for those who run them.
#![allow(clippy::unwrap_used)]

pub mod accounts;
pub mod devices;
pub mod friends;
pub mod movable;
pub mod presence;

use std::hash::{BuildHasher, Hasher, RandomState};

use banter_model::{DeviceId, Millis, UserId};

use crate::directory::{Device, Directory, NewUser};

/// When the behaviours take place.
const NOW: Millis = 1_780_000_000_000;

/// A number that is not used yet, of as many bits as a Snowflake.
fn fresh() -> u64 {
    RandomState::new().build_hasher().finish() >> 1 | 1
}

fn new_user() -> NewUser {
    let id = fresh();
    NewUser {
        id: UserId(id),
        handle: format!("u{id:x}"),
        display_name: "Ada".into(),
        password_hash: "$argon2id$x".into(),
        created_at: NOW,
    }
}

/// Makes a user.
async fn user(directory: &impl Directory) -> UserId {
    let user = new_user();
    let id = user.id;
    directory.create_user(user).await.unwrap();
    id
}

fn device_of(user: UserId, at: Millis) -> Device {
    Device { id: DeviceId(fresh()), user, name: "phone".into(), created_at: at, used_at: at }
}

/// Makes a device, with room for all.
async fn device(directory: &impl Directory, user: UserId, at: Millis) -> DeviceId {
    let device = device_of(user, at);
    let id = device.id;
    assert_eq!(directory.create_device(device, 1_000).await.unwrap(), []);
    id
}

/// The friends of one user.
async fn friends_of(directory: &impl Directory, user: UserId) -> Vec<UserId> {
    let friends = directory.friends_of(&[user]).await.unwrap();
    assert!(friends.iter().all(|(of, _)| *of == user), "asked for {user} alone: {friends:?}");
    friends.into_iter().map(|(_, friend)| friend).collect()
}

/// Sorted, to be compared.
fn sorted<T: Ord>(values: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.into_iter().collect();
    values.sort();
    values
}
