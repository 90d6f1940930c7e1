//! Random runs: connections cut at any frame, frames dropped with `resync`, zombie connections, late pages, kills of both ends.

use std::collections::VecDeque;

use banter_model::{Action, ConversationId, DeviceId, GroupId, Millis, Role, Tag, UserId};
use banter_protocol::api::Page;
use banter_protocol::frame::Resume;
use banter_protocol::{ClientFrame, ServerFrame};

use super::Random;
use super::device::Device;
use super::server::{Fanout, Server, tags_of};
use crate::sync::{FetchError, Input};

#[derive(Default)]
struct Session {
    up: VecDeque<ClientFrame>,
    down: VecDeque<ServerFrame>,
}

struct World {
    random: Random,
    server: Server,
    devices: Vec<Device>,
    sessions: Vec<Option<Session>>,
    /// Cut connections whose last frames still reach the server.
    zombies: Vec<(usize, VecDeque<ClientFrame>)>,
    /// Pages read, on their way.
    pages: Vec<(usize, u64, Result<Page, FetchError>)>,
    now: Millis,
    written: u64,
    flooded: u64,
}

const DIRECT: ConversationId = ConversationId::Direct(UserId(1), UserId(2));
const GROUP: ConversationId = ConversationId::Group(GroupId(7));
const OPEN_GROUP: ConversationId = ConversationId::Group(GroupId(8));
const OTHER: ConversationId = ConversationId::Direct(UserId(2), UserId(3));

impl World {
    fn new(seed: u64) -> Self {
        // Users 1 to 3; user 2 has two devices, the second one logged in later.
        let devices =
            vec![Device::new(1, 11, true), Device::new(2, 21, true), Device::new(3, 31, true), Device::new(2, 22, false)];
        let sessions = devices.iter().map(|_| None).collect();
        let random = Random(seed);
        World {
            random,
            server: Server::default(),
            devices,
            sessions,
            zombies: vec![],
            pages: vec![],
            now: 1_000,
            written: 0,
            flooded: 0,
        }
    }

    fn pick(&mut self) -> usize {
        self.random.below(self.devices.len() as u64) as usize
    }

    fn fan_out(&mut self, from: Option<usize>, fanout: Fanout) {
        for (user, frame) in fanout {
            for (index, session) in self.sessions.iter_mut().enumerate() {
                if let Some(session) = session.as_mut().filter(|_| Some(index) != from && self.devices[index].user == user) {
                    session.down.push_back(frame.clone());
                }
            }
        }
    }

    fn connect(&mut self, index: usize) {
        if self.sessions[index].is_none() {
            let since = self.devices[index].engine.point().map(str::to_owned);
            let resume = ClientFrame::Resume(Resume { token: "t".into(), since });
            self.sessions[index] = Some(Session { up: VecDeque::from([resume]), down: VecDeque::new() });
        }
    }

    fn cut(&mut self, index: usize) {
        let Some(session) = self.sessions[index].take() else { return };
        if self.random.chance(50) {
            let arrives = self.random.below(session.up.len() as u64 + 1) as usize;
            let mut up = session.up;
            up.truncate(arrives);
            up.retain(|frame| !matches!(frame, ClientFrame::Resume(_)));
            self.zombies.push((index, up));
        }
        self.devices[index].handle(self.now, Input::Disconnected);
    }

    fn kill_server(&mut self) {
        self.zombies.clear();
        for index in 0..self.devices.len() {
            if let Some(session) = self.sessions[index].as_mut() {
                session.up.clear();
            }
            self.cut(index);
        }
    }

    fn write(&mut self, index: usize) {
        let conversation = [DIRECT, GROUP, OTHER, OPEN_GROUP][self.random.below(4) as usize];
        let device = &mut self.devices[index];
        if conversation.is_direct() && conversation.peer_of(device.user).is_none() {
            return;
        }
        self.written += 1;
        let head = device.engine.conversation(conversation).map_or(0, |state| state.head.seq);
        let target = if head == 0 { 1 } else { 1 + self.random.below(head) };
        let action = match self.random.below(10) {
            0 => Action::Edit { target, text: format!("edit {}", self.written), mentions: vec![] },
            1 => Action::Redact { target },
            2 | 3 => Action::React {
                target,
                emoji: ["👍", "🎉", "😀"][self.random.below(3) as usize].into(),
                add: self.random.chance(70),
            },
            _ => Action::Send { text: format!("{} of {}", self.written, device.id), reply_to: None, mentions: vec![] },
        };
        device.queue(self.now, conversation, action).unwrap();
    }

    /// The server takes a frame of a session, or answers wait.
    fn serve(&mut self, index: usize) {
        let Some(session) = self.sessions[index].as_mut() else { return };
        let Some(frame) = session.up.pop_front() else { return };
        let (user, id) = (self.devices[index].user, self.devices[index].id);
        if let ClientFrame::Send(send) = &frame
            && self.random.chance(3)
        {
            let (tag, conversation) = (Some(send.tag.get()), Some(send.conversation));
            let (code, message, retry_after) = ("busy".into(), "later".into(), Some(1));
            session.down.push_back(ServerFrame::Error { code, message, tag, conversation, retry_after });
            return;
        }
        let (answers, fanout) = self.server.take(user, id, frame);
        session.down.extend(answers);
        self.fan_out(Some(index), fanout);
    }

    fn receive(&mut self, index: usize) {
        let Some(frame) = self.sessions[index].as_mut().and_then(|session| session.down.pop_front()) else { return };
        self.devices[index].handle(self.now, Input::Frame(frame));
    }

    fn flush(&mut self, index: usize) {
        let frames = std::mem::take(&mut self.devices[index].to_send);
        if let Some(session) = self.sessions[index].as_mut() {
            session.up.extend(frames);
        }
        for (request, conversation, window) in std::mem::take(&mut self.devices[index].to_fetch) {
            let limit = 1 + self.random.below(200);
            let page = self.server.page(self.devices[index].user, conversation, window, limit);
            let lost = self.random.chance(10);
            let result = if lost { Err(FetchError::Later { retry_after: None }) } else { page.ok_or(FetchError::Gone) };
            self.pages.push((index, request, result));
        }
    }

    fn change_group(&mut self) {
        let id = if self.random.chance(50) { GROUP } else { OPEN_GROUP };
        let member = UserId(2 + self.random.below(2));
        let action = match self.random.below(4) {
            0 => Action::SetTitle { title: format!("title {}", self.random.below(1_000)) },
            1 => Action::RemoveMember { member },
            2 => Action::AddMembers { members: vec![member] },
            _ => Action::SetRole { member, role: if self.random.chance(50) { Role::Admin } else { Role::Member } },
        };
        // Refusals are fine: somebody who is out cannot be put out.
        let (_, fanout) = self.server.apply(UserId(1), DeviceId(999), None, id, action);
        self.fan_out(None, fanout);
    }

    fn step(&mut self) {
        let index = self.pick();
        match self.random.below(100) {
            0..=19 => self.write(index),
            20..=44 => self.serve(index),
            45..=69 => self.receive(index),
            70..=74 => self.connect(index),
            75 => self.cut(index),
            76 if self.random.chance(15) => self.kill_server(),
            76 => {}
            77 if self.random.chance(50) => {
                // Half of the time it dies between storing what a frame brings and telling anybody.
                let last = self.sessions[index].as_mut().and_then(|session| session.down.pop_front());
                if let Some(frame) = last.filter(|_| self.random.chance(50)) {
                    self.devices[index].take(self.now, Input::Frame(frame), false);
                }
                self.cut(index);
                self.devices[index].kill();
                self.pages.retain(|page| page.0 != index);
            }
            77 => {}
            78 => {
                // The outbox of the session overflows: frames are lost, and the session is told.
                if let Some(session) = self.sessions[index].as_mut() {
                    let welcomed = !session.down.iter().any(|frame| matches!(frame, ServerFrame::Welcome { .. }))
                        && !session.up.iter().any(|frame| matches!(frame, ClientFrame::Resume(_)));
                    if welcomed {
                        session.down.clear();
                        session.down.push_back(ServerFrame::Resync {});
                    }
                }
            }
            79 => self.change_group(),
            80..=84 => {
                if let Some(position) = (!self.zombies.is_empty()).then(|| self.random.below(self.zombies.len() as u64) as usize)
                {
                    let (index, mut frames) = self.zombies.swap_remove(position);
                    if let Some(frame) = frames.pop_front() {
                        let (_, fanout) = self.server.take(self.devices[index].user, self.devices[index].id, frame);
                        self.fan_out(None, fanout);
                        self.zombies.push((index, frames));
                    }
                }
            }
            85..=92 => {
                if !self.pages.is_empty() {
                    let position = self.random.below(self.pages.len() as u64) as usize;
                    let (index, request, result) = self.pages.swap_remove(position);
                    self.devices[index].handle(self.now, Input::Fetched { request, result });
                }
            }
            93 if self.random.chance(10) => {
                // Somebody floods a conversation, so that others are far behind.
                for number in 0..260 {
                    self.flooded += 1;
                    let action = Action::Send { text: format!("flood {number}"), reply_to: None, mentions: vec![] };
                    let (_, fanout) = self.server.apply(UserId(1), DeviceId(998), Tag::new(self.flooded).ok(), GROUP, action);
                    if number < 5 {
                        self.fan_out(None, fanout);
                    } else {
                        // Dropped by full outboxes.
                        self.sessions.iter_mut().flatten().for_each(|session| {
                            if !matches!(session.down.back(), Some(ServerFrame::Resync {})) {
                                session.down.push_back(ServerFrame::Resync {});
                            }
                        });
                    }
                }
            }
            94..=95 => {
                let device = &mut self.devices[index];
                let heads: Vec<_> = device.engine.conversations().map(|state| (state.id, state.head)).collect();
                if !heads.is_empty() {
                    let (conversation, marker) = heads[self.random.below(heads.len() as u64) as usize];
                    device.handle(self.now, Input::MarkRead { conversation, marker });
                }
            }
            _ => {
                self.now += self.random.below(400);
                self.devices[index].handle(self.now, Input::Tick);
            }
        }
        for index in 0..self.devices.len() {
            self.flush(index);
        }
    }

    /// Everything works for long enough.
    fn settle(&mut self) {
        self.zombies.clear();
        for _ in 0..20_000 {
            for index in 0..self.devices.len() {
                self.connect(index);
                self.serve(index);
                self.receive(index);
                self.devices[index].handle(self.now, Input::Tick);
                self.flush(index);
            }
            for (index, request, result) in std::mem::take(&mut self.pages) {
                self.devices[index].handle(self.now, Input::Fetched { request, result });
                self.flush(index);
            }
            self.now += 20;
            let idle = self.sessions.iter().flatten().all(|session| session.up.is_empty() && session.down.is_empty());
            if idle && self.devices.iter().all(|device| device.engine.is_synced() && device.engine.unanswered() == 0) {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn check(&self) {
        for log in self.server.logs.values() {
            assert!(tags_of(log).values().all(|count| *count == 1), "a command was applied twice");
        }
        for device in &self.devices {
            for (conversation, tag) in &device.queued {
                let key = (*conversation, *tag);
                assert!(
                    device.stored.contains_key(&key) != device.refused.contains(&key),
                    "{conversation} {tag:?} of {} has no answer",
                    device.id
                );
            }
            for ((conversation, tag), seq) in &device.stored {
                let event = &self.server.logs[conversation].events[*seq as usize - 1];
                assert_eq!((event.device, event.tag), (device.id, Some(*tag)), "acknowledged but not stored");
            }
            for (id, told) in &device.told {
                let (first, last) = (told[0], told[told.len() - 1]);
                let row = &self.server.logs[id].memberships[&device.user];
                let all: Vec<u64> = (first..=last).filter(|seq| row.sees(*seq)).collect();
                assert_eq!(*told, all, "{id} was told out of order, twice, or not");
                assert!(device.engine.conversation(*id).and_then(|state| state.have) >= Some(last));
            }
            for state in device.engine.conversations() {
                self.check_conversation(device, state);
            }
        }
    }

    fn check_conversation(&self, device: &Device, state: &crate::sync::ConversationState) {
        let id = state.id;
        // Somebody who wrote to a group they were never in knows its name and nothing else.
        let Some(summary) = self.server.summary(device.user, id) else { return };
        let log = &self.server.logs[&id];
        let row = &log.memberships[&device.user];
        assert_eq!(state.have, Some(state.reaches));
        assert_eq!((state.member, state.first_seq), (summary.member, summary.first_seq), "{id} on device {}", device.id);
        assert!(state.have >= Some(summary.head_seq), "{id}: {:?} of {}", state.have, summary.head_seq);
        let stored: Vec<u64> =
            device.disk.events.range((id, 0)..=(id, u64::MAX)).map(|row| row.0.1).filter(|seq| row.sees(*seq)).collect();
        let start = stored.first().copied().unwrap_or(summary.head_seq + 1);
        if device.from_the_start {
            // The last time, or an earlier one that the device was there for.
            assert!(log.entrances[&device.user].contains(&(start - 1)), "{id} is followed from {start}: nobody came in there");
            assert!(start <= summary.joined_seq + 1, "{id} is followed from {start}: later than the user came in");
        }
        let visible: Vec<u64> = (start..=summary.head_seq).filter(|seq| row.sees(*seq)).collect();
        assert_eq!(stored, visible, "{id} on device {}", device.id);
        // Amendments made while the user is out are not for them to see.
        for seq in visible.into_iter().filter(|seq| summary.member && state.known.cover(*seq, *seq)) {
            let theirs = banter_protocol::Event::from(log.events[seq as usize - 1].clone());
            assert_eq!(device.disk.events[&(id, seq)], theirs, "{id} {seq} on device {}", device.id);
        }
        if summary.member {
            assert_eq!((state.unread(), state.head.seq), (summary.unread, summary.head_seq), "{id} on {}", device.id);
            if let Some(group) = summary.group {
                let mine: Vec<_> = state.roster.members.iter().map(|member| (member.user, member.role)).collect();
                let theirs: Vec<_> = group.members.iter().map(|member| (member.user, member.role)).collect();
                assert_eq!((mine, &state.roster.title), (theirs, &group.title), "{id} on {}", device.id);
            }
        }
    }
}

pub fn run(seed: u64, steps: u64) {
    let mut world = World::new(seed);
    for (id, earlier_history) in [(GROUP, false), (OPEN_GROUP, true)] {
        let members = vec![UserId(2), UserId(3)];
        let create = Action::CreateGroup { title: "Boat".into(), members, earlier_history };
        world.server.apply(UserId(1), DeviceId(999), None, id, create).0.unwrap();
    }
    for _ in 0..steps {
        world.step();
    }
    world.settle();
    world.check();
    assert!(world.devices.iter().map(|device| device.stored.len()).sum::<usize>() > 0);
}

#[test]
fn whatever_dies_each_event_is_seen_once_and_in_order() {
    let base = std::env::var("BANTER_SEED").ok().and_then(|seed| seed.parse().ok());
    let (first, runs) = base.map_or((std::process::id() as u64 * 1_000, 60), |seed| (seed, 1));
    for seed in first..first + runs {
        eprintln!("BANTER_SEED={seed}");
        run(seed, 3_000);
    }
}

#[test]
fn runs_that_are_always_the_same() {
    // Three once found a roster that stayed as it had been before a gap; the last two a removal that an earlier event undid, and a message
    // that waited to be told without a reaction of which its reader is not to see the event.
    for seed in (1..=20).chain([2_117_043, 2_121_038, 2_123_044, 18_109_041, 18_130_024]) {
        eprintln!("BANTER_SEED={seed}");
        run(seed, 3_000);
    }
}
