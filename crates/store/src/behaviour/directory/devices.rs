//! Devices: logins, refresh tokens, removal.

use std::sync::Arc;

use banter_model::{DeviceId, Millis, UserId};
use tokio::task::JoinSet;

use super::{NOW, device, device_of, fresh, sorted, user};
use crate::directory::{Device, Directory, Rotation};

const LEEWAY: u64 = 30_000;

async fn ids<D: Directory>(directory: &D, user: UserId) -> Vec<DeviceId> {
    directory.devices(user).await.unwrap().into_iter().map(|device| device.id).collect()
}

/// Was `device` of `user` noted as removed at `at`?
async fn removed<D: Directory>(directory: &D, user: UserId, device: DeviceId, at: Millis) -> bool {
    directory.removed_devices(at).await.unwrap().contains(&(device, user, at))
}

/// Devices come back as they were made, the one used last first.
pub async fn devices_are_listed_by_use<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    let first = Device { name: "Ada's 'phone' ⛵".into(), ..device_of(ada, NOW) };
    directory.create_device(first.clone(), 20).await.unwrap();
    let second = device(&*directory, ada, NOW + 1).await;
    device(&*directory, bob, NOW + 2).await;
    assert_eq!(ids(&*directory, ada).await, [second, first.id]);
    directory.rotate_refresh(first.id, 1, NOW + 5, LEEWAY).await.unwrap();
    let devices = directory.devices(ada).await.unwrap();
    assert_eq!(devices[0], Device { used_at: NOW + 5, ..first });
    assert_eq!(devices[1].id, second);
}

/// Beyond the most there may be, those used longest ago go; the new one stays, even if its clock is behind.
pub async fn the_device_used_longest_ago_goes<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    let mut made = Vec::new();
    for at in 0..3 {
        made.push(device(&*directory, ada, NOW + at).await);
    }
    let of_bob = device(&*directory, bob, NOW - 9).await;
    directory.rotate_refresh(made[0], 1, NOW + 10, LEEWAY).await.unwrap();
    let fourth = device_of(ada, NOW + 11);
    assert_eq!(directory.create_device(fourth.clone(), 3).await.unwrap(), [made[1]]);
    assert_eq!(ids(&*directory, ada).await, [fourth.id, made[0], made[2]]);
    assert!(removed(&*directory, ada, made[1], NOW + 11).await);
    assert_eq!(directory.rotate_refresh(made[1], 1, NOW + 12, LEEWAY).await.unwrap(), Rotation::Unknown);
    let behind = device_of(ada, NOW - 100);
    assert_eq!(directory.create_device(behind.clone(), 1).await.unwrap(), [fourth.id, made[0], made[2]]);
    assert_eq!(ids(&*directory, ada).await, [behind.id]);
    assert_eq!(ids(&*directory, bob).await, [of_bob]);
}

/// However many log in at once, no more stay than there may be.
pub async fn logins_at_once_are_bounded<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let mut race = JoinSet::new();
    let devices: Vec<Device> = (0..10).map(|_| device_of(ada, NOW)).collect();
    for device in devices.clone() {
        let directory = directory.clone();
        race.spawn(async move { directory.create_device(device, 3).await.unwrap() });
    }
    let removed: Vec<DeviceId> = race.join_all().await.into_iter().flatten().collect();
    let left = ids(&*directory, ada).await;
    assert_eq!((left.len(), removed.len()), (3, 7));
    assert_eq!(sorted(left.into_iter().chain(removed)), sorted(devices.into_iter().map(|device| device.id)));
}

/// Devices are removed by their user only, and removal is noted.
pub async fn devices_are_removed<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    let mut made = Vec::new();
    for at in 0..4 {
        made.push(device(&*directory, ada, NOW + at).await);
    }
    let of_bob = device(&*directory, bob, NOW).await;
    assert!(!directory.delete_device(ada, of_bob, NOW).await.unwrap());
    assert!(!removed(&*directory, ada, of_bob, NOW).await && !removed(&*directory, bob, of_bob, NOW).await);
    assert!(directory.delete_device(ada, made[0], NOW + 20).await.unwrap());
    assert!(!directory.delete_device(ada, made[0], NOW + 21).await.unwrap());
    assert!(removed(&*directory, ada, made[0], NOW + 20).await);
    let since = directory.removed_devices(NOW + 21).await.unwrap();
    assert!(since.iter().all(|(device, _, at)| *device != made[0] && *at >= NOW + 21));

    let others = directory.delete_other_devices(ada, Some(made[2]), NOW + 30).await.unwrap();
    assert_eq!(sorted(others), sorted([made[1], made[3]]));
    assert!(removed(&*directory, ada, made[1], NOW + 30).await && removed(&*directory, ada, made[3], NOW + 30).await);
    assert_eq!(ids(&*directory, ada).await, [made[2]]);
    assert_eq!(directory.delete_other_devices(ada, None, NOW + 40).await.unwrap(), [made[2]]);
    assert_eq!(ids(&*directory, ada).await, []);
    assert_eq!(ids(&*directory, bob).await, [of_bob]);
}

/// A refresh token works once; the one used last works again for a short while.
pub async fn a_refresh_token_works_once<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let phone = device(&*directory, ada, NOW).await;
    let rotate = async |generation, at| directory.rotate_refresh(phone, generation, at, LEEWAY).await.unwrap();
    let rotated = |generation| Rotation::Rotated { user: ada, generation };
    assert_eq!(rotate(1, NOW).await, rotated(2));
    assert_eq!(rotate(1, NOW + 1).await, rotated(2));
    assert_eq!(rotate(1, NOW + LEEWAY - 1).await, rotated(2), "the leeway is counted from the first use");
    assert_eq!(rotate(3, NOW + LEEWAY).await, Rotation::Unknown, "never given out");
    assert_eq!(rotate(2, NOW + LEEWAY).await, rotated(3));
    assert_eq!(ids(&*directory, ada).await, [phone]);
    assert_eq!(rotate(2, NOW + 2 * LEEWAY).await, Rotation::Reused { user: ada });
    assert_eq!(ids(&*directory, ada).await, []);
    assert!(removed(&*directory, ada, phone, NOW + 2 * LEEWAY).await);
    assert_eq!(rotate(3, NOW + 2 * LEEWAY).await, Rotation::Unknown);
    assert_eq!(directory.rotate_refresh(DeviceId(fresh()), 1, NOW, LEEWAY).await.unwrap(), Rotation::Unknown);
}

/// A token older than the one before the current was stolen, leeway or not.
pub async fn an_old_refresh_token_removes_the_device<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let [phone, tablet] = [device(&*directory, ada, NOW).await, device(&*directory, ada, NOW).await];
    for generation in 1..=3 {
        directory.rotate_refresh(phone, generation, NOW, LEEWAY).await.unwrap();
    }
    let reused = directory.rotate_refresh(phone, 2, NOW + 1, LEEWAY).await.unwrap();
    assert_eq!(reused, Rotation::Reused { user: ada });
    assert_eq!(ids(&*directory, ada).await, [tablet]);
}

/// One token used many times at once: all get the same next one.
pub async fn refreshes_at_once_agree<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let phone = device(&*directory, ada, NOW).await;
    for generation in 1..=5 {
        let mut race = JoinSet::new();
        for _ in 0..8 {
            let directory = directory.clone();
            race.spawn(async move { directory.rotate_refresh(phone, generation, NOW, LEEWAY).await.unwrap() });
        }
        let all = race.join_all().await;
        let next = Rotation::Rotated { user: ada, generation: generation + 1 };
        assert!(all.iter().all(|rotation| *rotation == next), "{all:?}");
    }
}
