//! What a member of the group owns, and how it gives it up.
//!
//! The group only says who owns what. Fetching is begun apart from it, when the history was asked where: a rebalance is answered
//! at once, without a partition, and each partition is added when its reader starts. A partition that goes to another member is given
//! up when its reader is gone, so that in the ordinary case two never read it at the same time; but only for a bounded
//! time, and at once when it was lost already.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use banter_store::QueueError;
use parking_lot::{Mutex, MutexGuard};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::Notify;

use super::counters::{KafkaCounters, Reported};

/// Most errors that wait to be told; there is no use in more.
const ERRORS: usize = 64;

/// The consumer that is the member.
pub(super) type Member = BaseConsumer<Group>;

/// Makes a consumer, which joins nothing yet.
pub(super) fn member(config: &ClientConfig, group: Group) -> Result<Member, QueueError> {
    config.create_with_context(group).map_err(|error| QueueError::Failed(error.to_string()))
}

/// Told by the consumer of what its group decides. Called on the thread that polls it.
pub(super) struct Group {
    membership: Arc<Membership>,
    reported: Reported,
}

impl Group {
    pub fn new(membership: Arc<Membership>, counters: Arc<KafkaCounters>) -> Group {
        Group { membership, reported: Reported::new(counters) }
    }
}

/// The right to read a partition, until it is over. Whoever holds it besides the membership is reading, or about to.
#[derive(Default)]
pub(super) struct Lease {
    over: Mutex<bool>,
    /// When it is over.
    pub ended: Notify,
}

impl Lease {
    /// Is it over? As long as the guard is kept it does not end, so that nothing is read after it has.
    pub fn over(&self) -> MutexGuard<'_, bool> {
        self.over.lock()
    }

    fn end(&self) {
        *self.over.lock() = true;
        self.ended.notify_one();
    }
}

/// What the group gave to this member.
pub(super) struct Membership {
    topic: String,
    partitions: u32,
    handover: Duration,
    state: Mutex<State>,
    /// There is a partition or an error to be told of, or the member has left.
    pub changed: Notify,
}

#[derive(Default)]
struct State {
    owned: BTreeMap<u32, Owned>,
    /// Those of them that nobody was told of.
    given: VecDeque<u32>,
    errors: VecDeque<QueueError>,
    giving_up: Option<GivingUp>,
    closing: Option<Instant>,
    left: bool,
}

struct Owned {
    lease: Arc<Lease>,
    /// Is it being fetched?
    fetched: bool,
}

/// Partitions that go to other members, as soon as their readers are gone.
struct GivingUp {
    partitions: Vec<u32>,
    until: Instant,
}

/// What there is to be told.
pub(super) enum News {
    Assigned(u32, Arc<Lease>),
    Failed(QueueError),
    Left,
}

impl Membership {
    pub fn new(topic: String, partitions: u32, handover: Duration) -> Membership {
        Membership { topic, partitions, handover, state: Mutex::default(), changed: Notify::new() }
    }

    /// The next thing to be told, if there is one.
    pub fn news(&self) -> Option<News> {
        let mut state = self.state.lock();
        if let Some(error) = state.errors.pop_front() {
            return Some(News::Failed(error));
        }
        while let Some(partition) = state.given.pop_front() {
            if let Some(owned) = state.owned.get(&partition) {
                return Some(News::Assigned(partition, Arc::clone(&owned.lease)));
            }
        }
        state.left.then_some(News::Left)
    }

    /// Notes an error, to be told.
    pub fn failed(&self, error: QueueError) {
        tracing::error!(%error, "the queue of commands");
        let mut state = self.state.lock();
        if state.errors.len() < ERRORS && !state.errors.contains(&error) {
            state.errors.push_back(error);
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Has `partition` fetched from `offset` on, if it is still owned under `lease`.
    pub fn fetch(&self, member: &Member, partition: u32, lease: &Arc<Lease>, offset: i64) -> Result<(), QueueError> {
        let mut state = self.state.lock();
        let Some(owned) = state.owned.get_mut(&partition).filter(|owned| Arc::ptr_eq(&owned.lease, lease)) else { return Ok(()) };
        if *owned.lease.over() {
            return Ok(());
        }
        let mut list = TopicPartitionList::with_capacity(1);
        let failed = |error: KafkaError| QueueError::Failed(format!("partition {partition} cannot be fetched: {error}"));
        list.add_partition_offset(&self.topic, partition as i32, Offset::Offset(offset)).map_err(failed)?;
        member.incremental_assign(&list).map_err(failed)?;
        owned.fetched = true;
        Ok(())
    }

    /// Ends all leases. The member leaves when nobody holds one, or when the time for it is over.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.closing.get_or_insert_with(|| Instant::now() + self.handover);
        state.given.clear();
        state.owned.values().for_each(|owned| owned.lease.end());
    }

    /// Has it to leave now?
    pub fn is_to_leave(&self) -> bool {
        let state = self.state.lock();
        state.closing.is_some_and(|until| state.owned.values().all(Owned::is_free) || Instant::now() >= until)
    }

    /// Does it wait for readers?
    pub fn is_waiting(&self) -> bool {
        let state = self.state.lock();
        state.closing.is_some() || state.giving_up.is_some()
    }

    /// Notes that it is no member any more.
    pub fn left(&self) {
        let mut state = self.state.lock();
        state.owned.values().for_each(|owned| owned.lease.end());
        state.owned.clear();
        state.given.clear();
        state.left = true;
        drop(state);
        self.changed.notify_one();
    }

    /// Gives up what waits to be, if its readers are gone or had their time.
    pub fn give_up_what_is_free(&self, member: &Member) {
        let mut state = self.state.lock();
        let State { giving_up, owned, .. } = &mut *state;
        let free = |partition: &u32| owned.get(partition).is_none_or(Owned::is_free);
        if let Some(GivingUp { partitions, .. }) =
            giving_up.take_if(|giving_up| giving_up.partitions.iter().all(free) || Instant::now() >= giving_up.until)
        {
            self.give_up(&mut state, member, &partitions);
        }
    }

    fn assigned(&self, member: &Member, list: &TopicPartitionList) {
        let mut state = self.state.lock();
        for partition in self.of(list) {
            let old = state.owned.insert(partition, Owned { lease: Arc::default(), fetched: false });
            if let Some(old) = old {
                old.lease.end();
                self.unassign(member, [partition].into_iter().filter(|_| old.fetched));
            }
            state.given.retain(|given| *given != partition);
            state.given.push_back(partition);
        }
        // The rebalance is answered with nothing: each partition is fetched when its reader starts.
        if let Err(error) = member.incremental_assign(&TopicPartitionList::new()) {
            tracing::warn!(%error, "answering an assignment");
        }
        drop(state);
        self.changed.notify_one();
    }

    fn revoked(&self, member: &Member, list: &TopicPartitionList, lost: bool) {
        let mut state = self.state.lock();
        let mut partitions = self.of(list);
        for partition in &partitions {
            if let Some(owned) = state.owned.get(partition) {
                owned.lease.end();
            }
        }
        state.given.retain(|partition| !partitions.contains(partition));
        tracing::info!(?partitions, lost, "partitions go to others");
        // The one before was not answered yet: it is, by what answers this one.
        let before = state.giving_up.take();
        let again = before.is_some();
        partitions.extend(before.into_iter().flat_map(|before| before.partitions));
        if lost || again || state.closing.is_some() {
            self.give_up(&mut state, member, &partitions);
        } else {
            state.giving_up = Some(GivingUp { partitions, until: Instant::now() + self.handover });
        }
    }

    /// Answers a revocation.
    fn give_up(&self, state: &mut State, member: &Member, partitions: &[u32]) {
        let owned = partitions.iter().filter_map(|partition| Some((*partition, state.owned.remove(partition)?.fetched)));
        let fetched: Vec<u32> = owned.filter(|(_, fetched)| *fetched).map(|(partition, _)| partition).collect();
        self.unassign(member, fetched);
    }

    fn unassign(&self, member: &Member, partitions: impl IntoIterator<Item = u32>) {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.topic, partition as i32);
        }
        if let Err(error) = member.incremental_unassign(&list) {
            tracing::warn!(%error, "giving partitions up");
        }
    }

    /// Those of a list that are ours by topic and number.
    fn of(&self, list: &TopicPartitionList) -> Vec<u32> {
        let elements = list.elements_for_topic(&self.topic);
        let numbers = elements.iter().filter_map(|element| u32::try_from(element.partition()).ok());
        numbers.filter(|partition| *partition < self.partitions).collect()
    }
}

impl Owned {
    /// Is nobody reading?
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.lease) == 1
    }
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the consumer of commands");
    }

    fn stats_raw(&self, figures: &[u8]) {
        self.reported.take(figures);
    }
}

impl ConsumerContext for Group {
    fn rebalance(&self, member: &BaseConsumer<Self>, kind: RDKafkaRespErr, list: &mut TopicPartitionList) {
        match kind {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.membership.assigned(member, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.membership.revoked(member, list, member.assignment_lost())
            }
            other => {
                let error: RDKafkaErrorCode = other.into();
                self.membership.failed(QueueError::Failed(format!("a rebalance failed: {error}")));
            }
        }
    }
}
