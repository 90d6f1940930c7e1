//! Conversations in which something happened lately, by member: where a device that was away for a moment looks, instead of going
//! through all of its user's conversations. When a hundred thousand come back at once, that is what makes the difference.
//!
//! Only candidates are kept; whether something changed for a device is decided by what is stored. An entry stays for two generations,
//! each of which ends when it has half a million; a device that was away for longer, or since before the server started, has everything
//! looked through.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use banter_model::{ConversationId, Millis, Seq, UserId};
use parking_lot::{Mutex, RwLock};
use smallvec::SmallVec;

use super::sync_point::SyncPoint;

/// Entries (a conversation, or one of a member's) after which a generation ends: at most about 50 MiB.
const ENTRIES: usize = 500_000;
/// Most conversations that are looked at for one user; one with more is busy enough to have all looked through.
const CANDIDATES: usize = 100;
/// Parts of a generation's tables, so that cores seldom meet at one lock.
const SHARDS: usize = 64;

/// What happened lately.
pub struct Recent {
    /// How far the events of each partition are noted here.
    applied: Box<[AtomicU64]>,
    generations: RwLock<Generations>,
    entries: usize,
    hasher: RandomState,
}

struct Generations {
    current: Generation,
    previous: Generation,
}

struct Generation {
    /// What happened after this is noted.
    floor: SyncPoint,
    entries: AtomicUsize,
    members: Box<[Mutex<Members>]>,
    users: Box<[Mutex<Users>]>,
}

type Members = HashMap<ConversationId, Noted>;
type Users = HashMap<UserId, SmallVec<[ConversationId; 2]>>;

/// What is noted of a conversation.
struct Noted {
    /// For whom its last event was noted: while nobody comes or goes there is nothing more to note.
    members: Arc<[UserId]>,
    /// The position up to which the last change of its title or members was noted; 0 when none was in this generation.
    roster_changed: u64,
    /// The first event of the generation; 0 when that is not known.
    first: Seq,
}

/// An event, as far as it concerns this.
pub struct Happened {
    /// Where.
    pub conversation: ConversationId,
    /// The members after it.
    pub members: Arc<[UserId]>,
    /// Who went out with it.
    pub gone: Option<UserId>,
    /// Did it change a group's title or members?
    pub roster_changed: bool,
    /// Its place in the log, or that of the first of several; 0 when that is not known.
    pub first: Seq,
}

impl Recent {
    /// Nothing has happened since the partitions were at these positions, at the time `now`.
    pub fn new(positions: &[u64], now: Millis) -> Self {
        Recent::with_room(positions, now, ENTRIES)
    }

    fn with_room(positions: &[u64], now: Millis, entries: usize) -> Self {
        let floor = SyncPoint { at: now, positions: positions.to_vec() };
        let generations = Generations { current: Generation::new(floor.clone()), previous: Generation::new(floor) };
        Recent {
            applied: positions.iter().map(|position| AtomicU64::new(*position)).collect(),
            generations: RwLock::new(generations),
            entries,
            hasher: RandomState::new(),
        }
    }

    /// Notes what a worker stored, up to `position` of `partition`. To be called before anybody is told of it.
    pub fn note(&self, partition: u32, position: u64, happened: impl Iterator<Item = Happened>, now: Millis) {
        // Under one lock: a generation begins either before all of it, or after its position.
        let generations = self.generations.read();
        for Happened { conversation, members, gone, roster_changed, first } in happened {
            let noted = {
                let mut shard = self.shard(&generations.current.members, conversation).lock();
                let before = shard.get(&conversation);
                let changed = if roster_changed { position } else { before.map_or(0, |noted| noted.roster_changed) };
                // One that is told again after a crash may be older than what was noted.
                let first = before.map_or(first, |noted| noted.first.min(first));
                let before = shard.insert(conversation, Noted { members: members.clone(), roster_changed: changed, first });
                if before.is_none() {
                    generations.current.entries.fetch_add(1, Ordering::Relaxed);
                }
                before.is_some_and(|before| Arc::ptr_eq(&before.members, &members))
            };
            let members = members.iter().copied().filter(|_| !noted);
            members.chain(gone).for_each(|user| self.touch(&generations.current, user, conversation));
        }
        if let Some(applied) = self.applied.get(partition as usize) {
            applied.store(position, Ordering::Release);
        }
        drop(generations);
        self.turn_when_full(now);
    }

    /// Notes that a register of somebody's in `conversation` moved, which these users see. To be called before they are told.
    pub fn note_register(&self, conversation: ConversationId, users: impl IntoIterator<Item = UserId>, now: Millis) {
        let generations = self.generations.read();
        users.into_iter().for_each(|user| self.touch(&generations.current, user, conversation));
        drop(generations);
        self.turn_when_full(now);
    }

    /// A point up to which everything is noted here. Taken before anything is read for an answer.
    pub fn point(&self, now: Millis) -> SyncPoint {
        SyncPoint { at: now, positions: self.applied.iter().map(|position| position.load(Ordering::Acquire)).collect() }
    }

    /// The conversations of `user` in which something may have happened after `since`, each once, in order of their ids. `None` when that is
    /// not known any more. `slack` is how much later than its own time a register may be noted, in milliseconds.
    pub fn since(&self, user: UserId, since: &SyncPoint, slack: Millis) -> Option<Vec<ConversationId>> {
        let generations = self.generations.read();
        let Generations { current, previous } = &*generations;
        if !previous.covers(since, slack) {
            return None;
        }
        let mut found: Vec<ConversationId> = Vec::new();
        for generation in [current, previous] {
            let shard = self.shard(&generation.users, user).lock();
            found.extend(shard.get(&user).into_iter().flatten());
        }
        found.sort_unstable_by_key(|id| id.to_bytes());
        found.dedup();
        (found.len() <= CANDIDATES).then_some(found)
    }

    /// Are title and members of a group what they were at the position `since` of its partition, up to the position `head`? Also
    /// `false` when that is not known (any more).
    pub fn roster_stayed(&self, conversation: ConversationId, partition: u32, since: u64, head: u64) -> bool {
        let partition = partition as usize;
        // First: what was noted up to there is seen below.
        if self.applied.get(partition).is_none_or(|applied| applied.load(Ordering::Acquire) < head) {
            return false;
        }
        let Generations { current, previous } = &*self.generations.read();
        let stayed = |generation: &Generation| {
            let shard = self.shard(&generation.members, conversation).lock();
            shard.get(&conversation).is_none_or(|noted| noted.roster_changed <= since)
        };
        previous.floor.positions.get(partition).is_some_and(|floor| *floor <= since) && stayed(current) && stayed(previous)
    }

    /// An event of `conversation` before which nothing happened in it after the position `since` of its partition: all before that one
    /// was stored by then. `None` when that is not known (any more).
    pub fn first_since(&self, conversation: ConversationId, partition: u32, since: u64) -> Option<Seq> {
        let Generations { current, previous } = &*self.generations.read();
        let first = |generation: &Generation| {
            let shard = self.shard(&generation.members, conversation).lock();
            shard.get(&conversation).map(|noted| noted.first)
        };
        let known =
            |generation: &Generation| generation.floor.positions.get(partition as usize).is_some_and(|floor| *floor <= since);
        // What the newer generation has goes on from what the older one has.
        let newer = known(current).then(|| first(current)).flatten();
        newer.or_else(|| known(previous).then(|| first(previous).or_else(|| first(current))).flatten())
    }

    fn touch(&self, generation: &Generation, user: UserId, conversation: ConversationId) {
        let mut shard = self.shard(&generation.users, user).lock();
        let conversations = shard.entry(user).or_default();
        // One with more is not listed from here, so more need not be known of them.
        if conversations.len() <= CANDIDATES && !conversations.contains(&conversation) {
            conversations.push(conversation);
            generation.entries.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Begins a generation when the current one is full, and forgets the one before the last.
    fn turn_when_full(&self, now: Millis) {
        if self.generations.read().current.entries.load(Ordering::Relaxed) < self.entries {
            return;
        }
        let mut generations = self.generations.write();
        if generations.current.entries.load(Ordering::Relaxed) < self.entries {
            return;
        }
        let fresh = Generation::new(self.point(now));
        generations.previous = std::mem::replace(&mut generations.current, fresh);
    }

    fn shard<'a, T>(&self, shards: &'a [Mutex<T>], key: impl std::hash::Hash) -> &'a Mutex<T> {
        &shards[self.hasher.hash_one(key) as usize % SHARDS]
    }
}

impl Generation {
    fn new(floor: SyncPoint) -> Self {
        Generation {
            floor,
            entries: AtomicUsize::new(0),
            members: (0..SHARDS).map(|_| Mutex::default()).collect(),
            users: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Is everything after `since` noted in this generation or a later one? A register that moved before the floor may count as moved
    /// for `slack` longer, and may be noted as much later.
    fn covers(&self, since: &SyncPoint, slack: Millis) -> bool {
        let positions = since.positions.len() == self.floor.positions.len()
            && since.positions.iter().zip(&self.floor.positions).all(|(since, floor)| since >= floor);
        positions && since.at >= self.floor.at + 2 * slack
    }
}

#[cfg(test)]
mod tests {
    use banter_model::GroupId;

    use super::*;

    const SLACK: Millis = 5;

    fn group(number: u64) -> ConversationId {
        ConversationId::Group(GroupId(number))
    }

    fn happened(number: u64, members: &Arc<[UserId]>) -> Happened {
        Happened { conversation: group(number), members: members.clone(), gone: None, roster_changed: false, first: 0 }
    }

    fn members(users: &[u64]) -> Arc<[UserId]> {
        users.iter().map(|user| UserId(*user)).collect()
    }

    fn point(at: Millis, positions: &[u64]) -> SyncPoint {
        SyncPoint { at, positions: positions.to_vec() }
    }

    #[test]
    fn members_find_where_something_happened() {
        let recent = Recent::new(&[7, 9], 100);
        let pair = members(&[1, 2]);
        recent.note(0, 8, [happened(4, &pair), happened(3, &pair), happened(4, &pair)].into_iter(), 200);
        assert_eq!(recent.point(201), point(201, &[8, 9]));
        let since = point(110, &[7, 9]);
        assert_eq!(recent.since(UserId(1), &since, SLACK), Some(vec![group(3), group(4)]));
        assert_eq!(recent.since(UserId(5), &since, SLACK), Some(vec![]), "nothing happened to them, and that is known");
        // Somebody comes in, somebody goes.
        recent.note(0, 9, [happened(4, &members(&[1, 2, 5]))].into_iter(), 300);
        let leaving = Happened { gone: Some(UserId(6)), ..happened(4, &members(&[1, 2, 5])) };
        recent.note(0, 10, [leaving].into_iter(), 300);
        assert_eq!(recent.since(UserId(5), &since, SLACK), Some(vec![group(4)]));
        assert_eq!(recent.since(UserId(6), &since, SLACK), Some(vec![group(4)]));
        recent.note_register(group(9), [UserId(5)], 300);
        assert_eq!(recent.since(UserId(5), &since, SLACK), Some(vec![group(4), group(9)]));
    }

    #[test]
    fn what_was_before_the_server_is_not_known() {
        let recent = Recent::new(&[7, 9], 100);
        for unknown in [point(110, &[6, 9]), point(109, &[7, 9]), point(110, &[7])] {
            assert_eq!(recent.since(UserId(1), &unknown, SLACK), None, "{unknown:?}");
        }
    }

    #[test]
    fn two_generations_are_kept() {
        let recent = Recent::with_room(&[0], 0, 4);
        let all = members(&[1]);
        for position in 1..=6 {
            recent.note(0, position, [happened(position, &all)].into_iter(), 100 * position);
        }
        // Generations ended at positions 2, 4 and 6: what came after 4 is known, in the previous one.
        assert_eq!(recent.since(UserId(1), &point(410, &[4]), SLACK), Some(vec![group(5), group(6)]));
        assert_eq!(recent.since(UserId(1), &point(410, &[3]), SLACK), None);
        assert_eq!(recent.since(UserId(1), &point(409, &[4]), SLACK), None);
    }

    #[test]
    fn a_roster_stays_until_a_change_is_noted() {
        let recent = Recent::with_room(&[7, 7], 0, 6);
        let pair = members(&[1, 2]);
        let stayed = |since, head| recent.roster_stayed(group(4), 1, since, head);
        recent.note(1, 9, [happened(4, &pair)].into_iter(), 100);
        assert!(stayed(7, 9) && stayed(8, 8), "a message changes nothing");
        assert!(!stayed(7, 10), "what was stored beyond what is noted may have been a change");
        assert!(!stayed(6, 9), "before the server");
        recent.note(1, 12, [Happened { roster_changed: true, ..happened(4, &pair) }].into_iter(), 200);
        assert!(!stayed(7, 12) && !stayed(11, 12) && stayed(12, 12));
        // A generation later it is still known, and then no more.
        recent.note(1, 13, [happened(5, &pair), happened(6, &pair)].into_iter(), 300);
        assert!(!stayed(11, 13) && stayed(12, 13));
        recent.note(1, 14, [happened(5, &pair), happened(6, &pair)].into_iter(), 400);
        assert!(!stayed(12, 14), "from before what is noted");
        assert!(stayed(13, 14));
    }

    #[test]
    fn where_the_events_after_a_point_begin() {
        let recent = Recent::with_room(&[7, 7], 0, 6);
        let pair = members(&[1, 2]);
        let note =
            |position, number, first| recent.note(1, position, [Happened { first, ..happened(number, &pair) }].into_iter(), 1);
        let first = |since| recent.first_since(group(4), 1, since);
        assert_eq!(first(7), None, "nothing is noted, though something may be stored");
        note(9, 4, 21);
        note(10, 4, 22);
        // Told again.
        note(10, 4, 20);
        assert_eq!((first(7), first(9), first(6)), (Some(20), Some(20), None));
        // A generation later.
        note(12, 5, 1);
        note(13, 4, 23);
        assert_eq!((first(7), first(12)), (Some(20), Some(23)));
        note(14, 6, 1);
        note(15, 5, 2);
        assert_eq!((first(11), first(12), first(14)), (None, Some(23), Some(23)));
    }

    #[test]
    fn who_has_too_many_is_looked_up_elsewhere() {
        let recent = Recent::new(&[0], 0);
        let all = members(&[1]);
        recent.note(0, 1, (0..CANDIDATES as u64).map(|number| happened(number, &all)), 1);
        assert_eq!(recent.since(UserId(1), &point(10, &[0]), SLACK).map(|found| found.len()), Some(CANDIDATES));
        recent.note(0, 2, [happened(u64::MAX, &all)].into_iter(), 1);
        assert_eq!(recent.since(UserId(1), &point(10, &[0]), SLACK), None);
    }
}
