//! What was said before a server starts: written by the server's own workers, so that the files are those it would have made.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use banter_model::{Action, Command, ConversationId, DeviceId, EventId, Tag, UserId};
use banter_server::clock::Ids;
use banter_server::metrics::Metrics;
use banter_server::serve::{EMBEDDED_PARTITIONS, IDS_FILE};
use banter_server::worker::Worker;
use banter_server::worker::delivery::{Applied, Delivery};
use banter_store::data_folder::DataFolder;
use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};
use banter_store::embedded::queue::EmbeddedQueue;
use banter_store::{CommandQueue, Envelope, History, Origin};
use parking_lot::Mutex;
use tokio::task::JoinSet;

/// What the commands that wait in one partition may weigh.
const WAITING: u32 = 4_096;

/// Something that somebody did.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where.
    pub conversation: ConversationId,
    /// Who, from the device with the same number.
    pub sender: UserId,
    /// The device's number for it.
    pub tag: Option<Tag>,
    /// What.
    pub action: Action,
}

/// Writes `entries` into the data folder at `path`, in their order: through the queue, the fold and the history, synced, as the server
/// does it. Does not touch the folder when there are none.
///
/// # Errors
/// When an entry is refused.
pub async fn write(path: &Path, entries: impl IntoIterator<Item = Entry>) -> Result<()> {
    let mut entries = entries.into_iter().peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let folder = Arc::new(DataFolder::open(path)?);
    let (node, ids) = (folder.node(), Ids::open(folder.node(), &folder.path().join(IDS_FILE))?);
    let history = Arc::new(EmbeddedHistory::open(folder, HistoryOptions::default())?);
    let mut positions = Vec::new();
    for partition in 0..EMBEDDED_PARTITIONS {
        positions.push(history.position(partition).await?);
    }
    let (queue, readers) = EmbeddedQueue::new(EMBEDDED_PARTITIONS, WAITING, &positions);
    let refused = Arc::new(Refused::default());
    let metrics = Arc::new(Metrics::default());
    let mut workers = JoinSet::new();
    for reader in readers {
        let worker = Worker::new(Box::new(reader), history.clone(), refused.clone(), metrics.clone());
        workers.spawn(worker.run());
    }
    for Entry { conversation, sender, tag, action } in entries {
        let id = EventId(ids.next().await?);
        let command = Command { conversation, sender, device: DeviceId(sender.0), tag, id, action };
        let origin = Origin { gateway: node, session: 0 };
        queue.push(Envelope { command, origin, objection: None }).await?;
        if refused.first.lock().is_some() {
            break;
        }
    }
    queue.close();
    while let Some(ended) = workers.join_next().await {
        ended?;
    }
    history.close().await?;
    let first = refused.first.lock().take();
    ensure!(first.is_none(), "what was to be written beforehand was refused: {}", first.unwrap_or_default());
    Ok(())
}

/// Nobody is there to be delivered to; the first refusal is kept.
#[derive(Default)]
struct Refused {
    first: Mutex<Option<String>>,
}

impl Delivery for Refused {
    fn deliver(&self, round: Applied) {
        let failure = round.outcomes.into_iter().find_map(|outcome| outcome.answer.err());
        if let Some(failure) = failure {
            self.first.lock().get_or_insert_with(|| failure.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;
    use banter_store::history::{Order, PageSize};

    use super::*;

    fn send(conversation: ConversationId, sender: u64, tag: u64) -> Entry {
        let action = Action::Send { text: format!("number {tag}"), reply_to: None, mentions: Vec::new() };
        Entry { conversation, sender: UserId(sender), tag: Tag::new(tag).ok(), action }
    }

    #[tokio::test]
    async fn what_is_written_stands_in_the_history() {
        let folder = tempfile::tempdir().unwrap();
        let group = ConversationId::Group(GroupId(7));
        let members = vec![UserId(2), UserId(3)];
        let create = Action::CreateGroup { title: "three".to_owned(), members, earlier_history: false };
        let create = Entry { conversation: group, sender: UserId(1), tag: None, action: create };
        let messages = (1..=50).map(|tag| send(group, 1 + tag % 3, tag));
        write(folder.path(), [create].into_iter().chain(messages)).await.unwrap();
        let opened = Arc::new(DataFolder::open(folder.path()).unwrap());
        let history = EmbeddedHistory::open(opened, HistoryOptions::default()).unwrap();
        let events = history.events(group, 1, u64::MAX, Order::OldestFirst, PageSize::LARGEST).await.unwrap();
        assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), (1..=51).collect::<Vec<_>>());
        assert!(history.membership(UserId(3), group).await.unwrap().is_some());
        history.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_refusal_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let stranger = send(ConversationId::Group(GroupId(7)), 1, 1);
        assert!(write(folder.path(), [stranger]).await.is_err());
    }
}
