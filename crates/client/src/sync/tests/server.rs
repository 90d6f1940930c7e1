//! A server in memory: the fold of `banter_model`, visibility, sync in parts, pages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use banter_model::snowflake::EPOCH;
use banter_model::{
    Action, Command, Conversation, ConversationId, DeviceId, Event, EventId, Marker, Membership, Millis, Outcome, Seq, Target,
    UserId, amend, fold, marker, membership,
};
use banter_protocol::api::Page;
use banter_protocol::sync::{Group, GroupMember, Peer};
use banter_protocol::{ClientFrame, ConversationSummary, ErrorBody, ServerFrame};

use crate::sync::Window;

#[derive(Default)]
pub struct Log {
    pub conversation: Option<Conversation>,
    pub events: Vec<Event>,
    pub memberships: BTreeMap<UserId, Membership>,
    /// After which places each user came in: more than one for who was out meanwhile.
    pub entrances: BTreeMap<UserId, BTreeSet<Seq>>,
    pub read: BTreeMap<UserId, Marker>,
    pub delivered: BTreeMap<UserId, Seq>,
    changed: u64,
    /// When title or members changed last.
    roster_changed: u64,
}

#[derive(Default)]
pub struct Server {
    pub logs: BTreeMap<ConversationId, Log>,
    version: u64,
    next_id: u64,
    now: Millis,
}

/// Frames for others, by whom they are for: every session of the user but the one that caused it.
pub type Fanout = Vec<(UserId, ServerFrame)>;

impl Server {
    pub fn apply(
        &mut self,
        sender: UserId,
        device: DeviceId,
        tag: Option<banter_model::Tag>,
        conversation: ConversationId,
        action: Action,
    ) -> (Result<Event, ErrorBody>, Fanout) {
        self.version += 1;
        self.next_id += 1;
        self.now += 3;
        let log = self.logs.entry(conversation).or_default();
        let state = log.conversation.get_or_insert_with(|| Conversation::new(conversation));
        let id = EventId(((self.now + 1_000) << 22) | self.next_id & 0x3F_FFFF);
        let target = action.target().and_then(|seq| log.events.get(seq.checked_sub(1)? as usize)).map(Target::of);
        let command = Command { conversation, sender, device, tag, id, action };
        let roster_before = state.roster.clone();
        match fold::apply(state, self.version, command, target.as_ref()) {
            Outcome::Applied { event, .. } => {
                if state.roster != roster_before {
                    log.roster_changed = self.version;
                }
                if let Some(seq) = event.body.target() {
                    let row = &mut log.events[seq as usize - 1];
                    amend::amend(row, &event);
                    let redacted = matches!(event.body, banter_model::EventBody::Redaction { .. });
                    let edits: Vec<Seq> = match &row.body {
                        banter_model::EventBody::Message { amendments, .. } if redacted => amendments.edits.clone(),
                        _ => vec![],
                    };
                    edits.into_iter().for_each(|edit| amend::redact_edit(&mut log.events[edit as usize - 1]));
                }
                log.events.push(event.clone());
                log.changed = self.version;
                let before: Vec<UserId> = log.memberships.iter().filter(|row| row.1.is_current()).map(|row| *row.0).collect();
                let (enter, leave) = membership::changes(&event);
                let earlier = state.roster.earlier_history;
                enter.iter().for_each(|user| _ = log.memberships.entry(*user).or_default().enter(&event, earlier));
                leave.iter().for_each(|user| _ = log.memberships.entry(*user).or_default().leave(&event));
                if let ConversationId::Direct(low, high) = conversation {
                    for user in [low, high] {
                        log.memberships.entry(user).or_default().enter(&event, true);
                    }
                }
                for (user, row) in &log.memberships {
                    log.entrances.entry(*user).or_default().insert(row.joined.seq);
                }
                let mut receivers: Vec<UserId> =
                    before.into_iter().chain(log.memberships.iter().filter(|row| row.1.is_current()).map(|row| *row.0)).collect();
                receivers.sort_unstable();
                receivers.dedup();
                let frame = |user| (user, ServerFrame::Event { conversation, event: event.clone().into() });
                (Ok(event.clone()), receivers.into_iter().map(frame).collect())
            }
            Outcome::Duplicate { device, tag, at_most } => {
                let first = |event: &&Event| event.device == device && event.tag == Some(tag) && event.seq <= at_most;
                let event = log.events.iter().find(first).expect("a duplicate has its first event");
                (Ok(event.clone()), vec![])
            }
            Outcome::Refused(refusal) => {
                let error = ErrorBody { code: refusal.code().into(), message: refusal.to_string(), retry_after: None };
                (Err(error), vec![])
            }
        }
    }

    /// What a frame causes: answers for the session, and frames for others.
    pub fn take(&mut self, user: UserId, device: DeviceId, frame: ClientFrame) -> (Vec<ServerFrame>, Fanout) {
        let (tag, conversation, action) = match frame {
            ClientFrame::Resume(resume) => {
                let welcome = ServerFrame::Welcome { session: "s".into(), user, device, at: EPOCH, heartbeat_ms: 45_000 };
                return (vec![welcome, self.sync(user, resume.since, None)], vec![]);
            }
            ClientFrame::Sync(question) => return (vec![self.sync(user, question.since, question.more)], vec![]),
            ClientFrame::Read(up_to) => {
                let Some(log) = self.logs.get_mut(&up_to.conversation) else { return (vec![], vec![]) };
                let Some(event) = log.events.get(up_to.seq as usize - 1) else { panic!("read what is not there") };
                let marker = log.read.entry(user).or_default();
                *marker = event.marker().max(*marker);
                let Marker { seq, ordinal } = *marker;
                self.version += 1;
                log.changed = self.version;
                let frame = |to| (to, ServerFrame::Read { conversation: up_to.conversation, user, seq, ordinal });
                return (vec![], log.memberships.keys().map(|to| frame(*to)).collect());
            }
            ClientFrame::Delivered(up_to) => {
                let Some(log) = self.logs.get_mut(&up_to.conversation) else { return (vec![], vec![]) };
                let seq = log.delivered.entry(user).or_default();
                *seq = up_to.seq.max(*seq);
                let Some(peer) = up_to.conversation.peer_of(user) else { return (vec![], vec![]) };
                let frame = ServerFrame::Delivered { conversation: up_to.conversation, user, seq: *seq };
                return (vec![], vec![(peer, frame)]);
            }
            ClientFrame::Send(send) => {
                (send.tag, send.conversation, Action::Send { text: send.text, reply_to: send.reply_to, mentions: vec![] })
            }
            ClientFrame::Edit(edit) => {
                (edit.tag, edit.conversation, Action::Edit { target: edit.target, text: edit.text, mentions: vec![] })
            }
            ClientFrame::Redact(redact) => (redact.tag, redact.conversation, Action::Redact { target: redact.target }),
            ClientFrame::React(react) => {
                (react.tag, react.conversation, Action::React { target: react.target, emoji: react.emoji, add: react.add })
            }
            _ => return (vec![], vec![]),
        };
        let (result, fanout) = self.apply(user, device, Some(tag), conversation, action);
        let answer = match result {
            Ok(event) => ServerFrame::Sent {
                tag,
                conversation,
                seq: event.seq,
                ordinal: event.ordinal,
                id: event.id,
                at: event.at,
                mentions: vec![],
            },
            Err(error) => ServerFrame::Error {
                code: error.code,
                message: error.message,
                tag: Some(tag.get()),
                conversation: Some(conversation),
                retry_after: None,
            },
        };
        (vec![answer], fanout)
    }

    pub fn summary(&self, user: UserId, id: ConversationId) -> Option<ConversationSummary> {
        let log = self.logs.get(&id)?;
        let (state, row) = (log.conversation.as_ref()?, log.memberships.get(&user)?);
        let head_seq = row.last_visible(state.head.seq);
        let last = log.events.get(head_seq.checked_sub(1)? as usize)?;
        let register = log.read.get(&user).copied().unwrap_or_default().max(row.joined);
        let read = marker::read_up_to(register, &state.head, user);
        let group = (!id.is_direct() && row.is_current()).then(|| Group {
            title: state.roster.title.clone(),
            earlier_history: state.roster.earlier_history,
            members: state.roster.members.iter().map(|member| GroupMember { user: member.user, role: member.role }).collect(),
        });
        let peer = id.peer_of(user).map(|peer| Peer {
            read: Some(marker::read_up_to(log.read.get(&peer).copied().unwrap_or_default(), &state.head, peer).seq),
            delivered: log.delivered.get(&peer).copied().unwrap_or(0),
        });
        Some(ConversationSummary {
            conversation: id,
            head_seq,
            head_ordinal: last.ordinal,
            first_seq: row.first_visible(),
            joined_seq: row.joined.seq,
            at: last.at,
            member: row.is_current(),
            read,
            unread: marker::unread(last.ordinal, read),
            mentions: 0,
            preview: None,
            group,
            peer,
            latest: vec![],
        })
    }

    /// Parts of two conversations, so that there are many.
    fn sync(&self, user: UserId, since: Option<String>, more: Option<String>) -> ServerFrame {
        let since: u64 = since.map_or(0, |since| since.parse().expect("a sync point"));
        let (point, after) = match more.as_deref().and_then(|more| more.split_once('/')) {
            Some((point, after)) => (point.parse().expect("a point"), Some(after.parse::<ConversationId>().expect("an id"))),
            None => (self.version, None),
        };
        let changed = |entry: &(&ConversationId, &Log)| entry.1.changed > since && after.is_none_or(|after| *entry.0 > after);
        let mut all: Vec<_> = self.logs.iter().filter(changed).filter_map(|(id, _)| self.summary(user, *id)).collect();
        for summary in all.iter_mut().filter(|_| since > 0) {
            // One to three of them: too few for some, and more than they lack for others.
            let page = self.page(user, summary.conversation, Window::Newest, 1 + self.version % 3);
            let events = page.map(|page| page.events).unwrap_or_default();
            let whole = events.iter().rev().zip((1..=summary.head_seq).rev()).all(|(event, seq)| event.seq == seq);
            summary.latest = if whole { events } else { vec![] };
            if summary.member && self.logs[&summary.conversation].roster_changed <= since {
                summary.group = None;
            }
        }
        let more = (all.len() > 2).then(|| format!("{point}/{}", all[1].conversation));
        ServerFrame::Sync { conversations: all.into_iter().take(2).collect(), point: point.to_string(), more }
    }

    pub fn page(&self, user: UserId, id: ConversationId, window: Window, limit: u64) -> Option<Page> {
        let log = self.logs.get(&id)?;
        let row = log.memberships.get(&user)?;
        let (head_seq, first_seq) = (row.last_visible(log.events.len() as Seq), row.first_visible());
        let (from, to) = match window {
            Window::Newest => (head_seq.saturating_sub(limit - 1), head_seq),
            Window::After(seq) => (seq + 1, seq + limit),
            Window::Before(seq) => (seq.saturating_sub(limit), seq - 1),
            Window::Around(seq) => (seq.saturating_sub(limit / 2), seq + limit / 2),
        };
        let (from, to) = (from.max(first_seq), to.min(head_seq));
        let events = (from..=to).filter(|seq| row.sees(*seq)).map(|seq| log.events[seq as usize - 1].clone().into()).collect();
        Some(Page { events, from, to, head_seq, first_seq })
    }
}

/// Tags by device and conversation, for checks.
pub fn tags_of(log: &Log) -> HashMap<(DeviceId, u64), usize> {
    let mut count = HashMap::new();
    for event in &log.events {
        if let Some(tag) = event.tag {
            *count.entry((event.device, tag.get())).or_default() += 1;
        }
    }
    count
}
