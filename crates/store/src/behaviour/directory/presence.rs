//! When users were last online.

use std::sync::Arc;

use banter_model::{Millis, UserId};
use tokio::task::JoinSet;

use super::{NOW, fresh, sorted, user};
use crate::directory::Directory;

/// A time only grows, also within one batch, and batches are of any size.
pub async fn last_seen_only_grows<D: Directory>(directory: Arc<D>) {
    let [ada, bob, never] = [user(&*directory).await, user(&*directory).await, user(&*directory).await];
    directory.set_last_seen(&[]).await.unwrap();
    directory.set_last_seen(&[(ada, NOW + 5), (UserId(fresh()), NOW), (bob, NOW), (ada, NOW + 9), (ada, NOW)]).await.unwrap();
    let seen = async || sorted(directory.last_seen(&[ada, bob, never]).await.unwrap());
    assert_eq!(seen().await, sorted([(ada, NOW + 9), (bob, NOW)]));
    directory.set_last_seen(&[(ada, NOW + 8), (bob, NOW + 1)]).await.unwrap();
    assert_eq!(seen().await, sorted([(ada, NOW + 9), (bob, NOW + 1)]));
    let many: Vec<(UserId, Millis)> =
        (0..450).map(|number| (if number % 2 == 0 { ada } else { bob }, NOW + 10 + number)).collect();
    directory.set_last_seen(&many).await.unwrap();
    assert_eq!(seen().await, sorted([(ada, NOW + 458), (bob, NOW + 459)]));
}

/// Of times noted at the same moment the latest stays.
pub async fn the_latest_of_times_noted_at_once_stays<D: Directory>(directory: Arc<D>) {
    let mut users = Vec::new();
    for _ in 0..5 {
        users.push(user(&*directory).await);
    }
    let mut race = JoinSet::new();
    for number in 0..16_u64 {
        let directory = directory.clone();
        // Every batch has the users in another order.
        let mut batch: Vec<(UserId, Millis)> = users.iter().map(|user| (*user, NOW + number * 7 % 16)).collect();
        batch.rotate_left(number as usize % 5);
        race.spawn(async move { directory.set_last_seen(&batch).await.unwrap() });
    }
    race.join_all().await;
    let seen = directory.last_seen(&users).await.unwrap();
    assert_eq!(sorted(seen), sorted(users.into_iter().map(|user| (user, NOW + 15))));
}

/// Who goes while they are noted does not hold up the others.
pub async fn a_user_who_goes_does_not_fail_the_batch<D: Directory>(directory: Arc<D>) {
    let stays = user(&*directory).await;
    for round in 0..10 {
        let goes = user(&*directory).await;
        let deleting = tokio::spawn({
            let directory = directory.clone();
            async move { directory.delete_user(goes, NOW).await.unwrap() }
        });
        directory.set_last_seen(&[(goes, NOW), (stays, NOW + round)]).await.unwrap();
        deleting.await.unwrap();
        assert_eq!(directory.last_seen(&[goes, stays]).await.unwrap(), [(stays, NOW + round)]);
    }
}
