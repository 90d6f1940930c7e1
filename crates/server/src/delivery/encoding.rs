//! Rounds and notices as they go between nodes.

use std::collections::HashMap;
use std::sync::Arc;

use banter_model::{ConversationId, DeviceId, EventId, Mention, Refusal, Tag, UserId};
use banter_protocol::ErrorCode;
use banter_store::Origin;

use super::wire::{self, notice, parcel};
use crate::gateway::EncodedFrame;
use crate::notices::Notice;
use crate::worker::Failure;
use crate::worker::delivery::{News, Outcome, Stored};

/// A round goes in parcels of about this many bytes at most, unless one outcome alone has more.
const PARCEL_BYTES: usize = 1 << 20;
/// About what an outcome takes besides its frame, in bytes.
const OUTCOME_BYTES: usize = 100;
/// What a user takes in a list, in bytes.
const USER_BYTES: usize = 8;

/// Another node sent what cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("another node sent what cannot be: {0}")]
pub struct Malformed(&'static str);

/// A message on its way, and about how many bytes it has.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The message.
    pub content: parcel::Content,
    /// Its bytes, roughly.
    pub bytes: usize,
}

/// Puts together what one node needs of a round, in order.
pub struct RoundBuilder {
    round: wire::Round,
    /// Where the lists of `round` are, by their addresses in memory (as long as the round lives, they are what they were).
    places: HashMap<usize, u32>,
    bytes: usize,
    full: Vec<Parcel>,
}

impl RoundBuilder {
    /// Nothing of a round of this partition.
    pub fn new(partition: u32) -> Self {
        let round = wire::Round { partition, members: Vec::new(), outcomes: Vec::new() };
        RoundBuilder { round, places: HashMap::new(), bytes: 0, full: Vec::new() }
    }

    /// Adds an outcome: its `answer` if that goes to this node, its news for `members`, those of its members (and who went out with it)
    /// who have sessions there. Nothing when neither does.
    pub fn add(&mut self, outcome: &Outcome, answer: bool, news: Option<(&[UserId], Option<UserId>)>) {
        let news = outcome.news.as_ref().zip(news).map(|(news, (members, gone))| {
            self.bytes += news.frame.socket_bytes().len();
            let members = self.list(news.members.as_ptr().addr(), members);
            let frame = news.frame.socket_bytes().clone();
            wire::News { frame, members, gone: gone.map_or(0, |user| user.0) }
        });
        let answer = answer.then(|| wire::Answer {
            session: outcome.origin.session,
            tag: outcome.tag.map_or(0, Tag::get),
            weight: outcome.weight,
            answer: Some(answer_of(&outcome.answer)),
        });
        if news.is_none() && answer.is_none() {
            return;
        }
        let conversation = outcome.conversation.to_bytes().to_vec().into();
        self.round.outcomes.push(wire::Outcome { conversation, sender: outcome.sender.0, answer, news });
        self.bytes += OUTCOME_BYTES;
        if self.bytes >= PARCEL_BYTES {
            self.seal();
        }
    }

    /// The parcels; none when there is nothing for the node.
    pub fn finish(mut self) -> Vec<Parcel> {
        if !self.round.outcomes.is_empty() {
            self.seal();
        }
        self.full
    }

    fn list(&mut self, address: usize, members: &[UserId]) -> u32 {
        let Self { round, places, bytes, .. } = self;
        *places.entry(address).or_insert_with(|| {
            *bytes += USER_BYTES * members.len();
            round.members.push(wire::Users { users: members.iter().map(|user| user.0).collect() });
            // A round has far fewer.
            u32::try_from(round.members.len() - 1).unwrap_or(u32::MAX)
        })
    }

    fn seal(&mut self) {
        let next = wire::Round { partition: self.round.partition, members: Vec::new(), outcomes: Vec::new() };
        let round = std::mem::replace(&mut self.round, next);
        self.places.clear();
        self.full.push(Parcel { content: parcel::Content::Round(round), bytes: std::mem::take(&mut self.bytes) });
    }
}

fn answer_of(answer: &Result<Stored, Failure>) -> wire::answer::Answer {
    match answer {
        Ok(stored) => wire::answer::Answer::Stored(wire::Stored {
            seq: stored.seq,
            ordinal: stored.ordinal,
            id: stored.id.0,
            at: stored.at,
            mentions: stored.mentions.iter().map(mention_of).collect(),
        }),
        // A refusal has a JSON form: it is made of names and numbers.
        Err(Failure::Refused(refusal)) => wire::answer::Answer::Refusal(serde_json::to_string(refusal).unwrap_or_default()),
        Err(Failure::Unavailable(code)) => wire::answer::Answer::Unavailable(code.code().to_owned()),
    }
}

fn mention_of(mention: &Mention) -> wire::Mention {
    wire::Mention { user: mention.user.0, start: mention.start.into(), length: mention.length.into() }
}

/// The outcomes of a round that another node sent to the one with this `number`.
///
/// # Errors
/// When something in it cannot be.
pub fn outcomes(round: wire::Round, number: u16) -> Result<Vec<Outcome>, Malformed> {
    let lists: Vec<Arc<[UserId]>> = round.members.into_iter().map(|list| list.users.into_iter().map(UserId).collect()).collect();
    round.outcomes.into_iter().map(|outcome| outcome_from(outcome, &lists, number)).collect()
}

fn outcome_from(outcome: wire::Outcome, lists: &[Arc<[UserId]>], number: u16) -> Result<Outcome, Malformed> {
    let wire::Outcome { conversation, sender, answer, news } = outcome;
    let bytes = <[u8; 16]>::try_from(&*conversation).map_err(|_| Malformed("a conversation"))?;
    let conversation = ConversationId::from_bytes(bytes).map_err(|_| Malformed("a conversation"))?;
    let news = news.map(|news| -> Result<News, Malformed> {
        let frame = EncodedFrame::from_socket_bytes(&news.frame).ok_or(Malformed("a frame"))?;
        let members = lists.get(news.members as usize).ok_or(Malformed("a list of members"))?.clone();
        let gone = Some(UserId(news.gone)).filter(|user| user.0 != 0);
        // Not said on the way: a gateway that does not apply the commands itself keeps no notes of it.
        Ok(News { frame, members, gone, roster_changed: true })
    });
    let outcome =
        |origin, tag, weight, answer, news| Outcome { origin, sender: UserId(sender), conversation, tag, weight, answer, news };
    let news = news.transpose()?;
    match answer {
        Some(wire::Answer { session, tag, weight, answer }) => {
            let tag = Some(tag).filter(|tag| *tag != 0).map(Tag::new).transpose().map_err(|_| Malformed("a tag"))?;
            let answer = answer_from(answer.ok_or(Malformed("an answer"))?)?;
            Ok(outcome(Origin { gateway: number, session }, tag, weight, answer, news))
        }
        None => {
            // No node has this number: nobody here waits for the answer, which stayed where it was.
            let origin = Origin { gateway: u16::MAX, session: 0 };
            Ok(outcome(origin, None, 0, Err(Failure::Unavailable(ErrorCode::Internal)), news))
        }
    }
}

fn answer_from(answer: wire::answer::Answer) -> Result<Result<Stored, Failure>, Malformed> {
    match answer {
        wire::answer::Answer::Stored(stored) => {
            let mentions: Result<_, Malformed> = stored.mentions.into_iter().map(mention_from).collect();
            let wire::Stored { seq, ordinal, id, at, .. } = stored;
            Ok(Ok(Stored { seq, ordinal, id: EventId(id), at, mentions: mentions? }))
        }
        wire::answer::Answer::Refusal(json) => {
            let refusal: Refusal = serde_json::from_str(&json).map_err(|_| Malformed("a refusal"))?;
            Ok(Err(refusal.into()))
        }
        wire::answer::Answer::Unavailable(code) => {
            let known = ErrorCode::ALL.iter().copied().find(|known| known.code() == code);
            Ok(Err(Failure::Unavailable(known.ok_or(Malformed("an error code"))?)))
        }
    }
}

fn mention_from(mention: wire::Mention) -> Result<Mention, Malformed> {
    let place = |number: u64| u32::try_from(number).map_err(|_| Malformed("a mention"));
    Ok(Mention { user: UserId(mention.user), start: place(mention.start)?, length: place(mention.length)? })
}

/// A notice as it goes to another node.
pub fn parcel_of(notice: &Notice) -> Parcel {
    let (content, bytes) = match notice {
        Notice::Frame { users, frame, except, .. } => {
            let bytes = frame.socket_bytes().len() + USER_BYTES * users.len();
            let except = except.map(|origin| wire::Session { gateway: origin.gateway.into(), session: origin.session });
            let users = users.iter().map(|user| user.0).collect();
            (notice::Content::Frame(wire::Frame { users, frame: frame.socket_bytes().clone(), except }), bytes)
        }
        Notice::SignedOut { user, devices, at } => {
            let devices: Vec<u64> = devices.iter().map(|device| device.0).collect();
            let bytes = USER_BYTES * (devices.len() + 2);
            (notice::Content::SignedOut(wire::SignedOut { user: user.0, devices, at: *at }), bytes)
        }
        Notice::Forget { users } => {
            let bytes = USER_BYTES * users.len();
            (notice::Content::Forget(wire::Users { users: users.iter().map(|user| user.0).collect() }), bytes)
        }
    };
    let content = parcel::Content::Notice(wire::Notice { content: Some(content) });
    Parcel { content, bytes: bytes + OUTCOME_BYTES }
}

/// A notice that another node sent.
///
/// # Errors
/// When something in it cannot be.
pub fn notice_from(notice: wire::Notice) -> Result<Notice, Malformed> {
    match notice.content.ok_or(Malformed("a notice of a kind that this version does not know"))? {
        notice::Content::Frame(wire::Frame { users, frame, except }) => {
            let frame = EncodedFrame::from_socket_bytes(&frame).ok_or(Malformed("a frame"))?;
            let origin = |except: wire::Session| -> Result<Origin, Malformed> {
                let gateway = u16::try_from(except.gateway).map_err(|_| Malformed("a node number"))?;
                Ok(Origin { gateway, session: except.session })
            };
            let except = except.map(origin).transpose()?;
            Ok(Notice::Frame { users: users.into_iter().map(UserId).collect(), frame, except, ephemeral: false })
        }
        notice::Content::SignedOut(wire::SignedOut { user, devices, at }) => {
            Ok(Notice::SignedOut { user: UserId(user), devices: devices.into_iter().map(DeviceId).collect(), at })
        }
        notice::Content::Forget(wire::Users { users }) => Ok(Notice::Forget { users: users.into_iter().map(UserId).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;
    use banter_model::conversation::Role;
    use banter_protocol::ServerFrame;
    use prost::Message;

    use super::*;

    fn frame(name: &str) -> EncodedFrame {
        EncodedFrame::new(&ServerFrame::Bye { code: 1, message: name.to_owned() })
    }

    fn outcome(answer: Result<Stored, Failure>, members: &Arc<[UserId]>, name: &str) -> Outcome {
        Outcome {
            origin: Origin { gateway: 3, session: 77 },
            sender: UserId(1),
            conversation: ConversationId::Group(GroupId(9)),
            tag: Some(Tag::new(5).unwrap()),
            weight: 2,
            answer,
            news: Some(News { frame: frame(name), members: members.clone(), gone: Some(UserId(8)), roster_changed: true }),
        }
    }

    /// What arrives of the parcels, over bytes.
    fn arrived(parcels: Vec<Parcel>) -> Vec<Outcome> {
        let mut all = Vec::new();
        for Parcel { content, .. } in parcels {
            let bytes = wire::Parcel { content: Some(content) }.encode_to_vec();
            let Some(parcel::Content::Round(round)) = wire::Parcel::decode(&*bytes).unwrap().content else { panic!() };
            all.extend(outcomes(round, 3).unwrap());
        }
        all
    }

    #[test]
    fn answers_and_news_arrive_as_they_were() {
        let members: Arc<[UserId]> = [1, 2].map(UserId).into();
        let mention = Mention { user: UserId(2), start: 1, length: 4 };
        let stored = Stored { seq: 4, ordinal: 3, id: EventId(1 << 60), at: 1_800_000_000_000, mentions: vec![mention] };
        let refusal = Refusal::NotPermitted { needs: Role::Admin, has: Role::Member };
        let answers = [Ok(stored), Err(refusal.into()), Err(Failure::Unavailable(ErrorCode::StorageFull))];
        let mut builder = RoundBuilder::new(6);
        for answer in &answers {
            builder.add(&outcome(answer.clone(), &members, "x"), true, Some((&[UserId(2)], Some(UserId(8)))));
        }
        // Nothing of it for this node; and news alone.
        builder.add(&outcome(answers[0].clone(), &members, "y"), false, None);
        builder.add(&outcome(answers[0].clone(), &members, "z"), false, Some((&[UserId(2)], None)));
        let arrived = arrived(builder.finish());
        assert_eq!(arrived.len(), 4);
        for (outcome, answer) in arrived.iter().zip(&answers) {
            assert_eq!(&outcome.answer, answer);
            assert_eq!((outcome.origin, outcome.weight), (Origin { gateway: 3, session: 77 }, 2));
            assert_eq!((outcome.tag, outcome.sender), (Some(Tag::new(5).unwrap()), UserId(1)));
            let news = outcome.news.as_ref().unwrap();
            assert_eq!((&news.members[..], news.gone, &news.frame), (&[UserId(2)][..], Some(UserId(8)), &frame("x")));
        }
        let last = arrived[3].news.as_ref().unwrap();
        assert!(Arc::ptr_eq(&last.members, &arrived[0].news.as_ref().unwrap().members), "one list for the same members");
        assert_eq!((last.gone, arrived[3].origin.gateway), (None, u16::MAX));
    }

    #[test]
    fn a_large_round_goes_in_parts() {
        let members: Arc<[UserId]> = [1, 2].map(UserId).into();
        let mut builder = RoundBuilder::new(6);
        let text = "x".repeat(PARCEL_BYTES / 3);
        for _ in 0..7 {
            builder.add(&outcome(Err(Refusal::StaleTag.into()), &members, &text), false, Some((&members, None)));
        }
        let parcels = builder.finish();
        assert_eq!(parcels.len(), 3);
        assert!(parcels.iter().all(|parcel| parcel.bytes < 2 * PARCEL_BYTES));
        assert_eq!(arrived(parcels).len(), 7);
        assert!(RoundBuilder::new(6).finish().is_empty());
    }

    #[test]
    fn notices_arrive_as_they_were() {
        let except = Some(Origin { gateway: 4, session: 5 });
        for notice in [
            Notice::Frame { users: vec![UserId(1), UserId(2)], frame: frame("x"), except, ephemeral: false },
            Notice::SignedOut { user: UserId(1), devices: vec![DeviceId(2)], at: 7 },
            Notice::Forget { users: vec![UserId(3)] },
        ] {
            let parcel::Content::Notice(content) = parcel_of(&notice).content else { panic!() };
            assert_eq!(notice_from(content), Ok(notice));
        }
        assert!(notice_from(wire::Notice { content: None }).is_err());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let members: Arc<[UserId]> = [1, 2].map(UserId).into();
        let good = || {
            let mut builder = RoundBuilder::new(6);
            builder.add(&outcome(Err(Refusal::StaleTag.into()), &members, "x"), true, Some((&members, None)));
            let Some(Parcel { content: parcel::Content::Round(round), .. }) = builder.finish().pop() else { panic!() };
            round
        };
        assert!(outcomes(good(), 3).is_ok());
        let break_it: [fn(&mut wire::Outcome); 5] = [
            |outcome| outcome.conversation = vec![1].into(),
            |outcome| outcome.news.as_mut().unwrap().frame = vec![1].into(),
            |outcome| outcome.news.as_mut().unwrap().members = 7,
            |outcome| outcome.answer.as_mut().unwrap().answer = None,
            |outcome| outcome.answer.as_mut().unwrap().tag = u64::MAX,
        ];
        for break_it in break_it {
            let mut round = good();
            break_it(&mut round.outcomes[0]);
            assert!(outcomes(round, 3).is_err());
        }
    }
}
