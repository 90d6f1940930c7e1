//! What every [`History`] does.

// These are tests, though other crates call them.
#![allow(clippy::unwrap_used)]

pub mod movable;

mod model;
mod replays;
mod rows;

use std::sync::Arc;

use banter_model::event::Amendments;
use banter_model::{ConversationId, DeviceId, Event, EventBody, EventId, GroupId, Head, Seq, UserId};

use super::Random;
use crate::history::{EventRow, History, HistoryBatch};

/// Runs all of them against `history`. Each uses conversations, users and partitions of its own, drawn from `seed`.
pub async fn all(history: Arc<dyn History>, seed: u64) {
    eprintln!("history behaviour, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    rows::nothing_is_there_at_first(&*history, &mut random).await;
    rows::a_batch_is_stored_whole(&*history, &mut random).await;
    rows::positions_come_in_the_order_asked(&*history, &mut random).await;
    rows::later_entries_win(&*history, &mut random).await;
    rows::pages(&*history, &mut random).await;
    rows::pages_end_where_they_are_full(&*history, &mut random).await;
    rows::heads_come_in_the_order_asked(&*history, &mut random).await;
    rows::memberships_come_in_pages(&*history, &mut random).await;
    rows::a_listing_is_what_single_reads_say(&*history, &mut random).await;
    rows::mentions_come_and_go(&*history, &mut random).await;
    rows::a_tag_is_found(&*history, &mut random).await;
    rows::a_tag_far_back_is_not_looked_for(&*history, &mut random).await;
    rows::progress_only_grows(&*history, &mut random).await;
    rows::progress_keeps_the_greatest_of_many_at_once(Arc::clone(&history), &mut random).await;
    model::random_batches_read_back(&*history, &mut random).await;
}

/// Runs those that a history has to pass besides, whose commands come from a queue that replays them.
pub async fn replays(history: &dyn History, seed: u64) {
    eprintln!("history behaviour in replays, BANTER_SEED={seed}");
    let mut random = Random::new(seed);
    replays::what_is_further_stays(history, &mut random).await;
    replays::an_event_that_came_to_nothing_leaves_nothing(history, &mut random).await;
}

/// A group of its own.
fn group(random: &mut Random) -> ConversationId {
    ConversationId::Group(GroupId(random.id()))
}

/// A user of its own.
fn user(random: &mut Random) -> UserId {
    UserId(random.id())
}

/// A partition of its own, with an empty batch for it.
fn batch(random: &mut Random) -> HistoryBatch {
    let position = (1 << 20) + random.below(1 << 40);
    HistoryBatch { partition: random.below(1 << 32) as u32, position, ..HistoryBatch::default() }
}

/// The row of an event that the command at `position` made or amended.
pub fn row(conversation: ConversationId, position: u64, event: Event) -> EventRow {
    EventRow { conversation, event, position }
}

/// A message.
pub fn message(seq: Seq, text: &str) -> Event {
    Event {
        seq,
        ordinal: seq,
        id: EventId(seq + 1_000_000),
        at: seq * 10,
        sender: UserId(7),
        device: DeviceId(70),
        tag: None,
        body: EventBody::Message {
            text: text.to_owned(),
            reply_to: None,
            mentions: Vec::new(),
            amendments: Amendments::default(),
        },
    }
}

/// The head of a log that ends with message `seq`.
pub fn head(seq: Seq) -> Head {
    Head { seq, ordinal: seq, at: seq * 10, last_message: seq, position: seq, ..Head::default() }
}
