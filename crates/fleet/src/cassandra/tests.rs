//! What is left of batches that were not carried out to the end, or twice, or late: against a real Cassandra, where
//! `BANTER_TEST_CASSANDRA` names a node of it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use banter_model::position::pack;
use banter_model::{ConversationId, Event, GroupId, Head, Marker, Membership, Roster, Seq, UserId};
use banter_store::behaviour::history::{head, message, row};
use banter_store::behaviour::{self, Random};
use banter_store::history::plan::{Redo, Step, plan};
use banter_store::history::{History, HistoryBatch, MembershipRow, MentionChange, Order, PageSize, RosterRow};
use tokio::sync::OnceCell;

use super::{CassandraHistory, CassandraOptions, Copies, write};

static MADE: OnceCell<()> = OnceCell::const_new();

async fn connect() -> Option<(CassandraHistory, Random)> {
    let Ok(node) = std::env::var("BANTER_TEST_CASSANDRA") else {
        eprintln!("not run: BANTER_TEST_CASSANDRA is not set");
        return None;
    };
    let (keyspace, copies) = ("banter_test".to_owned(), Copies::InEveryDataCenter(1));
    let options = CassandraOptions { keyspace, copies, ..CassandraOptions::of_nodes([node]) };
    MADE.get_or_init(|| async { CassandraHistory::migrate(&options).await.unwrap() }).await;
    let seed = behaviour::seed();
    eprintln!("BANTER_SEED={seed}");
    Some((CassandraHistory::connect(&options).await.unwrap(), Random::new(seed)))
}

/// A conversation, and a partition that is its own.
struct Place {
    id: ConversationId,
    partition: u32,
    user: UserId,
}

fn place(random: &mut Random) -> Place {
    Place { id: ConversationId::Group(GroupId(random.id())), partition: random.bits() as u32, user: UserId(random.id()) }
}

impl Place {
    /// A batch of commands up to `position` that leaves the log at `seq`.
    fn batch(&self, position: u64, seq: Seq) -> HistoryBatch {
        let heads = vec![(self.id, self.head(position, seq))];
        HistoryBatch { partition: self.partition, position, heads, ..HistoryBatch::default() }
    }

    fn head(&self, position: u64, seq: Seq) -> Head {
        Head { position, ..head(seq) }
    }

    /// Three messages, at positions 1 to 3.
    fn messages(&self) -> HistoryBatch {
        let events = (1..=3).map(|seq| row(self.id, seq, message(seq, "as written"))).collect();
        HistoryBatch { events, ..self.batch(3, 3) }
    }

    /// One more message at position 4; message 2 amended and somebody coming in, by the command at position 5.
    fn amendment(&self) -> HistoryBatch {
        let mut batch = self.batch(5, 5);
        batch.events = vec![row(self.id, 4, message(4, "as written")), row(self.id, 5, message(5, "the amendment"))];
        batch.amended = vec![row(self.id, 5, message(2, "as amended"))];
        batch.memberships = vec![self.membership(5)];
        batch.mentions = vec![self.mention(true, 5)];
        batch.rosters = vec![self.roster("after", 5)];
        batch
    }

    fn membership(&self, position: u64) -> MembershipRow {
        let mut membership = Membership::default();
        membership.enter(&message(position, "in"), false);
        MembershipRow { user: self.user, conversation: self.id, membership, position }
    }

    fn mention(&self, added: bool, position: u64) -> MentionChange {
        MentionChange { user: self.user, conversation: self.id, seq: 2, added, position }
    }

    fn roster(&self, title: &str, position: u64) -> RosterRow {
        let roster = Roster { title: title.to_owned(), ..Roster::default() };
        RosterRow { conversation: self.id, roster, position }
    }

    async fn texts(&self, history: &CassandraHistory) -> Vec<(Seq, String)> {
        let page = history.events(self.id, 1, Seq::MAX, Order::OldestFirst, PageSize::LARGEST).await.unwrap();
        page.iter().map(|event| (event.seq, text(event))).collect()
    }
}

fn text(event: &Event) -> String {
    match &event.body {
        banter_model::EventBody::Message { text, .. } => text.clone(),
        other => panic!("{other:?}"),
    }
}

/// Carries out the first `steps` of a batch, as a worker does that dies then.
async fn carry_out(history: &CassandraHistory, batch: HistoryBatch, steps: usize) {
    let steps: Vec<Step> = plan(batch).into_iter().take(steps).collect();
    for step in steps {
        write::carry_out(&history.connection, step).await.unwrap();
    }
}

#[tokio::test]
async fn nothing_shows_before_the_head_is_written() {
    let Some((history, mut random)) = connect().await else { return };
    let place = place(&mut random);
    carry_out(&history, place.messages(), 1).await;
    assert_eq!(history.conversation(place.id).await.unwrap(), None);
    assert_eq!(place.texts(&history).await, []);
    assert_eq!(history.event(place.id, 1).await.unwrap(), None);

    history.commit(place.messages()).await.unwrap();
    carry_out(&history, place.amendment(), 1).await;
    let before = [1, 2, 3].map(|seq| (seq, "as written".to_owned()));
    assert_eq!(place.texts(&history).await, before);
    assert_eq!(history.event(place.id, 4).await.unwrap(), None);
    let newest = history.events(place.id, 1, 5, Order::NewestFirst, PageSize { events: 1, bytes: 1 }).await.unwrap();
    assert_eq!(newest[0].seq, 3);
    assert_eq!(history.heads(&[place.id]).await.unwrap(), [Some(place.head(3, 3))]);
    assert_eq!(history.membership(place.user, place.id).await.unwrap(), None);
}

#[tokio::test]
async fn from_the_head_on_everything_is_redone() {
    let Some((history, mut random)) = connect().await else { return };
    let place = place(&mut random);
    history.commit(place.messages()).await.unwrap();
    carry_out(&history, place.amendment(), 2).await;
    let after: Vec<(Seq, String)> = ["as written", "as amended", "as written", "as written", "the amendment"]
        .iter()
        .zip(1..)
        .map(|(text, seq)| (seq, (*text).to_owned()))
        .collect();
    assert_eq!(place.texts(&history).await, after, "reads show what the redo list says");
    let amended = history.event_at(place.id, 2).await.unwrap().unwrap();
    assert_eq!((text(&amended.event).as_str(), amended.position), ("as amended", 5));
    assert_eq!(history.membership(place.user, place.id).await.unwrap(), None, "not before it is redone");

    let redone = || history.counters().redone.load(Relaxed);
    assert_eq!(history.resume(place.id, 5).await.unwrap(), history.conversation(place.id).await.unwrap());
    assert_eq!(redone(), 0, "everything up to position 5 was said to be whole");
    assert_eq!(history.resume(place.id, pack(1, 0).unwrap()).await.unwrap().unwrap().head, place.head(5, 5));
    assert_eq!(redone(), 1, "a position of another epoch says nothing of this one");
    let resumed = history.resume(place.id, 3).await.unwrap().unwrap();
    assert_eq!((resumed.head, resumed.roster.title.as_str()), (place.head(5, 5), "after"));
    assert_eq!(redone(), 2);
    assert_eq!(history.membership(place.user, place.id).await.unwrap(), Some(place.membership(5).membership));
    assert_eq!(history.mentions(place.user, place.id, 0, 10).await.unwrap(), [2]);

    // The next batch replaces the list: what it said is in the rows.
    let next = HistoryBatch { events: vec![row(place.id, 6, message(6, "next"))], ..place.batch(6, 6) };
    history.commit(next).await.unwrap();
    assert_eq!(place.texts(&history).await[..5], after);
}

#[tokio::test]
async fn who_is_late_changes_nothing() {
    let Some((history, mut random)) = connect().await else { return };
    let place = place(&mut random);
    for batch in [place.messages(), place.amendment()] {
        history.commit(batch).await.unwrap();
    }
    // Two more: the person leaves, message 2 is amended again and mentions nobody, the title changes.
    let mut last = place.batch(7, 7);
    last.events = vec![row(place.id, 6, message(6, "and")), row(place.id, 7, message(7, "again"))];
    last.amended = vec![row(place.id, 7, message(2, "as amended again"))];
    last.mentions = vec![place.mention(false, 7)];
    last.memberships = vec![place.membership(7)];
    last.rosters = vec![place.roster("last", 7)];
    last.read = vec![(place.user, place.id, Marker { seq: 7, ordinal: 7 })];
    history.commit(last.clone()).await.unwrap();

    let state = || async {
        (
            place.texts(&history).await,
            history.conversation(place.id).await.unwrap(),
            history.membership(place.user, place.id).await.unwrap(),
            history.mentions(place.user, place.id, 0, 10).await.unwrap(),
            history.progress(place.user, place.id).await.unwrap(),
        )
    };
    let before = state().await;
    assert_eq!((before.0.len(), before.0[1].1.as_str(), before.3.len()), (7, "as amended again", 0));
    // A worker that was paused before its second batch; one that begins anew from the start; the same batch once more; and all of it in
    // other batches than before.
    let mut together = place.messages();
    together.events.extend(place.amendment().events);
    together.amended = place.amendment().amended;
    together.heads.extend(place.amendment().heads);
    together.position = 5;
    let late = Marker { seq: 6, ordinal: 6 };
    let amendment = HistoryBatch { read: vec![(place.user, place.id, late)], ..place.amendment() };
    for batch in [amendment, place.messages(), place.amendment(), last, together] {
        for steps in 0..4 {
            carry_out(&history, batch.clone(), steps).await;
        }
        history.commit(batch).await.unwrap();
        assert_eq!(state().await, before);
    }
    let positions = history.positions(&[place.partition]).await.unwrap();
    assert_eq!(positions, [7]);
}

#[tokio::test]
async fn a_large_redo_list_goes_when_it_is_done() {
    let Some((history, mut random)) = connect().await else { return };
    let place = place(&mut random);
    history.commit(place.messages()).await.unwrap();
    let large = "x".repeat(100_000);
    let mut batch = place.amendment();
    batch.amended = vec![row(place.id, 5, message(2, &large))];
    carry_out(&history, batch.clone(), 2).await;
    assert_eq!(history.state(place.id).await.unwrap().unwrap().1.events, batch.amended);
    history.commit(batch).await.unwrap();
    assert_eq!(history.state(place.id).await.unwrap().unwrap().1, Redo::default());
    assert_eq!(text(&history.event(place.id, 2).await.unwrap().unwrap()), large);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_side_by_side_write_the_same() {
    let Some((history, mut random)) = connect().await else { return };
    let (history, place) = (Arc::new(history), Arc::new(place(&mut random)));
    // Each amends the event before. Four workers apply the same log, each in batches of its own.
    let length = 60_u64;
    let seeds: Vec<u64> = (0..4).map(|_| random.bits()).collect();
    let workers = seeds.into_iter().map(|seed| {
        let (history, place) = (Arc::clone(&history), Arc::clone(&place));
        tokio::spawn(async move {
            let mut random = Random::new(seed);
            let mut next = 1;
            while next <= length {
                let last = (next + random.below(7)).min(length);
                let mut batch = place.batch(last, last);
                batch.events = (next..=last).map(|seq| row(place.id, seq, message(seq, "as written"))).collect();
                batch.amended =
                    (next.max(2)..=last).map(|seq| row(place.id, seq, message(seq - 1, &format!("amended by {seq}")))).collect();
                history.commit(batch).await.unwrap();
                next = last + 1;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let amended = (1..length).map(|seq| (seq, format!("amended by {}", seq + 1)));
    let expected: Vec<_> = amended.chain([(length, "as written".to_owned())]).collect();
    assert_eq!(place.texts(&history).await, expected);
    let conversation = history.resume(place.id, 0).await.unwrap().unwrap();
    assert_eq!(conversation.head, place.head(length, length));
}
