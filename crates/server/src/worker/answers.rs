//! Answers that were given lately: what is asked again is answered from memory.
//!
//! When a stream between nodes breaks, all sessions of a gateway ask again for whatever they have no answer to. Looking for each of these in
//! the history of a fleet, one after the other, would hold up everybody in the partition for seconds.

use std::collections::VecDeque;

use banter_model::{ConversationId, DeviceId, Event, Seq, Tag};
use banter_store::history::{Order, PAGES_SCANNED_FOR_TAG, PageSize};
use banter_store::{History, StoreError};

use super::delivery::Stored;

/// Most answers of a conversation that are remembered: what four devices may have on their way.
const ANSWERS: usize = 128;
/// About what one takes, in bytes.
const ANSWER_BYTES: usize = 80;

/// The answers to the latest tagged commands of a conversation.
#[derive(Default)]
pub(super) struct Answers(VecDeque<(DeviceId, Tag, Stored)>);

impl Answers {
    /// Remembers what the command that made `event` was answered. Of one without a tag nobody asks again.
    pub fn note(&mut self, event: &Event) {
        let Some(tag) = event.tag else { return };
        if self.0.len() >= ANSWERS {
            self.0.pop_front();
        }
        self.0.push_back((event.device, tag, Stored::of(event)));
    }

    /// What `device` was answered to `tag`, if that is remembered.
    pub fn find(&self, device: DeviceId, tag: Tag) -> Option<&Stored> {
        self.0.iter().find(|answer| (answer.0, answer.1) == (device, tag)).map(|(_, _, stored)| stored)
    }

    /// The same, or looked for in the history at `at_most` and before it, as [`History::find_tag`] does. What else the device wrote there is
    /// remembered too: who asks for one again asks for those after it next.
    pub async fn look_up(
        &mut self,
        history: &dyn History,
        id: ConversationId,
        (device, tag): (DeviceId, Tag),
        at_most: Seq,
    ) -> Result<Option<Stored>, StoreError> {
        let mut last = at_most;
        for _ in 0..PAGES_SCANNED_FOR_TAG {
            if let Some(stored) = self.find(device, tag) {
                return Ok(Some(stored.clone()));
            }
            let page = history.events(id, 1, last, Order::NewestFirst, PageSize::LARGEST).await?;
            let Some(oldest) = page.last().map(|event| event.seq) else { break };
            for event in page.iter().filter(|event| event.device == device) {
                if event.tag.is_some_and(|tag| self.find(device, tag).is_none()) {
                    self.note(event);
                }
                if event.tag == Some(tag) {
                    break;
                }
            }
            last = oldest - 1;
        }
        Ok(self.find(device, tag).cloned())
    }

    /// About what they take, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.len() * ANSWER_BYTES
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banter_model::{GroupId, Head};
    use banter_store::HistoryBatch;
    use banter_store::behaviour::history::{message, row};
    use banter_store::data_folder::DataFolder;
    use banter_store::embedded::history::{EmbeddedHistory, HistoryOptions};

    use super::*;

    const GROUP: ConversationId = ConversationId::Group(GroupId(7));
    const PHONE: DeviceId = DeviceId(10);

    fn tag(number: u64) -> Tag {
        Tag::new(number).unwrap()
    }

    fn written(device: DeviceId, seq: Seq) -> Event {
        Event { device, tag: Some(tag(seq)), ..message(seq, "text") }
    }

    #[test]
    fn the_latest_are_remembered() {
        let mut answers = Answers::default();
        let most = ANSWERS as u64;
        (1..=most + 2).for_each(|seq| answers.note(&written(PHONE, seq)));
        answers.note(&Event { tag: None, ..written(PHONE, most + 3) });
        assert_eq!((answers.find(PHONE, tag(2)), answers.bytes()), (None, ANSWERS * ANSWER_BYTES));
        assert_eq!(answers.find(PHONE, tag(3)).map(|stored| stored.seq), Some(3));
        assert_eq!(answers.find(DeviceId(11), tag(3)), None, "it is another device's");
    }

    #[tokio::test]
    async fn one_look_finds_what_is_asked_for_next() {
        let folder = tempfile::tempdir().unwrap();
        let data = Arc::new(DataFolder::open(folder.path()).unwrap());
        let history = EmbeddedHistory::open(data, HistoryOptions::default()).unwrap();
        let head = Head { seq: 1_000, position: 1, ..Head::default() };
        let mut batch = HistoryBatch { partition: 0, position: 1, heads: vec![(GROUP, head)], ..HistoryBatch::default() };
        // Every twentieth is the phone's.
        let device = |seq| if seq % 20 == 0 { PHONE } else { DeviceId(11) };
        batch.events = (1..=1_000).map(|seq| row(GROUP, 1, written(device(seq), seq))).collect();
        history.commit(batch).await.unwrap();
        let mut answers = Answers::default();
        let found = answers.look_up(&history, GROUP, (PHONE, tag(400)), 1_000).await.unwrap();
        assert_eq!(found.map(|stored| stored.seq), Some(400), "some pages further down");
        assert!((400..=1_000).step_by(20).all(|seq| answers.find(PHONE, tag(seq)).is_some()), "without another look");
        assert_eq!(answers.find(PHONE, tag(380)), None);
        assert_eq!(answers.look_up(&history, GROUP, (PHONE, tag(401)), 1_000).await.unwrap(), None, "that is another device's");
    }
}
