//! Which conversations there are, how long each gets, and when it is written. All of it follows from a few numbers, so that a
//! folder that was loaded earlier can be read by whoever knows them.

use std::collections::HashSet;
use std::ops::Range;

use anyhow::{Result, ensure};
use banter_model::snowflake::EPOCH;
use banter_model::{ConversationId, DeviceId, GroupId, Millis, UserId};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::text::normal;

/// When the story begins, and how long it lasts, in milliseconds.
const SPAN: Range<Millis> = EPOCH + DAY..EPOCH + 301 * DAY;
const DAY: Millis = 24 * 60 * 60 * 1_000;
/// Of these conversations one is between people, the others between two.
const ONE_GROUP_IN: u64 = 5;
/// The longest conversation has one message in this many of all.
const LONGEST: u64 = 100;
/// As many as this have one in a thousand.
const LONG: u64 = 10;
/// Messages that are written in one go, on average.
const BURST: f64 = 25.0;

/// What the history is made of.
#[derive(Args, Clone, Debug)]
pub struct Shape {
    /// Messages in all.
    #[arg(long, default_value_t = 100_000_000)]
    pub messages: u64,
    /// Conversations; a hundredth of the messages when absent.
    #[arg(long)]
    pub conversations: Option<u64>,
    /// Standard deviation of the logarithm of a conversation's length.
    #[arg(long, default_value_t = 1.8)]
    pub spread: f64,
    /// What everything is drawn from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// The conversations.
pub struct Plan {
    /// All of them.
    pub conversations: Vec<Planned>,
    users: u64,
}

/// A conversation to be.
#[derive(Clone)]
pub struct Planned {
    /// Its name.
    pub id: ConversationId,
    /// Messages in it.
    pub messages: u64,
    /// When it is written.
    pub life: Range<Millis>,
    seed: u64,
}

/// Messages written in one go.
#[derive(Clone, Copy)]
pub struct Burst {
    /// When, in milliseconds since the Unix epoch.
    pub at: Millis,
    /// In which conversation (its place in the plan).
    pub conversation: u32,
    /// How many.
    pub messages: u32,
}

impl Plan {
    /// The plan of a shape.
    pub fn new(shape: &Shape) -> Result<Plan> {
        let count = shape.conversations.unwrap_or(shape.messages / 100);
        ensure!(count > LONG * 2 && count < u64::from(u32::MAX), "that many conversations cannot be planned: {count}");
        ensure!(shape.messages >= count * 10, "10 messages for each conversation are the least");
        let mut random = StdRng::seed_from_u64(shape.seed);
        let users = (count / 5).max(200);
        let mut conversations = Vec::with_capacity(count as usize);
        // Two people have one conversation.
        let mut names = HashSet::with_capacity(count as usize);
        for number in 0..count {
            let new = loop {
                let new = planned(number, users, &mut random);
                if names.insert(new.id) {
                    break new;
                }
            };
            conversations.push(new);
        }
        // Sizes: a few long ones, the rest in proportion to lognormal weights, at least one message each.
        let weights: Vec<f64> = (0..count).map(|_| (shape.spread * normal(&mut random)).exp()).collect();
        let all: f64 = weights.iter().skip(1 + LONG as usize).sum();
        let long = shape.messages / LONGEST + LONG * (shape.messages / 1_000);
        let spread = shape.messages - long - count;
        let mut left = shape.messages;
        for (number, (planned, weight)) in conversations.iter_mut().zip(&weights).enumerate() {
            planned.messages = match number as u64 {
                0 => shape.messages / LONGEST,
                1..=LONG => shape.messages / 1_000,
                _ => 1 + (spread as f64 * weight / all) as u64,
            }
            .min(left);
            left -= planned.messages;
            if number as u64 <= LONG {
                planned.life = SPAN.start + DAY..SPAN.end;
            }
        }
        // What rounding left over.
        conversations[0].messages += left;
        Ok(Plan { conversations, users })
    }

    /// Who is in a conversation: in a group, its owner first.
    pub fn members(&self, planned: &Planned) -> Vec<UserId> {
        match planned.id {
            ConversationId::Direct(low, high) => vec![low, high],
            ConversationId::Group(_) => {
                let mut random = StdRng::seed_from_u64(planned.seed);
                let count = (8.0 * (0.8 * normal(&mut random)).exp()).clamp(3.0, 100.0) as usize;
                let mut members: Vec<UserId> = Vec::with_capacity(count);
                while members.len() < count {
                    let user = user(random.random_range(0..self.users), self.users);
                    if !members.contains(&user) {
                        members.push(user);
                    }
                }
                members
            }
        }
    }

    /// The bursts of a conversation, in the order of their times.
    pub fn bursts(&self, number: u32) -> Vec<Burst> {
        let planned = &self.conversations[number as usize];
        let mut random = StdRng::seed_from_u64(planned.seed ^ 1);
        let (mut left, mut bursts) = (planned.messages, Vec::new());
        while left > 0 {
            let messages = ((BURST * (0.8 * normal(&mut random) - 0.32).exp()) as u64).clamp(1, left.min(1_000));
            left -= messages;
            bursts.push(Burst { at: random.random_range(planned.life.clone()), conversation: number, messages: messages as u32 });
        }
        bursts.sort_unstable_by_key(|burst| burst.at);
        bursts
    }
}

/// The conversation number `number`, without a length yet.
fn planned(number: u64, users: u64, random: &mut StdRng) -> Planned {
    let (one, other) = loop {
        let (one, other) = (random.random_range(0..users), random.random_range(0..users));
        if one != other {
            break (one, other);
        }
    };
    // Not before both have signed up; most end long before the story does.
    let began = signed_up(one.max(other), users);
    let start = random.random_range(began..SPAN.end - DAY);
    let end = start + ((SPAN.end - start) as f64 * random.random_range(0.0..1.0_f64).powi(2)) as Millis + 1_000;
    let seed = random.random();
    let direct = ConversationId::direct(user(one, users), user(other, users));
    let id = match direct {
        Some(direct) if !number.is_multiple_of(ONE_GROUP_IN) => direct,
        // Its own number below the milliseconds, so that no two are the same.
        _ => ConversationId::Group(GroupId((start - EPOCH) << 22 | (number & ((1 << 22) - 1)))),
    };
    Planned { id, messages: 0, life: start..end.min(SPAN.end), seed }
}

/// When a user signed up: one after the other, in the first four fifths of the story.
fn signed_up(number: u64, users: u64) -> Millis {
    SPAN.start + (SPAN.end - SPAN.start) * 4 / 5 * number / users
}

fn user(number: u64, users: u64) -> UserId {
    UserId((signed_up(number, users) - EPOCH) << 22)
}

/// One of the devices of a user.
pub fn device(user: UserId, number: u64) -> DeviceId {
    DeviceId(user.0 + ((1 + number * 37) << 22))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_has_a_conversation_and_a_time() {
        let shape = Shape { messages: 200_000, conversations: None, spread: 1.8, seed: 3 };
        let plan = Plan::new(&shape).unwrap();
        assert_eq!(plan.conversations.iter().map(|planned| planned.messages).sum::<u64>(), shape.messages);
        assert!(plan.conversations[0].messages >= shape.messages / LONGEST);
        let names: HashSet<_> = plan.conversations.iter().map(|planned| planned.id).collect();
        assert_eq!(names.len(), plan.conversations.len());
        for (number, planned) in plan.conversations.iter().enumerate().take(100) {
            let bursts = plan.bursts(number as u32);
            assert_eq!(bursts.iter().map(|burst| u64::from(burst.messages)).sum::<u64>(), planned.messages);
            assert!(bursts.iter().all(|burst| planned.life.contains(&burst.at)));
            let members = plan.members(planned);
            assert!((2..=100).contains(&members.len()));
        }
        assert_eq!(Plan::new(&shape).unwrap().conversations[77].id, plan.conversations[77].id);
    }
}
