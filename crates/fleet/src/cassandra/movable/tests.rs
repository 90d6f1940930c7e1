//! Taking out and putting back: against a real Cassandra, where `BANTER_TEST_CASSANDRA` names a node of it, in a keyspace
//! `banter_test_moved`.

use banter_model::{Marker, Member, Role, Roster};
use banter_store::behaviour::history::{head, message, row};
use banter_store::behaviour::{self, Random};
use banter_store::history::plan::plan;
use banter_store::history::{History, HistoryBatch, Progress};
use tokio::sync::Mutex;

use super::*;
use crate::cassandra::{CassandraOptions, ConnectError, Copies};

/// One test at a time: each goes through all that is in the keyspace, and one sets the note that there is one of.
static TURN: Mutex<()> = Mutex::const_new(());

fn options() -> Option<CassandraOptions> {
    let Ok(node) = std::env::var("BANTER_TEST_CASSANDRA") else {
        eprintln!("not run: BANTER_TEST_CASSANDRA is not set");
        return None;
    };
    let (keyspace, copies) = ("banter_test_moved".to_owned(), Copies::InEveryDataCenter(1));
    Some(CassandraOptions { keyspace, copies, ..CassandraOptions::of_nodes([node]) })
}

async fn connect() -> Option<(CassandraHistory, Random)> {
    let options = options()?;
    CassandraHistory::migrate(&options).await.unwrap();
    let seed = behaviour::seed();
    eprintln!("BANTER_SEED={seed}");
    Some((CassandraHistory::connect_to_move(&options).await.unwrap(), Random::new(seed)))
}

/// Those records of a kind that are `wanted`, read in parts.
async fn found(
    history: &CassandraHistory,
    kind: HistoryPlace,
    events: usize,
    wanted: impl Fn(&HistoryRecord) -> bool,
) -> Vec<HistoryRecord> {
    let (mut place, mut found) = (kind, Vec::new());
    loop {
        let part = history.records(&place, PageSize { events, bytes: usize::MAX }).await.unwrap();
        let Some(last) = part.last() else { return found };
        place = HistoryPlace::after(last);
        found.extend(part.into_iter().filter(&wanted));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_go_in_and_come_out() {
    let _turn = TURN.lock().await;
    let Some((history, mut random)) = connect().await else { return };
    history.set_move_note(None).await.unwrap();
    behaviour::history::movable::all(&history, random.bits()).await;
}

#[tokio::test]
async fn no_server_begins_while_a_move_goes_on() {
    let _turn = TURN.lock().await;
    let Some((history, _)) = connect().await else { return };
    let options = options().unwrap();
    history.set_move_note(Some(b"half")).await.unwrap();
    assert!(matches!(CassandraHistory::connect(&options).await, Err(ConnectError::BeingMoved { .. })));
    let other = CassandraHistory::connect_to_move(&options).await.unwrap();
    assert_eq!(other.move_note().await.unwrap().as_deref(), Some(b"half".as_slice()));
    other.set_move_note(None).await.unwrap();
    CassandraHistory::connect(&options).await.unwrap();
}

/// A worker that was stopped after the head: its events are taken out as amended, and what has rows of its own follows.
#[tokio::test]
async fn what_was_not_finished_is_taken_out_whole() {
    let _turn = TURN.lock().await;
    let Some((history, mut random)) = connect().await else { return };
    let (id, user) = (ConversationId::Group(banter_model::GroupId(random.id())), UserId(random.id()));
    let mut membership = Membership::default();
    membership.enter(&message(2, "in"), false);
    let batch = HistoryBatch {
        partition: random.bits() as u32,
        position: 9,
        events: vec![row(id, 8, message(1, "as written")), row(id, 9, message(2, "the amendment"))],
        amended: vec![row(id, 9, message(1, "as amended"))],
        heads: vec![(id, Head { position: 9, ..head(2) })],
        memberships: vec![MembershipRow { user, conversation: id, membership: membership.clone(), position: 9 }],
        mentions: vec![MentionChange { user, conversation: id, seq: 1, added: true, position: 9 }],
        ..HistoryBatch::default()
    };
    let mut later = batch.clone();
    later.events = vec![row(id, 10, message(3, "above the head"))];
    for step in plan(batch).into_iter().take(2).chain(plan(later).into_iter().take(1)) {
        write::carry_out(&history.connection, step).await.unwrap();
    }
    let events = found(
        &history,
        HistoryPlace::Events(None),
        1_000,
        |record| matches!(record, HistoryRecord::Event(EventRecord { conversation, .. }) if *conversation == id),
    );
    let expected = [message(1, "as amended"), message(2, "the amendment")];
    assert_eq!(events.await, expected.map(|event| HistoryRecord::Event(EventRecord { conversation: id, event })));
    let heads = found(
        &history,
        HistoryPlace::Conversations(None),
        1_000,
        |record| matches!(record, HistoryRecord::Conversation(ConversationRecord { conversation, .. }) if *conversation == id),
    );
    assert_eq!(heads.await.len(), 1);
    let member = HistoryRecord::Membership(MembershipRecord { user, conversation: id, membership });
    assert_eq!(found(&history, HistoryPlace::Memberships(None), 1_000, |record| *record == member).await.len(), 1);
    let mention = HistoryRecord::Mention(MentionRecord { user, conversation: id, seq: 1 });
    assert_eq!(found(&history, HistoryPlace::Mentions(None), 1_000, |record| *record == mention).await.len(), 1);
}

/// Three conversations for whose keys Cassandra computes the same token.
const SAME_TOKEN: [(u64, u64); 3] = [
    (0x0212_b07d_90e2_0633, 0x7efc_1dc1_7709_9493),
    (0x733e_54b7_c7a2_2614, 0x7800_659f_82f1_9ea4),
    (0x2b4a_02bd_3416_4c26, 0x3ab1_e9ef_9b56_28df),
];

#[tokio::test]
async fn conversations_with_the_same_token_are_all_taken_out() {
    let _turn = TURN.lock().await;
    let Some((history, _)) = connect().await else { return };
    let ids = SAME_TOKEN.map(|(low, high)| ConversationId::direct(UserId(low), UserId(high)).unwrap());
    let mut stored = Vec::new();
    for id in ids {
        stored.push(HistoryRecord::Conversation(ConversationRecord {
            conversation: id,
            head: head(1),
            roster: Roster::default(),
        }));
        for user in 1..=5 {
            let progress = Progress { read: Marker { seq: 1, ordinal: 1 }, delivered: 1, changed_at: 3 };
            stored.push(HistoryRecord::Progress(ProgressRecord { user: UserId(user), conversation: id, progress }));
        }
    }
    history.restore(stored.clone()).await.unwrap();
    let keys: Vec<[u8; 16]> = ids.iter().map(|id| id.to_bytes()).collect();
    let asked = "SELECT token(conversation) FROM banter_test_moved.conversations WHERE conversation IN ? AND member = 0";
    let rows = history.connection.session.query_unpaged(asked, (keys,)).await.unwrap().into_rows_result().unwrap();
    let tokens: Vec<i64> = rows.rows::<(i64,)>().unwrap().map(|row| row.unwrap().0).collect();
    assert_eq!(tokens, [0x0123_4567_89ab_cdef; 3]);
    for events in [1, 2, 7, 1_000] {
        let mut out = Vec::new();
        for kind in [HistoryPlace::Conversations(None), HistoryPlace::Progress(None)] {
            out.extend(found(&history, kind, events, |record| stored.contains(record)).await);
        }
        assert_eq!(out.len(), stored.len(), "each once, in parts of {events}");
        assert!(stored.iter().all(|record| out.contains(record)));
    }
}

/// A roster that was put back is not taken for a newer one than what a worker writes.
#[tokio::test]
async fn a_worker_goes_on_from_what_was_put_back() {
    let _turn = TURN.lock().await;
    let Some((history, mut random)) = connect().await else { return };
    let id = ConversationId::Group(banter_model::GroupId(random.id()));
    let titled = |title: &str| {
        let members = vec![Member { user: UserId(1), role: Role::Owner, since: 1 }];
        Roster { title: title.to_owned(), members, ..Roster::default() }
    };
    let mut restored: Vec<_> =
        [1, 2].map(|seq| HistoryRecord::Event(EventRecord { conversation: id, event: message(seq, "moved") })).into();
    restored.push(HistoryRecord::Conversation(ConversationRecord { conversation: id, head: head(2), roster: titled("moved") }));
    history.restore(restored).await.unwrap();
    assert_eq!(history.event_at(id, 1).await.unwrap().unwrap().position, RESTORED, "no worker takes itself for overtaken");
    let first = 1 << 48 | 1;
    let batch = HistoryBatch {
        partition: random.bits() as u32,
        position: first,
        events: vec![row(id, first, message(3, "new"))],
        amended: vec![row(id, first, message(1, "amended"))],
        heads: vec![(id, Head { position: first, ..head(3) })],
        rosters: vec![banter_store::history::RosterRow { conversation: id, roster: titled("new"), position: first }],
        ..HistoryBatch::default()
    };
    history.commit(batch).await.unwrap();
    let conversation = history.resume(id, first).await.unwrap().unwrap();
    assert_eq!((conversation.head.seq, conversation.roster), (3, titled("new")));
    assert_eq!(history.event(id, 1).await.unwrap(), Some(message(1, "amended")));
}

#[test]
fn as_many_rows_are_asked_for_as_fill_the_page() {
    let page = PageSize { events: 2_000, bytes: 1 << 20 };
    assert_eq!(rows_wanted(page, 0, 0), FIRST_ROWS);
    assert_eq!(rows_wanted(page, 64, 64 * 100), 1_937, "as many as are missing, and one to see that it is full");
    assert_eq!(rows_wanted(page, 64, 1_000_000), FEWEST_ROWS);
    assert_eq!(rows_wanted(page, 10, 100_000), 95);
    let one = PageSize { events: 1, bytes: 0 };
    assert_eq!(rows_wanted(one, 0, 0), 2);
    assert_eq!(rows_wanted(PageSize { events: 0, bytes: 0 }, 0, 0), 1, "Cassandra takes no limit of 0");
    let all = PageSize { events: usize::MAX, bytes: usize::MAX };
    assert_eq!(rows_wanted(all, 10, 10), MOST_ROWS);
}
