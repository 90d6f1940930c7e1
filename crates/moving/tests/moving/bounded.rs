//! What is held at a time does not grow with what is moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use banter_model::{ConversationId, EventBody, GroupId, Head, Roster};
use banter_moving::{Installation, export, import, migrate};
use banter_store::StoreError;
use banter_store::behaviour::Random;
use banter_store::behaviour::history::message;
use banter_store::history::PageSize;
use banter_store::history::movable::{ConversationRecord, EventRecord, HistoryPlace, HistoryRecord, MovableHistory};

use super::installations::{embedded, fill, lines, quiet};
use super::random::installation;

/// Bytes of text in one event: with few of them a part is full.
const TEXT: usize = 250_000;
/// Events in all.
const EVENTS: u64 = 24;

/// A history that notes the most text that was handed over at once.
struct Measured {
    history: Arc<dyn MovableHistory>,
    most: Arc<AtomicUsize>,
}

impl Measured {
    fn note(&self, records: &[HistoryRecord]) {
        let bytes = |record: &HistoryRecord| match record {
            HistoryRecord::Event(EventRecord { event, .. }) => event.body.text_bytes(),
            _ => 0,
        };
        self.most.fetch_max(records.iter().map(bytes).sum(), Ordering::SeqCst);
        assert!(records.len() <= 2_000, "{} records at once", records.len());
    }
}

#[async_trait]
impl MovableHistory for Measured {
    async fn records(&self, after: &HistoryPlace, page: PageSize) -> Result<Vec<HistoryRecord>, StoreError> {
        let records = self.history.records(after, page).await?;
        self.note(&records);
        Ok(records)
    }

    async fn restore(&self, records: Vec<HistoryRecord>) -> Result<(), StoreError> {
        self.note(&records);
        self.history.restore(records).await
    }

    async fn move_note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.history.move_note().await
    }

    async fn set_move_note(&self, note: Option<&[u8]>) -> Result<(), StoreError> {
        assert!(note.is_none_or(|note| note.len() < 1_000), "a note of {note:?}");
        self.history.set_move_note(note).await
    }
}

fn measured(installation: &Installation, most: &Arc<AtomicUsize>) -> Installation {
    let history = Arc::new(Measured { history: installation.history.clone(), most: most.clone() });
    Installation { history, ..installation.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_of_one_size_however_much_there_is() {
    let (from, to, imported) = (embedded().await, embedded().await, embedded().await);
    // Many small records, and large ones.
    fill(&from.installation, &installation(&mut Random::new(3), 150, 8).records).await;
    let conversation = ConversationId::Group(GroupId(5));
    for seq in 1..=EVENTS {
        let mut event = message(seq, &"é".repeat(TEXT / 2));
        // Every other one is twice as long in JSON.
        if let (EventBody::Message { text, .. }, true) = (&mut event.body, seq % 2 == 0) {
            *text = "\"".repeat(TEXT);
        }
        from.history.restore(vec![HistoryRecord::Event(EventRecord { conversation, event })]).await.unwrap();
    }
    let head = Head { seq: EVENTS, ..Head::default() };
    let roster = Roster::default();
    from.history.restore(vec![HistoryRecord::Conversation(ConversationRecord { conversation, head, roster })]).await.unwrap();

    let most = Arc::new(AtomicUsize::new(0));
    let file = from.folder.path().join("export");
    migrate(&measured(&from.installation, &most), &measured(&to.installation, &most), &quiet).await.unwrap();
    export(&measured(&from.installation, &most), &file, 7, &quiet).await.unwrap();
    import(&file, &measured(&imported.installation, &most), &quiet).await.unwrap();
    // A part is full at a megabyte, with the text that fills it.
    let most = most.load(Ordering::SeqCst);
    assert!((TEXT..=(1 << 20) + TEXT).contains(&most), "{most} bytes of text at once, of {}", TEXT as u64 * EVENTS);
    let first = lines(&to.installation, to.folder.path(), "moved").await;
    assert!(first == lines(&imported.installation, imported.folder.path(), "moved").await);
}
