//! What the workers answered, and whom they told what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use banter_model::{ConversationId, DeviceId, EventId, Objection, Refusal, Seq, Tag, UserId};
use banter_protocol::ErrorCode;
use banter_server::worker::Failure;
use banter_server::worker::delivery::{Applied, Delivery, Outcome, Stored};
use banter_store::Envelope;

use super::state::{LifeId, Shared, State};

/// What an answer is about: what a device sent with one tag, however often, or one command without a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// A device's tag.
    Tag(ConversationId, DeviceId, Tag),
    /// A command without one.
    Untagged(ConversationId, EventId),
}

impl Asked {
    /// What the answer to `envelope` is about.
    pub fn of(envelope: &Envelope) -> Asked {
        let command = &envelope.command;
        match command.tag {
            Some(tag) => Asked::Tag(command.conversation, command.device, tag),
            None => Asked::Untagged(command.conversation, command.id),
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Everything that was ever queued, by the number of its session: each is used once.
    pub queued: BTreeMap<u64, Envelope>,
    /// The answers that something is stored.
    pub stored: BTreeMap<Asked, Stored>,
    /// The answers that something is refused, by the same number.
    pub refused: BTreeMap<u64, Refusal>,
    /// Who was told of each event.
    pub news: BTreeMap<(ConversationId, Seq), BTreeSet<UserId>>,
    /// Up to where everybody who is there asked for what they may have missed, because a worker died.
    pub resynced: BTreeMap<ConversationId, Seq>,
    /// Answers for the devices: the number, and whether that was the last word.
    pub for_devices: Vec<(u64, bool)>,
}

/// Takes what a worker has to tell.
pub struct SimulatedDelivery {
    pub(super) shared: Arc<Shared>,
    pub(super) life: LifeId,
}

impl Delivery for SimulatedDelivery {
    fn deliver(&self, round: Applied) {
        let mut state = self.shared.lock();
        for outcome in round.outcomes {
            take(&mut state, self.life, outcome);
        }
    }
}

fn take(state: &mut State, life: LifeId, outcome: Outcome) {
    let Outcome { origin, conversation, answer, news, .. } = outcome;
    let number = origin.session;
    state.note(|| format!("worker {life} answers {number} in {conversation}: {answer:?}"));
    let Some(envelope) = state.told.queued.get(&number) else {
        return state.wrong(|| format!("an answer to {number}, which nobody asked"));
    };
    let (asked, objection) = (Asked::of(envelope), envelope.objection);
    let mut final_word = true;
    match answer {
        Ok(stored) => {
            let is_there = state.rows.event(conversation, stored.seq).is_some_and(|(event, _)| event.id == stored.id);
            if !is_there || state.rows.head(conversation).is_none_or(|head| head.seq < stored.seq) {
                state.wrong(|| format!("{number} is answered with {stored:?}, and that is not stored"));
            }
            if let Some(news) = news {
                let told = state.told.news.entry((conversation, stored.seq)).or_default();
                told.extend(news.members.iter().copied().chain(news.gone));
            }
            // Who is mentioned in it now may not be who was.
            let same = |one: &Stored, other: &Stored| {
                (one.seq, one.ordinal, one.id, one.at) == (other.seq, other.ordinal, other.id, other.at)
            };
            let first = state.told.stored.entry(asked).or_insert_with(|| stored.clone()).clone();
            if !same(&first, &stored) {
                state.wrong(|| format!("{asked:?} is answered with {first:?} and with {stored:?}"));
            }
        }
        Err(Failure::Refused(refusal)) => {
            let first = state.told.refused.entry(number).or_insert_with(|| refusal.clone()).clone();
            if first != refusal {
                state.wrong(|| format!("{number} is refused with {first:?} and with {refusal:?}"));
            }
        }
        // The gateway could not look; or it was applied before, and nobody knows what came of it.
        Err(Failure::Unavailable(ErrorCode::StorageUnavailable)) if objection == Some(Objection::Unchecked) => final_word = false,
        Err(Failure::Unavailable(ErrorCode::Busy)) => final_word = false,
        Err(failure) => state.wrong(|| format!("{number} is answered with {failure:?}, though its command stays in the queue")),
    }
    state.told.for_devices.push((number, final_word));
}
