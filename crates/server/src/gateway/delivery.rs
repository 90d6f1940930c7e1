//! Delivery within one process: from the workers straight into the outboxes.

use banter_protocol::ServerFrame;

use crate::commands::WAITER;
use crate::gateway::Gateway;
use crate::worker::delivery::{Delivery, Outcome};

impl Delivery for Gateway {
    fn deliver(&self, round: Vec<Outcome>) {
        for outcome in round {
            self.hand_out(outcome);
        }
    }
}

impl Gateway {
    fn hand_out(&self, outcome: Outcome) {
        let Outcome { origin, sender, conversation, tag, weight, answer, news } = outcome;
        let node = &self.node;
        let ours = origin.gateway == node.number;
        if let Some(news) = news {
            let writer = ours.then_some(origin.session);
            for member in news.members.iter().copied().chain(news.gone) {
                node.hub.send_encoded(member, &news.frame, writer.filter(|_| member == sender));
            }
        }
        if !ours {
            return;
        }
        if origin.session & WAITER != 0 {
            node.commands.answer(origin.session, answer);
            return;
        }
        // A session that is gone asks again from its next one, with the same tag.
        let Some(session) = node.hub.session(sender, origin.session) else { return };
        if let Some(tag) = tag {
            let frame = match answer {
                Ok(stored) => ServerFrame::Sent {
                    tag,
                    conversation,
                    seq: stored.seq,
                    ordinal: stored.ordinal,
                    id: stored.id,
                    at: stored.at,
                    mentions: stored.mentions,
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
            };
            self.give(&session, &frame);
        }
        session.answered(weight);
    }
}
