//! Writes the planned messages the way a worker does: each is folded, and batches go to the history's own committer. What is left
//! out is the way there: sockets, the gateway, the queue.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use banter_model::fold::{self, Outcome};
use banter_model::snowflake::EPOCH;
use banter_model::{
    Action, Command, Conversation, ConversationId, EventId, Membership, Millis, Tag, UserId, membership, partition,
};
use banter_server::serve::EMBEDDED_PARTITIONS;
use banter_store::embedded::history::EmbeddedHistory;
use banter_store::history::{EventRow, MembershipRow, RosterRow};
use banter_store::{History, HistoryBatch};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::plan::{Burst, Plan, device};
use super::text::Texts;

/// Events in one batch of a partition.
const BATCH: usize = 2_000;
/// Bursts of a partition that are written side by side.
const SIDE_BY_SIDE: usize = 64;
/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_secs(15);
/// One message in this many answers an earlier one.
const ONE_ANSWER_IN: u32 = 20;

/// What the loading took.
pub struct Loaded {
    /// Messages written.
    pub messages: u64,
    /// From the first to the answer to the last.
    pub time: Duration,
}

/// Writes everything that is planned, the partitions side by side.
pub async fn load(history: Arc<EmbeddedHistory>, plan: Arc<Plan>, texts: Arc<Texts>, seed: u64) -> Result<Loaded> {
    let begun = Instant::now();
    let written = Arc::new(AtomicU64::new(0));
    let mut partitions: Vec<Vec<Burst>> = vec![Vec::new(); EMBEDDED_PARTITIONS as usize];
    for number in 0..u32::try_from(plan.conversations.len())? {
        let id = plan.conversations[number as usize].id;
        partitions[partition::partition_of(id, EMBEDDED_PARTITIONS) as usize].extend(plan.bursts(number));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (partition, mut bursts) in partitions.into_iter().enumerate() {
        bursts.sort_unstable_by_key(|burst| burst.at);
        let (history, plan, texts, written) = (history.clone(), plan.clone(), texts.clone(), written.clone());
        let random = StdRng::seed_from_u64(seed.wrapping_mul(1_000) + partition as u64);
        let partition = u32::try_from(partition)?;
        let writer = Writer {
            batch: HistoryBatch { partition, ..HistoryBatch::default() },
            open: HashMap::new(),
            random,
            now: 0,
            plan,
            texts,
        };
        tasks.spawn(async move { writer.run(bursts, &*history, &written).await });
    }
    let telling = tokio::spawn(tell(written.clone(), plan.conversations.iter().map(|planned| planned.messages).sum()));
    let mut messages = 0;
    while let Some(task) = tasks.join_next().await {
        messages += task??;
    }
    telling.abort();
    Ok(Loaded { messages, time: begun.elapsed() })
}

async fn tell(written: Arc<AtomicU64>, all: u64) {
    let (begun, mut before) = (Instant::now(), 0);
    loop {
        tokio::time::sleep(TOLD_EVERY).await;
        let now = written.load(Ordering::Relaxed);
        let rate = (now - before) / TOLD_EVERY.as_secs();
        eprintln!("{:>5} s: {now} of {all} messages, {rate} a second", begun.elapsed().as_secs());
        before = now;
    }
}

/// A conversation that is being written.
struct Open {
    conversation: Conversation,
    members: Vec<UserId>,
    /// Messages to come.
    left: u64,
    /// Tags used, by the place of the member and their device.
    tags: HashMap<(usize, u64), u64>,
}

/// Writes one partition.
struct Writer {
    batch: HistoryBatch,
    open: HashMap<u32, Open>,
    random: StdRng,
    /// Time of the last event.
    now: Millis,
    plan: Arc<Plan>,
    texts: Arc<Texts>,
}

impl Writer {
    async fn run(mut self, bursts: Vec<Burst>, history: &dyn History, written: &AtomicU64) -> Result<u64> {
        let mut waiting = bursts.into_iter().peekable();
        let mut under_way: Vec<Burst> = Vec::with_capacity(SIDE_BY_SIDE);
        let (mut messages, mut touched) = (0, Vec::new());
        loop {
            while under_way.len() < SIDE_BY_SIDE
                && let Some(next) = waiting.next()
            {
                self.now = self.now.max(next.at);
                under_way.push(next);
            }
            if under_way.is_empty() || self.batch.events.len() >= BATCH {
                let stored = self.batch.events.len() as u64;
                self.commit(&mut touched, history).await?;
                written.fetch_add(stored, Ordering::Relaxed);
                if under_way.is_empty() {
                    return Ok(messages);
                }
            }
            let index = self.random.random_range(0..under_way.len());
            let number = under_way[index].conversation;
            self.write(number)?;
            touched.push(number);
            messages += 1;
            under_way[index].messages -= 1;
            if under_way[index].messages == 0 {
                under_way.swap_remove(index);
            }
        }
    }

    /// Folds the next message of a conversation, after its first event if that is another.
    fn write(&mut self, number: u32) -> Result<()> {
        let mut open = match self.open.remove(&number) {
            Some(open) => open,
            None => {
                let planned = &self.plan.conversations[number as usize];
                let members = self.plan.members(planned);
                let conversation = Conversation::new(planned.id);
                Open { conversation, members, left: planned.messages, tags: HashMap::new() }
            }
        };
        if open.conversation.head.seq == 0 && !open.conversation.id.is_direct() {
            let action = Action::CreateGroup {
                title: format!("group {number}"),
                members: open.members[1..].to_vec(),
                earlier_history: false,
            };
            self.fold(&mut open, 0, action)?;
        }
        // Few of a group write most of it.
        let draw: f64 = self.random.random_range(0.0..1.0);
        let place = if open.conversation.id.is_direct() {
            usize::from(draw < 0.5)
        } else {
            (open.members.len() as f64 * draw * draw) as usize
        };
        let seq = open.conversation.head.seq;
        let answers = seq > 1 && self.random.random_range(0..ONE_ANSWER_IN) == 0;
        let reply_to = answers.then(|| self.random.random_range(seq.saturating_sub(20).max(1)..=seq));
        let action = Action::Send { text: self.texts.text(&mut self.random), reply_to, mentions: Vec::new() };
        self.fold(&mut open, place, action)?;
        open.left -= 1;
        self.open.insert(number, open);
        Ok(())
    }

    fn fold(&mut self, open: &mut Open, place: usize, action: Action) -> Result<()> {
        action.check()?;
        let sender = open.members[place];
        let with = u64::from(self.random.random_range(0..4) == 0);
        let tag = open.tags.entry((place, with)).or_default();
        *tag += 1;
        let tag = Some(Tag::new(*tag)?);
        // Each partition has milliseconds of its own, so that ids are unique without a shared clock.
        let partitions = u64::from(EMBEDDED_PARTITIONS);
        let step = 1 + self.random.random_range(0..200);
        self.now = (self.now / partitions + step) * partitions + u64::from(self.batch.partition);
        let id = EventId((self.now - EPOCH) << 22);
        self.batch.position += 1;
        let conversation = open.conversation.id;
        let command = Command { conversation, sender, device: device(sender, with), tag, id, action };
        let begins = open.conversation.head.seq == 0;
        let event = match fold::apply(&mut open.conversation, self.batch.position, command, None) {
            Outcome::Applied { event, forgotten } => {
                self.batch.read.extend(forgotten.map(|(user, marker)| (user, conversation, marker)));
                event
            }
            other => bail!("a planned message was not applied: {other:?}"),
        };
        let came = if conversation.is_direct() && begins { open.members.clone() } else { membership::changes(&event).0 };
        for user in came {
            let mut membership = Membership::default();
            membership.enter(&event, false);
            self.batch.memberships.push(MembershipRow { user, conversation, membership, position: self.batch.position });
        }
        if begins && !conversation.is_direct() {
            let roster = open.conversation.roster.clone();
            self.batch.rosters.push(RosterRow { conversation, roster, position: self.batch.position });
        }
        self.batch.events.push(EventRow { conversation, event, position: self.batch.position });
        Ok(())
    }

    /// Stores the batch, and forgets the conversations that have ended.
    async fn commit(&mut self, touched: &mut Vec<u32>, history: &dyn History) -> Result<()> {
        touched.sort_unstable();
        touched.dedup();
        for number in touched.drain(..) {
            let open = self.open.get(&number).context("a conversation that was written to")?;
            let head: (ConversationId, _) = (open.conversation.id, open.conversation.head.clone());
            self.batch.heads.push(head);
            if open.left == 0 {
                self.open.remove(&number);
            }
        }
        let next = HistoryBatch { partition: self.batch.partition, position: self.batch.position, ..HistoryBatch::default() };
        history.commit(std::mem::replace(&mut self.batch, next)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use banter_model::snowflake::time_of;
    use banter_store::data_folder::DataFolder;
    use banter_store::embedded::history::HistoryOptions;
    use banter_store::history::{Order, PageSize};

    use super::super::plan::Shape;
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_planned_is_there_as_a_worker_would_have_left_it() {
        let shape = Shape { messages: 8_000, conversations: Some(200), spread: 1.5, seed: 11 };
        let plan = Arc::new(Plan::new(&shape).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let options = HistoryOptions { reserve_bytes: 0, ..HistoryOptions::default() };
        let history = Arc::new(EmbeddedHistory::open(Arc::new(DataFolder::open(folder.path()).unwrap()), options).unwrap());
        let loaded = load(history.clone(), plan.clone(), Arc::new(Texts::new(shape.seed)), shape.seed).await.unwrap();
        assert_eq!(loaded.messages, shape.messages);
        let mut ids = std::collections::HashSet::new();
        for planned in &plan.conversations {
            let stored = history.conversation(planned.id).await.unwrap().unwrap();
            assert_eq!(stored.head.ordinal, planned.messages);
            let mut next = 1;
            while next <= stored.head.seq {
                let page =
                    history.events(planned.id, next, stored.head.seq, Order::OldestFirst, PageSize::LARGEST).await.unwrap();
                for event in page {
                    assert_eq!(event.seq, next);
                    assert_eq!(event.at, time_of(event.id.0), "times go back");
                    assert!(stored.has_member(event.sender) && ids.insert(event.id));
                    next += 1;
                }
            }
            for user in plan.members(planned) {
                assert!(history.membership(user, planned.id).await.unwrap().unwrap().is_current());
            }
        }
    }
}
