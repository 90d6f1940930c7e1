//! Taking every record out, and putting it back.

use std::sync::Arc;

use banter_model::{DeviceId, GroupId, UserId};

use super::{NOW, device, fresh, friends_of, new_user, sorted, user};
use crate::directory::movable::{
    BlockRecord, DeviceRecord, DirectoryPlace, DirectoryRecord, FriendshipRecord, GroupKeyRecord, LastSeenRecord,
    MovableDirectory, RECORDS_AT_ONCE, RemovedDeviceRecord, UserRecord,
};
use crate::directory::{Audience, Directory, DirectoryError, FriendState, NewUser, Rotation, Settings};

/// The records that name one of `users`, in the order in which they come, read in parts of `limit`.
async fn records_of(directory: &impl MovableDirectory, users: &[UserId], limit: usize) -> Vec<DirectoryRecord> {
    let mut found = Vec::new();
    for kind in DirectoryPlace::KINDS {
        let mut place = kind;
        loop {
            let part = directory.records(&place, limit).await.unwrap();
            assert!(part.len() <= limit, "{} records, at most {limit} asked for", part.len());
            let Some(last) = part.last() else { break };
            place = DirectoryPlace::after(last);
            found.extend(part.into_iter().filter(|record| names(record).iter().any(|user| users.contains(user))));
        }
    }
    found
}

fn names(record: &DirectoryRecord) -> Vec<UserId> {
    match record {
        DirectoryRecord::User(record) => vec![record.id],
        DirectoryRecord::Device(record) => vec![record.user],
        DirectoryRecord::RemovedDevice(record) => vec![record.user],
        DirectoryRecord::Friendship(record) => vec![record.low, record.high],
        DirectoryRecord::Block(record) => vec![record.blocker, record.blocked],
        DirectoryRecord::LastSeen(record) => vec![record.user],
        DirectoryRecord::GroupKey(record) => vec![record.user],
    }
}

/// Everything that was made comes out, whatever the size of the parts; put back after its users went, it is there again.
pub async fn records_come_out_and_go_back<D: Directory + MovableDirectory>(directory: Arc<D>) {
    let ada = NewUser { id: UserId(fresh() | 1 << 63), display_name: "Ada ⛵ \"'\\".into(), ..new_user() };
    let [bob, eve] = [user(&*directory).await, user(&*directory).await];
    let (ada_id, handle, hash) = (ada.id, ada.handle.clone(), ada.password_hash.clone());
    directory.create_user(ada).await.unwrap();
    directory.set_profile(ada_id, None, Some("engines")).await.unwrap();
    let settings = Settings { presence: Audience::Nobody, friends_only: true, read_receipts: false };
    directory.set_settings(ada_id, settings).await.unwrap();
    let [phone, gone] = [device(&*directory, ada_id, NOW).await, device(&*directory, ada_id, NOW + 1).await];
    directory.rotate_refresh(phone, 1, NOW + 2, 0).await.unwrap();
    directory.delete_device(ada_id, gone, NOW + 3).await.unwrap();
    directory.request_friend(ada_id, bob, NOW + 4).await.unwrap();
    directory.request_friend(bob, eve, NOW + 5).await.unwrap();
    directory.request_friend(eve, bob, NOW + 6).await.unwrap();
    directory.block(eve, ada_id, NOW + 7).await.unwrap();
    directory.set_last_seen(&[(ada_id, NOW + 8)]).await.unwrap();
    let groups = [GroupId(fresh()), GroupId(fresh() | 1 << 63), GroupId(fresh())];
    for (group, key) in groups.iter().zip(["z", "a é", "m"]) {
        directory.group_for_key(ada_id, key, *group).await.unwrap();
    }

    let users = [ada_id, bob, eve];
    let everything = records_of(&*directory, &users, RECORDS_AT_ONCE).await;
    let has = |record| assert!(everything.contains(&record), "{record:?} is not among {everything:?}");
    has(DirectoryRecord::User(UserRecord {
        id: ada_id,
        handle: handle.clone(),
        display_name: "Ada ⛵ \"'\\".into(),
        about: "engines".into(),
        password_hash: hash.clone(),
        presence: Audience::Nobody,
        friends_only: true,
        read_receipts: false,
        created_at: NOW,
    }));
    let name = "phone".to_owned();
    has(DirectoryRecord::Device(DeviceRecord {
        id: phone,
        user: ada_id,
        name,
        created_at: NOW,
        used_at: NOW + 2,
        generation: 2,
    }));
    has(DirectoryRecord::RemovedDevice(RemovedDeviceRecord { id: gone, user: ada_id, removed_at: NOW + 3 }));
    let (low, high) = if (ada_id.0 as i64) < bob.0 as i64 { (ada_id, bob) } else { (bob, ada_id) };
    has(DirectoryRecord::Friendship(FriendshipRecord { low, high, asker: ada_id, accepted: false, changed_at: NOW + 4 }));
    has(DirectoryRecord::Block(BlockRecord { blocker: eve, blocked: ada_id, created_at: NOW + 7 }));
    has(DirectoryRecord::LastSeen(LastSeenRecord { user: ada_id, seen_at: NOW + 8 }));
    has(DirectoryRecord::GroupKey(GroupKeyRecord { user: ada_id, key: "a é".into(), group: groups[1] }));
    // Users, a device, a removed one, two friendships, a block, a time, keys.
    assert_eq!(everything.len(), 3 + 1 + 1 + 2 + 1 + 1 + 3, "{everything:?}");
    assert_eq!(records_of(&*directory, &users, 3).await, everything, "in parts of 3");

    for user in users {
        directory.delete_user(user, NOW + 9).await.unwrap();
    }
    for _ in 0..2 {
        directory.restore(&everything).await.unwrap();
        // The device that went with its user is on the list of removed ones, and was not when the records were taken.
        let now = records_of(&*directory, &users, RECORDS_AT_ONCE).await;
        let of_phone =
            |record: &DirectoryRecord| matches!(record, DirectoryRecord::RemovedDevice(removed) if removed.id == phone);
        assert_eq!(now.into_iter().filter(|record| !of_phone(record)).collect::<Vec<_>>(), everything);
    }
    assert_eq!(directory.user_by_handle(&handle).await.unwrap().map(|user| user.about).as_deref(), Some("engines"));
    assert_eq!(directory.password_hash(ada_id).await.unwrap(), Some(hash));
    assert_eq!(directory.settings(ada_id).await.unwrap(), Some(settings));
    let rotated = directory.rotate_refresh(phone, 2, NOW + 10, 0).await.unwrap();
    assert_eq!(rotated, Rotation::Rotated { user: ada_id, generation: 3 });
    assert_eq!(friends_of(&*directory, bob).await, [eve]);
    let asked: Vec<_> = directory.friends(ada_id).await.unwrap().into_iter().map(|(user, state)| (user.id, state)).collect();
    assert_eq!(asked, [(bob, FriendState::Outgoing)]);
    assert!(directory.relations(ada_id, &[eve]).await.unwrap()[0].blocked_by_them);
    assert_eq!(directory.group_for_key(ada_id, "z", GroupId(fresh())).await.unwrap(), groups[0]);
}

/// A record takes the place of the one with its key; more than fit into one statement go at once.
pub async fn restored_records_win<D: Directory + MovableDirectory>(directory: Arc<D>) {
    let mut users: Vec<UserRecord> = (0..450)
        .map(|_| {
            let NewUser { id, handle, display_name, password_hash, created_at } = new_user();
            let (presence, friends_only, read_receipts) = (Audience::Friends, true, false);
            let about = String::new();
            UserRecord { id, handle, display_name, about, password_hash, presence, friends_only, read_receipts, created_at }
        })
        .collect();
    let records = |users: &[UserRecord]| users.iter().cloned().map(DirectoryRecord::User).collect::<Vec<_>>();
    directory.restore(&records(&users)).await.unwrap();
    users.iter_mut().for_each(|user| user.about = format!("about {}", user.id));
    directory.restore(&records(&users[..201])).await.unwrap();
    directory.restore(&[]).await.unwrap();
    for (number, about) in [(0, true), (200, true), (201, false), (449, false)] {
        let found = directory.users(&[users[number].id]).await.unwrap().remove(0);
        let expected = if about { users[number].about.as_str() } else { "" };
        assert_eq!((found.about.as_str(), found.handle), (expected, users[number].handle.clone()));
    }
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    let found: Vec<UserId> = records_of(&*directory, &ids, 100).await.iter().flat_map(names).collect();
    assert_eq!(found.len(), 450);
    assert_eq!(sorted(found), sorted(ids));
}

/// A record that names nobody is refused, and nothing of its part is stored.
pub async fn records_of_nobody_are_refused<D: Directory + MovableDirectory>(directory: Arc<D>) {
    let (ada, nobody) = (user(&*directory).await, UserId(fresh()));
    let seen = |user| DirectoryRecord::LastSeen(LastSeenRecord { user, seen_at: NOW });
    let refused = directory.restore(&[seen(ada), seen(nobody)]).await;
    assert!(matches!(refused, Err(DirectoryError::UnknownUser)), "{refused:?}");
    assert_eq!(directory.last_seen(&[ada]).await.unwrap(), []);
    let removed = RemovedDeviceRecord { id: DeviceId(fresh()), user: nobody, removed_at: NOW };
    directory.restore(&[DirectoryRecord::RemovedDevice(removed)]).await.unwrap();
    let too_many = vec![seen(ada); RECORDS_AT_ONCE + 1];
    assert!(directory.restore(&too_many).await.is_err());
}
