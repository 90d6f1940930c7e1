//! Who is in which conversation.
//!
//! Each user has a session, and is in groups and in direct conversations. A group has 100 members: 99 of the users, others in each round,
//! and its owner. Owners, and the others of the direct conversations, are correspondents: accounts that write while the users are away,
//! and have no session in the storm. So every user has equally many conversations, and equally many of them change.

use banter_model::limits::GROUP_MEMBERS;
use banter_model::{ConversationId, GroupId, Seq, UserId};
use serde::{Deserialize, Serialize};

/// Users in a group, besides its owner.
const USERS_IN_GROUP: u64 = GROUP_MEMBERS as u64 - 1;

/// The conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Layout {
    /// Users, each with a session: those with the ids from 1 to this.
    pub sessions: u64,
    /// Groups of each user: so many times are the users dealt out into groups.
    pub groups: u64,
    /// Direct conversations of each user.
    pub directs: u64,
    /// Messages in each conversation before the storm.
    pub messages: u64,
}

impl Layout {
    /// How many correspondents there are.
    pub fn correspondents(&self) -> u64 {
        (self.sessions / 100).max(self.directs).max(1)
    }

    /// Users and correspondents.
    pub fn people(&self) -> u64 {
        self.sessions + self.correspondents()
    }

    /// Groups of one round.
    pub fn groups_in_round(&self) -> u64 {
        self.sessions.div_ceil(USERS_IN_GROUP)
    }

    /// The group `number` of `round`.
    pub fn group(&self, round: u64, number: u64) -> ConversationId {
        ConversationId::Group(GroupId(round * self.groups_in_round() + number + 1))
    }

    /// Who owns it.
    pub fn owner(&self, round: u64, number: u64) -> UserId {
        self.correspondent(round * self.groups_in_round() + number)
    }

    /// The users in it.
    pub fn members(&self, round: u64, number: u64) -> Vec<UserId> {
        let (step, shift) = (self.step(round), round.wrapping_mul(7_919) % self.sessions);
        let places = number * USERS_IN_GROUP..((number + 1) * USERS_IN_GROUP).min(self.sessions);
        places.map(|place| UserId((place * step + shift) % self.sessions + 1)).collect()
    }

    /// The others of `user`'s direct conversations.
    pub fn peers(&self, user: UserId) -> impl Iterator<Item = UserId> + '_ {
        (0..self.directs).map(move |number| self.correspondent(user.0 * self.directs + number))
    }

    /// The last event of `conversation` before the storm.
    pub fn known(&self, conversation: ConversationId) -> Seq {
        // A group begins with the event that makes it.
        self.messages + u64::from(!conversation.is_direct())
    }

    fn correspondent(&self, number: u64) -> UserId {
        UserId(self.sessions + 1 + number % self.correspondents())
    }

    /// A number without a common divisor with that of the users, so that its multiples come to each of them once; another for each round.
    fn step(&self, round: u64) -> u64 {
        let mut step = (self.sessions as f64 * 0.618) as u64 + 1 + round * 97;
        while gcd(step, self.sessions) > 1 {
            step += 1;
        }
        step
    }
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, HashMap};

    use super::*;

    #[test]
    fn every_user_has_equally_many_conversations() {
        for sessions in [1, 99, 100, 500, 1_000] {
            let layout = Layout { sessions, groups: 15, directs: 5, messages: 2 };
            let mut conversations: HashMap<UserId, BTreeSet<ConversationId>> = HashMap::new();
            for round in 0..layout.groups {
                for number in 0..layout.groups_in_round() {
                    let members = layout.members(round, number);
                    assert!(members.len() < GROUP_MEMBERS && !members.contains(&layout.owner(round, number)));
                    for member in members {
                        conversations.entry(member).or_default().insert(layout.group(round, number));
                    }
                }
            }
            for user in (1..=sessions).map(UserId) {
                let directs = layout.peers(user).filter_map(|peer| ConversationId::direct(user, peer));
                conversations.entry(user).or_default().extend(directs);
            }
            assert_eq!(conversations.len() as u64, sessions);
            for (user, of_user) in conversations {
                assert!(user.0 <= sessions);
                assert_eq!(of_user.len(), 20, "{user:?} of {sessions}");
            }
            assert!(layout.peers(UserId(1)).all(|peer| peer.0 > sessions && peer.0 <= layout.people()));
        }
    }
}
