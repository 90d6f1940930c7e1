//! Which node needs what.

use std::collections::HashMap;

use banter_model::UserId;
use smallvec::SmallVec;

use super::encoding::{Parcel, RoundBuilder, parcel_of};
use crate::notices::Notice;
use crate::worker::delivery::{Applied, Outcome};

/// The numbers of nodes.
pub type Numbers = SmallVec<[u16; 2]>;

/// On which nodes users have sessions, as far as it is known.
#[derive(Debug, Default)]
pub struct Places {
    /// Where each user is. `None` when the registry did not answer: everybody may be everywhere.
    pub of: Option<HashMap<UserId, Numbers>>,
    /// Nodes of which not all users are in the registry: anybody may be there.
    pub unlisted: Numbers,
}

impl Places {
    /// The `users` that may have sessions on each of `nodes`; nodes without any are left out.
    fn split(&self, users: &[UserId], nodes: &[u16]) -> Vec<(u16, Vec<UserId>)> {
        let Some(of) = &self.of else {
            return if users.is_empty() { Vec::new() } else { nodes.iter().map(|node| (*node, users.to_vec())).collect() };
        };
        let mut parts: Vec<(u16, Vec<UserId>)> = Vec::new();
        for user in users {
            let listed = of.get(user).into_iter().flatten().filter(|node| !self.unlisted.contains(node));
            for node in listed.chain(&self.unlisted).filter(|node| nodes.contains(node)) {
                match parts.iter_mut().find(|(number, _)| number == node) {
                    Some((_, part)) => part.push(*user),
                    None => parts.push((*node, vec![*user])),
                }
            }
        }
        parts
    }
}

/// Everybody who may be told of a round: those whose places are to be known.
pub fn concerned(rounds: &[Applied]) -> Vec<UserId> {
    let mut lists = HashMap::new();
    let mut users = Vec::new();
    for news in rounds.iter().flat_map(|round| &round.outcomes).filter_map(|outcome| outcome.news.as_ref()) {
        lists.entry(news.members.as_ptr().addr()).or_insert(&news.members);
        users.extend(news.gone);
    }
    users.extend(lists.into_values().flat_map(|members| members.iter().copied()));
    users.sort_unstable();
    users.dedup();
    users
}

/// What each of `nodes` is sent of a round; those that need nothing of it are left out.
pub fn rounds(round: &Applied, places: &Places, nodes: &[u16]) -> Vec<(u16, Vec<Parcel>)> {
    let mut splits: HashMap<usize, Vec<(u16, Vec<UserId>)>> = HashMap::new();
    let mut builders: Vec<(u16, RoundBuilder)> = nodes.iter().map(|node| (*node, RoundBuilder::new(round.partition))).collect();
    for outcome in &round.outcomes {
        let Outcome { origin, news, .. } = outcome;
        let members: &[(u16, Vec<UserId>)] = match news {
            Some(news) => splits.entry(news.members.as_ptr().addr()).or_insert_with(|| places.split(&news.members, nodes)),
            None => &[],
        };
        let gone = news.as_ref().and_then(|news| news.gone);
        let gone_to = gone.map(|user| places.split(&[user], nodes)).unwrap_or_default();
        for (node, builder) in &mut builders {
            let here = members.iter().find(|(number, _)| number == node).map(|(_, part)| part.as_slice());
            let gone = gone.filter(|_| gone_to.iter().any(|(number, _)| number == node));
            let news = (here.is_some() || gone.is_some()).then(|| (here.unwrap_or_default(), gone));
            builder.add(outcome, origin.gateway == *node, news);
        }
    }
    let finished = builders.into_iter().map(|(node, builder)| (node, builder.finish()));
    finished.filter(|(_, parcels)| !parcels.is_empty()).collect()
}

/// What each of `nodes` is sent of a notice.
pub fn notices(notice: Notice, places: &Places, nodes: &[u16]) -> Vec<(u16, Parcel)> {
    match notice {
        Notice::Frame { users, frame, except, ephemeral } => {
            let parts = places.split(&users, nodes).into_iter();
            let parcel = |users| parcel_of(&Notice::Frame { users, frame: frame.clone(), except, ephemeral });
            parts.map(|(node, users)| (node, parcel(users))).collect()
        }
        notice => {
            let parcel = parcel_of(&notice);
            nodes.iter().map(|node| (*node, parcel.clone())).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use banter_model::{ConversationId, GroupId, Refusal};
    use banter_protocol::ServerFrame;
    use banter_store::Origin;

    use super::*;
    use crate::delivery::encoding::outcomes;
    use crate::delivery::wire::parcel::Content;
    use crate::gateway::EncodedFrame;
    use crate::worker::delivery::News;

    const NODES: [u16; 3] = [1, 2, 3];

    fn places(of: &[(u64, &[u16])], unlisted: &[u16]) -> Places {
        let of = of.iter().map(|(user, nodes)| (UserId(*user), Numbers::from_slice(nodes))).collect();
        Places { of: Some(of), unlisted: Numbers::from_slice(unlisted) }
    }

    fn outcome(origin: u16, members: &Arc<[UserId]>, gone: Option<u64>) -> Outcome {
        let frame = EncodedFrame::new(&ServerFrame::Pong {});
        Outcome {
            origin: Origin { gateway: origin, session: 5 },
            sender: UserId(1),
            conversation: ConversationId::Group(GroupId(9)),
            tag: None,
            weight: 1,
            answer: Err(Refusal::NotAMember.into()),
            news: Some(News { frame, members: members.clone(), gone: gone.map(UserId), roster_changed: true }),
        }
    }

    fn members(users: &[u64]) -> Arc<[UserId]> {
        users.iter().copied().map(UserId).collect()
    }

    /// Which members are told by an outcome, who went out with it, and whether it is an answer.
    type Told = (Vec<u64>, Option<u64>, bool);

    /// What is told on each node by each outcome.
    fn told(outcomes_of: Vec<Outcome>, places: &Places) -> Vec<(u16, Vec<Told>)> {
        let round = Applied { partition: 0, stored_up_to: None, outcomes: outcomes_of };
        let of_node = |(node, parcels): (u16, Vec<Parcel>)| {
            let mut all = Vec::new();
            for parcel in parcels {
                let Content::Round(round) = parcel.content else { panic!() };
                all.extend(outcomes(round, node).unwrap().into_iter().map(|outcome| {
                    let news = outcome.news.as_ref();
                    let members = news.map(|news| news.members.iter().map(|user| user.0).collect()).unwrap_or_default();
                    (members, news.and_then(|news| news.gone).map(|user| user.0), outcome.origin.gateway == node)
                }));
            }
            (node, all)
        };
        rounds(&round, places, &NODES).into_iter().map(of_node).collect()
    }

    #[test]
    fn a_node_gets_what_is_for_its_sessions_and_its_answers() {
        let all = members(&[1, 2, 3]);
        let places = places(&[(1, &[1]), (2, &[1, 2]), (3, &[7])], &[]);
        let round = vec![outcome(3, &all, None), outcome(1, &all, None)];
        assert_eq!(
            told(round, &places),
            [
                (1, vec![(vec![1, 2], None, false), (vec![1, 2], None, true)]),
                (2, vec![(vec![2], None, false), (vec![2], None, false)]),
                (3, vec![(vec![], None, true)]),
            ]
        );
    }

    #[test]
    fn who_went_out_is_told_where_they_are() {
        let all = members(&[1]);
        let places = places(&[(1, &[1]), (2, &[2])], &[]);
        assert_eq!(
            told(vec![outcome(9, &all, Some(2))], &places),
            [(1, vec![(vec![1], None, false)]), (2, vec![(vec![], Some(2), false)])]
        );
    }

    #[test]
    fn whoever_may_be_anywhere_is_told_everywhere() {
        let all = members(&[1, 2]);
        let listed = places(&[(1, &[1])], &[2]);
        assert_eq!(
            told(vec![outcome(9, &all, None)], &listed),
            [(1, vec![(vec![1], None, false)]), (2, vec![(vec![1, 2], None, false)])]
        );
        let unknown = Places { of: None, unlisted: Numbers::new() };
        let everywhere = told(vec![outcome(9, &all, None)], &unknown);
        assert_eq!(everywhere, NODES.map(|node| (node, vec![(vec![1, 2], None, false)])));
    }

    #[test]
    fn notices_go_where_their_users_are_or_to_all() {
        let places = places(&[(1, &[1]), (2, &[1, 3])], &[]);
        let frame = EncodedFrame::new(&ServerFrame::Pong {});
        let notice = Notice::Frame { users: vec![UserId(1), UserId(2), UserId(4)], frame, except: None, ephemeral: true };
        let numbers = |sent: Vec<(u16, Parcel)>| sent.into_iter().map(|(node, _)| node).collect::<Vec<_>>();
        assert_eq!(numbers(notices(notice, &places, &NODES)), [1, 3]);
        assert_eq!(numbers(notices(Notice::Forget { users: vec![UserId(1)] }, &places, &NODES)), NODES);
    }

    #[test]
    fn each_is_looked_up_once() {
        let all = members(&[2, 1]);
        let round =
            Applied { partition: 0, stored_up_to: None, outcomes: vec![outcome(1, &all, Some(5)), outcome(1, &all, None)] };
        assert_eq!(concerned(&[round.clone(), round]), [1, 2, 5].map(UserId));
    }
}
