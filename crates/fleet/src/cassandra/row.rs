//! Rows of the tables, and what they stand for.

use banter_model::encoding::{DecodeError, VERSION};
use banter_model::limits::BUCKET_BITS;
use banter_model::{DeviceId, Event, EventBody, EventId, Marker, Ordinal, Seq, Tag, UserId};
use banter_store::StoreError;
use banter_store::history::{Progress, StoredEvent};
use scylla::value::CqlTimestamp;

/// Columns of an event as they are read: seq, ordinal, id, created at, sender, device, tag, body, and the time that the body was
/// written at.
pub(super) type EventColumns<'a> = (i64, i64, i64, CqlTimestamp, i64, i64, Option<i64>, &'a [u8], i64);

/// Cells of a user's registers in a conversation, as they are read: marker, delivered, changed at. What never moved is not there.
pub(super) type ProgressCells<'a> = (Option<&'a [u8]>, Option<i64>, Option<i64>);

/// The number that a 64-bit id is in Cassandra: the same bits. Nothing depends on the order of ids.
pub(super) fn id(id: u64) -> i64 {
    id as i64
}

/// A place in a log as a bound of a range. Cassandra's numbers end earlier, and so does every log.
pub(super) fn bound(seq: Seq) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

/// A place in a log as a key.
pub(super) fn seq(seq: Seq) -> Result<i64, StoreError> {
    i64::try_from(seq).map_err(|_| StoreError::Failed(format!("{seq} is no place in a log that Cassandra can hold")))
}

/// The time that something is written at: Cassandra keeps what has the greatest.
pub(super) fn time(position: u64) -> Result<i64, StoreError> {
    i64::try_from(position).map_err(|_| StoreError::Failed(format!("{position} is no position that Cassandra can hold")))
}

/// The time of a register: its value. Of equal times the greater bytes stay, so a register that is cut short here still only
/// grows.
pub(super) fn register_time(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The bucket of an event.
pub(super) fn bucket(seq: i64) -> i64 {
    seq >> BUCKET_BITS
}

/// The stored form of a body: a version, then postcard.
pub(super) fn encode_body(body: &EventBody) -> Vec<u8> {
    // It fails only for types without a fixed shape, and a body has one; an empty body would be found damaged.
    postcard::to_extend(body, vec![VERSION]).unwrap_or_default()
}

fn decode_body(bytes: &[u8]) -> Result<EventBody, DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, rest)) => Ok(postcard::from_bytes(rest)?),
        Some((&found, _)) => Err(DecodeError::NewerVersion { found }),
        None => Err(DecodeError::Empty),
    }
}

/// Where there is no tag, which is a cell too: without it that of an earlier write of the row, which came to nothing, would stay.
const NO_TAG: i64 = 0;

/// A tag as a cell.
pub(super) fn encode_tag(tag: Option<Tag>) -> i64 {
    tag.map_or(NO_TAG, |tag| id(tag.get()))
}

/// The event of a row.
pub(super) fn event(columns: EventColumns<'_>) -> Result<StoredEvent, StoreError> {
    let (seq, ordinal, id, CqlTimestamp(at), sender, device, tag, body, time) = columns;
    let tag = tag.filter(|tag| *tag != NO_TAG).map(|tag| Tag::new(tag as u64)).transpose().map_err(|_| damaged())?;
    let event = Event {
        seq: seq as Seq,
        ordinal: ordinal as Ordinal,
        id: EventId(id as u64),
        at: at as u64,
        sender: UserId(sender as u64),
        device: DeviceId(device as u64),
        tag,
        body: decode_body(body)?,
    };
    Ok(StoredEvent { event, position: time as u64 })
}

/// A marker as a cell: both numbers big-endian, so that of two with the same seq the greater stays.
pub(super) fn encode_marker(marker: Marker) -> [u8; 16] {
    let mut cell = [0; 16];
    cell[..8].copy_from_slice(&marker.seq.to_be_bytes());
    cell[8..].copy_from_slice(&marker.ordinal.to_be_bytes());
    cell
}

fn decode_marker(cell: &[u8]) -> Result<Marker, StoreError> {
    let number = u128::from_be_bytes(cell.try_into().map_err(|_| damaged())?);
    Ok(Marker { seq: (number >> 64) as u64, ordinal: number as u64 })
}

/// How far a user got, from the cells of their registers.
pub(super) fn progress((read, delivered, changed_at): ProgressCells<'_>) -> Result<Progress, StoreError> {
    Ok(Progress {
        read: read.map(decode_marker).transpose()?.unwrap_or_default(),
        delivered: delivered.unwrap_or_default() as Seq,
        changed_at: changed_at.unwrap_or_default() as u64,
    })
}

/// The bytes are not what they should be.
pub(super) fn damaged() -> StoreError {
    StoreError::Damaged(DecodeError::Damaged(postcard::Error::DeserializeBadEncoding))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_sort_as_their_cells_do() {
        let markers = [(0, 0), (0, 1), (1, 0), (1, 300), (255, 1), (256, 0), (u64::MAX, 7)];
        let cells = markers.map(|(seq, ordinal)| encode_marker(Marker { seq, ordinal }));
        assert!(cells.is_sorted(), "{cells:?}");
        for (cell, (seq, ordinal)) in cells.iter().zip(markers) {
            assert_eq!(decode_marker(cell).unwrap(), Marker { seq, ordinal });
        }
        assert!(decode_marker(&cells[0][1..]).is_err());
    }

    #[test]
    fn bodies_come_back_and_damage_is_told() {
        let body = EventBody::TitleChanged { title: "Tea".to_owned() };
        let bytes = encode_body(&body);
        assert_eq!(decode_body(&bytes), Ok(body));
        assert_eq!(decode_body(&[]), Err(DecodeError::Empty));
        assert_eq!(decode_body(&[9, 1]), Err(DecodeError::NewerVersion { found: 9 }));
        assert!(matches!(decode_body(&bytes[..3]), Err(DecodeError::Damaged(_))));
    }

    #[test]
    fn what_cassandra_cannot_hold_is_refused() {
        assert_eq!((bound(u64::MAX), bound(7)), (i64::MAX, 7));
        assert!(seq(u64::MAX).is_err() && time(1 << 63).is_err());
        assert_eq!(time(i64::MAX as u64).unwrap(), i64::MAX);
    }
}
