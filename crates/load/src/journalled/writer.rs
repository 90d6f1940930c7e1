//! What the user of a device does: writes, edits, deletes, reacts, reads.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use banter_client::{Client, Error};
use banter_model::{Action, ConversationId, Seq, UserId};
use banter_protocol::{Content, Event};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use super::device::Life;
use crate::checker::Entry;

/// Messages of a conversation that are remembered for being edited, deleted or reacted to.
const REMEMBERED: usize = 30;
/// How often a device that may not write looks whether it may.
const IDLE: Duration = Duration::from_millis(20);
const EMOJI: [&str; 4] = ["👍", "🎉", "❤️", "😀"];

/// What a user knows and does. Outlives the client.
pub struct Writing {
    /// Where there is to be written.
    conversations: Vec<ConversationId>,
    /// How far the application was told.
    pub places: BTreeMap<ConversationId, Seq>,
    messages: BTreeMap<ConversationId, VecDeque<(Seq, UserId)>>,
    random: StdRng,
    interval: Duration,
    number: u64,
}

enum Step {
    Write(ConversationId, Vec<(u64, Action)>),
    Read(ConversationId, Seq),
}

impl Writing {
    /// A user who does something every `interval`, on the average.
    pub fn new(seed: u64, interval: Duration) -> Self {
        Writing {
            conversations: Vec::new(),
            places: BTreeMap::new(),
            messages: BTreeMap::new(),
            random: StdRng::seed_from_u64(seed),
            interval,
            number: 0,
        }
    }

    /// Writes here, too.
    pub fn join(&mut self, conversation: ConversationId) {
        self.conversations.push(conversation);
    }

    /// Notes what the application was told.
    pub fn told(&mut self, conversation: ConversationId, event: &Event) {
        let place = self.places.entry(conversation).or_default();
        *place = event.seq.max(*place);
        if matches!(event.content, Content::Message { redacted: false, .. }) {
            let messages = self.messages.entry(conversation).or_default();
            messages.push_back((event.seq, event.sender));
            if messages.len() > REMEMBERED {
                messages.pop_front();
            }
        }
    }

    fn pause(&mut self) -> Duration {
        self.interval.mul_f64(self.random.random_range(0.2..1.8))
    }

    /// A message that is known, of `author` if one is asked for.
    fn message(&mut self, conversation: ConversationId, author: Option<UserId>) -> Option<Seq> {
        let messages = self.messages.get(&conversation)?;
        let known: Vec<Seq> =
            messages.iter().filter(|message| author.is_none_or(|author| author == message.1)).map(|message| message.0).collect();
        if known.is_empty() { None } else { Some(known[self.random.random_range(0..known.len())]) }
    }

    fn text(&mut self, name: &str) -> String {
        let length = if self.random.random_bool(0.02) { 3_000 } else { self.random.random_range(0..80) };
        format!("{name}/{} {:.<length$}", self.number, "")
    }

    fn next(&mut self, name: &str, user: UserId) -> Option<Step> {
        if self.conversations.is_empty() {
            return None;
        }
        let conversation = self.conversations[self.random.random_range(0..self.conversations.len())];
        let roll = self.random.random_range(0..100_u32);
        let (own, any) = (self.message(conversation, Some(user)), self.message(conversation, None));
        let action = match (roll, own, any) {
            (66..78, Some(target), _) => Action::Edit { target, text: self.text(name), mentions: Vec::new() },
            (78..81, Some(target), _) => Action::Redact { target },
            (81..92, _, Some(target)) => {
                let emoji = EMOJI[self.random.random_range(0..EMOJI.len())].to_owned();
                Action::React { target, emoji, add: self.random.random_bool(0.7) }
            }
            (92..100, _, Some(seen)) => {
                let place = self.places.get(&conversation).copied().unwrap_or(seen);
                return Some(Step::Read(conversation, if self.random.random_bool(0.3) { place } else { seen }));
            }
            _ => {
                let count = if self.random.random_bool(0.06) { self.random.random_range(5..60) } else { 1 };
                let reply_to = any.filter(|_| self.random.random_bool(0.2));
                let mut actions = Vec::new();
                for _ in 0..count {
                    self.number += 1;
                    actions.push((self.number, Action::Send { text: self.text(name), reply_to, mentions: Vec::new() }));
                }
                return Some(Step::Write(conversation, actions));
            }
        };
        self.number += 1;
        Some(Step::Write(conversation, vec![(self.number, action)]))
    }
}

/// Writes for as long as it is let.
pub async fn write(life: Arc<Life>, client: Client) {
    loop {
        let pause = life.writing.lock().pause();
        sleep(pause).await;
        if !life.shared.writing.load(Ordering::Relaxed) {
            sleep(IDLE).await;
            continue;
        }
        let step = life.writing.lock().next(&life.name, life.user);
        match step {
            Some(Step::Write(conversation, actions)) => {
                for (number, action) in actions {
                    write_one(&life, &client, conversation, number, action).await;
                }
            }
            // A marker that cannot be moved now is moved by the next one.
            Some(Step::Read(conversation, seq)) => drop(client.mark_read(conversation, seq).await),
            None => {}
        }
    }
}

async fn write_one(life: &Arc<Life>, client: &Client, conversation: ConversationId, number: u64, action: Action) {
    let since = life.shared.now();
    let what = format!("{action:.60?} in {conversation}");
    life.note(Entry::Wrote { number, conversation, action: action.clone() });
    let ticket = match action {
        Action::Send { text, reply_to, .. } => client.send(conversation, &text, reply_to).await,
        Action::Edit { target, text, .. } => client.edit(conversation, target, &text).await,
        Action::Redact { target } => client.redact(conversation, target).await,
        Action::React { target, emoji, add } => client.react(conversation, target, &emoji, add).await,
        // Groups are changed through the API.
        _ => return,
    };
    match ticket {
        Ok(ticket) => {
            let tag = ticket.tag;
            life.note(Entry::Accepted { number, tag });
            life.times.waits(number, since, format!("tag {}: {what}", tag.get()));
            let life = life.clone();
            tokio::spawn(async move {
                let answer = ticket.stored().await;
                life.times.waited(number, answer.is_ok().then(|| life.shared.now()));
                match answer {
                    Ok(stored) => life.note(Entry::Acknowledged(stored)),
                    Err(error) if error.code == Error::CLOSED => {}
                    Err(error) => life.note(Entry::Refused { conversation, tag, code: error.code }),
                }
            });
        }
        // Whether it was taken is not known.
        Err(error) if error.code == Error::CLOSED => {}
        Err(error) => life.note(Entry::NotAccepted { number, why: error.to_string() }),
    }
}
