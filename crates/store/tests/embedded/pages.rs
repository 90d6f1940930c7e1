//! Pages of a history that is more than a memtable: in tables of several levels, amended later, and read after a restart.

use banter_model::{ConversationId, Event, GroupId, Seq};
use banter_store::History;
use banter_store::behaviour::history::{head, message, row};
use banter_store::embedded::history::EmbeddedHistory;
use banter_store::history::{HistoryBatch, Order, PageSize};

use super::open;

const CONVERSATIONS: u64 = 40;
const EVENTS: Seq = 600;

/// What is to be at `seq` of a conversation.
fn expected(conversation: u64, seq: Seq, amended: bool) -> Event {
    let text =
        format!("{conversation} said {seq}, {}", if amended && seq.is_multiple_of(7) { "and took it back" } else { "as always" });
    message(seq, &text)
}

async fn write(history: &EmbeddedHistory, position: u64, events: Vec<(u64, Event)>) {
    let name = |conversation| ConversationId::Group(GroupId(conversation));
    let heads = (1..=CONVERSATIONS).map(|conversation| (name(conversation), head(EVENTS))).collect();
    let events = events.into_iter().map(|(conversation, event)| row(name(conversation), position, event)).collect();
    history.commit(HistoryBatch { partition: 0, position, events, heads, ..HistoryBatch::default() }).await.unwrap();
}

async fn compare(history: &EmbeddedHistory, amended: bool) {
    let size = PageSize { events: 50, bytes: usize::MAX };
    for conversation in 1..=CONVERSATIONS {
        let id = ConversationId::Group(GroupId(conversation));
        for first in [1, 38, 256, 551, 580] {
            let last = first + 49;
            let mut page = history.events(id, first, last, Order::NewestFirst, size).await.unwrap();
            page.reverse();
            assert_eq!(page, history.events(id, first, last, Order::OldestFirst, size).await.unwrap());
            let all: Vec<_> = (first..=last.min(EVENTS)).map(|seq| expected(conversation, seq, amended)).collect();
            assert_eq!(page, all, "from {first} in {conversation}");
        }
    }
}

#[tokio::test]
async fn pages_come_from_all_levels_with_what_was_amended() {
    let folder = tempfile::tempdir().unwrap();
    let history = open(folder.path());
    let mut position = 0;
    for seq in 1..=EVENTS {
        position += 1;
        write(
            &history,
            position,
            (1..=CONVERSATIONS).map(|conversation| (conversation, expected(conversation, seq, false))).collect(),
        )
        .await;
    }
    compare(&history, false).await;
    assert!(history.engine().tables_by_level.iter().sum::<usize>() > 0, "everything is still in memory");
    drop(history);
    let history = open(folder.path());
    compare(&history, false).await;
    for seq in (7..=EVENTS).step_by(7) {
        position += 1;
        write(
            &history,
            position,
            (1..=CONVERSATIONS).map(|conversation| (conversation, expected(conversation, seq, true))).collect(),
        )
        .await;
    }
    compare(&history, true).await;
    drop(history);
    compare(&open(folder.path()), true).await;
}
