//! From one installation straight into another.

use crate::reader::{Place, Reader, fingerprint, tallies};
use crate::tally::Tallies;
use crate::target::{Reached, Target};
use crate::{Installation, MoveError, News, Tell};

/// Moves everything of `from` into `to`, which is empty or was being filled with the same when that was killed. Returns what was
/// moved. `from` is only read.
///
/// # Errors
/// When it did not come to its end; calling it again goes on.
pub async fn migrate(from: &Installation, to: &Installation, tell: Tell<'_>) -> Result<Tallies, MoveError> {
    let (mut target, reached) = Target::begin(to, fingerprint(from).await?).await?;
    let resumed = reached.is_some();
    let place = match reached {
        Some(Reached::Place(place)) => {
            tell(News::Said("Goes on with the move that did not end.".to_owned()));
            place
        }
        _ => Place::Beginning,
    };
    let mut reader = Reader::new(from, place);
    let mut moved = Tallies::default();
    let mut part = reader.next().await?;
    while let Some(last) = part.last() {
        moved.add_all(&part);
        let reached = Reached::Place(Place::after(last));
        // The next part is read while this one is written.
        let (put, next) = tokio::join!(target.put(part, reached), reader.next());
        put?;
        part = next?;
        tell(News::Moved(&moved));
    }
    let sent = match resumed {
        true => {
            tell(News::Said("Reads the source again, to compare.".to_owned()));
            tallies(from, tell).await?
        }
        false => moved,
    };
    sent.check_logs()?;
    tell(News::Said("Reads the target, to compare.".to_owned()));
    target.finish(&sent, tell).await?;
    Ok(sent)
}
