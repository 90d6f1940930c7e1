//! Delivery within one process: from the workers straight into the outboxes.

use banter_protocol::ServerFrame;

use crate::clock;
use crate::commands::WAITER;
use crate::gateway::Gateway;
use crate::gateway::batch::{Batch, Reply};
use crate::worker::delivery::{Applied, Delivery, Outcome};

impl Delivery for Gateway {
    fn deliver(&self, round: Applied) {
        let Applied { partition, stored_up_to, outcomes } = round;
        let batches = Batch::of_round(outcomes, |outcome| self.reply(outcome));
        if let Some(position) = stored_up_to {
            self.node.points.note(partition, position, batches.iter().filter_map(Batch::happened), clock::now());
        }
        for batch in batches {
            self.hand_out(batch);
        }
    }
}

impl Gateway {
    /// Who waits for the answer to a command, and the answer.
    fn reply(&self, outcome: &mut Outcome) -> Reply {
        let node = &self.node;
        let Outcome { origin, conversation, tag, weight, answer, .. } = outcome;
        let (conversation, weight) = (*conversation, *weight);
        if origin.gateway != node.number {
            return Reply::Elsewhere;
        }
        if origin.session & WAITER != 0 {
            return Reply::Request(origin.session, answer.clone());
        }
        if let Some(tag) = tag {
            self.note_answer(conversation, origin.session, *tag, answer.as_ref().err());
        }
        let frame = tag.map(|tag| match answer {
            Ok(stored) => ServerFrame::Sent {
                tag,
                conversation,
                seq: stored.seq,
                ordinal: stored.ordinal,
                id: stored.id,
                at: stored.at,
                mentions: std::mem::take(&mut stored.mentions),
            },
            Err(failure) => {
                node.metrics.refused(failure.code());
                ServerFrame::Error {
                    code: failure.code().to_owned(),
                    message: failure.to_string(),
                    tag: Some(tag.get()),
                    conversation: Some(conversation),
                    retry_after: failure.retry_after(),
                }
            }
        });
        Reply::Session { number: origin.session, frame: frame.map(|frame| node.hub.encode(&frame)), weight }
    }

    /// A session that is gone asks again from its next one, with the same tag.
    fn hand_out(&self, batch: Batch) {
        let node = &self.node;
        for recipient in batch.recipients() {
            for session in node.hub.sessions(recipient.user) {
                node.hub.count_all(session.push_all(batch.frames(recipient, session.number)));
                match batch.weight(recipient.user, session.number) {
                    0 => {}
                    weight => session.answered(weight),
                }
            }
        }
        for entry in batch.entries {
            if let Reply::Request(number, answer) = entry.reply {
                node.commands.answer(number, answer);
            }
        }
    }
}
