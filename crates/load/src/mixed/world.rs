//! Who there is, who talks with whom, and what they said before.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use banter_model::limits::GROUP_MEMBERS;
use banter_model::{Action, ConversationId, GroupId, Tag, UserId};
use clap::Args;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::sizes::{self, Sizes};
use crate::groups::prepared::Entry;

/// Letters from which texts are cut.
const LETTERS: usize = 64 << 10;

/// What the world is like.
#[derive(Args, Clone, Debug)]
pub struct Shape {
    /// Conversations.
    #[arg(long, default_value_t = 1_000)]
    pub conversations: usize,
    /// Of a hundred conversations, and so of a hundred messages, so many are groups; the others are direct.
    #[arg(long, default_value_t = 20.0)]
    pub groups: f64,
    /// Half of the groups have at most so many members. Sizes are lognormal.
    #[arg(long, default_value_t = 8.0)]
    pub median: f64,
    /// The deviation of the logarithm of a group's size.
    #[arg(long, default_value_t = 1.0)]
    pub sigma: f64,
    /// Messages in each conversation before it begins.
    #[arg(long, default_value_t = 20)]
    pub history: usize,
    /// Users with a session.
    #[arg(long, default_value_t = 200)]
    pub sessions: usize,
    /// Of a hundred users, so many have a session.
    #[arg(long, default_value_t = 10.0)]
    pub online: f64,
    /// Characters of a text.
    #[arg(long, default_value_t = 100)]
    pub length: usize,
    /// What is random about the run; a new one when absent.
    #[arg(long)]
    pub seed: Option<u64>,
}

/// A conversation of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    /// Which.
    pub id: ConversationId,
    /// Its members. The first one is online, and writes.
    pub members: Vec<UserId>,
    /// Messages said before.
    pub history: usize,
}

/// The users are numbered from 1 on; the first `sessions` of them are online.
pub struct World {
    /// What was random about it.
    pub seed: u64,
    /// How many users there are.
    pub users: usize,
    /// How many of them are online.
    pub sessions: usize,
    /// The conversations.
    pub rooms: Vec<Room>,
    length: usize,
    letters: String,
}

impl World {
    /// A world of this shape; the same for the same seed.
    pub fn new(shape: &Shape) -> Result<World> {
        ensure!(shape.online > 0.0 && shape.online <= 100.0, "of a hundred users, 0 to 100 are online");
        ensure!((0.0..=100.0).contains(&shape.groups), "of a hundred conversations, 0 to 100 are groups");
        ensure!(shape.conversations > 0 && shape.sessions > 0, "at least one conversation and one session");
        let seed = shape.seed.unwrap_or_else(|| rand::rng().random());
        let mut random = StdRng::seed_from_u64(seed);
        // Enough for the largest group.
        let users = ((shape.sessions as f64 * 100.0 / shape.online).round() as usize).max(GROUP_MEMBERS);
        let groups = (shape.conversations as f64 * shape.groups / 100.0).round() as usize;
        let direct = shape.conversations - groups;
        let pairs = shape.sessions * (users - 1);
        ensure!(direct * 4 <= pairs, "{direct} direct conversations are too many for {} sessions", shape.sessions);
        let sizes = Sizes::new(shape.median, shape.sigma)?;
        let mut rooms = Vec::with_capacity(shape.conversations);
        let mut known = HashSet::new();
        while rooms.len() < direct {
            let writer = UserId(random.random_range(1..=shape.sessions as u64));
            let other = UserId(random.random_range(1..=users as u64));
            let Some(id) = ConversationId::direct(writer, other) else { continue };
            if known.insert(id) {
                rooms.push(Room { id, members: vec![writer, other], history: shape.history });
            }
        }
        for group in 0..groups {
            let writer = UserId(random.random_range(1..=shape.sessions as u64));
            let size = sizes.next(&mut random);
            let drawn = rand::seq::index::sample(&mut random, users, size).into_iter().map(|user| UserId(user as u64 + 1));
            let others = drawn.filter(|user| *user != writer).take(size - 1);
            let members = [writer].into_iter().chain(others).collect();
            rooms.push(Room { id: ConversationId::Group(GroupId(group as u64 + 1)), members, history: shape.history });
        }
        let letters = (0..LETTERS).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
        Ok(World { seed, users, sessions: shape.sessions, rooms, length: shape.length, letters })
    }

    /// What was done before: the groups made, then the messages, one of each conversation in turn, by its members in turn.
    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        let created = self.rooms.iter().filter(|room| !room.id.is_direct()).map(Room::creation);
        let most = self.rooms.iter().map(|room| room.history).max().unwrap_or(0);
        let said = (0..most).flat_map(move |number| {
            let rooms = self.rooms.iter().enumerate().filter(move |(_, room)| number < room.history);
            rooms.map(move |(place, room)| {
                let (sender, tag) = room.said(number);
                let text = self.letters(place * 31 + number, self.length.max(1)).to_owned();
                let action = Action::Send { text, reply_to: None, mentions: Vec::new() };
                Entry { conversation: room.id, sender, tag: Tag::new(tag).ok(), action }
            })
        });
        created.chain(said)
    }

    /// `length` letters that differ with `number`; fewer when there are not so many.
    pub fn letters(&self, number: usize, length: usize) -> &str {
        let length = length.min(LETTERS);
        let start = number.wrapping_mul(7_919) % (LETTERS - length + 1);
        &self.letters[start..start + length]
    }

    /// What the sizes of the groups are like.
    pub fn sizes(&self) -> Value {
        let groups = self.rooms.iter().filter(|room| !room.id.is_direct());
        sizes::figures(&groups.map(|room| room.members.len()).collect::<Vec<_>>())
    }

    /// The number of `user`'s session, if they are online.
    pub fn session(&self, user: UserId) -> Option<usize> {
        let number = usize::try_from(user.0).ok()?.checked_sub(1)?;
        Some(number).filter(|number| *number < self.sessions)
    }

    /// Of a hundred who receive a message, how many are online.
    pub fn receivers_online(&self) -> f64 {
        let others = || self.rooms.iter().flat_map(|room| &room.members[1..]);
        others().filter(|user| self.session(**user).is_some()).count() as f64 * 100.0 / others().count().max(1) as f64
    }
}

impl Room {
    /// Events in its log before it begins.
    pub fn head(&self) -> u64 {
        (self.history + usize::from(!self.id.is_direct())) as u64
    }

    /// The highest tag that the writer used before.
    pub fn last_tag(&self) -> Result<u64> {
        let said = (0..self.history).rev().map(|number| self.said(number));
        let last = said.take(self.members.len()).find(|(sender, _)| Some(sender) == self.members.first());
        let _ = self.members.first().context("a conversation without members")?;
        Ok(last.map_or(0, |(_, tag)| tag))
    }

    /// Who said the `number`-th message, and with which tag.
    fn said(&self, number: usize) -> (UserId, u64) {
        (self.members[number % self.members.len()], (number / self.members.len()) as u64 + 1)
    }

    fn creation(&self) -> Entry {
        let members = self.members[1..].to_vec();
        let action = Action::CreateGroup { title: "a group".to_owned(), members, earlier_history: false };
        Entry { conversation: self.id, sender: self.members[0], tag: None, action }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(seed: u64) -> Shape {
        Shape {
            conversations: 500,
            groups: 20.0,
            median: 8.0,
            sigma: 1.0,
            history: 5,
            sessions: 50,
            online: 10.0,
            length: 40,
            seed: Some(seed),
        }
    }

    #[test]
    fn shares_are_as_asked_for() {
        let seed: u64 = rand::rng().random();
        eprintln!("seed {seed}");
        let world = World::new(&shape(seed)).unwrap();
        assert_eq!((world.users, world.rooms.len()), (500, 500));
        assert_eq!(world.rooms.iter().filter(|room| !room.id.is_direct()).count(), 100);
        for room in &world.rooms {
            assert!(world.session(room.members[0]).is_some(), "who writes is online");
            let distinct: HashSet<UserId> = room.members.iter().copied().collect();
            assert_eq!(distinct.len(), room.members.len());
            assert!(room.members.len() <= GROUP_MEMBERS);
        }
        assert!((4.0..16.0).contains(&world.receivers_online()), "{}", world.receivers_online());
    }

    #[test]
    fn a_seed_gives_the_same_world() {
        assert_eq!(World::new(&shape(3)).unwrap().rooms, World::new(&shape(3)).unwrap().rooms);
        assert_ne!(World::new(&shape(3)).unwrap().rooms, World::new(&shape(4)).unwrap().rooms);
    }

    #[test]
    fn what_was_said_before_fits_its_logs() {
        let world = World::new(&shape(5)).unwrap();
        for room in world.rooms.iter().step_by(50).chain(world.rooms.last()) {
            let entries: Vec<Entry> = world.entries().filter(|entry| entry.conversation == room.id).collect();
            assert_eq!(entries.len() as u64, room.head());
            let writers = entries.iter().filter(|entry| entry.sender == room.members[0]);
            let tags: Vec<u64> = writers.filter_map(|entry| entry.tag).map(Tag::get).collect();
            assert_eq!(tags, (1..=room.last_tag().unwrap()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn more_conversations_than_pairs_are_refused() {
        assert!(World::new(&Shape { sessions: 1, conversations: 10_000, ..shape(1) }).is_err());
    }
}
