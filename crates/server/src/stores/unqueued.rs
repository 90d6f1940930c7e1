//! Commands that a queue took and could not keep: whoever asked is told to send them again, and what the same device wrote later in that
//! conversation waits until it did.
//!
//! The fold would not mind: it applies a tag that comes late, as long as it is within the window of those before it, and the device's words
//! would have changed places in the log. Devices send again in order of their tags, but what they sent before they knew is on its way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, Weak};
use std::time::Instant;

use banter_fleet::kafka::Unsent;
use banter_model::{ConversationId, Tag};
use banter_protocol::ErrorCode;
use banter_store::Envelope;
use parking_lot::Mutex;

use crate::held::Held;
use crate::worker::Failure;
use crate::worker::delivery::{Applied, Delivery, Outcome};

/// Answers for commands that did not get into the queue.
#[derive(Default)]
pub struct Unqueued {
    here: OnceLock<Weak<dyn Delivery>>,
    held: Mutex<Held>,
    /// Is anybody held up? Asked for every command; the lock is for those moments when it is true.
    holding: AtomicBool,
}

impl Unqueued {
    /// From now on answers go to `here`: what this node pushes it is also told of.
    pub fn tell(&self, here: Weak<dyn Delivery>) {
        // There is one gateway in a process.
        let _ = self.here.set(here);
    }

    /// The command is not in the queue, as far as one knows: it may be sent again, with the same tag, and holds up later ones until then.
    pub fn failed(&self, envelope: Envelope) {
        let command = &envelope.command;
        if let Some(tag) = command.tag {
            let mut held = self.held.lock();
            held.hold(command.conversation, envelope.origin.session, tag, Instant::now());
            self.holding.store(true, Ordering::Release);
        }
        self.answer_later(envelope);
    }

    /// A command of a session here has its answer, which is not "later": an earlier copy of it was in the queue, perhaps.
    pub fn answered(&self, conversation: ConversationId, session: u64, tag: Tag) {
        if self.holding.load(Ordering::Acquire) {
            let mut held = self.held.lock();
            held.answered(conversation, session, tag);
            self.holding.store(!held.is_empty(), Ordering::Release);
        }
    }

    fn answer_later(&self, envelope: Envelope) {
        let Some(here) = self.here.get().and_then(Weak::upgrade) else { return };
        let Envelope { command, origin, .. } = envelope;
        let outcome = Outcome {
            origin,
            sender: command.sender,
            conversation: command.conversation,
            tag: command.tag,
            weight: command.action.weight(),
            answer: Err(Failure::Unavailable(ErrorCode::Busy)),
            news: None,
        };
        // Nothing was stored, so of which partition does not matter.
        here.deliver(Applied { partition: 0, stored_up_to: None, outcomes: vec![outcome] });
    }
}

impl Unsent for Unqueued {
    fn failed(&self, command: Envelope, _reason: &str) {
        Unqueued::failed(self, command);
    }

    fn holds_back(&self, Envelope { command, origin, .. }: &Envelope) -> bool {
        let Some(tag) = command.tag.filter(|_| self.holding.load(Ordering::Acquire)) else { return false };
        let mut held = self.held.lock();
        let waits = held.must_wait(command.conversation, origin.session, tag, Instant::now());
        self.holding.store(!held.is_empty(), Ordering::Release);
        waits
    }

    fn held_back(&self, command: Envelope) {
        self.answer_later(command);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banter_model::{Action, Command, DeviceId, EventId, UserId};
    use banter_store::Origin;

    use super::*;

    /// Notes which commands are to be sent again.
    #[derive(Default)]
    struct Told(Mutex<Vec<(DeviceId, Option<Tag>)>>);

    impl Delivery for Told {
        fn deliver(&self, round: Applied) {
            for outcome in round.outcomes {
                assert_eq!(outcome.answer, Err(Failure::Unavailable(ErrorCode::Busy)));
                self.0.lock().push((DeviceId(outcome.origin.session), outcome.tag));
            }
        }
    }

    fn command(device: u64, peer: u64, tag: Option<u64>) -> Envelope {
        let action = Action::Send { text: "x".to_owned(), reply_to: None, mentions: Vec::new() };
        let conversation = ConversationId::direct(UserId(1), UserId(peer)).unwrap();
        let (device, tag) = (DeviceId(device), tag.map(|tag| Tag::new(tag).unwrap()));
        let command = Command { conversation, sender: UserId(1), device, tag, id: EventId(1), action };
        Envelope { origin: Origin { gateway: 0, session: device.0 }, command, objection: None }
    }

    #[test]
    fn later_ones_of_the_device_wait_until_it_is_sent_again() {
        let (unqueued, told) = (Unqueued::default(), Arc::<Told>::default());
        let here: Arc<dyn Delivery> = told.clone();
        unqueued.tell(Arc::downgrade(&here));
        let holds_back = |device, peer, tag| unqueued.holds_back(&command(device, peer, tag));
        assert!(!holds_back(7, 2, Some(6)));
        unqueued.failed(command(7, 2, Some(5)));
        assert!(holds_back(7, 2, Some(6)) && holds_back(7, 2, Some(7)));
        unqueued.held_back(command(7, 2, Some(6)));
        // Other devices, other conversations, and what the API asks for have no place in its order.
        assert!(!holds_back(8, 2, Some(6)) && !holds_back(7, 3, Some(6)) && !holds_back(7, 2, None));
        assert!(!holds_back(7, 2, Some(5)), "it comes again");
        assert!(!holds_back(7, 2, Some(6)) && !holds_back(7, 2, Some(7)));
        assert!(!unqueued.holding.load(Ordering::Acquire), "nobody pays for it any more");
        let tag = |tag| (DeviceId(7), Some(Tag::new(tag).unwrap()));
        assert_eq!(*told.0.lock(), [tag(5), tag(6)]);
    }

    #[test]
    fn one_that_was_in_the_queue_before_is_not_waited_for() {
        let unqueued = Unqueued::default();
        unqueued.failed(command(7, 2, Some(5)));
        let conversation = command(7, 2, None).command.conversation;
        assert!(unqueued.holds_back(&command(7, 2, Some(6))));
        [5, 6].iter().for_each(|number| unqueued.answered(conversation, 7, Tag::new(*number).unwrap()));
        assert!(!unqueued.holds_back(&command(7, 2, Some(7))) && !unqueued.holding.load(Ordering::Acquire));
    }

    #[test]
    fn one_that_fails_again_holds_again() {
        let unqueued = Unqueued::default();
        for _ in 0..3 {
            unqueued.failed(command(7, 2, Some(5)));
            assert!(unqueued.holds_back(&command(7, 2, Some(6))));
            assert!(!unqueued.holds_back(&command(7, 2, Some(5))));
        }
    }
}
