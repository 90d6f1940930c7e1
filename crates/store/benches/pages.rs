//! What reading a page of history costs when it is in memory. Cold pages are measured by `banter-load history`, which needs a history
//! that is larger than memory.

use std::hint::black_box;
use std::sync::Arc;

use banter_model::event::Amendments;
use banter_model::{ConversationId, DeviceId, Event, EventBody, EventId, Head, UserId};
use banter_store::data_folder::DataFolder;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::history::{EventRow, History, HistoryBatch, Order, PageSize};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// Conversations in the history.
const CONVERSATIONS: u64 = 100;
/// Messages of each.
const MESSAGES: u64 = 500;
/// Messages of a page.
const PAGE: usize = 50;

fn conversation(number: u64) -> Option<ConversationId> {
    ConversationId::direct(UserId(number * 2 + 1), UserId(number * 2 + 2))
}

fn message(seq: u64, sender: UserId) -> Event {
    let text = format!("message {seq} {}", "x".repeat(88));
    let body = EventBody::Message { text, reply_to: None, mentions: Vec::new(), amendments: Amendments::default() };
    Event { seq, ordinal: seq, id: EventId(seq << 22), at: seq, sender, device: DeviceId(sender.0), tag: None, body }
}

async fn fill(history: &EmbeddedHistory) -> Result<(), banter_store::StoreError> {
    for number in 0..CONVERSATIONS {
        let Some(id) = conversation(number) else { continue };
        let events = (1..=MESSAGES)
            .map(|seq| EventRow { conversation: id, event: message(seq, UserId(number * 2 + 1)), position: number + 1 })
            .collect();
        let head = Head { seq: MESSAGES, ordinal: MESSAGES, last_message: MESSAGES, ..Head::default() };
        history.commit(HistoryBatch { position: number + 1, events, heads: vec![(id, head)], ..HistoryBatch::default() }).await?;
    }
    Ok(())
}

// There is nobody to hand an error to: a bench that cannot make its history has nothing to measure.
#[allow(clippy::unwrap_used)]
fn benchmark(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let history = EmbeddedHistory::open(Arc::new(DataFolder::open(folder.path()).unwrap()), HistoryOptions::default()).unwrap();
    runtime.block_on(fill(&history)).unwrap();
    let size = PageSize { events: PAGE, ..PageSize::LARGEST };
    let mut group = criterion.benchmark_group("page of 50 messages in memory");
    group.throughput(Throughput::Elements(PAGE as u64));
    for (name, last) in [("newest", MESSAGES), ("in the middle", MESSAGES / 2)] {
        let mut number = 0;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                number = (number + 7) % CONVERSATIONS;
                let id = conversation(number).unwrap();
                let page = runtime.block_on(history.events(id, 1, last, Order::NewestFirst, size)).unwrap();
                assert_eq!(page.len(), PAGE);
                black_box(page)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, benchmark);
criterion_main!(benches);
