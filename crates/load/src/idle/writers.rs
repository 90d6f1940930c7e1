//! A few who write to the idle.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use banter_model::{ConversationId, DeviceId, UserId};
use banter_server::clock;
use bytes::{Buf, BytesMut};
use rand::RngExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::holder::{STAMP_DIGITS, Shared};
use crate::wire;

/// How long the last answers are waited for.
const LAST_ONES: Duration = Duration::from_secs(10);

/// Who writes, and how much.
#[derive(Clone, Copy)]
pub(super) struct Writing {
    /// How many write.
    pub writers: u64,
    /// Their first user; each is one.
    pub first: UserId,
    /// The users written to are those from 1 to this one.
    pub users: u64,
    /// Messages a second of all together.
    pub rate: f64,
    /// For how long.
    pub seconds: u64,
}

/// Writes messages to random users, and returns how many were stored.
pub(super) async fn write(shared: &Arc<Shared>, writing: Writing) -> Result<u64> {
    let start = Instant::now() + Duration::from_millis(500);
    let mut writers = JoinSet::new();
    for number in 0..writing.writers {
        writers.spawn(one(shared.clone(), writing, number, start));
    }
    let mut stored = 0;
    while let Some(one) = writers.join_next().await {
        stored += one??;
    }
    Ok(stored)
}

async fn one(shared: Arc<Shared>, writing: Writing, number: u64, start: Instant) -> Result<u64> {
    let me = UserId(writing.first.0 + number);
    // No device of the idle has this number.
    let (token, _) = shared.tokens.issue(me, DeviceId(1 << 40 | number), clock::now());
    let (mut reading, mut sending) = wire::connect(shared.address.into(), number, &token).await?.into_split();
    let stored = Arc::new(AtomicU64::new(0));
    let counted = stored.clone();
    let mut answers = tokio::spawn(async move {
        let mut buffer = BytesMut::new();
        loop {
            ensure!(reading.read_buf(&mut buffer).await? > 0, "closed by the server");
            while let Some((json, length)) = wire::parse(&buffer)? {
                if json.starts_with(br#"{"type":"sent""#) {
                    counted.fetch_add(1, Ordering::AcqRel);
                } else {
                    ensure!(json.starts_with(br#"{"type":"welcome""#), "{}", String::from_utf8_lossy(json));
                }
                buffer.advance(length);
            }
        }
    });
    let interval = Duration::from_secs_f64(writing.writers as f64 / writing.rate);
    let mut due = start + interval.mul_f64(number as f64 / writing.writers as f64);
    let mut tag = 0;
    while due < start + Duration::from_secs(writing.seconds) {
        tokio::time::sleep_until(due.into()).await;
        tag += 1;
        let conversation = ConversationId::direct(me, UserId(rand::rng().random_range(1..=writing.users)));
        let conversation = conversation.context("a writer is none of those written to")?;
        let stamp = due.saturating_duration_since(shared.begun).as_nanos();
        let mut frame = Vec::new();
        let text = format!("{stamp:0STAMP_DIGITS$} are you there?");
        let json = format!(r#"{{"type":"send","tag":{tag},"conversation":"{conversation}","text":"{text}"}}"#);
        wire::frame(&mut frame, json.as_bytes());
        sending.write_all(&frame).await?;
        due += interval;
    }
    let until = Instant::now() + LAST_ONES;
    while stored.load(Ordering::Acquire) < tag && Instant::now() < until {
        if answers.is_finished() {
            return (&mut answers).await?;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    answers.abort();
    Ok(stored.load(Ordering::Acquire))
}
