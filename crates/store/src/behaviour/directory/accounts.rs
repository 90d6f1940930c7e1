//! Users, their settings, and what is left when they go.

use std::sync::Arc;

use banter_model::{DeviceId, GroupId, UserId};
use tokio::task::JoinSet;

use super::{NOW, device, device_of, fresh, friends_of, new_user, sorted, user};
use crate::directory::{Audience, Directory, DirectoryError, FriendState, NewUser, Settings, User};

/// A user comes back as they were made, by handle and by id.
pub async fn users_come_back<D: Directory>(directory: Arc<D>) {
    let new = NewUser { display_name: "Ada \"O'Brien\"; -- ⛵".into(), ..new_user() };
    directory.create_user(new.clone()).await.unwrap();
    let user = User { id: new.id, handle: new.handle.clone(), display_name: new.display_name, about: String::new() };
    assert_eq!(directory.user_by_handle(&new.handle).await.unwrap(), Some(user.clone()));
    assert_eq!(directory.user_by_handle(&format!("x{}", new.handle)).await.unwrap(), None);
    assert_eq!(directory.users(&[new.id, UserId(fresh()), new.id]).await.unwrap(), [user]);
    assert_eq!(directory.users(&[]).await.unwrap(), []);
    assert_eq!(directory.password_hash(new.id).await.unwrap(), Some(new.password_hash));
}

/// Ids use all 64 bits.
pub async fn large_ids_come_back<D: Directory>(directory: Arc<D>) {
    let [large, larger] = [fresh() | 1 << 63, fresh() | 1 << 63].map(UserId);
    let small = user(&*directory).await;
    for id in [large, larger] {
        directory.create_user(NewUser { id, ..new_user() }).await.unwrap();
        let made = directory.users(&[id]).await.unwrap();
        assert_eq!(made.iter().map(|user| user.id).collect::<Vec<_>>(), [id]);
    }
    for (one, other) in [(large, small), (small, larger), (large, larger)] {
        assert_eq!(directory.request_friend(one, other, NOW).await.unwrap(), FriendState::Outgoing);
        assert_eq!(directory.request_friend(other, one, NOW).await.unwrap(), FriendState::Friends);
        let relation = directory.relations(one, &[other]).await.unwrap()[0];
        assert!(relation.friends && relation.user == other);
    }
    assert_eq!(sorted(friends_of(&*directory, large).await), sorted([small, larger]));
}

/// Profile, password and settings change where they are told to.
pub async fn accounts_change<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    let profile = async |id| {
        let user = directory.users(&[id]).await.unwrap().remove(0);
        (user.display_name, user.about)
    };
    directory.set_profile(ada, Some("Countess"), None).await.unwrap();
    assert_eq!(profile(ada).await, ("Countess".to_owned(), String::new()));
    directory.set_profile(ada, None, Some("engines")).await.unwrap();
    directory.set_profile(ada, None, None).await.unwrap();
    assert_eq!(profile(ada).await, ("Countess".to_owned(), "engines".to_owned()));
    directory.set_profile(ada, None, Some("")).await.unwrap();
    assert_eq!(profile(ada).await, ("Countess".to_owned(), String::new()));

    directory.set_password_hash(ada, "$argon2id$y").await.unwrap();
    assert_eq!(directory.password_hash(ada).await.unwrap().as_deref(), Some("$argon2id$y"));

    assert_eq!(directory.settings(ada).await.unwrap(), Some(Settings::default()));
    for presence in [Audience::Nobody, Audience::Friends, Audience::Everyone] {
        let settings = Settings { presence, friends_only: presence == Audience::Friends, read_receipts: false };
        directory.set_settings(ada, settings).await.unwrap();
        assert_eq!(directory.settings(ada).await.unwrap(), Some(settings));
    }
    assert_eq!(profile(bob).await, ("Ada".to_owned(), String::new()));
    assert_eq!(directory.password_hash(bob).await.unwrap().as_deref(), Some("$argon2id$x"));
    assert_eq!(directory.settings(bob).await.unwrap(), Some(Settings::default()));
}

/// Of those who want one handle at the same time, one gets it; the others are not made.
pub async fn a_handle_belongs_to_one_user<D: Directory>(directory: Arc<D>) {
    let handle = new_user().handle;
    let mut race = JoinSet::new();
    for _ in 0..8 {
        let (directory, new) = (directory.clone(), NewUser { handle: handle.clone(), ..new_user() });
        race.spawn(async move { (new.id, directory.create_user(new).await) });
    }
    let (mut winner, mut losers) = (None, Vec::new());
    for (id, result) in race.join_all().await {
        match result {
            Ok(()) => assert_eq!(winner.replace(id), None, "two users have one handle"),
            Err(DirectoryError::HandleTaken) => losers.push(id),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(directory.user_by_handle(&handle).await.unwrap().map(|user| user.id), winner);
    assert_eq!(losers.len(), 7);
    assert_eq!(directory.users(&losers).await.unwrap(), []);

    directory.delete_user(winner.unwrap(), NOW).await.unwrap();
    directory.create_user(NewUser { handle, ..new_user() }).await.unwrap();
}

/// Two users cannot have one id, and it is not the handle's fault.
pub async fn an_id_belongs_to_one_user<D: Directory>(directory: Arc<D>) {
    let id = user(&*directory).await;
    let second = directory.create_user(NewUser { id, ..new_user() }).await;
    assert!(matches!(second, Err(DirectoryError::Failed(_))), "{second:?}");
}

/// What is asked about nobody finds nothing; what is done to nobody is refused.
pub async fn unknown_users_are_told<D: Directory>(directory: Arc<D>) {
    let (nobody, ada) = (UserId(fresh()), user(&*directory).await);
    assert_eq!(directory.password_hash(nobody).await.unwrap(), None);
    assert_eq!(directory.settings(nobody).await.unwrap(), None);
    assert_eq!(directory.devices(nobody).await.unwrap(), []);
    assert_eq!(directory.friends(nobody).await.unwrap(), []);
    assert_eq!(friends_of(&*directory, nobody).await, []);
    assert_eq!(directory.blocks(nobody).await.unwrap(), []);
    assert_eq!(directory.relations(ada, &[nobody]).await.unwrap(), []);
    assert_eq!(directory.last_seen(&[nobody]).await.unwrap(), []);
    assert!(!directory.delete_device(nobody, DeviceId(fresh()), NOW).await.unwrap());
    assert_eq!(directory.delete_other_devices(nobody, None, NOW).await.unwrap(), []);
    assert!(!directory.accept_friend(ada, nobody, NOW).await.unwrap());
    assert!(!directory.remove_friend(ada, nobody).await.unwrap());
    assert!(!directory.unblock(ada, nobody).await.unwrap());
    let refused = [
        directory.set_password_hash(nobody, "x").await,
        directory.set_profile(nobody, Some("x"), None).await,
        directory.set_settings(nobody, Settings::default()).await,
        directory.delete_user(nobody, NOW).await,
        directory.create_device(device_of(nobody, NOW), 5).await.map(drop),
        directory.request_friend(ada, nobody, NOW).await.map(drop),
        directory.request_friend(nobody, ada, NOW).await.map(drop),
        directory.block(ada, nobody, NOW).await,
        directory.block(nobody, ada, NOW).await,
        directory.group_for_key(nobody, "k", GroupId(fresh())).await.map(drop),
    ];
    for (number, result) in refused.into_iter().enumerate() {
        assert!(matches!(result, Err(DirectoryError::UnknownUser)), "{number}: {result:?}");
    }
}

/// 200 may be asked about at once, and no more.
pub async fn questions_are_bounded<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    directory.set_last_seen(&[(ada, NOW)]).await.unwrap();
    for asked in [1, 2, 8, 9, 40, 41, 200] {
        let mut ids: Vec<UserId> = (1..asked).map(|_| UserId(fresh())).collect();
        ids.insert(ids.len() / 2, ada);
        assert_eq!(directory.users(&ids).await.unwrap().len(), 1, "of {asked}");
        assert_eq!(directory.relations(ada, &ids).await.unwrap().len(), 1, "of {asked}");
        assert_eq!(directory.last_seen(&ids).await.unwrap(), [(ada, NOW)], "of {asked}");
    }
    let too_many: Vec<UserId> = (0..201).map(|_| UserId(fresh())).collect();
    assert!(directory.users(&too_many).await.is_err());
    assert!(directory.relations(ada, &too_many).await.is_err());
    assert!(directory.last_seen(&too_many).await.is_err());
}

/// A group is made once for a key, whatever is tried at the same time.
pub async fn a_key_makes_one_group<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    let mut race = JoinSet::new();
    for _ in 0..8 {
        let directory = directory.clone();
        race.spawn(async move { directory.group_for_key(ada, "key", GroupId(fresh())).await.unwrap() });
    }
    let groups = race.join_all().await;
    assert!(groups.iter().all(|group| *group == groups[0]), "{groups:?}");
    for (user, key) in [(ada, "other"), (bob, "key")] {
        let group = GroupId(fresh());
        assert_eq!(directory.group_for_key(user, key, group).await.unwrap(), group);
    }
    assert_eq!(directory.group_for_key(ada, "key", GroupId(fresh())).await.unwrap(), groups[0]);
}

/// When a user goes, every row goes that names them, and no other.
pub async fn nothing_of_a_deleted_user_stays<D: Directory>(directory: Arc<D>) {
    let [ada, bob, eve] = [user(&*directory).await, user(&*directory).await, user(&*directory).await];
    let [of_ada, of_bob] = [device(&*directory, ada, NOW).await, device(&*directory, bob, NOW).await];
    for (from, to) in [(ada, bob), (bob, ada), (eve, ada), (bob, eve)] {
        directory.request_friend(from, to, NOW).await.unwrap();
    }
    let stranger = user(&*directory).await;
    directory.block(stranger, ada, NOW).await.unwrap();
    directory.block(ada, stranger, NOW).await.unwrap();
    directory.set_last_seen(&[(ada, NOW), (bob, NOW)]).await.unwrap();
    let group = GroupId(fresh());
    directory.group_for_key(ada, "key", group).await.unwrap();

    directory.delete_user(ada, NOW).await.unwrap();
    let again = directory.delete_user(ada, NOW).await;
    assert!(matches!(again, Err(DirectoryError::UnknownUser)), "{again:?}");
    assert_eq!(directory.devices(ada).await.unwrap(), []);
    assert_eq!(friends_of(&*directory, bob).await, []);
    assert_eq!(directory.friends(eve).await.unwrap().iter().map(|(user, _)| user.id).collect::<Vec<_>>(), [bob]);
    assert_eq!(directory.blocks(stranger).await.unwrap(), []);
    assert_eq!(directory.last_seen(&[ada, bob]).await.unwrap(), [(bob, NOW)]);
    assert_eq!(directory.devices(bob).await.unwrap()[0].id, of_bob);
    assert!(directory.removed_devices(NOW).await.unwrap().contains(&(of_ada, ada, NOW)));

    // Somebody with the same id would find nothing either.
    directory.create_user(NewUser { id: ada, ..new_user() }).await.unwrap();
    assert_eq!(directory.friends(ada).await.unwrap(), []);
    assert_eq!(directory.blocks(ada).await.unwrap(), []);
    assert_eq!(directory.last_seen(&[ada]).await.unwrap(), []);
    assert!(!directory.relations(ada, &[stranger]).await.unwrap()[0].blocked_by_them);
    let other = GroupId(fresh());
    assert_eq!(directory.group_for_key(ada, "key", other).await.unwrap(), other);
}

/// Users whose rows name each other can go at the same time.
pub async fn users_who_block_each_other_go_at_once<D: Directory>(directory: Arc<D>) {
    for _ in 0..20 {
        let users = [user(&*directory).await, user(&*directory).await, user(&*directory).await];
        for one in users {
            for other in users.into_iter().filter(|other| *other != one) {
                directory.block(one, other, NOW).await.unwrap();
            }
        }
        let mut race = JoinSet::new();
        for user in users {
            let directory = directory.clone();
            race.spawn(async move { directory.delete_user(user, NOW).await.unwrap() });
        }
        race.join_all().await;
        assert_eq!(directory.users(&users).await.unwrap(), []);
    }
}
