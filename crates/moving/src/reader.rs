//! Every record of an installation, in one order.

use std::mem::discriminant;

use banter_store::directory::movable::{DirectoryPlace, RECORDS_AT_ONCE};
use banter_store::history::PageSize;
use banter_store::history::movable::HistoryPlace;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::record::{InstallationRecord, Record, hex};
use crate::tally::Tallies;
use crate::{Installation, MoveError, News, Tell};

/// How many records are in memory at once, and about how many bytes of them.
const PART: PageSize = PageSize { events: RECORDS_AT_ONCE, bytes: 1 << 20 };

/// Where one is among the records of an installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// Before the first.
    Beginning,
    /// Among people.
    Directory(DirectoryPlace),
    /// Among logs.
    History(HistoryPlace),
    /// After the last.
    End,
}

impl Place {
    /// The place right after `record`.
    pub fn after(record: &Record) -> Place {
        match record {
            Record::Installation(_) => Place::Directory(DirectoryPlace::KINDS[0].clone()),
            Record::Directory(record) => Place::Directory(DirectoryPlace::after(record)),
            Record::History(record) => Place::History(HistoryPlace::after(record)),
        }
    }

    /// The beginning of the next kind.
    fn next_kind(&self) -> Place {
        match self {
            Place::Beginning => Place::Directory(DirectoryPlace::KINDS[0].clone()),
            Place::Directory(place) => {
                let mut rest = DirectoryPlace::KINDS.into_iter().skip_while(|kind| discriminant(kind) != discriminant(place));
                rest.nth(1).map_or(Place::History(HistoryPlace::KINDS[0]), Place::Directory)
            }
            Place::History(place) => {
                let mut rest = HistoryPlace::KINDS.into_iter().skip_while(|kind| discriminant(kind) != discriminant(place));
                rest.nth(1).map_or(Place::End, Place::History)
            }
            Place::End => Place::End,
        }
    }
}

/// Reads the records of an installation, a bounded part at a time.
pub struct Reader<'a> {
    installation: &'a Installation,
    place: Place,
}

impl<'a> Reader<'a> {
    /// From `place` on.
    pub fn new(installation: &'a Installation, place: Place) -> Self {
        Reader { installation, place }
    }

    /// The next records, in order; empty after the last.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn next(&mut self) -> Result<Vec<Record>, MoveError> {
        loop {
            let part: Vec<Record> = match &self.place {
                Place::Beginning => vec![itself(self.installation).await?],
                Place::Directory(place) => {
                    let records = self.installation.directory.records(place, PART.events).await?;
                    records.into_iter().map(Record::Directory).collect()
                }
                Place::History(place) => {
                    let records = self.installation.history.records(place, PART).await?;
                    records.into_iter().map(Record::History).collect()
                }
                Place::End => return Ok(Vec::new()),
            };
            match part.last() {
                Some(last) => {
                    self.place = Place::after(last);
                    return Ok(part);
                }
                None => self.place = self.place.next_kind(),
            }
        }
    }
}

async fn itself(installation: &Installation) -> Result<Record, MoveError> {
    let secret_key = installation.identity.secret_key().await?;
    let secret_key = secret_key.ok_or_else(|| MoveError::Identity("the source has no secret key".to_owned()))?;
    let ids_until = installation.identity.ids_until().await?;
    Ok(Record::Installation(InstallationRecord { secret_key, ids_until, partitions: installation.queue.partitions() }))
}

/// What tells an installation in the state that it is in from others: another one as soon as something was written in it. (Not when only
/// a profile was changed: that is found when all is compared.)
pub(crate) async fn fingerprint(installation: &Installation) -> Result<String, MoveError> {
    let mut hash = Sha256::new();
    hash.update(itself(installation).await?.line());
    let mut place = HistoryPlace::Positions(None);
    loop {
        let part = installation.history.records(&place, PART).await?;
        let Some(last) = part.last() else { break };
        place = HistoryPlace::after(last);
        part.into_iter().for_each(|record| hash.update(Record::History(record).line()));
    }
    Ok(hex(&hash.finalize()))
}

/// Reads everything, and counts it.
pub(crate) async fn tallies(installation: &Installation, tell: Tell<'_>) -> Result<Tallies, MoveError> {
    let mut reader = Reader::new(installation, Place::Beginning);
    let mut tallies = Tallies::default();
    loop {
        let part = reader.next().await?;
        if part.is_empty() {
            return Ok(tallies);
        }
        tallies.add_all(&part);
        tell(News::Compared(&tallies));
    }
}
