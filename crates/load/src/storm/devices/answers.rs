//! What the server says to a device over its session.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use banter_model::{ConversationId, Seq};
use serde::Deserialize;

use super::{ANSWER, Devices, State, micros, stage};
use crate::crowd::Frame;
use crate::storm::pulling::{Gap, Pulling};
use crate::wire;

#[derive(Deserialize)]
struct SyncAnswer {
    conversations: Vec<Changed>,
    point: String,
    #[serde(default)]
    more: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    conversation: ConversationId,
    head_seq: Seq,
    #[serde(default)]
    latest: Vec<Latest>,
}

/// An event that came with the answer.
#[derive(Deserialize)]
struct Latest {
    seq: Seq,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    #[serde(default)]
    retry_after: Option<u64>,
}

#[derive(Deserialize)]
struct Bye {
    code: u16,
}

impl Devices {
    /// Takes a frame of a device's session.
    pub(super) fn take(&mut self, index: usize, frame: &Frame<'_>) -> Result<()> {
        match frame {
            Frame::Upgraded => {
                let token = self.token(index);
                let json = match self.stage {
                    stage::GATHER => format!(r#"{{"type":"hello","token":"{token}"}}"#),
                    _ => format!(r#"{{"type":"resume","token":"{token}","since":"{}"}}"#, self.shared.point()),
                };
                self.devices[index].state = State::Greeting;
                self.send(index, &json)
            }
            Frame::Text(json) => self.take_json(index, json),
            Frame::Close(code) => {
                self.disconnected(index, &format!("closed with {code}"), Some(*code));
                Ok(())
            }
            Frame::Control => Ok(()),
        }
    }

    fn take_json(&mut self, index: usize, json: &[u8]) -> Result<()> {
        let (state, now) = (self.devices[index].state, Instant::now());
        let heard = std::mem::replace(&mut self.devices[index].heard, now);
        if state == State::Syncing {
            self.seen.silences.record(micros(now - heard))?;
        }
        let kind = wire::text_field(json, "type")?;
        match (kind, state) {
            (b"welcome", State::Greeting) if self.stage == stage::GATHER => {
                self.opening = self.opening.saturating_sub(1);
                self.ready(index);
            }
            (b"welcome", State::Greeting) => {
                let micros = self.since_return();
                self.seen.welcomed.record(micros)?;
                self.devices[index].state = State::Syncing;
                self.set_alarm(index, ANSWER);
            }
            (b"sync", State::Syncing) => self.synced(index, json)?,
            (b"working", State::Syncing) => self.set_alarm(index, ANSWER),
            (b"error", State::Syncing) => {
                let Refusal { code, retry_after } = serde_json::from_slice(json)?;
                self.seen.retries.count(format!("sync: {code}"));
                let wait = self.devices[index].backoff.next_wait().max(Duration::from_secs(retry_after.unwrap_or(0)));
                self.set_alarm(index, wait);
            }
            (b"bye", _) => {
                let Bye { code } = serde_json::from_slice(json)?;
                self.disconnected(index, &format!("closed with {code}"), Some(code));
            }
            (b"resync", State::Syncing | State::Pulling) => {
                self.seen.retries.count("resync");
                self.ask(index, None);
            }
            (b"error", _) => bail!("{}", String::from_utf8_lossy(json)),
            // Others' presence, answers to pings, an answer that was asked for twice.
            _ => {}
        }
        Ok(())
    }

    /// Asks what changed, or for the next part of the answer.
    pub(super) fn ask(&mut self, index: usize, more: Option<&str>) {
        let device = &mut self.devices[index];
        device.state = State::Syncing;
        if more.is_none() {
            (device.pulling, device.pulled) = (None, 0);
        }
        let more = more.map(|more| format!(r#","more":"{more}""#)).unwrap_or_default();
        let question = format!(r#"{{"type":"sync","since":"{}"{more}}}"#, self.shared.point());
        self.set_alarm(index, ANSWER);
        if let Err(error) = self.send(index, &question) {
            self.disconnected(index, &format!("{error:#}"), None);
        }
    }

    fn synced(&mut self, index: usize, json: &[u8]) -> Result<()> {
        let SyncAnswer { conversations, point, more } = serde_json::from_slice(json)?;
        self.seen.sync_bytes += json.len() as u64;
        let (mut gaps, mut came) = (Vec::new(), 0);
        for Changed { conversation, head_seq: head, latest } in conversations {
            let mut after = self.shared.known(conversation);
            for Latest { seq } in latest {
                let next = u64::from(seq == after + 1);
                (after, came) = (after + next, came + next);
            }
            if head > after {
                gaps.push(Gap { conversation, after, head });
            }
        }
        self.devices[index].pulled += came;
        self.seen.events += came;
        let token = self.token(index);
        let pulling = self.devices[index].pulling.get_or_insert_with(|| Box::new(Pulling::new(token)));
        pulling.gaps.extend(gaps);
        if let Some(more) = more {
            self.ask(index, Some(&more));
            return Ok(());
        }
        *self.shared.next_point.lock() = point;
        let micros = self.since_return();
        self.seen.answered.record(micros)?;
        self.devices[index].state = State::Pulling;
        self.pull(index);
        Ok(())
    }
}
