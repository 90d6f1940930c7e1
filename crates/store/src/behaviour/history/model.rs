//! Random batches, against a history in memory.

use std::collections::BTreeMap;

use banter_model::{ConversationId, Event, Head, Seq};

use super::{batch, group, head, message, row};
use crate::behaviour::Random;
use crate::history::{History, HistoryBatch, Order, PageSize};

/// Commits batches of new and amended events in a few conversations, and compares random pages with what they should be.
pub(super) async fn random_batches_read_back(history: &dyn History, random: &mut Random) {
    let ids: Vec<_> = (0..6).map(|_| group(random)).collect();
    let mut logs: BTreeMap<ConversationId, BTreeMap<Seq, Event>> = ids.iter().map(|id| (*id, BTreeMap::new())).collect();
    let mut heads: BTreeMap<ConversationId, Head> = BTreeMap::new();
    let HistoryBatch { partition, mut position, .. } = batch(random);
    for _ in 0..60 {
        let mut batch = HistoryBatch { partition, ..HistoryBatch::default() };
        for _ in 0..random.below(40) {
            let id = ids[random.below(ids.len() as u64) as usize];
            let length = logs[&id].len() as u64;
            // A new event, or an earlier one with another text.
            let seq = if length > 0 && random.below(5) == 0 { 1 + random.below(length) } else { length + 1 };
            let event = message(seq, &text(random));
            logs.entry(id).or_default().insert(seq, event.clone());
            position += 1;
            let rows = if seq > length { &mut batch.events } else { &mut batch.amended };
            rows.push(row(id, position, event));
            heads.insert(id, Head { position, ..head(logs[&id].len() as u64) });
            batch.heads.push((id, heads[&id].clone()));
        }
        // Commands that were refused count too.
        position += 1 + random.below(10);
        batch.position = position;
        history.commit(batch).await.unwrap();
        assert_eq!(history.position(partition).await.unwrap(), position);
        let id = ids[random.below(ids.len() as u64) as usize];
        compare(history, id, &logs[&id], random).await;
    }
    for (id, log) in &logs {
        assert_eq!(history.heads(&[*id]).await.unwrap(), [heads.get(id).cloned()]);
        compare(history, *id, log, random).await;
    }
}

/// Mostly short, sometimes long, sometimes with nothing in it.
fn text(random: &mut Random) -> String {
    let length = [0, 10, 100, 100, 5_000][random.below(5) as usize] + random.below(50);
    (0..length).map(|_| char::from(b'a' + random.below(26) as u8)).collect()
}

async fn compare(history: &dyn History, id: ConversationId, log: &BTreeMap<Seq, Event>, random: &mut Random) {
    for _ in 0..4 {
        let (first, last) = (random.below(log.len() as u64 + 2), random.below(log.len() as u64 + 2));
        let size = PageSize { events: 1 + random.below(50) as usize, bytes: random.below(20_000) as usize };
        let order = if random.below(2) == 0 { Order::OldestFirst } else { Order::NewestFirst };
        let mut range: Vec<&Event> = log.values().filter(|event| (first..=last).contains(&event.seq)).collect();
        if order == Order::NewestFirst {
            range.reverse();
        }
        let (mut expected, mut bytes) = (Vec::new(), 0);
        for event in range {
            bytes += event.body.text_bytes();
            if expected.len() == size.events || (bytes > size.bytes && !expected.is_empty()) {
                break;
            }
            expected.push(event.clone());
        }
        let page = history.events(id, first, last, order, size).await.unwrap();
        assert_eq!(page, expected, "{first} to {last}, {order:?}, {size:?}");
    }
}
