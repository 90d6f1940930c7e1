//! The row of an event: nothing that its key says, and little that its neighbours say.
//!
//! Most of a short message's row would be ids. What is the same in the rows of one writer stands together at the front, so
//! that block compression finds it whole; what the key or another field says is left out. The form:
//!
//! ```text
//! device          8 bytes, little-endian: its first bytes tell devices apart
//! flags           1 byte (see below)
//! sender          8 bytes, little-endian; none in a direct conversation, where a flag says which of the two it is
//! seq - ordinal   varint: how many events before it were no messages
//! id              its milliseconds in 6 bytes, big-endian; the rest of it as a varint
//! tag             varint, if there is one
//! at              varint: how far the time shown is after that of the id, if it differs
//! seq - reply_to  varint, if it is an answer
//! body            the text; of anything but a plain message, the body in the encoding of banter_model::encoding
//! ```

use banter_model::encoding::DecodeError;
use banter_model::event::Amendments;
use banter_model::snowflake::time_of;
use banter_model::{ConversationId, DeviceId, Event, EventBody, EventId, Seq, Tag, UserId};

/// Sent by the lower user of a direct conversation.
const BY_LOWER: u8 = 1;
/// Sent by the higher user of a direct conversation.
const BY_HIGHER: u8 = 1 << 1;
/// A tag is there.
const TAGGED: u8 = 1 << 2;
/// The time shown is not that of the id.
const LATER: u8 = 1 << 3;
/// The body is the text of a message that mentions nobody and that nothing was done to.
const PLAIN: u8 = 1 << 4;
/// It answers a message, and is plain.
const ANSWER: u8 = 1 << 5;
/// No flag yet: a newer banter wrote it.
const UNKNOWN: u8 = !(BY_LOWER | BY_HIGHER | TAGGED | LATER | PLAIN | ANSWER);

/// Bits of an id below its milliseconds.
const BELOW_TIME: u32 = 22;
/// Bytes that the milliseconds of an id take.
const TIME_BYTES: usize = 6;
/// Most bytes before the body.
const MOST_BEFORE_BODY: usize = 8 + 1 + 8 + 10 + TIME_BYTES + 4 + 10 + 10 + 10;

/// The row of `event` in `conversation`.
pub(super) fn encode(conversation: ConversationId, event: &Event) -> Vec<u8> {
    let mut row = Vec::with_capacity(MOST_BEFORE_BODY + event.body.text_bytes());
    let plain = match &event.body {
        EventBody::Message { text, reply_to, mentions, amendments }
            if mentions.is_empty() && *amendments == Amendments::default() =>
        {
            Some((text, *reply_to))
        }
        _ => None,
    };
    let by = match conversation {
        ConversationId::Direct(low, _) if event.sender == low => BY_LOWER,
        ConversationId::Direct(_, high) if event.sender == high => BY_HIGHER,
        _ => 0,
    };
    let later = event.at.wrapping_sub(time_of(event.id.0));
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let answer = plain.and_then(|(_, reply_to)| reply_to);
    row.extend(event.device.0.to_le_bytes());
    row.push(
        by | flag(event.tag.is_some(), TAGGED)
            | flag(later != 0, LATER)
            | flag(plain.is_some(), PLAIN)
            | flag(answer.is_some(), ANSWER),
    );
    if by == 0 {
        row.extend(event.sender.0.to_le_bytes());
    }
    put(&mut row, event.seq.wrapping_sub(event.ordinal));
    row.extend(&(event.id.0 >> BELOW_TIME).to_be_bytes()[8 - TIME_BYTES..]);
    put(&mut row, event.id.0 & ((1 << BELOW_TIME) - 1));
    if let Some(tag) = event.tag {
        put(&mut row, tag.get());
    }
    if later != 0 {
        put(&mut row, later);
    }
    if let Some(reply_to) = answer {
        put(&mut row, event.seq.wrapping_sub(reply_to));
    }
    match plain {
        Some((text, _)) => row.extend(text.as_bytes()),
        // It fails only for types without a fixed shape, and a body has one; an empty body would be found damaged.
        None => row.extend(postcard::to_extend(&event.body, Vec::new()).unwrap_or_default()),
    }
    row
}

/// The event at `seq` of `conversation`, from its row.
pub(super) fn decode(conversation: ConversationId, seq: Seq, row: &[u8]) -> Result<Event, DecodeError> {
    if row.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut rest = row;
    let device = DeviceId(u64::from_le_bytes(take(&mut rest)?));
    let [flags] = take(&mut rest)?;
    if flags & UNKNOWN != 0 {
        return Err(DecodeError::NewerVersion { found: flags });
    }
    let is = |flag: u8| flags & flag != 0;
    let sender = match conversation {
        ConversationId::Direct(low, _) if is(BY_LOWER) => low,
        ConversationId::Direct(_, high) if is(BY_HIGHER) => high,
        _ => UserId(u64::from_le_bytes(take(&mut rest)?)),
    };
    let ordinal = seq.wrapping_sub(get(&mut rest)?);
    let mut time = [0; 8];
    time[8 - TIME_BYTES..].copy_from_slice(&take::<TIME_BYTES>(&mut rest)?);
    let id = u64::from_be_bytes(time) << BELOW_TIME | get(&mut rest)?;
    let tag = if is(TAGGED) { Some(Tag::new(get(&mut rest)?).map_err(|_| damaged())?) } else { None };
    let later = if is(LATER) { get(&mut rest)? } else { 0 };
    let reply_to = if is(ANSWER) { Some(seq.wrapping_sub(get(&mut rest)?)) } else { None };
    let body = if is(PLAIN) {
        let text = std::str::from_utf8(rest).map_err(|_| damaged())?.to_owned();
        EventBody::Message { text, reply_to, mentions: Vec::new(), amendments: Amendments::default() }
    } else {
        postcard::from_bytes(rest)?
    };
    Ok(Event { seq, ordinal, id: EventId(id), at: time_of(id).wrapping_add(later), sender, device, tag, body })
}

fn damaged() -> DecodeError {
    DecodeError::Damaged(postcard::Error::DeserializeBadEncoding)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (taken, after) = rest.split_first_chunk::<N>().ok_or(DecodeError::Damaged(postcard::Error::DeserializeUnexpectedEnd))?;
    *rest = after;
    Ok(*taken)
}

/// Appends a number, seven bits to a byte, the low ones first.
fn put(row: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        row.push(number as u8 | 0x80);
        number >>= 7;
    }
    row.push(number as u8);
}

/// Takes a number that [`put`] wrote.
fn get(rest: &mut &[u8]) -> Result<u64, DecodeError> {
    let (number, after) = postcard::take_from_bytes(rest)?;
    *rest = after;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;
    use banter_model::event::Mention;
    use banter_model::snowflake::EPOCH;

    use super::*;

    const LOW: UserId = UserId(0x0123_4567_89ab_cdef);
    const HIGH: UserId = UserId(0x1123_4567_89ab_cdef);
    const ID: u64 = 0x2a5_1234_5678 << BELOW_TIME | 0x3f_0001;

    fn event(sender: UserId, tag: Option<u64>, at: u64, body: EventBody) -> Event {
        let tag = tag.map(|tag| Tag::new(tag).unwrap());
        Event { seq: 300, ordinal: 298, id: EventId(ID), at, sender, device: DeviceId(u64::MAX - 3), tag, body }
    }

    fn message(text: &str, reply_to: Option<Seq>) -> EventBody {
        EventBody::Message { text: text.into(), reply_to, mentions: Vec::new(), amendments: Amendments::default() }
    }

    fn events() -> Vec<Event> {
        let mention = Mention { user: LOW, start: 0, length: 4 };
        let bodies = [
            message("", None),
            message("plain text, é and 😀", None),
            message("an answer", Some(7)),
            EventBody::Message {
                text: "@ada".into(),
                reply_to: Some(299),
                mentions: vec![mention.clone()],
                amendments: Amendments::default(),
            },
            EventBody::Message {
                text: "edited".into(),
                reply_to: None,
                mentions: Vec::new(),
                amendments: Amendments { up_to: 400, edits: vec![400], edited_at: Some(5), ..Amendments::default() },
            },
            EventBody::Edit { target: 3, text: "anew".into(), mentions: vec![mention] },
            EventBody::GroupCreated { title: "Tea".into(), members: vec![LOW], earlier_history: true },
        ];
        let times = [time_of(ID), time_of(ID) + 1, 0, EPOCH];
        let of_body = |body: &EventBody| {
            let body = body.clone();
            [LOW, HIGH, UserId(7)].into_iter().flat_map(move |sender| {
                let body = body.clone();
                [None, Some(1), Some((1 << 53) - 1)].into_iter().flat_map(move |tag| {
                    let body = body.clone();
                    times.into_iter().map(move |at| event(sender, tag, at, body.clone()))
                })
            })
        };
        bodies.iter().flat_map(of_body).collect()
    }

    #[test]
    fn events_come_back_as_they_were() {
        for conversation in [ConversationId::direct(LOW, HIGH).unwrap(), ConversationId::Group(GroupId(9))] {
            for event in events() {
                let row = encode(conversation, &event);
                assert_eq!(decode(conversation, event.seq, &row).as_ref(), Ok(&event));
            }
        }
    }

    #[test]
    fn the_form_of_a_plain_message_is_fixed() {
        let conversation = ConversationId::direct(LOW, HIGH).unwrap();
        let mut plain = event(HIGH, Some(200), time_of(ID), message("hi", Some(299)));
        plain.device = DeviceId(0x0102_0304_0506_0708);
        let mut expected = vec![8, 7, 6, 5, 4, 3, 2, 1, BY_HIGHER | TAGGED | PLAIN | ANSWER, 2];
        expected.extend([0x02, 0xa5, 0x12, 0x34, 0x56, 0x78, 0x81, 0x80, 0xfc, 0x01, 0xc8, 0x01, 1]);
        expected.extend(b"hi");
        assert_eq!(encode(conversation, &plain), expected);
    }

    #[test]
    fn damage_and_what_a_newer_banter_wrote_are_told() {
        let conversation = ConversationId::Group(GroupId(9));
        assert_eq!(decode(conversation, 1, &[]), Err(DecodeError::Empty));
        let row = encode(conversation, &event(LOW, Some(5), 0, message("text", None)));
        let before_text = row.len() - 4;
        for end in 1..before_text {
            assert!(matches!(decode(conversation, 1, &row[..end]), Err(DecodeError::Damaged(_))), "cut off at {end}");
        }
        let mut newer = row.clone();
        newer[8] |= 1 << 7;
        assert!(matches!(decode(conversation, 1, &newer), Err(DecodeError::NewerVersion { .. })));
        let mut no_text = row;
        no_text[before_text] = 0xff;
        assert!(matches!(decode(conversation, 1, &no_text), Err(DecodeError::Damaged(_))));
    }
}
