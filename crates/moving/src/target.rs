//! The installation that a move goes into.

use banter_store::directory::movable::{DirectoryPlace, RECORDS_AT_ONCE};
use banter_store::history::PageSize;
use banter_store::history::movable::{HistoryPlace, HistoryRecord, PositionRecord};
use serde::{Deserialize, Serialize};

use crate::reader::{Place, tallies};
use crate::record::{Kind, Record};
use crate::tally::Tallies;
use crate::{Installation, MoveError, Queue, Tell};

/// How far a move has come. Kept in the target's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// What is moved.
    source: String,
    reached: Reached,
    /// How many partitions the source's queue has; 0 before that is known.
    partitions: u32,
    /// The greatest position of the source's partitions so far.
    highest: u64,
}

/// What has arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reached {
    /// The records of the source up to here.
    Place(Place),
    /// So many records of the file.
    Records(u64),
}

/// An installation that is being filled.
pub struct Target<'a> {
    installation: &'a Installation,
    note: Note,
}

impl<'a> Target<'a> {
    /// Begins a move of `source` into `installation`, or goes on with it: then what had arrived is returned too.
    ///
    /// # Errors
    /// [`MoveError::NotEmpty`] if there is something in it that no move has put there, [`MoveError::OtherMove`] if another one has.
    pub async fn begin(installation: &'a Installation, source: String) -> Result<(Self, Option<Reached>), MoveError> {
        if let Some(bytes) = installation.history.move_note().await? {
            let note: Note = serde_json::from_slice(&bytes).map_err(|_| MoveError::OtherMove)?;
            if note.source != source {
                return Err(MoveError::OtherMove);
            }
            let reached = note.reached.clone();
            return Ok((Target { installation, note }, Some(reached)));
        }
        if !is_empty(installation).await? {
            return Err(MoveError::NotEmpty);
        }
        let note = Note { source, reached: Reached::Records(0), partitions: 0, highest: 0 };
        let target = Target { installation, note };
        // Before anything else: from here on no server is started on it.
        target.write_note().await?;
        Ok((target, None))
    }

    /// Stores records, durably, and notes that they have arrived.
    ///
    /// # Errors
    /// When an engine fails, or the records do not fit the target. Any part of them may be stored then.
    pub async fn put(&mut self, records: Vec<Record>, reached: Reached) -> Result<(), MoveError> {
        let (mut people, mut logs) = (Vec::new(), Vec::new());
        for record in records {
            match record {
                Record::Installation(record) => {
                    self.note.partitions = record.partitions;
                    self.installation.identity.take_secret_key(&record.secret_key).await?;
                    self.installation.identity.take_ids_until(record.ids_until).await?;
                }
                Record::Directory(record) => people.push(record),
                Record::History(HistoryRecord::Position(record)) => {
                    self.note.highest = self.note.highest.max(record.position);
                    self.check_queue()?;
                    if self.keeps_positions() {
                        logs.push(HistoryRecord::Position(record));
                    }
                }
                Record::History(record) => {
                    if let HistoryRecord::Conversation(conversation) = &record
                        && conversation.head.position > self.note.highest
                    {
                        let (head, stored) = (conversation.head.position, self.note.highest);
                        return Err(MoveError::NotDrained { head, stored });
                    }
                    logs.push(record);
                }
            }
        }
        for part in people.chunks(RECORDS_AT_ONCE) {
            self.installation.directory.restore(part).await?;
        }
        if !logs.is_empty() {
            self.installation.history.restore(logs).await?;
        }
        // Last: what is noted has arrived, and what arrives twice changes nothing.
        self.note.reached = reached;
        self.write_note().await
    }

    /// Compares what arrived with what was sent, and ends the move: a server may be started on it now.
    ///
    /// # Errors
    /// [`MoveError::Different`] if it is not the same.
    pub async fn finish(self, sent: &Tallies, tell: Tell<'_>) -> Result<(), MoveError> {
        let arrived = tallies(self.installation, tell).await?;
        let mut different = arrived.differences(sent.by_kind());
        // Ids and partitions are the target's own; so are positions, if it has another number of partitions.
        different.retain(|kind| *kind != Kind::Installation && (*kind != Kind::Position || self.keeps_positions()));
        if !different.is_empty() {
            return Err(MoveError::Different(different));
        }
        self.check_queue()?;
        let positions: Vec<u64> = match &self.installation.queue {
            Queue::AfterHistory { .. } if self.keeps_positions() => Vec::new(),
            Queue::AfterHistory { partitions } => vec![self.note.highest; *partitions as usize],
            Queue::After(positions) => positions.clone(),
        };
        let positions = (0..).zip(positions);
        let positions = positions.map(|(partition, position)| HistoryRecord::Position(PositionRecord { partition, position }));
        self.installation.history.restore(positions.collect()).await?;
        self.installation.identity.complete().await?;
        Ok(self.installation.history.set_move_note(None).await?)
    }

    /// Do partitions go on from exactly where the source's were? The mapping of conversations to partitions is the same then.
    fn keeps_positions(&self) -> bool {
        matches!(self.installation.queue, Queue::AfterHistory { partitions } if partitions == self.note.partitions)
    }

    /// Does the queue give positions after all that were given before?
    fn check_queue(&self) -> Result<(), MoveError> {
        let needed = self.note.highest;
        match &self.installation.queue {
            Queue::AfterHistory { .. } => Ok(()),
            Queue::After(positions) => match (0..).zip(positions).find(|(_, begins)| **begins < needed) {
                Some((partition, begins)) => Err(MoveError::QueueBehind { partition, begins: *begins, needed }),
                None => Ok(()),
            },
        }
    }

    async fn write_note(&self) -> Result<(), MoveError> {
        // It fails for maps whose keys are no text, and there are none.
        let note = serde_json::to_vec(&self.note).expect("a note is JSON");
        Ok(self.installation.history.set_move_note(Some(&note)).await?)
    }
}

/// Is there nobody, and was nothing said?
async fn is_empty(installation: &Installation) -> Result<bool, MoveError> {
    let one = PageSize { events: 1, bytes: 0 };
    for place in [HistoryPlace::Events(None), HistoryPlace::Conversations(None)] {
        if !installation.history.records(&place, one).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(installation.directory.records(&DirectoryPlace::Users(None), 1).await?.is_empty())
}
