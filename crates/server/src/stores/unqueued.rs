//! Commands that a queue took and could not keep: whoever asked is told to send them again.

use std::sync::{Arc, OnceLock};

use banter_protocol::ErrorCode;
use banter_store::Envelope;

use crate::worker::Failure;
use crate::worker::delivery::{Applied, Delivery, Outcome};

/// Answers for commands that did not get into the queue.
#[derive(Default)]
pub struct Unqueued(OnceLock<Arc<dyn Delivery>>);

impl Unqueued {
    /// From now on answers go to `here`: what this node pushes it is also told of.
    pub fn tell(&self, here: Arc<dyn Delivery>) {
        // There is one gateway in a process.
        let _ = self.0.set(here);
    }

    /// The command is not in the queue, as far as one knows: it may be sent again, with the same tag.
    pub fn failed(&self, envelope: Envelope) {
        let Some(here) = self.0.get() else { return };
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
