//! What a round means to the sessions, put together by conversation, so that a session is looked up, locked and woken once for many
//! frames instead of once for each. In a group of a hundred that is most of what a delivery costs; and one that is woken when all of its
//! frames wait writes them at once.

use std::collections::HashMap;
use std::sync::Arc;

use banter_model::{ConversationId, Seq, UserId};

use crate::conversations::recent::Happened;
use crate::gateway::EncodedFrame;
use crate::gateway::session::OUTBOX_FRAMES;
use crate::worker::Failure;
use crate::worker::delivery::{Outcome, Stored};

/// Most entries of one batch: a session that keeps up has room for all of them, and takes them while the next batch is handed out.
const ENTRIES: usize = OUTBOX_FRAMES / 4;

/// What came, one after the other, in one conversation with the same members.
pub struct Batch {
    conversation: ConversationId,
    /// Who gets the news; `None` while there is none.
    members: Option<Arc<[UserId]>>,
    /// Who went out with the last entry, and gets it too.
    gone: Option<UserId>,
    /// Did title or members of the group change?
    roster_changed: bool,
    /// The place of the first of the news; 0 while it is not known.
    first: Seq,
    /// In order of the log.
    pub entries: Vec<Entry>,
}

/// What came of one command.
pub struct Entry {
    sender: UserId,
    /// For everybody but the session that asked.
    news: Option<EncodedFrame>,
    /// For the one that asked.
    pub reply: Reply,
}

/// Who waits for an answer, and the answer.
pub enum Reply {
    /// Nobody here.
    Elsewhere,
    /// A request of the API, under this number.
    Request(u64, Result<Stored, Failure>),
    /// A session.
    Session {
        /// Its number.
        number: u64,
        /// `sent` or `error`, if the command had a tag.
        frame: Option<EncodedFrame>,
        /// What the command counted for in the session's room.
        weight: u32,
    },
}

/// Somebody for whom there is something in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub user: UserId,
    /// Do they get the news, or answers alone?
    pub member: bool,
}

impl Batch {
    /// Puts `round` together. What happened in one conversation stays in its order; `reply` says who waits for an answer.
    pub fn of_round(round: Vec<Outcome>, mut reply: impl FnMut(&mut Outcome) -> Reply) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let mut latest: HashMap<ConversationId, usize> = HashMap::new();
        for mut outcome in round {
            let seq = outcome.answer.as_ref().map_or(0, |stored| stored.seq);
            let reply = reply(&mut outcome);
            let Outcome { sender, conversation, news, .. } = outcome;
            let (frame, members, gone, roster_changed) = match news {
                Some(news) => (Some(news.frame), Some(news.members), news.gone, news.roster_changed),
                None => (None, None, None, false),
            };
            let entry = Entry { sender, news: frame, reply };
            match latest.get(&conversation).and_then(|number| batches.get_mut(*number)) {
                Some(batch) if gone.is_none() && batch.takes(members.as_ref()) => {
                    if batch.members.is_none() && members.is_some() {
                        batch.first = seq;
                    }
                    batch.members = batch.members.take().or(members);
                    batch.roster_changed |= roster_changed;
                    batch.entries.push(entry);
                }
                _ => {
                    latest.insert(conversation, batches.len());
                    batches.push(Batch { conversation, members, gone, roster_changed, first: seq, entries: vec![entry] });
                }
            }
        }
        batches
    }

    /// Can it go on with news for `members`, or with an answer alone?
    fn takes(&self, members: Option<&Arc<[UserId]>>) -> bool {
        let same = match (&self.members, members) {
            (Some(these), Some(those)) => Arc::ptr_eq(these, those),
            _ => true,
        };
        same && self.gone.is_none() && self.entries.len() < ENTRIES
    }

    /// That something happened in the conversation, if there are news.
    pub fn happened(&self) -> Option<Happened> {
        let members = self.members.clone()?;
        let Batch { conversation, gone, roster_changed, first, .. } = *self;
        Some(Happened { conversation, members, gone, roster_changed, first })
    }

    /// Everybody for whom there is something, each once.
    pub fn recipients(&self) -> impl Iterator<Item = Recipient> + '_ {
        let members = self.members.as_deref().unwrap_or_default();
        let told = members.iter().copied().chain(self.gone);
        let asked = |entry: &Entry| matches!(entry.reply, Reply::Session { .. });
        let others = self.entries.iter().enumerate().filter(move |(place, entry)| {
            let sender = entry.sender;
            let named_before = || self.entries[..*place].iter().any(|before| asked(before) && before.sender == sender);
            asked(entry) && !members.contains(&sender) && self.gone != Some(sender) && !named_before()
        });
        let others = others.map(|(_, entry)| Recipient { user: entry.sender, member: false });
        told.map(|user| Recipient { user, member: true }).chain(others)
    }

    /// The frames for the session `number` of `recipient`, in order.
    pub fn frames(&self, recipient: Recipient, number: u64) -> impl Iterator<Item = EncodedFrame> + '_ {
        self.entries.iter().filter_map(move |entry| match &entry.reply {
            Reply::Session { number: asked, frame, .. } if *asked == number && entry.sender == recipient.user => frame.clone(),
            _ => entry.news.clone().filter(|_| recipient.member),
        })
    }

    /// What the commands of the session `number` of `user` counted for that are answered with this.
    pub fn weight(&self, user: UserId, number: u64) -> u32 {
        let weight = |entry: &Entry| match entry.reply {
            Reply::Session { number: asked, weight, .. } if asked == number && entry.sender == user => weight,
            _ => 0,
        };
        self.entries.iter().map(weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use banter_model::{GroupId, Refusal};
    use banter_protocol::ServerFrame;
    use banter_store::Origin;

    use super::*;
    use crate::worker::delivery::News;

    fn frame(name: &str) -> EncodedFrame {
        EncodedFrame::new(&ServerFrame::Bye { code: 1, message: name.to_owned() })
    }

    fn members(users: &[u64]) -> Arc<[UserId]> {
        users.iter().copied().map(UserId).collect()
    }

    /// The name of a frame, who gets it, and who went out.
    type Told<'a> = (&'a str, &'a Arc<[UserId]>, Option<u64>);

    /// A command of session `10 * sender` in a group, with news of this name.
    fn outcome(group: u64, sender: u64, news: Option<Told<'_>>) -> Outcome {
        Outcome {
            origin: Origin { gateway: 0, session: sender * 10 },
            sender: UserId(sender),
            conversation: ConversationId::Group(GroupId(group)),
            tag: None,
            weight: 1,
            answer: Err(Refusal::NotAMember.into()),
            news: news.map(|(name, members, gone)| News {
                frame: frame(name),
                members: members.clone(),
                gone: gone.map(UserId),
                roster_changed: name == "in" || name == "out",
            }),
        }
    }

    /// Answers are named after their number in the round.
    fn batches(round: Vec<Outcome>) -> Vec<Batch> {
        let mut count = 0;
        Batch::of_round(round, |outcome| {
            count += 1;
            Reply::Session { number: outcome.origin.session, frame: Some(frame(&format!("answer {count}"))), weight: 1 }
        })
    }

    /// All frames for a session of `user`, over all batches.
    fn taken(batches: &[Batch], user: u64, number: u64) -> Vec<String> {
        let mut names = Vec::new();
        for batch in batches {
            for recipient in batch.recipients().filter(|recipient| recipient.user == UserId(user)) {
                names.extend(batch.frames(recipient, number).map(|frame| String::from_utf8(frame.json().to_vec()).unwrap()));
            }
        }
        let name = |json: &String| json.split('"').rev().nth(1).unwrap_or_default().to_owned();
        names.iter().map(name).collect()
    }

    #[test]
    fn one_batch_for_a_conversation_and_everybody_has_it_in_order() {
        let all = members(&[1, 2, 3]);
        let news = |name| Some((name, &all, None));
        let batches = batches(vec![outcome(7, 1, news("a")), outcome(7, 2, news("b")), outcome(7, 1, news("c"))]);
        assert_eq!(batches.len(), 1);
        assert_eq!(taken(&batches, 3, 30), ["a", "b", "c"]);
        // Who wrote has the answer in the place of the news, so that nothing seems to be missing in between.
        assert_eq!(taken(&batches, 1, 10), ["answer 1", "b", "answer 3"]);
        assert_eq!(taken(&batches, 1, 11), ["a", "b", "c"], "another session of theirs");
        assert_eq!((batches[0].weight(UserId(1), 10), batches[0].weight(UserId(1), 11)), (2, 0));
    }

    #[test]
    fn conversations_do_not_mix() {
        let (here, there) = (members(&[1, 2]), members(&[1, 3]));
        let round = vec![
            outcome(7, 1, Some(("a", &here, None))),
            outcome(8, 1, Some(("b", &there, None))),
            outcome(7, 2, Some(("c", &here, None))),
        ];
        let batches = batches(round);
        assert_eq!(batches.len(), 2);
        assert_eq!(taken(&batches, 2, 99), ["a", "c"]);
        assert_eq!(taken(&batches, 3, 99), ["b"]);
    }

    #[test]
    fn who_went_out_has_that_as_the_last() {
        let (before, after) = (members(&[1, 2, 3]), members(&[1, 2]));
        let round = vec![
            outcome(7, 1, Some(("a", &before, None))),
            outcome(7, 1, Some(("out", &after, Some(3)))),
            outcome(7, 1, Some(("b", &after, None))),
        ];
        let batches = batches(round);
        assert_eq!(taken(&batches, 3, 99), ["a", "out"]);
        assert_eq!(taken(&batches, 2, 99), ["a", "out", "b"]);
        let changed = batches.iter().filter_map(Batch::happened).map(|happened| happened.roster_changed);
        assert_eq!(changed.collect::<Vec<_>>(), [false, true, false]);
    }

    #[test]
    fn who_came_in_has_nothing_from_before() {
        let (before, after) = (members(&[1, 2]), members(&[1, 2, 3]));
        let round = vec![outcome(7, 1, Some(("a", &before, None))), outcome(7, 1, Some(("in", &after, None)))];
        assert_eq!(taken(&batches(round), 3, 99), ["in"]);
    }

    #[test]
    fn who_is_no_member_has_the_answer_alone() {
        let all = members(&[1, 2]);
        let round = vec![
            outcome(7, 9, None),
            outcome(7, 1, Some(("a", &all, None))),
            outcome(7, 9, None),
            outcome(7, 1, Some(("b", &all, None))),
        ];
        let batches = batches(round);
        assert_eq!(batches.len(), 1);
        assert_eq!(taken(&batches, 9, 90), ["answer 1", "answer 3"]);
        assert_eq!(taken(&batches, 9, 91), Vec::<String>::new());
        assert_eq!(taken(&batches, 1, 10), ["answer 2", "answer 4"]);
        assert_eq!(batches[0].recipients().count(), 3, "each once");
    }

    #[test]
    fn a_batch_is_bounded() {
        let all = members(&[1, 2]);
        let round = (0..ENTRIES + 1).map(|_| outcome(7, 1, Some(("a", &all, None)))).collect();
        let batches = batches(round);
        assert_eq!(batches.iter().map(|batch| batch.entries.len()).collect::<Vec<_>>(), [ENTRIES, 1]);
    }
}
