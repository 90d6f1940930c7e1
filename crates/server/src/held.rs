//! What a device wrote stays in the order in which it wrote it, also when one of its commands has to be sent again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use banter_model::limits::UNANSWERED_PER_CONVERSATION;
use banter_model::{ConversationId, Tag};

/// The longest that later commands wait for earlier ones to be sent again, since anything of the session failed there last. A device that
/// gave the earlier ones up must not be shut out; but one whose frames are held up themselves, each until an engine is back, sends them again
/// behind them.
const HELD_FOR: Duration = Duration::from_secs(600);
/// Most sessions that are held up at one time, each conversation counted; beyond it nobody is, until the next failure.
const SESSIONS: usize = 10_000;
/// Most commands of a session in a conversation that are remembered: more than its device may leave unanswered.
const COMMANDS: usize = 2 * UNANSWERED_PER_CONVERSATION;

/// The commands that were answered "later" and did not come again yet, by conversation and session. Whatever the session sends after
/// one of them is answered "later" too.
///
/// By session, since what a device sends in one session is in order of the tags. A session that is gone leaves its commands here until they
/// are too many or too old; the device's next one begins with nothing.
#[derive(Debug, Default)]
pub struct Held(HashMap<(ConversationId, u64), Commands>);

#[derive(Debug)]
struct Commands {
    told_later: BTreeSet<Tag>,
    since: Instant,
}

impl Held {
    /// `tag` of `session` was refused with "later".
    pub fn hold(&mut self, conversation: ConversationId, session: u64, tag: Tag, now: Instant) {
        if self.0.len() >= SESSIONS {
            self.0.clear();
        }
        let new = || Commands { told_later: BTreeSet::new(), since: now };
        let commands = self.0.entry((conversation, session)).or_insert_with(new);
        commands.since = now;
        commands.told_later(tag);
    }

    /// Is nobody held up?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has `tag` to wait for an earlier one? Then it is to be answered "later", and those after it wait for it too.
    pub fn must_wait(&mut self, conversation: ConversationId, session: u64, tag: Tag, now: Instant) -> bool {
        let Entry::Occupied(mut held) = self.0.entry((conversation, session)) else { return false };
        let commands = held.get_mut();
        if now.duration_since(commands.since) >= HELD_FOR {
            held.remove();
            return false;
        }
        commands.told_later.remove(&tag);
        if commands.told_later.range(..tag).next().is_some() {
            commands.told_later(tag);
            return true;
        }
        if commands.told_later.is_empty() {
            held.remove();
        }
        false
    }

    /// `tag` of `session` has its answer, by another copy of it: it does not come again, and nothing waits for it.
    pub fn answered(&mut self, conversation: ConversationId, session: u64, tag: Tag) {
        let Entry::Occupied(mut held) = self.0.entry((conversation, session)) else { return };
        held.get_mut().told_later.remove(&tag);
        if held.get().told_later.is_empty() {
            held.remove();
        }
    }
}

impl Commands {
    fn told_later(&mut self, tag: Tag) {
        if self.told_later.len() < COMMANDS {
            self.told_later.insert(tag);
        }
    }
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;

    use super::*;

    const GROUP: ConversationId = ConversationId::Group(GroupId(7));
    const PHONE: u64 = 10;

    fn tag(number: u64) -> Tag {
        Tag::new(number).unwrap()
    }

    /// Which of `tags`, sent one after the other, are let through.
    fn let_through(held: &mut Held, tags: impl IntoIterator<Item = u64>, now: Instant) -> Vec<u64> {
        tags.into_iter().filter(|number| !held.must_wait(GROUP, PHONE, tag(*number), now)).collect()
    }

    #[test]
    fn later_ones_wait_until_the_lowest_comes_again() {
        let (mut held, now) = (Held::default(), Instant::now());
        assert_eq!(let_through(&mut held, [5], now), [5]);
        held.hold(GROUP, PHONE, tag(6), now);
        held.hold(GROUP, PHONE, tag(5), now);
        assert!(!held.must_wait(GROUP, 11, tag(6), now), "another session");
        assert_eq!(let_through(&mut held, [6, 4, 6, 5, 6, 7], now), [4, 5, 6, 7]);
        assert!(held.is_empty());
    }

    /// 5 fails, 6 is told to wait, and 7 was not sent yet. When 5 comes again, 6 is still to come: the device hears of it after it sent 7.
    #[test]
    fn one_that_waited_is_waited_for() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        assert_eq!(let_through(&mut held, [6, 5, 7, 8], now), [5]);
        assert_eq!(let_through(&mut held, [6, 7, 8, 9], now), [6, 7, 8, 9]);
        assert!(held.is_empty());
    }

    #[test]
    fn what_was_answered_is_not_waited_for() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        assert_eq!(let_through(&mut held, [6, 7], now), [0; 0]);
        held.answered(GROUP, PHONE, tag(5));
        assert_eq!(let_through(&mut held, [7], now), [0; 0], "6 has not come again");
        held.answered(GROUP, PHONE, tag(6));
        assert_eq!(let_through(&mut held, [7], now), [7]);
        assert!(held.is_empty());
    }

    #[test]
    fn a_frame_that_an_engine_holds_up_does_not_end_the_wait() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        // It was looked at when the engine was back, two minutes later, and the one that is waited for comes behind it.
        let back = now + Duration::from_secs(120);
        assert_eq!(let_through(&mut held, [6, 5, 6], back), [5, 6]);
    }

    #[test]
    fn nobody_waits_for_ever_or_takes_all_memory() {
        let (mut held, now) = (Held::default(), Instant::now());
        held.hold(GROUP, PHONE, tag(5), now);
        assert_eq!(let_through(&mut held, 6..1_000, now), [0; 0]);
        assert_eq!(held.0[&(GROUP, PHONE)].told_later.len(), COMMANDS);
        assert_eq!(let_through(&mut held, [6], now + HELD_FOR), [6]);
        (0..=SESSIONS as u64).for_each(|session| held.hold(GROUP, session, tag(1), now));
        assert_eq!(held.0.len(), 1);
    }
}
