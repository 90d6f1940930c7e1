//! Devices that write: each counts its tags up, and sends again what is unanswered, with the same tag, and sometimes what is answered.

use std::collections::BTreeMap;

use banter_model::event::Mention;
use banter_model::{Action, Command, ConversationId, DeviceId, EventId, GroupId, Objection, Role, Seq, Tag, UserId};
use banter_store::behaviour::Random;
use banter_store::{Envelope, Origin};

use super::state::State;

/// Users who act; a few more are only ever added to groups.
const USERS: u64 = 5;
/// Devices they act from: the first two users have two each.
const DEVICES: u64 = 7;
/// Most that one device leaves unanswered.
const UNANSWERED: usize = 6;
/// Bytes of a long text: three edits with it fill a batch.
const LONG_TEXT: usize = 390_000;

/// All devices, and what is on its way from them.
pub struct Devices {
    devices: Vec<Device>,
    conversations: Vec<ConversationId>,
    /// New things that they will still write.
    left: u64,
    number: u64,
    /// What a gateway has taken and not queued yet.
    under_way: Vec<Envelope>,
    kind: Kind,
}

/// What the devices of a seed write mostly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Everything there is, in several conversations.
    Everything,
    /// A few messages, amended again and again by several: what is hardest to repeat.
    Amendments,
    /// Edits with texts so long that a few fill a batch.
    LongTexts,
}

struct Device {
    user: UserId,
    device: DeviceId,
    tags: BTreeMap<ConversationId, u64>,
    unanswered: Vec<(ConversationId, Tag, Action)>,
    /// What was answered last: it may come again all the same.
    answered: Option<(ConversationId, Tag, Action)>,
}

impl Devices {
    /// Devices, and what they will write.
    pub fn new(random: &mut Random) -> Devices {
        let (kind, count) = match random.below(150) {
            0 => (Kind::LongTexts, 25),
            1..=50 => (Kind::Amendments, 20 + random.below(60)),
            _ => (Kind::Everything, 20 + random.below(120)),
        };
        let device = |number: u64| Device {
            user: UserId((number - 1) % USERS + 1),
            device: DeviceId(number),
            tags: BTreeMap::new(),
            unanswered: Vec::new(),
            answered: None,
        };
        let direct = ConversationId::direct(UserId(1), UserId(2));
        let groups = [1, 2].map(|group| ConversationId::Group(GroupId(group)));
        let conversations = direct.into_iter().chain(groups.into_iter().filter(|_| kind != Kind::Amendments)).collect();
        let devices = (1..=DEVICES).map(device).collect();
        Devices { devices, conversations, left: count, number: 0, under_way: Vec::new(), kind }
    }

    /// Where they write.
    pub fn conversations(&self) -> &[ConversationId] {
        &self.conversations
    }

    /// Have they written everything?
    pub fn have_written(&self) -> bool {
        self.left == 0
    }

    /// Is everything answered, too?
    pub fn are_done(&self) -> bool {
        self.left == 0 && self.under_way.is_empty() && self.devices.iter().all(|device| device.unanswered.is_empty())
    }

    /// Takes the answers.
    pub fn listen(&mut self, state: &mut State) {
        for (number, final_word) in std::mem::take(&mut state.told.for_devices) {
            let Some(Envelope { command, .. }) = state.told.queued.get(&number) else { continue };
            let Some(device) = self.devices.iter_mut().find(|device| device.device == command.device) else { continue };
            let asked = |(id, tag, _): &(ConversationId, Tag, Action)| *id == command.conversation && Some(*tag) == command.tag;
            if let Some(index) = device.unanswered.iter().position(asked).filter(|_| final_word) {
                device.answered = Some(device.unanswered.remove(index));
            }
        }
    }

    /// Somebody does something, or something arrives.
    pub fn act(&mut self, state: &mut State) {
        match state.random.below(10) {
            0 | 1 if !self.under_way.is_empty() => {
                let index = state.random.below(self.under_way.len() as u64) as usize;
                let envelope = self.under_way.swap_remove(index);
                queue(state, envelope);
            }
            0..=2 => self.again(state),
            _ if self.left > 0 => self.write(state),
            _ => self.again(state),
        }
    }

    /// Something new.
    fn write(&mut self, state: &mut State) {
        let index = state.random.below(self.devices.len() as u64) as usize;
        if self.devices[index].unanswered.len() >= UNANSWERED {
            return;
        }
        self.left -= 1;
        let id = self.conversations[state.random.below(self.conversations.len() as u64) as usize];
        let head = state.rows.head(id).map_or(0, |head| head.seq);
        let action = self.action(&mut state.random, id, head);
        let device = &mut self.devices[index];
        let tag = if state.random.below(10) == 0 {
            None
        } else {
            let last = device.tags.entry(id).or_default();
            *last += 1;
            Tag::new(*last).ok()
        };
        device.unanswered.extend(tag.map(|tag| (id, tag, action.clone())));
        self.send(state, index, id, tag, action);
    }

    /// Something that is unanswered, or was.
    fn again(&mut self, state: &mut State) {
        let index = state.random.below(self.devices.len() as u64) as usize;
        let device = &self.devices[index];
        let count = device.unanswered.len() as u64;
        let asked = match (count, state.random.below(8)) {
            (0, _) | (_, 0) => device.answered.clone(),
            _ => device.unanswered.get(state.random.below(count) as usize).cloned(),
        };
        if let Some((id, tag, action)) = asked {
            self.send(state, index, id, Some(tag), action);
        }
    }

    /// Through a gateway, which gives an id. Some get stuck there for a while, and some are queued twice.
    fn send(&mut self, state: &mut State, index: usize, id: ConversationId, tag: Option<Tag>, action: Action) {
        self.number += 1;
        let Device { user, device, .. } = self.devices[index];
        let random = &mut state.random;
        // Gateways have clocks of their own.
        let time = 1 + state.turn + random.below(50);
        let event = EventId(time << 22 | self.number);
        let objection = match (random.below(60), id) {
            (0, ConversationId::Direct(..)) => Some(Objection::MayNotWrite),
            // Only what is sent again comes to an end.
            (1, _) if tag.is_some() => Some(Objection::Unchecked),
            _ => None,
        };
        let command = Command { conversation: id, sender: user, device, tag, id: event, action };
        let envelope = Envelope { command, origin: Origin { gateway: 1, session: self.number }, objection };
        let (stuck, twice) = (random.below(10) == 0, tag.is_some() && random.below(30) == 0);
        if twice {
            self.number += 1;
            let origin = Origin { gateway: 1, session: self.number };
            self.under_way.push(Envelope { origin, ..envelope.clone() });
        }
        if stuck { self.under_way.push(envelope) } else { queue(state, envelope) }
    }

    fn action(&self, random: &mut Random, id: ConversationId, head: Seq) -> Action {
        if head == 0 && !id.is_direct() && random.below(3) > 0 {
            let members = (0..random.below(4)).map(|_| user(random)).collect();
            return Action::CreateGroup { title: "group".to_owned(), members, earlier_history: random.below(2) == 0 };
        }
        // Mostly what is there; sometimes what is not there yet, and may be when the command comes up.
        let target = match random.below(3) {
            0 => 1 + random.below(head + 3),
            _ => (head + 1).saturating_sub(random.below(6)).max(1),
        };
        if self.kind == Kind::Amendments && head > 2 {
            let target = 1 + random.below(2);
            let mentioned: Vec<u64> = (1..=2).filter(|_| random.below(2) == 0).collect();
            let mentions = mentioned.into_iter().map(|user| Mention { user: UserId(user), start: 0, length: 4 }).collect();
            return match random.below(30) {
                0 => Action::Redact { target: 1 + random.below(head) },
                1..=3 => Action::React { target, emoji: "👍".to_owned(), add: random.below(2) == 0 },
                4..=6 => Action::Send { text: "more".to_owned(), reply_to: None, mentions },
                _ => Action::Edit { target, text: format!("text {}", random.below(1_000)), mentions },
            };
        }
        match random.below(100) {
            0..=37 => {
                let reply_to = (random.below(6) == 0).then_some(target);
                Action::Send { text: self.text(random), reply_to, mentions: mentions(random) }
            }
            38..=57 => Action::Edit { target, text: self.text(random), mentions: mentions(random) },
            58..=67 => Action::Redact { target },
            68..=79 => {
                let emoji = ["👍", "🎉", "😀"][random.below(3) as usize].to_owned();
                Action::React { target, emoji, add: random.below(3) > 0 }
            }
            80..=85 => Action::AddMembers { members: (0..1 + random.below(3)).map(|_| user(random)).collect() },
            86..=90 => Action::RemoveMember { member: user(random) },
            91..=93 => Action::Leave,
            94..=95 => {
                let role = [Role::Member, Role::Admin, Role::Owner][random.below(3) as usize];
                Action::SetRole { member: user(random), role }
            }
            96..=97 => Action::SetTitle { title: format!("title {}", random.below(100)) },
            98 => Action::SetEarlierHistory { earlier_history: random.below(2) == 0 },
            _ => Action::CreateGroup { title: "again".to_owned(), members: Vec::new(), earlier_history: false },
        }
    }

    fn text(&self, random: &mut Random) -> String {
        let short = format!("text {}", random.below(1_000));
        if self.kind == Kind::LongTexts && random.below(2) == 0 { short.repeat(LONG_TEXT / short.len()) } else { short }
    }
}

fn queue(state: &mut State, envelope: Envelope) {
    let number = envelope.origin.session;
    state.note(|| {
        let Command { conversation, device, tag, action, .. } = &envelope.command;
        let action = format!("{action:?}");
        let action = action.chars().take(120).collect::<String>();
        format!("{number} is queued: {conversation}, device {device:?}, tag {tag:?}, {action}, {:?}", envelope.objection)
    });
    state.told.queued.insert(number, envelope.clone());
    state.topic.commands.push(envelope);
}

fn user(random: &mut Random) -> UserId {
    UserId(1 + random.below(USERS + 2))
}

fn mentions(random: &mut Random) -> Vec<Mention> {
    let count = random.below(5).saturating_sub(2);
    (0..count).map(|_| Mention { user: user(random), start: 0, length: 4 }).collect()
}
