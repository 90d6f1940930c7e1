//! Rows of many members: in tables whose indexes and filters are in parts, changed later, and read after a restart.

use banter_model::{ConversationId, GroupId, Marker, Membership, UserId};
use banter_store::History;
use banter_store::behaviour::history::message;
use banter_store::embedded::history::EmbeddedHistory;
use banter_store::history::{HistoryBatch, MembershipRow};

use super::open;

const USERS: u64 = 300;
/// Every second one is theirs: the others are looked for in vain.
const CONVERSATIONS: u64 = 200;

fn conversation(number: u64) -> ConversationId {
    ConversationId::Group(GroupId(number))
}

/// What is stored of somebody in a conversation; other figures once it was changed, as every fifth is.
fn expected(user: u64, number: u64, changed: bool) -> (Membership, Marker) {
    let seq = user + number + 1_000 * u64::from(changed && (user + number).is_multiple_of(5));
    let mut membership = Membership::default();
    membership.enter(&message(seq, "in"), false);
    (membership, Marker { seq, ordinal: seq })
}

async fn write(history: &EmbeddedHistory, changed: bool) {
    for number in (0..2 * CONVERSATIONS).step_by(2) {
        let mut batch = HistoryBatch { position: number + 1_000 * u64::from(changed), ..HistoryBatch::default() };
        for user in (1..=USERS).filter(|user| !changed || (user + number).is_multiple_of(5)) {
            let (membership, read) = expected(user, number, changed);
            let (user, conversation) = (UserId(user), conversation(number + 1));
            batch.memberships.push(MembershipRow { user, conversation, membership, position: batch.position });
            batch.read.push((user, conversation, read));
        }
        history.commit(batch).await.unwrap();
    }
}

async fn compare(history: &EmbeddedHistory, changed: bool) {
    for user in 1..=USERS {
        for number in (0..2 * CONVERSATIONS).step_by(2) {
            let (membership, read) = expected(user, number, changed);
            let (user, there, not_there) = (UserId(user), conversation(number + 1), conversation(number + 2));
            assert_eq!(history.membership(user, there).await.unwrap(), Some(membership));
            assert_eq!(history.progress(user, there).await.unwrap().read, read);
            assert_eq!(history.membership(user, not_there).await.unwrap(), None);
            assert_eq!(history.progress(user, not_there).await.unwrap().read, Marker::default());
        }
        let all = history.memberships(UserId(user), None, usize::MAX).await.unwrap();
        let all: Vec<_> = all.into_iter().map(|(id, _)| id).collect();
        assert_eq!(all, (0..CONVERSATIONS).map(|number| conversation(2 * number + 1)).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn rows_are_found_in_whatever_part_of_a_table_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    write(&history, false).await;
    compare(&history, false).await;
    assert!(history.engine().other_bytes > 100_000, "everything is still in memory");
    write(&history, true).await;
    compare(&history, true).await;
    drop(history);
    compare(&open(folder.path()), true).await;
}
