//! Friends, blocks and relations.

use std::sync::Arc;

use banter_model::UserId;

use super::{NOW, fresh, friends_of, new_user, sorted, user};
use crate::directory::{Audience, Directory, FriendState, NewUser, Relation, Settings};

async fn states<D: Directory>(directory: &D, user: UserId) -> Vec<(UserId, FriendState)> {
    directory.friends(user).await.unwrap().into_iter().map(|(user, state)| (user.id, state)).collect()
}

async fn relation<D: Directory>(directory: &D, from: UserId, to: UserId) -> Relation {
    directory.relations(from, &[to]).await.unwrap()[0]
}

/// Asking, accepting, ending.
pub async fn friends_are_made_and_unmade<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    for (asker, asked) in [(ada, bob), (bob, ada)] {
        assert!(!directory.accept_friend(asked, asker, NOW).await.unwrap(), "nobody asked");
        assert_eq!(directory.request_friend(asker, asked, NOW).await.unwrap(), FriendState::Outgoing);
        assert_eq!(directory.request_friend(asker, asked, NOW).await.unwrap(), FriendState::Outgoing, "asking twice");
        assert!(!directory.accept_friend(asker, asked, NOW).await.unwrap(), "one's own request");
        assert_eq!(states(&*directory, asker).await, [(asked, FriendState::Outgoing)]);
        assert_eq!(states(&*directory, asked).await, [(asker, FriendState::Incoming)]);
        assert_eq!(friends_of(&*directory, asker).await, []);
        assert!(!relation(&*directory, asker, asked).await.friends);

        assert!(directory.accept_friend(asked, asker, NOW).await.unwrap());
        assert!(!directory.accept_friend(asked, asker, NOW).await.unwrap(), "no request is left");
        for (one, other) in [(asker, asked), (asked, asker)] {
            assert_eq!(states(&*directory, one).await, [(other, FriendState::Friends)]);
            assert_eq!(friends_of(&*directory, one).await, [other]);
            assert_eq!(directory.request_friend(one, other, NOW).await.unwrap(), FriendState::Friends);
            assert!(relation(&*directory, one, other).await.friends);
        }
        assert!(directory.remove_friend(asked, asker).await.unwrap());
        assert!(!directory.remove_friend(asker, asked).await.unwrap());
        assert_eq!(states(&*directory, asker).await, []);
        assert_eq!(states(&*directory, asked).await, []);
    }
    let cid = user(&*directory).await;
    directory.request_friend(ada, cid, NOW).await.unwrap();
    assert!(directory.accept_friend(cid, ada, NOW).await.unwrap());
    directory.request_friend(bob, cid, NOW).await.unwrap();
    assert_eq!(
        sorted(directory.friends_of(&[ada, bob, cid]).await.unwrap()),
        sorted([(ada, cid), (cid, ada)]),
        "several at once"
    );
    assert_eq!(directory.friends_of(&[]).await.unwrap(), []);
    assert_eq!(directory.request_friend(ada, bob, NOW).await.unwrap(), FriendState::Outgoing);
    assert_eq!(directory.request_friend(bob, ada, NOW).await.unwrap(), FriendState::Friends);
    assert!(directory.remove_friend(ada, bob).await.unwrap());
    directory.request_friend(ada, bob, NOW).await.unwrap();
    assert!(directory.remove_friend(ada, bob).await.unwrap(), "a request is taken back");
}

/// Friends and blocks are listed by handle, byte by byte.
pub async fn lists_are_by_handle<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let mark = fresh();
    // Collations that pass over the underscore would have another order.
    let handles = ["z_a", "z1a", "za", "z_b", "zab"].map(|start| format!("{start}_{mark:x}"));
    for handle in &handles {
        let new = NewUser { handle: handle.clone(), ..new_user() };
        let id = new.id;
        directory.create_user(new).await.unwrap();
        directory.request_friend(ada, id, NOW).await.unwrap();
    }
    let by_handle = sorted(handles);
    let friends = directory.friends(ada).await.unwrap();
    assert_eq!(friends.iter().map(|(user, _)| user.handle.clone()).collect::<Vec<_>>(), by_handle);
    for (friend, _) in friends {
        directory.block(ada, friend.id, NOW).await.unwrap();
    }
    let blocks = directory.blocks(ada).await.unwrap();
    assert_eq!(blocks.iter().map(|user| user.handle.clone()).collect::<Vec<_>>(), by_handle);
    assert_eq!(directory.friends(ada).await.unwrap(), []);
}

/// Two who ask each other at the same time are friends.
pub async fn requests_that_cross_make_friends<D: Directory>(directory: Arc<D>) {
    for _ in 0..10 {
        let [ada, bob] = [user(&*directory).await, user(&*directory).await];
        let [one, other] = [(ada, bob), (bob, ada)].map(|(from, to)| {
            let directory = directory.clone();
            tokio::spawn(async move { directory.request_friend(from, to, NOW).await.unwrap() })
        });
        let answers = [one.await.unwrap(), other.await.unwrap()];
        assert!(answers.contains(&FriendState::Friends) && answers.contains(&FriendState::Outgoing), "{answers:?}");
        assert_eq!(states(&*directory, ada).await, [(bob, FriendState::Friends)]);
        assert_eq!(states(&*directory, bob).await, [(ada, FriendState::Friends)]);
    }
}

/// A block ends what there was, is seen from both sides, and is taken back by its maker only.
pub async fn blocks_end_friendships<D: Directory>(directory: Arc<D>) {
    let [ada, bob] = [user(&*directory).await, user(&*directory).await];
    directory.request_friend(ada, bob, NOW).await.unwrap();
    directory.accept_friend(bob, ada, NOW).await.unwrap();
    directory.block(ada, bob, NOW).await.unwrap();
    directory.block(ada, bob, NOW).await.unwrap();
    assert_eq!(states(&*directory, bob).await, []);
    assert_eq!(directory.blocks(ada).await.unwrap().iter().map(|user| user.id).collect::<Vec<_>>(), [bob]);
    assert_eq!(directory.blocks(bob).await.unwrap(), []);
    let [mine, theirs] = [relation(&*directory, ada, bob).await, relation(&*directory, bob, ada).await];
    assert!(mine.blocked_by_me && !mine.blocked_by_them && theirs.blocked_by_them && !theirs.blocked_by_me);
    assert!(!mine.may_write() && !theirs.may_write() && !mine.may_see_presence() && !theirs.may_see_presence());
    assert!(!directory.unblock(bob, ada).await.unwrap());
    directory.block(bob, ada, NOW).await.unwrap();
    assert!(directory.unblock(ada, bob).await.unwrap());
    assert!(!directory.unblock(ada, bob).await.unwrap());
    let mine = relation(&*directory, ada, bob).await;
    assert!(!mine.blocked_by_me && mine.blocked_by_them);
    assert!(directory.unblock(bob, ada).await.unwrap());
    assert!(relation(&*directory, ada, bob).await.may_write());
}

/// One question tells of many users at once what each is to the one who asks.
pub async fn relations_tell_users_apart<D: Directory>(directory: Arc<D>) {
    let ada = user(&*directory).await;
    let mut expected = Vec::new();
    for kind in 0..24_u64 {
        let settings = Settings {
            presence: [Audience::Everyone, Audience::Friends, Audience::Nobody][kind as usize % 3],
            friends_only: kind % 2 == 0,
            read_receipts: kind % 4 < 2,
        };
        let user = user(&*directory).await;
        directory.set_settings(user, settings).await.unwrap();
        let (friends, blocked_by_me, blocked_by_them) = (kind % 6 == 1, kind % 6 == 2, kind % 6 == 3);
        if friends {
            directory.request_friend(user, ada, NOW).await.unwrap();
            directory.accept_friend(ada, user, NOW).await.unwrap();
        } else if blocked_by_me {
            directory.block(ada, user, NOW).await.unwrap();
        } else if blocked_by_them {
            directory.block(user, ada, NOW).await.unwrap();
        } else if kind % 6 == 4 {
            directory.request_friend(user, ada, NOW).await.unwrap();
        }
        expected.push(Relation { user, friends, blocked_by_them, blocked_by_me, settings });
    }
    // What others are to each other is nothing to her.
    for pair in expected.windows(2) {
        directory.request_friend(pair[0].user, pair[1].user, NOW).await.unwrap();
        directory.accept_friend(pair[1].user, pair[0].user, NOW).await.unwrap();
    }
    let settings = directory.settings(ada).await.unwrap().unwrap();
    expected.push(Relation { user: ada, friends: false, blocked_by_them: false, blocked_by_me: false, settings });
    let asked: Vec<UserId> = expected.iter().map(|relation| relation.user).chain([UserId(fresh())]).collect();
    let mut relations = directory.relations(ada, &asked).await.unwrap();
    relations.sort_by_key(|relation| relation.user);
    expected.sort_by_key(|relation| relation.user);
    assert_eq!(relations, expected);
    assert_eq!(directory.relations(ada, &[]).await.unwrap(), []);
}
