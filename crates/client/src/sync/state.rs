//! What a device knows of one conversation.

use std::collections::BTreeMap;

use banter_model::{Conversation, ConversationId, Marker, Millis, Ordinal, Role, Roster, Seq, UserId, fold, marker};
use banter_protocol::limits::PREVIEW_CHARACTERS;
use banter_protocol::sync::Preview;
use banter_protocol::{Content, ConversationSummary, Event};
use serde::{Deserialize, Serialize};

use super::Ranges;
use super::outbox::Outbox;

/// How far another member has got: registers that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Read up to here; 0 when unknown.
    pub read: Seq,
    /// Arrived up to here; 0 when unknown.
    pub delivered: Seq,
}

/// A conversation as this device knows it. This is what is stored of it, apart from its events and its outbox.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConversationState {
    /// Which.
    pub id: ConversationId,
    /// Every event from where the device started to follow up to here was told to the application. `None` until it is known
    /// from where to follow.
    pub have: Option<Seq>,
    /// Places whose events (those that the user may see) are stored.
    pub known: Ranges,
    /// The last event that is known of, with the number of messages up to it.
    pub head: Marker,
    /// There are events up to here at least; above `head` when only their existence is known.
    pub reaches: Seq,
    /// The first event that the user may see.
    pub first_seq: Seq,
    /// When the last event happened.
    pub at: Millis,
    /// Is the user a member?
    pub member: bool,
    /// That was so after this event at least.
    #[serde(default)]
    pub member_at: Seq,
    /// How far the user has read.
    pub read: Marker,
    /// Unread messages that mention the user.
    pub mentions: u64,
    /// The last message.
    pub preview: Option<Preview>,
    /// Title and members of a group.
    pub roster: Roster,
    /// The roster is as it was after this event.
    pub roster_at: Seq,
    /// How far the others have got.
    pub reach: BTreeMap<UserId, Reach>,
    /// The tag of the next thing written here.
    pub next_tag: u64,
    /// The marker that the server was told last.
    pub read_sent: Seq,
    /// The last event of others that is stored ...
    pub arrived: Seq,
    /// ... and what the server was told of it.
    pub delivered_sent: Seq,
    #[serde(skip)]
    pub(crate) outbox: Outbox,
    #[serde(skip)]
    pub(crate) session: SessionState,
}

/// What is not stored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SessionState {
    /// Is a page on its way?
    pub pulling: bool,
    /// Is it in the queue of those to be pulled, and under which time?
    pub pull_queued: Option<Millis>,
    /// Pulls in a row that brought nothing.
    pub pulls_failed: u32,
    /// Not to be pulled before.
    pub pull_after: Millis,
    /// Is it in the queue of those with something to send?
    pub ready: bool,
    /// Read and delivered are not sent before.
    pub markers_after: Millis,
    /// Was a marker sent in this session, and when last?
    pub markers_sent: Option<Millis>,
    /// `typing` is not sent before.
    pub typing_after: Millis,
}

impl ConversationState {
    /// A conversation of which nothing is known.
    pub fn new(id: ConversationId) -> Self {
        ConversationState {
            id,
            have: None,
            known: Ranges::default(),
            head: Marker::default(),
            reaches: 0,
            first_seq: 1,
            at: 0,
            member: true,
            member_at: 0,
            read: Marker::default(),
            mentions: 0,
            preview: None,
            roster: Roster::default(),
            roster_at: 0,
            reach: BTreeMap::new(),
            next_tag: 1,
            read_sent: 0,
            arrived: 0,
            delivered_sent: 0,
            outbox: Outbox::default(),
            session: SessionState::default(),
        }
    }

    /// Messages that the user has not read.
    pub fn unread(&self) -> u64 {
        marker::unread(self.head.ordinal, self.read)
    }

    /// The user's role in the group.
    pub fn role(&self, user: UserId) -> Option<Role> {
        self.roster.member(user).map(|member| member.role)
    }

    /// Is everything up to the last known event stored and told?
    pub fn caught_up(&self) -> bool {
        self.have.is_some_and(|have| have >= self.reaches)
    }

    /// How many commands have no answer yet.
    pub fn unanswered(&self) -> usize {
        self.outbox.len()
    }

    /// Takes in what the server says of the conversation. `start` says from where to follow when that is open.
    pub(crate) fn take_in(&mut self, me: UserId, summary: ConversationSummary, start: Start) {
        let have = match start {
            Start::Head => summary.head_seq,
            // What was said before the user came in is history, not news.
            Start::First => summary.joined_seq.min(summary.head_seq),
        };
        self.have.get_or_insert(have);
        self.reaches = self.reaches.max(summary.head_seq);
        self.at = self.at.max(summary.at);
        // An answer that was written before an event that is known already does not undo what the event did.
        if summary.head_seq >= self.member_at {
            self.first_seq = summary.first_seq;
            (self.member, self.member_at) = (summary.member, summary.head_seq);
        }
        let read = self.read.max(summary.read);
        if summary.head_seq >= self.head.seq {
            let news = summary.head_seq > self.head.seq;
            self.head = Marker { seq: summary.head_seq, ordinal: summary.head_ordinal };
            self.mentions = match read == summary.read {
                true => summary.mentions,
                // The server does not know yet how far this device has read, and counts from before: too many rather than none.
                false => if news { summary.mentions } else { self.mentions }.min(marker::unread(self.head.ordinal, read)),
            };
            self.preview = summary.preview;
        }
        self.read = read;
        self.read_sent = self.read_sent.max(summary.read.seq);
        if summary.head_seq >= self.roster_at
            && let Some(group) = summary.group
        {
            let since = |user| self.roster.member(user).map_or(0, |member| member.since);
            let mut members: Vec<_> = group.members.iter().map(|member| (member.user, member.role, since(member.user))).collect();
            members.sort_unstable_by_key(|member| member.0);
            let members = members.into_iter().map(|(user, role, since)| banter_model::Member { user, role, since }).collect();
            self.roster = Roster { title: group.title, earlier_history: group.earlier_history, members };
            self.roster_at = summary.head_seq;
        } else if summary.member && !self.id.is_direct() {
            // Nobody came or went since the point that this device asked from, at which it knew them.
            self.roster_at = self.roster_at.max(summary.head_seq);
        }
        if let (Some(peer), Some(user)) = (summary.peer, self.id.peer_of(me)) {
            self.raise(user, peer.read.unwrap_or(0), peer.delivered);
        }
    }

    /// Raises another member's registers; says whether either grew.
    pub(crate) fn raise(&mut self, user: UserId, read: Seq, delivered: Seq) -> (bool, bool) {
        let reach = self.reach.entry(user).or_default();
        let grew = (read > reach.read, delivered > reach.delivered);
        // What was read has arrived.
        (reach.read, reach.delivered) = (reach.read.max(read), reach.delivered.max(delivered).max(read));
        grew
    }

    /// Raises the user's own read marker; says whether it grew.
    pub(crate) fn raise_read(&mut self, marker: Marker) -> bool {
        if marker <= self.read {
            return false;
        }
        self.read = marker;
        self.mentions = self.mentions.min(self.unread());
        true
    }

    /// Notes an event that was received, in whatever order: head, preview, counts. Knows it when it comes again.
    pub(crate) fn note(&mut self, me: UserId, event: &Event) {
        let marker = Marker { seq: event.seq, ordinal: event.ordinal };
        let is_message = matches!(event.content, Content::Message { .. });
        if event.sender == me && is_message && self.raise_read(marker) {
            self.read_sent = self.read_sent.max(event.seq);
        }
        self.reaches = self.reaches.max(event.seq);
        // The last message may be on an earlier page than what happened last.
        if let Content::Message { text, redacted, .. } = &event.content
            && self.preview.as_ref().is_none_or(|preview| preview.seq < event.seq)
        {
            let text = text.chars().take(PREVIEW_CHARACTERS).collect();
            self.preview = Some(Preview { seq: event.seq, sender: event.sender, at: event.at, text, redacted: *redacted });
        }
        if event.seq <= self.head.seq {
            return;
        }
        self.head = self.head.max(marker);
        self.at = self.at.max(event.at);
        match &event.content {
            Content::Message { mentions, .. } if event.sender != me && mentions.iter().any(|mention| mention.user == me) => {
                self.mentions += 1;
            }
            Content::Edit { target, text, .. } => {
                if let Some(preview) = self.preview.as_mut().filter(|preview| preview.seq == *target && !preview.redacted) {
                    preview.text = text.chars().take(PREVIEW_CHARACTERS).collect();
                }
            }
            Content::Redaction { target } => {
                if let Some(preview) = self.preview.as_mut().filter(|preview| preview.seq == *target) {
                    (preview.text, preview.redacted) = (String::new(), true);
                }
            }
            _ => {}
        }
    }

    /// Applies an event to title and members, if it is the next one for them. Says whether they are up to date with it.
    pub(crate) fn follow_roster(&mut self, me: UserId, event: &Event) -> bool {
        self.follow_membership(me, event);
        if self.id.is_direct() || event.seq <= self.roster_at {
            return true;
        }
        // Exactly the next one: places in between may be stored, but what they did to the roster is not in it.
        if event.seq != self.roster_at + 1 {
            return false;
        }
        self.roster_at = event.seq;
        let quiet = matches!(
            event.content,
            Content::Message { .. } | Content::Edit { .. } | Content::Redaction { .. } | Content::Reaction { .. }
        );
        if !quiet {
            let event = banter_model::Event::from(event.clone());
            let mut conversation = Conversation::new(self.id);
            conversation.roster = std::mem::take(&mut self.roster);
            fold::change_roster(&mut conversation, &event);
            self.roster = conversation.roster;
        }
        true
    }

    /// Does the event bring the user in or out? Unlike the roster this needs no other event, so it is followed in whatever order.
    fn follow_membership(&mut self, me: UserId, event: &Event) {
        let member = match &event.content {
            Content::GroupCreated { members, .. } if event.sender == me || members.contains(&me) => true,
            Content::MembersAdded { members } if members.contains(&me) => true,
            Content::MemberRemoved { member } if *member == me => false,
            Content::MemberLeft { .. } if event.sender == me => false,
            _ => return,
        };
        if event.seq > self.member_at {
            (self.member, self.member_at) = (member, event.seq);
        }
    }

    /// Messages up to the head, for a marker at it.
    pub(crate) fn ordinal(&self) -> Ordinal {
        self.head.ordinal
    }
}

/// From where a device follows a conversation that it meets for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// From its end: what came before is history, read when asked for.
    Head,
    /// From the first event that the user may see (after joining, where a group shows earlier history).
    First,
}
