//! What is written while the users are away: by the correspondents, through their own sessions.

use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use banter_model::{ConversationId, DeviceId, UserId};
use banter_server::auth::tokens::AccessTokens;
use banter_server::clock;
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::layout::Layout;
use crate::wire;

/// Correspondents who write at the same time.
const AT_ONCE: usize = 64;
/// Messages of one that are not answered yet: a session may have 256.
const UNANSWERED: usize = 200;
/// The device numbers of those who write now begin here: others wrote the first messages.
const DEVICES: u64 = 1 << 40;
/// Most messages for one conversation, of which all may be under way at once.
pub(super) const MOST_MESSAGES: u64 = 31;

/// What changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Changes {
    /// Groups of each user.
    pub groups: u64,
    /// Direct conversations of each user.
    pub directs: u64,
    /// New messages in each of these.
    pub messages: u64,
}

impl Changes {
    /// New events for each user.
    pub fn per_user(&self) -> u64 {
        (self.groups + self.directs) * self.messages
    }
}

/// Writes all of it, after `written` messages that were written in each conversation before. Returns how many messages were stored.
pub(super) async fn write(
    address: SocketAddrV4,
    tokens: &Arc<AccessTokens>,
    layout: &Layout,
    changes: Changes,
    written: u64,
) -> Result<u64> {
    let mut of_writer: HashMap<UserId, Vec<ConversationId>> = HashMap::new();
    for round in 0..changes.groups {
        for number in 0..layout.groups_in_round() {
            of_writer.entry(layout.owner(round, number)).or_default().push(layout.group(round, number));
        }
    }
    for user in (1..=layout.sessions).map(UserId) {
        for peer in layout.peers(user).take(changes.directs as usize) {
            of_writer.entry(peer).or_default().extend(ConversationId::direct(user, peer));
        }
    }
    let room = Arc::new(Semaphore::new(AT_ONCE));
    let mut writers = JoinSet::new();
    for (number, (writer, conversations)) in of_writer.into_iter().enumerate() {
        let place = room.clone().acquire_owned().await?;
        let tokens = tokens.clone();
        writers.spawn(async move {
            let _place = place;
            one(address, number as u64, &tokens, writer, conversations, written + 1..=written + changes.messages).await
        });
    }
    let mut stored = 0;
    while let Some(one) = writers.join_next().await {
        stored += one??;
    }
    Ok(stored)
}

async fn one(
    address: SocketAddrV4,
    number: u64,
    tokens: &AccessTokens,
    writer: UserId,
    conversations: Vec<ConversationId>,
    tags: RangeInclusive<u64>,
) -> Result<u64> {
    let (token, _) = tokens.issue(writer, DeviceId(DEVICES + writer.0), clock::now());
    let mut stream = wire::connect(address.into(), number, &token).await?;
    // In every conversation the first message, then in every one the second, and so on.
    let (mut next, count) = (0, conversations.len() as u64);
    let messages = tags.end() + 1 - tags.start();
    let (mut unanswered, mut stored) = (0, 0);
    let (mut incoming, mut outgoing) = (BytesMut::new(), Vec::new());
    loop {
        while unanswered < UNANSWERED && next < count * messages {
            send(&mut outgoing, conversations[(next % count) as usize], tags.start() + next / count);
            next += 1;
            unanswered += 1;
        }
        stream.write_all(&outgoing).await?;
        outgoing.clear();
        if unanswered == 0 {
            return Ok(stored);
        }
        ensure!(stream.read_buf(&mut incoming).await? > 0, "closed by the server");
        while let Some((json, length)) = wire::parse(&incoming)? {
            if json.starts_with(br#"{"type":"sent""#) {
                (unanswered, stored) = (unanswered - 1, stored + 1);
            } else if json.starts_with(br#"{"type":"error""#) {
                let text = String::from_utf8_lossy(json).into_owned();
                let Ok(seconds) = wire::number_field::<u64>(json, "retry_after") else { bail!("{text}") };
                let id = std::str::from_utf8(wire::text_field(json, "conversation")?)?.parse()?;
                send(&mut outgoing, id, wire::number_field(json, "tag")?);
                tokio::time::sleep(Duration::from_secs(seconds.min(5))).await;
            } else if json.starts_with(br#"{"type":"bye""#) {
                bail!("{}", String::from_utf8_lossy(json));
            }
            incoming.advance(length);
        }
    }
}

fn send(buffer: &mut Vec<u8>, id: ConversationId, tag: u64) {
    let text = format!("news {tag} in {id}, of the length that people write on average, more or less");
    let json = format!(r#"{{"type":"send","tag":{tag},"conversation":"{id}","text":"{text}"}}"#);
    wire::frame(buffer, json.as_bytes());
}
