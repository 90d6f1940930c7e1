//! Exactly once: telling a resend from a new command.
//!
//! A device counts up a tag per conversation. The conversation remembers, for each device that wrote lately, the highest
//! tag and which of the 63 below it were used: the anti-replay window of IPsec (RFC 4303, section 3.4.3) and DTLS.

use serde::{Deserialize, Serialize};

use crate::id::{DeviceId, UserId};
use crate::limits::{TAG_WINDOW, WRITING_DEVICES};
use crate::{Marker, Seq};

/// A device's own number for what it sends in a conversation: 1, 2, 3 ...
///
/// Below 2^53, so that it is a JSON number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
#[cfg_attr(feature = "typescript", derive(ts_rs::TS), ts(type = "number"))]
pub struct Tag(u64);

/// The number is not a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag is a whole number from 1 to 9007199254740991 (2^53 - 1), not {0}")]
pub struct InvalidTag(pub u64);

impl Tag {
    /// `number` as a tag, if it is from 1 to 2^53 - 1.
    pub fn new(number: u64) -> Result<Self, InvalidTag> {
        if number == 0 || number >> 53 != 0 { Err(InvalidTag(number)) } else { Ok(Tag(number)) }
    }

    /// The number itself.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Tag {
    type Error = InvalidTag;

    fn try_from(number: u64) -> Result<Self, InvalidTag> {
        Tag::new(number)
    }
}

impl From<Tag> for u64 {
    fn from(tag: Tag) -> u64 {
        tag.0
    }
}

/// What the windows say of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// Not used yet.
    New,
    /// Used: its event is at `at_most` or before it.
    Before {
        /// The last place where its event can be.
        at_most: Seq,
    },
    /// So far below the device's highest tag that nobody can say.
    TooOld,
}

/// What a conversation remembers of one device that wrote in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceWindow {
    /// The device.
    pub device: DeviceId,
    /// Whose it is.
    pub user: UserId,
    /// Its highest tag.
    highest: u64,
    /// Bit n: tag `highest - n` was used.
    used: u64,
    /// Where its latest event is.
    last_seq: Seq,
    /// Where its latest message is (zero when it wrote none): writing a message means having read up to it.
    pub written: Marker,
}

/// The windows of all devices that wrote lately in one conversation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagWindows(Vec<DeviceWindow>);

impl TagWindows {
    /// Was `tag` of `device` used before?
    pub fn look_up(&self, device: DeviceId, tag: Tag) -> Seen {
        let Some(window) = self.0.iter().find(|window| window.device == device) else { return Seen::New };
        match window.highest.checked_sub(tag.0) {
            None => Seen::New,
            Some(below) if below >= TAG_WINDOW => Seen::TooOld,
            Some(below) if window.used >> below & 1 == 1 => Seen::Before { at_most: window.last_seq },
            Some(_) => Seen::New,
        }
    }

    /// Notes that `tag` made the event at `seq`. Returns the window that had to be forgotten for it, if one had.
    ///
    /// `written` is the event's marker when it is a message.
    pub fn note(&mut self, user: UserId, device: DeviceId, tag: Tag, seq: Seq, written: Option<Marker>) -> Option<DeviceWindow> {
        let mut forgotten = None;
        let index = match self.0.iter().position(|window| window.device == device) {
            Some(index) => index,
            None => {
                if self.0.len() >= WRITING_DEVICES {
                    let oldest = (0..self.0.len()).min_by_key(|index| self.0[*index].last_seq).unwrap_or(0);
                    forgotten = Some(self.0.swap_remove(oldest));
                }
                self.0.push(DeviceWindow { device, user, highest: 0, used: 0, last_seq: 0, written: Marker::default() });
                self.0.len() - 1
            }
        };
        let window = &mut self.0[index];
        match tag.0.checked_sub(window.highest) {
            Some(ahead) => {
                window.used = if ahead >= TAG_WINDOW { 0 } else { window.used << ahead };
                window.used |= 1;
                window.highest = tag.0;
            }
            None => window.used |= 1 << (window.highest - tag.0).min(TAG_WINDOW - 1),
        }
        window.last_seq = seq;
        window.written = written.unwrap_or(window.written);
        forgotten
    }

    /// The latest message that `user` wrote from any device still remembered.
    pub fn written_by(&self, user: UserId) -> Marker {
        self.0.iter().filter(|window| window.user == user).map(|window| window.written).max().unwrap_or_default()
    }

    /// How many devices are remembered.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Has no device written yet?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: UserId = UserId(1);
    const PHONE: DeviceId = DeviceId(10);

    fn tag(number: u64) -> Tag {
        Tag::new(number).unwrap()
    }

    #[test]
    fn out_of_order_inside_the_window_is_new_and_a_resend_is_not() {
        let mut windows = TagWindows::default();
        windows.note(ME, PHONE, tag(5), 1, None);
        windows.note(ME, PHONE, tag(3), 2, None);
        assert_eq!(windows.look_up(PHONE, tag(4)), Seen::New);
        assert_eq!(windows.look_up(PHONE, tag(3)), Seen::Before { at_most: 2 });
        assert_eq!(windows.look_up(PHONE, tag(5)), Seen::Before { at_most: 2 });
        assert_eq!(windows.look_up(PHONE, tag(6)), Seen::New);
        assert_eq!(windows.look_up(DeviceId(11), tag(5)), Seen::New);
    }

    #[test]
    fn the_window_ends_64_tags_down() {
        let mut windows = TagWindows::default();
        windows.note(ME, PHONE, tag(100), 1, None);
        assert_eq!(windows.look_up(PHONE, tag(37)), Seen::New);
        assert_eq!(windows.look_up(PHONE, tag(36)), Seen::TooOld);
        windows.note(ME, PHONE, tag(163), 2, None);
        assert_eq!(windows.look_up(PHONE, tag(100)), Seen::Before { at_most: 2 });
        windows.note(ME, PHONE, tag(300), 3, None);
        assert_eq!(windows.look_up(PHONE, tag(299)), Seen::New);
    }

    #[test]
    fn the_device_that_wrote_longest_ago_is_forgotten_first() {
        let mut windows = TagWindows::default();
        for device in 1..=WRITING_DEVICES as u64 {
            assert!(windows.note(ME, DeviceId(device), tag(1), device, None).is_none());
        }
        let forgotten = windows.note(ME, DeviceId(5_000), tag(1), 5_000, None).unwrap();
        assert_eq!(forgotten.device, DeviceId(1));
        assert_eq!(windows.len(), WRITING_DEVICES);
    }

    #[test]
    fn numbers_that_are_no_tags() {
        assert!(Tag::new(0).is_err() && Tag::new(1 << 53).is_err());
        assert!(Tag::new((1 << 53) - 1).is_ok());
    }
}
