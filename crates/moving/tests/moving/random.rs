//! Random installations, whose logs are made by the fold as a worker makes them.

use std::collections::{BTreeMap, BTreeSet};

use banter_model::event::Mention;
use banter_model::fold::{self, Outcome, Target};
use banter_model::partition::partition_of;
use banter_model::snowflake::EPOCH;
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, EventId, GroupId, Marker, Membership, Seq, Tag,
    UserId, amend, membership,
};
use banter_moving::record::{InstallationRecord, Record};
use banter_store::behaviour::Random;
use banter_store::directory::Audience;
use banter_store::directory::movable::{
    BlockRecord, DeviceRecord, DirectoryRecord, FriendshipRecord, GroupKeyRecord, LastSeenRecord, RemovedDeviceRecord, UserRecord,
};
use banter_store::history::Progress;
use banter_store::history::movable::{
    ConversationRecord, EventRecord, HistoryRecord, MembershipRecord, MentionRecord, PositionRecord, ProgressRecord,
};

/// When everything takes place.
const NOW: u64 = EPOCH + 1_000_000_000;

/// All records of an installation, in the order of their kinds.
pub struct Made {
    pub records: Vec<Record>,
    /// Commands that were applied, each with the event that it made.
    pub commands: Vec<(Command, Seq)>,
}

/// An installation of about `size` users, and some commands for each.
pub fn installation(random: &mut Random, size: u64, partitions: u32) -> Made {
    let mut secret_key = [0; 32];
    secret_key.iter_mut().for_each(|byte| *byte = random.bits() as u8);
    let mut records =
        vec![Record::Installation(InstallationRecord { secret_key, ids_until: NOW + random.below(1_000), partitions })];
    let users: Vec<UserId> = BTreeSet::from_iter((0..size).map(|_| UserId(random.id()))).into_iter().collect();
    records.extend(people(random, &users).into_iter().map(Record::Directory));
    let (logs, commands) = logs(random, &users, partitions);
    records.extend(logs.into_iter().map(Record::History));
    Made { records, commands }
}

fn text(random: &mut Random) -> String {
    let letters = ['a', ' ', '"', '\\', '\n', 'é', '⛵', '\u{2028}', '\u{7f}', '{'];
    (0..1 + random.below(40)).map(|_| letters[random.below(10) as usize]).collect()
}

fn people(random: &mut Random, users: &[UserId]) -> Vec<DirectoryRecord> {
    let yes = |random: &mut Random| random.below(2) == 0;
    let mut people: Vec<DirectoryRecord> = Vec::new();
    for id in users {
        people.push(DirectoryRecord::User(UserRecord {
            id: *id,
            handle: format!("u{id}"),
            display_name: text(random),
            about: if yes(random) { text(random) } else { String::new() },
            password_hash: format!("$argon2id${}", random.bits()),
            presence: [Audience::Everyone, Audience::Friends, Audience::Nobody][random.below(3) as usize],
            friends_only: yes(random),
            read_receipts: yes(random),
            created_at: NOW + random.below(1_000),
        }));
    }
    for user in users {
        for _ in 0..random.below(3) {
            let (id, name, used_at) = (DeviceId(random.id()), text(random), NOW + random.below(9_000));
            let generation = 1 + random.below(100);
            people.push(DirectoryRecord::Device(DeviceRecord { id, user: *user, name, created_at: NOW, used_at, generation }));
        }
        if random.below(5) == 0 {
            let removed = RemovedDeviceRecord { id: DeviceId(random.id()), user: UserId(random.id()), removed_at: NOW };
            people.push(DirectoryRecord::RemovedDevice(removed));
        }
        if yes(random) {
            people.push(DirectoryRecord::LastSeen(LastSeenRecord { user: *user, seen_at: NOW + random.below(1_000) }));
        }
        for _ in 0..random.below(3) {
            let (key, group) = (format!("{} {}", text(random), random.bits()), GroupId(random.id()));
            people.push(DirectoryRecord::GroupKey(GroupKeyRecord { user: *user, key, group }));
        }
    }
    for pair in users.windows(2) {
        let (low, high) = (pair[0], pair[1]);
        if yes(random) {
            let (asker, accepted) = (if yes(random) { low } else { high }, yes(random));
            people.push(DirectoryRecord::Friendship(FriendshipRecord { low, high, asker, accepted, changed_at: NOW }));
        }
        if random.below(4) == 0 {
            people.push(DirectoryRecord::Block(BlockRecord { blocker: high, blocked: low, created_at: NOW }));
        }
    }
    people.sort_by_key(|record| Record::Directory(record.clone()).kind());
    people
}

/// What a worker would have made of random commands.
fn logs(random: &mut Random, users: &[UserId], partitions: u32) -> (Vec<HistoryRecord>, Vec<(Command, Seq)>) {
    let mut world = World::default();
    let pick = |random: &mut Random| users[random.below(users.len() as u64) as usize];
    let mut ids: Vec<ConversationId> = Vec::new();
    for _ in 0..users.len() {
        ids.extend(ConversationId::direct(pick(random), pick(random)));
        ids.push(ConversationId::Group(GroupId(random.id())));
    }
    let mut positions: BTreeMap<u32, u64> = BTreeMap::new();
    let mut tags: BTreeMap<(ConversationId, UserId), u64> = BTreeMap::new();
    let mut commands = Vec::new();
    for number in 0..users.len() as u64 * 30 {
        let conversation = ids[random.below(ids.len() as u64) as usize];
        let position = positions.entry(partition_of(conversation, partitions)).or_insert(random.below(1 << 30));
        *position += 1;
        let sender = match conversation {
            ConversationId::Direct(low, high) => [low, high][random.below(2) as usize],
            ConversationId::Group(_) => pick(random),
        };
        let tag = tags.entry((conversation, sender)).or_default();
        *tag += 1 + random.below(3);
        let tag = (random.below(8) > 0).then(|| Tag::new(*tag).unwrap());
        let action = world.action(random, conversation, sender, users);
        let id = EventId((number + 1) << 24 | random.below(1 << 20));
        let command = Command { conversation, sender, device: DeviceId(sender.0 ^ 1), tag, id, action };
        if let Some(seq) = world.apply(*position, command.clone()) {
            commands.push((command, seq));
        }
    }
    (world.records(random, &positions), commands)
}

#[derive(Default)]
struct World {
    conversations: BTreeMap<ConversationId, Conversation>,
    events: BTreeMap<(ConversationId, Seq), Event>,
    memberships: BTreeMap<(UserId, ConversationId), Membership>,
}

impl World {
    fn action(&self, random: &mut Random, id: ConversationId, sender: UserId, users: &[UserId]) -> Action {
        let head = self.conversations.get(&id).map_or(0, |conversation| conversation.head.seq);
        let pick = |random: &mut Random| users[random.below(users.len() as u64) as usize];
        let mention = |random: &mut Random| vec![Mention { user: pick(random), start: 0, length: 4 }];
        let target = 1 + random.below(head.max(1));
        match random.below(if id.is_direct() { 10 } else { 14 }) {
            _ if !id.is_direct() && head == 0 => {
                let members = (0..random.below(8)).map(|_| pick(random)).collect();
                Action::CreateGroup { title: text(random), members, earlier_history: random.below(2) == 0 }
            }
            0 => Action::Edit { target, text: text(random), mentions: mention(random) },
            1 => Action::Redact { target },
            2 | 3 => Action::React { target, emoji: "👍".to_owned(), add: random.below(3) > 0 },
            10 => Action::AddMembers { members: vec![pick(random), sender] },
            11 => Action::RemoveMember { member: pick(random) },
            12 if random.below(4) == 0 => Action::Leave,
            13 => Action::SetTitle { title: text(random) },
            _ => {
                let reply_to = (random.below(4) == 0 && head > 0).then_some(target);
                let mentions = if random.below(3) == 0 { mention(random) } else { Vec::new() };
                Action::Send { text: text(random), reply_to, mentions }
            }
        }
    }

    fn apply(&mut self, position: u64, command: Command) -> Option<Seq> {
        let id = command.conversation;
        let conversation = self.conversations.entry(id).or_insert_with(|| Conversation::new(id));
        let target = command.action.target().and_then(|seq| self.events.get(&(id, seq)).cloned());
        let applied = fold::apply(conversation, position, command, target.as_ref().map(Target::of).as_ref());
        let Outcome::Applied { event, .. } = applied else { return None };
        let earlier_history = conversation.roster.earlier_history;
        let (mut came, went) = membership::changes(&event);
        if let (ConversationId::Direct(low, high), 1) = (id, event.seq) {
            came.extend([low, high]);
        }
        for user in came {
            self.memberships.entry((user, id)).or_default().enter(&event, earlier_history);
        }
        for user in went {
            self.memberships.entry((user, id)).or_default().leave(&event);
        }
        if let Some(mut target) = target {
            amend::amend(&mut target, &event);
            self.events.insert((id, target.seq), target);
        }
        let seq = event.seq;
        self.events.insert((id, seq), event);
        Some(seq)
    }

    fn records(self, random: &mut Random, positions: &BTreeMap<u32, u64>) -> Vec<HistoryRecord> {
        let mut records: Vec<HistoryRecord> = positions
            .iter()
            .map(|(partition, position)| HistoryRecord::Position(PositionRecord { partition: *partition, position: *position }))
            .collect();
        let mut mentions = Vec::new();
        for ((conversation, seq), event) in &self.events {
            if let EventBody::Message { mentions: of, .. } = &event.body {
                let of = of.iter().map(|mention| MentionRecord { user: mention.user, conversation: *conversation, seq: *seq });
                mentions.extend(of.map(HistoryRecord::Mention));
            }
            records.push(HistoryRecord::Event(EventRecord { conversation: *conversation, event: event.clone() }));
        }
        let begun = self.conversations.into_values().filter(|conversation| conversation.head.seq > 0);
        records.extend(begun.map(|Conversation { id: conversation, head, roster }| {
            HistoryRecord::Conversation(ConversationRecord { conversation, head, roster })
        }));
        let mut read = Vec::new();
        for ((user, conversation), membership) in self.memberships {
            if random.below(3) > 0 {
                let marker = Marker { seq: random.below(50), ordinal: random.below(40) };
                let progress = Progress { read: marker, delivered: random.below(60), changed_at: NOW + random.below(1_000) };
                read.push(HistoryRecord::Progress(ProgressRecord { user, conversation, progress }));
            }
            records.push(HistoryRecord::Membership(MembershipRecord { user, conversation, membership }));
        }
        records.extend(read);
        records.extend(mentions);
        records
    }
}
