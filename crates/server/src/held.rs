//! What a device wrote stays in the order in which it wrote it, also when one of its commands has to be sent again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use banter_model::{ConversationId, DeviceId, Tag};

/// The longest that later commands wait for an earlier one to be sent again, since anything of the device failed there last. A device that
/// gave the earlier one up must not be shut out; but one whose frames are held up themselves, each until an engine is back, sends it again
/// behind them.
const HELD_FOR: Duration = Duration::from_secs(600);
/// Most devices held up at one time; beyond it nobody is, until the next failure.
const DEVICES: usize = 10_000;

/// The commands that were refused with "later", the lowest of each device in each conversation. Later ones of the same device are
/// refused with "later" too until it comes again.
#[derive(Debug, Default)]
pub struct Held(HashMap<(ConversationId, DeviceId), (Tag, Instant)>);

impl Held {
    /// `tag` was refused with "later".
    pub fn hold(&mut self, conversation: ConversationId, device: DeviceId, tag: Tag, now: Instant) {
        if self.0.len() >= DEVICES {
            self.0.clear();
        }
        let (lowest, since) = self.0.entry((conversation, device)).or_insert((tag, now));
        (*lowest, *since) = ((*lowest).min(tag), now);
    }

    /// Is nobody held up?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has `tag` to wait for an earlier one? When it is the one waited for, nothing waits any more. One before it changes nothing: a device
    /// that sends everything again leaves out what it was told to send later.
    pub fn must_wait(&mut self, conversation: ConversationId, device: DeviceId, tag: Tag, now: Instant) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some((lowest, since)) = self.0.get(&(conversation, device)) else { return false };
        let over = tag == *lowest || now.duration_since(*since) >= HELD_FOR;
        let waits = tag > *lowest && !over;
        if over {
            self.0.remove(&(conversation, device));
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;

    use super::*;

    const GROUP: ConversationId = ConversationId::Group(GroupId(7));
    const PHONE: DeviceId = DeviceId(10);

    fn tag(number: u64) -> Tag {
        Tag::new(number).unwrap()
    }

    #[test]
    fn later_ones_wait_until_the_lowest_comes_again() {
        let (mut held, now) = (Held::default(), Instant::now());
        assert!(!held.must_wait(GROUP, PHONE, tag(5), now));
        held.hold(GROUP, PHONE, tag(6), now);
        held.hold(GROUP, PHONE, tag(5), now);
        assert!(held.must_wait(GROUP, PHONE, tag(6), now));
        assert!(!held.must_wait(GROUP, DeviceId(11), tag(6), now));
        assert!(!held.must_wait(GROUP, PHONE, tag(4), now), "it is an earlier one");
        assert!(held.must_wait(GROUP, PHONE, tag(6), now), "which is not the one that is waited for");
        assert!(!held.must_wait(GROUP, PHONE, tag(5), now));
        assert!(!held.must_wait(GROUP, PHONE, tag(6), now));
    }

    #[test]
    fn a_frame_that_an_engine_holds_up_does_not_end_the_wait() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        // It was looked at when the engine was back, two minutes later, and the one that is waited for comes behind it.
        let back = now + Duration::from_secs(120);
        assert!(held.must_wait(GROUP, PHONE, tag(6), back));
        assert!(!held.must_wait(GROUP, PHONE, tag(5), back), "it comes again");
        assert!(!held.must_wait(GROUP, PHONE, tag(6), back));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        assert!(!held.must_wait(GROUP, PHONE, tag(6), now + HELD_FOR));
    }
}
