//! Keeps the registry right about the sessions of one gateway, whatever becomes of the registry.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use banter_model::UserId;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, interval_at, sleep, timeout};

use super::{SHARDS, Sessions, SessionsError, ShardCount, USERS_AT_ONCE, shard_of};
use crate::cluster::{Cluster, NodeIncarnation};

/// Pauses between attempts to reach the registry begin here and double up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether the registry has lost anything.
const AUDIT: Duration = Duration::from_secs(10);
/// Shards that are compared user by user in each audit, whatever their counts say.
const AUDITED_WHOLE: u32 = 8;
/// The longest that a session waits to be registered.
const SETTLING: Duration = Duration::from_millis(250);

/// What a gateway knows of its own sessions.
pub trait LocalSessions: Send + Sync + 'static {
    /// Has `user` a session here?
    fn has_session(&self, user: UserId) -> bool;

    /// Everybody who has a session here, each once.
    fn users(&self) -> Vec<UserId>;

    /// These users have sessions here and were not in the registry for a while: what was for them may have gone past them. They
    /// are in it now, and are to ask anew for what they missed.
    fn may_have_missed(&self, users: &[UserId]);
}

/// Tells the registry who comes and goes on this gateway. What it writes is what is true when it writes, so nothing has to be kept
/// in order; while the registry is away the gateway is marked as unlisted, and when it is back everything is compared with it.
///
/// It also finds out when the registry has lost something behind its back (a failover, a restart), and makes it good.
pub struct Registrar {
    local: Arc<dyn LocalSessions>,
    sessions: Arc<dyn Sessions>,
    cluster: Arc<dyn Cluster>,
    noted: Mutex<Noted>,
    wake: Notify,
    progress: watch::Sender<Progress>,
}

/// Bounded by the users of this gateway: each is in a set at most once.
#[derive(Default)]
struct Noted {
    /// Who came or went since the last write.
    changed: HashSet<UserId>,
    /// Who is being written.
    writing: HashSet<UserId>,
    /// Who may have missed something, and is to be told when the registry is right about them: sessions that did not wait any longer for
    /// being written, and those that the registry had lost.
    late: HashSet<UserId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    /// Counts the writes that are done.
    written: u64,
    /// Is the registry right, but for those who are noted?
    listed: bool,
}

impl Registrar {
    /// A registrar for the sessions in `local`. [`Registrar::run`] does the work.
    pub fn new(local: Arc<dyn LocalSessions>, sessions: Arc<dyn Sessions>, cluster: Arc<dyn Cluster>) -> Arc<Self> {
        let progress = watch::Sender::new(Progress { written: 0, listed: false });
        Arc::new(Registrar { local, sessions, cluster, noted: Mutex::default(), wake: Notify::new(), progress })
    }

    /// `user` has a first session here, or lost the last one. To be called after the table of sessions has changed.
    pub fn changed(&self, user: UserId) {
        self.noted.lock().changed.insert(user);
        self.wake.notify_one();
    }

    /// Waits until what was noted of `user` is written: before that the user's sessions may not be told what they have missed so
    /// far, for more may go past them. False if the registry is away or slow: then
    /// [`LocalSessions::may_have_missed`] comes when it is written.
    pub async fn settled(&self, user: UserId) -> bool {
        let mut progress = self.progress.subscribe();
        let settling = async {
            loop {
                let Progress { listed, .. } = *progress.borrow_and_update();
                if !listed {
                    return false;
                }
                if !self.noted.lock().has(user) {
                    return true;
                }
                if progress.changed().await.is_err() {
                    return false;
                }
            }
        };
        let settled = timeout(SETTLING, settling).await.unwrap_or(false);
        if !settled {
            self.noted.lock().late.insert(user);
            self.wake.notify_one();
        }
        settled
    }

    /// Is everybody in the registry?
    pub fn is_listed(&self) -> bool {
        self.progress.borrow().listed
    }

    /// Keeps the registry right, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let began = Instant::now();
            let at = self.cluster.node();
            let Err(error) = self.keep(at).await else { continue };
            self.progress.send_modify(|progress| progress.listed = false);
            // Workers send everything here until the registry is right again.
            self.cluster.update(&|condition| condition.unlisted = true);
            tracing::warn!(%error, "the registry of sessions does not know all sessions of this gateway");
            pause = if began.elapsed() > LONGEST_PAUSE { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
            sleep(pause).await;
        }
    }

    /// Makes the registry right about this gateway in its life `at`, and keeps it so until it fails or that life is over.
    async fn keep(&self, at: NodeIncarnation) -> Result<(), SessionsError> {
        let mut standing = self.cluster.standing();
        self.sessions.announce(at).await?;
        // Who changes from here on is noted, and written afterwards.
        let mut late = self.take_late();
        self.noted.lock().changed.clear();
        let mut counts = vec![0; SHARDS as usize];
        let compared = self.compare(at, (0..SHARDS).collect(), &mut counts, &mut late).await;
        let late = self.unless_failed(compared, late)?;
        self.progress.send_modify(|progress| (progress.listed, progress.written) = (true, progress.written + 1));
        self.cluster.update(&|condition| condition.unlisted = false);
        self.tell(late);
        let mut audits = interval_at(Instant::now() + AUDIT, AUDIT);
        let mut whole = 0;
        loop {
            tokio::select! {
                () = self.wake.notified() => self.write_changed(at, &mut counts).await?,
                _ = audits.tick() => {
                    let some = (whole..whole + AUDITED_WHOLE).map(|shard| shard % SHARDS);
                    whole = (whole + AUDITED_WHOLE) % SHARDS;
                    self.audit(at, some.collect(), &mut counts).await?;
                }
                Ok(()) = standing.changed() => {
                    if standing.borrow_and_update().incarnation != at.incarnation {
                        self.progress.send_modify(|progress| progress.listed = false);
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Writes what is noted, and tells those who did not wait for it.
    async fn write_changed(&self, at: NodeIncarnation, counts: &mut [u64]) -> Result<(), SessionsError> {
        let late = self.take_late();
        let changed: Vec<UserId> = {
            let mut noted = self.noted.lock();
            noted.writing = std::mem::take(&mut noted.changed);
            noted.writing.iter().copied().collect()
        };
        let written = self.write(at, &changed, counts).await;
        if written.is_err() {
            // First, for who waits for one of these must not find it neither noted nor missing.
            self.progress.send_modify(|progress| progress.listed = false);
        }
        self.noted.lock().writing.clear();
        let late = self.unless_failed(written, late)?;
        self.progress.send_modify(|progress| progress.written += 1);
        self.tell(late);
        Ok(())
    }

    /// Writes how it is with `users` now.
    async fn write(&self, at: NodeIncarnation, users: &[UserId], counts: &mut [u64]) -> Result<(), SessionsError> {
        for users in users.chunks(USERS_AT_ONCE) {
            let (here, gone): (Vec<UserId>, Vec<UserId>) = users.iter().partition(|user| self.local.has_session(**user));
            for ShardCount { shard, users } in self.sessions.update(at, &here, &gone).await? {
                counts[shard as usize] = users;
            }
        }
        Ok(())
    }

    /// Compares shards whose counts are not what was last written, and those in `whole`.
    async fn audit(&self, at: NodeIncarnation, whole: HashSet<u32>, counts: &mut [u64]) -> Result<(), SessionsError> {
        let found = self.sessions.counts(at).await?;
        let differ = found.iter().filter(|found| counts[found.shard as usize] != found.users).map(|found| found.shard);
        let differ: HashSet<u32> = differ.collect();
        if !differ.is_empty() {
            tracing::warn!("the registry of sessions has lost entries in {} shards", differ.len());
            self.sessions.announce(at).await?;
        }
        let mut lost = HashSet::new();
        let compared = self.compare(at, differ.union(&whole).copied().collect(), counts, &mut lost).await;
        self.tell(self.unless_failed(compared, lost)?);
        Ok(())
    }

    /// Makes these shards of the registry what they should be. Adds those with sessions here that it had lost to `lost`, before it is known
    /// to the registry that they are here.
    async fn compare(
        &self,
        at: NodeIncarnation,
        shards: HashSet<u32>,
        counts: &mut [u64],
        lost: &mut HashSet<UserId>,
    ) -> Result<(), SessionsError> {
        let mut local: Vec<(u32, UserId)> = self.local.users().into_iter().map(|user| (shard_of(user), user)).collect();
        local.retain(|(shard, _)| shards.contains(shard));
        local.sort_unstable();
        let registered = self.sessions.counts(at).await?;
        let mut differing = Vec::new();
        for ShardCount { shard, users } in registered.into_iter().filter(|found| shards.contains(&found.shard)) {
            counts[shard as usize] = users;
            let first = local.partition_point(|(other, _)| *other < shard);
            let of_shard = local[first..].iter().take_while(|(other, _)| *other == shard).map(|(_, user)| *user);
            let known: HashSet<UserId> = match users {
                0 => HashSet::new(),
                _ => self.sessions.registered(at, shard).await?.into_iter().collect(),
            };
            let here: HashSet<UserId> = of_shard.collect();
            {
                let noted = self.noted.lock();
                // Who changed and is not written yet is no loss.
                lost.extend(here.difference(&known).filter(|user| !noted.has(**user)));
            }
            differing.extend(here.symmetric_difference(&known).copied());
            if differing.len() >= USERS_AT_ONCE {
                self.write(at, &std::mem::take(&mut differing), counts).await?;
            }
        }
        self.write(at, &differing, counts).await
    }

    fn take_late(&self) -> HashSet<UserId> {
        std::mem::take(&mut self.noted.lock().late)
    }

    /// Who is to be told, when all was `written`. Else part of it may be, and would not be found missing again: they are told later.
    fn unless_failed(&self, written: Result<(), SessionsError>, late: HashSet<UserId>) -> Result<HashSet<UserId>, SessionsError> {
        match written {
            Ok(()) => Ok(late),
            Err(error) => {
                self.noted.lock().late.extend(late);
                Err(error)
            }
        }
    }

    fn tell(&self, users: HashSet<UserId>) {
        let users: Vec<UserId> = users.into_iter().filter(|user| self.local.has_session(*user)).collect();
        if !users.is_empty() {
            self.local.may_have_missed(&users);
        }
    }
}

impl Noted {
    fn has(&self, user: UserId) -> bool {
        self.changed.contains(&user) || self.writing.contains(&user)
    }
}
