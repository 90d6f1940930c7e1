//! Random logs: steps that proptest draws, and a worker in miniature that folds them as the real one does.

// Each test program uses a part of it.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};

use banter_model::fold::apply;
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventBody, EventId, GroupId, Marker, Membership, Mention,
    Outcome, Role, Seq, Tag, Target, UserId, amend, membership,
};
use proptest::prelude::*;

/// Users who act. Further ids are only ever added to groups.
pub const USERS: u64 = 6;
/// Devices they act from; the first two users have two each.
pub const DEVICES: u64 = 8;

/// Whose device it is.
pub fn owner(device: DeviceId) -> UserId {
    UserId((device.0 - 1) % USERS + 1)
}

/// What a worker stores of one conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub conversation: Conversation,
    /// Events as they are now: amended by later ones.
    pub rows: BTreeMap<Seq, Event>,
    pub memberships: BTreeMap<UserId, Membership>,
    /// Registers that forgotten tag windows were moved to.
    pub read: BTreeMap<UserId, Marker>,
}

impl Log {
    pub fn new(id: ConversationId) -> Self {
        Log { conversation: Conversation::new(id), rows: BTreeMap::new(), memberships: BTreeMap::new(), read: BTreeMap::new() }
    }

    /// Folds one command and stores what comes of it.
    pub fn take(&mut self, position: u64, command: &Command) -> Outcome {
        let target = command.action.target().and_then(|seq| self.rows.get(&seq)).map(Target::of);
        let outcome = apply(&mut self.conversation, position, command.clone(), target.as_ref());
        if let Outcome::Applied { event, forgotten } = &outcome {
            self.store(event);
            if let Some((user, marker)) = forgotten {
                let register = self.read.entry(*user).or_default();
                *register = (*register).max(*marker);
            }
        }
        outcome
    }

    fn store(&mut self, event: &Event) {
        self.rows.insert(event.seq, event.clone());
        if let Some(message) = event.body.target().and_then(|target| self.rows.get_mut(&target)) {
            amend::amend(message, event);
            let EventBody::Message { amendments, .. } = &message.body else { panic!("{event:?} amends {message:?}") };
            let emptied = if amendments.redaction.is_some() { amendments.edits.clone() } else { Vec::new() };
            for edit in emptied {
                amend::redact_edit(self.rows.get_mut(&edit).expect("edits are rows"));
            }
        }
        let (entered, left) = membership::changes(event);
        for user in entered {
            self.memberships.entry(user).or_default().enter(event, self.conversation.roster.earlier_history);
        }
        for user in left {
            self.memberships.entry(user).or_default().leave(event);
        }
    }

    /// Where `Outcome::Duplicate` leads.
    pub fn find_tag(&self, device: DeviceId, tag: Tag, at_most: Seq) -> Option<&Event> {
        self.rows.range(..=at_most).rev().map(|(_, event)| event).find(|event| event.device == device && event.tag == Some(tag))
    }
}

/// One thing that happens, not yet fitted to the log it happens in.
#[derive(Debug, Clone)]
pub struct Step {
    device: u64,
    tag: TagChoice,
    /// Milliseconds on the gateway's clock, which need not be in order.
    clock: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum TagChoice {
    /// None, as for what the API does.
    Absent,
    /// So many above the highest.
    Ahead(u64),
    /// So many below the highest.
    Behind(u64),
}

#[derive(Debug, Clone)]
enum What {
    Fixed(Action),
    /// An action on a message: one of the sender's, when there is one, or whatever is at that place.
    On(Action, Place),
    /// An earlier command again.
    Again(prop::sample::Index),
}

#[derive(Debug, Clone)]
enum Place {
    Own(prop::sample::Index),
    At(Seq),
}

/// A user who acts, or one of many who do not.
fn user() -> impl Strategy<Value = UserId> {
    prop_oneof![8 => 1..=USERS, 1 => 1..=130_u64].prop_map(UserId)
}

fn users() -> impl Strategy<Value = Vec<UserId>> {
    let few = prop::collection::vec(user(), 0..5);
    let many = (1..60_u64, 0..110_u64).prop_map(|(from, count)| (from..from + count).map(UserId).collect());
    prop_oneof![6 => few, 1 => many]
}

fn mentions() -> impl Strategy<Value = Vec<Mention>> {
    prop::collection::vec(user().prop_map(|user| Mention { user, start: 0, length: 4 }), 0..3)
}

fn emoji() -> impl Strategy<Value = String> {
    (0..24_u32).prop_map(|number| char::from_u32(0x1F600 + number).expect("an emoji").to_string())
}

fn role() -> impl Strategy<Value = Role> {
    prop_oneof![Just(Role::Member), Just(Role::Admin), Just(Role::Owner)]
}

fn what() -> impl Strategy<Value = What> {
    let text = "[a-z]{1,6}";
    let send = (text, prop::option::of(0..30_u64), mentions())
        .prop_map(|(text, reply_to, mentions)| What::Fixed(Action::Send { text, reply_to, mentions }));
    let place = prop_oneof![
        3 => any::<prop::sample::Index>().prop_map(Place::Own),
        2 => (0..40_u64).prop_map(Place::At),
    ];
    let edit = (text, mentions()).prop_map(|(text, mentions)| Action::Edit { target: 0, text, mentions });
    let react = (emoji(), prop::bool::weighted(0.8)).prop_map(|(emoji, add)| Action::React { target: 0, emoji, add });
    let on = prop_oneof![5 => edit, 5 => react, 1 => Just(Action::Redact { target: 0 })];
    let fixed = prop_oneof![
        1 => ("[a-z]{1,6}", users(), any::<bool>())
            .prop_map(|(title, members, earlier_history)| Action::CreateGroup { title, members, earlier_history }),
        4 => users().prop_map(|members| Action::AddMembers { members }),
        3 => user().prop_map(|member| Action::RemoveMember { member }),
        2 => Just(Action::Leave),
        3 => (user(), role()).prop_map(|(member, role)| Action::SetRole { member, role }),
        1 => "[a-z]{1,6}".prop_map(|title| Action::SetTitle { title }),
        2 => any::<bool>().prop_map(|earlier_history| Action::SetEarlierHistory { earlier_history }),
    ];
    prop_oneof![
        8 => send,
        8 => (on, place).prop_map(|(action, place)| What::On(action, place)),
        8 => fixed.prop_map(What::Fixed),
        4 => any::<prop::sample::Index>().prop_map(What::Again),
    ]
}

/// Steps of several users and devices, valid and invalid ones mixed.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tag = prop_oneof![
        1 => Just(TagChoice::Absent),
        8 => (1..4_u64).prop_map(TagChoice::Ahead),
        1 => (4..200_u64).prop_map(TagChoice::Ahead),
        3 => (0..80_u64).prop_map(TagChoice::Behind),
    ];
    let step =
        (1..=DEVICES, tag, 0..100_000_u64, what()).prop_map(|(device, tag, clock, what)| Step { device, tag, clock, what });
    prop::collection::vec(step, 1..90)
}

/// A direct conversation of the first two users, or a group.
pub fn conversation_id() -> impl Strategy<Value = ConversationId> {
    prop_oneof![
        1 => Just(ConversationId::Direct(UserId(1), UserId(2))),
        3 => Just(ConversationId::Group(GroupId(7))),
    ]
}

/// A log as it came about: the commands, what became of each, and the state before each and after the last.
#[derive(Debug)]
pub struct Run {
    pub commands: Vec<Command>,
    pub outcomes: Vec<Outcome>,
    pub states: Vec<Log>,
}

impl Run {
    /// Fits `steps` to a log and folds them. Position `n + 1` is that of `commands[n]`. A group mostly begins with its making.
    pub fn of(id: ConversationId, steps: Vec<Step>) -> Self {
        let mut run = Run { commands: Vec::new(), outcomes: Vec::new(), states: vec![Log::new(id)] };
        let mut highest: BTreeMap<DeviceId, u64> = BTreeMap::new();
        for step in steps {
            let log = run.states.last().expect("one at least");
            let device = DeviceId(step.device);
            let sender = owner(device);
            let top = highest.entry(device).or_default();
            let tag = match step.tag {
                TagChoice::Absent => None,
                TagChoice::Ahead(by) => Some(*top + by),
                TagChoice::Behind(by) => Some(top.saturating_sub(by).max(1)),
            };
            let id_of_event = EventId((step.clock << 22) + run.commands.len() as u64);
            let fresh = |action| {
                let tag = tag.map(|tag| Tag::new(tag).expect("a tag"));
                Command { conversation: id, sender, device, tag, id: id_of_event, action }
            };
            let command = match step.what {
                What::Fixed(_) if run.commands.is_empty() && !id.is_direct() && step.clock % 8 > 0 => {
                    let members = (1..=USERS).map(UserId).filter(|user| user.0 % 2 == step.clock % 2).collect();
                    fresh(Action::CreateGroup { title: "x".into(), members, earlier_history: step.clock % 3 == 0 })
                }
                What::Fixed(action) => fresh(action),
                What::On(action, place) => fresh(aim(action, place_in(log, sender, place))),
                What::Again(index) if !run.commands.is_empty() => {
                    // The gateway gives a resend an id of its own.
                    Command { id: id_of_event, ..index.get(&run.commands).clone() }
                }
                What::Again(_) => continue,
            };
            if let Some(tag) = command.tag {
                let top = highest.entry(command.device).or_default();
                *top = (*top).max(tag.get());
            }
            run.take(command);
        }
        run
    }

    /// Folds one more command.
    pub fn take(&mut self, command: Command) {
        let mut log = self.states.last().expect("one at least").clone();
        self.outcomes.push(log.take(self.commands.len() as u64 + 1, &command));
        self.commands.push(command);
        self.states.push(log);
    }

    /// The state after the last command.
    pub fn end(&self) -> &Log {
        self.states.last().expect("one at least")
    }

    /// The events as they were made, before any amendment.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Applied { event, .. } => Some(event),
            _ => None,
        })
    }
}

fn place_in(log: &Log, sender: UserId, place: Place) -> Seq {
    match place {
        Place::At(seq) => seq,
        Place::Own(index) => {
            let own: Vec<Seq> =
                log.rows.values().filter(|row| row.sender == sender && row.body.is_message()).map(|row| row.seq).collect();
            if own.is_empty() { 1 } else { *index.get(&own) }
        }
    }
}

fn aim(action: Action, target: Seq) -> Action {
    match action {
        Action::Edit { text, mentions, .. } => Action::Edit { target, text, mentions },
        Action::React { emoji, add, .. } => Action::React { target, emoji, add },
        Action::Redact { .. } => Action::Redact { target },
        other => other,
    }
}

/// What each user may see of a run, by counting: an event is seen by who was in before it or after it, and somebody who
/// comes in while the group shows earlier history sees all before.
pub fn visible(run: &Run) -> BTreeMap<UserId, BTreeSet<Seq>> {
    let mut seen: BTreeMap<UserId, BTreeSet<Seq>> = BTreeMap::new();
    for (pair, outcome) in run.states.windows(2).zip(&run.outcomes) {
        let Outcome::Applied { event, .. } = outcome else { continue };
        let (before, after) = (&pair[0].conversation, &pair[1].conversation);
        for user in before.members().chain(after.members()) {
            let came_in = !before.has_member(user);
            let from = if came_in && after.roster.earlier_history { 1 } else { event.seq };
            seen.entry(user).or_default().extend(from..=event.seq);
        }
    }
    seen
}
