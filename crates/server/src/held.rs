//! What a device wrote stays in the order in which it wrote it, also when one of its commands has to be sent again.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use banter_model::{ConversationId, DeviceId, Tag};

/// Later commands wait for an earlier one to be sent again as long as the device says something in the conversation within this time. With an
/// engine away, each of the frames that are ahead of the resend may take its whole timeout.
const HELD_FOR: Duration = Duration::from_secs(60);
/// The longest since the earlier one failed last: a device that gave it up must not be shut out.
const HELD_AT_MOST: Duration = Duration::from_secs(600);
/// Most devices held up at one time; beyond it nobody is, until the next failure.
const DEVICES: usize = 10_000;

/// The commands that were refused with "later", the lowest of each device in each conversation. Later ones of the same device are
/// refused with "later" too until it comes again.
#[derive(Debug, Default)]
pub struct Held(HashMap<(ConversationId, DeviceId), Waited>);

/// What later commands wait for.
#[derive(Debug, Clone, Copy)]
struct Waited {
    /// The lowest that is to be sent again.
    tag: Tag,
    /// When it, or one of those above it, failed last.
    failed: Instant,
    /// When the device last sent anything there.
    heard: Instant,
}

impl Held {
    /// `tag` was refused with "later".
    pub fn hold(&mut self, conversation: ConversationId, device: DeviceId, tag: Tag, now: Instant) {
        if self.0.len() >= DEVICES {
            self.0.clear();
        }
        let waited = self.0.entry((conversation, device)).or_insert(Waited { tag, failed: now, heard: now });
        *waited = Waited { tag: waited.tag.min(tag), failed: now, heard: now };
    }

    /// Is nobody held up?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has `tag` to wait for an earlier one? When it is the one waited for, or before it, nothing waits any more.
    pub fn must_wait(&mut self, conversation: ConversationId, device: DeviceId, tag: Tag, now: Instant) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let Some(waited) = self.0.get_mut(&(conversation, device)) else { return false };
        let in_time = now.duration_since(waited.heard) < HELD_FOR && now.duration_since(waited.failed) < HELD_AT_MOST;
        let waits = tag > waited.tag && in_time;
        waited.heard = now;
        if !waits {
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
        assert!(!held.must_wait(GROUP, PHONE, tag(5), now));
        assert!(!held.must_wait(GROUP, PHONE, tag(6), now));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        assert!(!held.must_wait(GROUP, PHONE, tag(6), now + HELD_FOR));
        // Nor those who go on as if nothing had happened.
        held.hold(GROUP, PHONE, tag(5), now);
        let step = HELD_FOR / 2;
        let shut_out = (1..).take_while(|number| held.must_wait(GROUP, PHONE, tag(6), now + step * *number)).count();
        assert_eq!(shut_out, 19, "for less than ten minutes");
    }

    #[test]
    fn slow_frames_do_not_end_the_wait() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        // Each takes ten seconds to be found unanswerable, and the one that is waited for comes behind them.
        for number in 1..=30 {
            assert!(held.must_wait(GROUP, PHONE, tag(5 + u64::from(number)), now + Duration::from_secs(10) * number));
        }
        assert!(!held.must_wait(GROUP, PHONE, tag(5), now + Duration::from_secs(310)), "it comes again");
        assert!(!held.must_wait(GROUP, PHONE, tag(6), now + Duration::from_secs(310)));
    }
}
