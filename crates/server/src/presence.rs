//! Presence: who is online, and when somebody last was.
//!
//! Online is who has a session. Nothing is kept of a user who is online; one who lost the last session is kept for the grace time, so
//! that a tunnel does not flicker. In a fleet both are in the registry of sessions, under their gateway: written when the first session comes
//! and when the grace time after the last is over, and swept when the gateway dies.

mod here;
mod sweeping;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use banter_model::limits::USERS_PER_QUESTION;
use banter_model::{Millis, UserId};
use banter_protocol::ServerFrame;
use banter_protocol::frame::{PresenceState, UserPresence};
use banter_store::Directory;
use banter_store::directory::DirectoryError;
use banter_store::sessions::{LocalSessions, Registrar};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock;
use crate::conversations::relations::Relations;
use crate::gateway::hub::Hub;
use crate::notices::Notices;
use crate::presence::here::Here;
use crate::registry::Registry;

/// A lost connection counts after this time.
pub const GRACE: Duration = Duration::from_secs(10);
/// Most rows of "last seen" in one write.
const SEEN_AT_ONCE: usize = 500;
/// Most changes that wait to be told. Beyond it friends are not told of a change and see it when they ask.
const WAITING_CHANGES: usize = 100_000;

/// Knows who is online.
pub struct Presence {
    directory: Arc<dyn Directory>,
    relations: Arc<Relations>,
    notices: Arc<Notices>,
    /// `None` when all sessions are here.
    elsewhere: Option<Elsewhere>,
    grace: Duration,
    here: Arc<Here>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    /// Who lost the last session, and when: online until the grace time is over.
    leaving: HashMap<UserId, Millis>,
    /// The same in order of time. An entry that is not in `leaving` with the same time is out of date.
    order: VecDeque<(Millis, UserId)>,
    /// Whose friends are to be told, and why.
    changes: VecDeque<(UserId, Why)>,
    /// When somebody was seen, not yet stored.
    seen: HashMap<UserId, Millis>,
}

/// What there is besides the sessions of this node.
struct Elsewhere {
    registry: Arc<Registry>,
    registrar: Arc<Registrar>,
}

/// Why friends are to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// A first session came here.
    Came,
    /// The last session here, or on a gateway that died, is gone.
    Went,
    /// Others may know more now, or less.
    Audience,
}

impl Presence {
    /// Presence of the sessions in `hub`, and of those in the registry, if there is one. [`Presence::run`] does the telling.
    pub fn new(
        directory: Arc<dyn Directory>,
        relations: Arc<Relations>,
        hub: Arc<Hub>,
        notices: Arc<Notices>,
        registry: Option<Arc<Registry>>,
        grace: Duration,
    ) -> Self {
        let here = Arc::new(Here { hub, state: Mutex::default() });
        let elsewhere = registry.map(|registry| {
            let registrar = Registrar::new(here.clone(), registry.sessions.clone(), registry.cluster.clone());
            Elsewhere { registry, registrar }
        });
        Presence { directory, relations, notices, elsewhere, grace, here, changed: Notify::new() }
    }

    /// A user has a first session.
    pub fn came(&self, user: UserId) {
        let mut state = self.here.state.lock();
        let flickered = state.leaving.remove(&user).is_some();
        // Noted at once, so that a crash leaves a time not long before it.
        state.seen.insert(user, clock::now());
        if !flickered {
            state.change(user, Why::Came);
        }
        drop(state);
        if let Some(elsewhere) = self.elsewhere.as_ref().filter(|_| !flickered) {
            elsewhere.registrar.changed(user);
        }
        self.changed.notify_one();
    }

    /// In a fleet: done when other nodes find `user` here, or when it is clear that this takes longer; then the user's sessions will be
    /// told that they may have missed something.
    pub fn listed(&self, user: UserId) -> Option<impl Future<Output = ()> + Send + use<>> {
        let registrar = self.elsewhere.as_ref()?.registrar.clone();
        Some(async move {
            registrar.settled(user).await;
        })
    }

    /// Waits until other nodes can find whoever comes here, at most as long as `patience`: who comes earlier is told that something may be
    /// missing.
    pub async fn ready(&self, patience: Duration) {
        let Some(elsewhere) = &self.elsewhere else { return };
        let listed = async {
            while !elsewhere.registrar.is_listed() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // Without the registry everything comes from the workers all the same.
        let _ = tokio::time::timeout(patience, listed).await;
    }

    /// Keeps the registry of sessions right about this node, for as long as it is polled.
    pub async fn register(self: Arc<Self>) {
        match &self.elsewhere {
            Some(elsewhere) => elsewhere.registrar.clone().run().await,
            None => std::future::pending().await,
        }
    }

    /// A user's last session is gone. Called while the hub shows nobody that it is: asks nothing of the hub.
    pub fn went(&self, user: UserId) {
        let now = clock::now();
        let mut state = self.here.state.lock();
        state.leaving.insert(user, now);
        state.order.push_back((now, user));
        drop(state);
        self.changed.notify_one();
    }

    /// Friends, blocks or settings of `user` changed: friends who are online are told what they may know now.
    pub fn audience_changed(&self, user: UserId) {
        self.here.state.lock().change(user, Why::Audience);
        self.changed.notify_one();
    }

    /// Has the user a session here, grace time included?
    fn is_here(&self, user: UserId) -> bool {
        self.here.has_session(user)
    }

    /// Those of `users` who are online, grace time included: here, or on another node. Nobody is on others when the registry does not
    /// answer.
    async fn online(&self, users: &[UserId]) -> HashSet<UserId> {
        let (here, elsewhere): (Vec<UserId>, Vec<UserId>) = users.iter().copied().partition(|user| self.is_here(*user));
        let mut online: HashSet<UserId> = here.into_iter().collect();
        if let Some(others) = self.elsewhere.as_ref().filter(|_| !elsewhere.is_empty()) {
            match others.registry.gateways(&elsewhere).await {
                Ok(found) => online.extend(found.into_keys()),
                Err(error) => tracing::warn!(%error, "presence of {} users", elsewhere.len()),
            }
        }
        online
    }

    /// What `asker` may know of the presence of `users`; those that do not exist are left out. At most 200.
    pub async fn of(&self, asker: UserId, users: &[UserId]) -> Result<Vec<UserPresence>, DirectoryError> {
        let relations = self.directory.relations(asker, users).await?;
        let visible: Vec<UserId> = relations.iter().filter(|to| to.may_see_presence()).map(|to| to.user).collect();
        let online = self.online(&visible).await;
        let offline: Vec<UserId> = visible.iter().copied().filter(|user| !online.contains(user)).collect();
        let seen: HashMap<UserId, Millis> = self.directory.last_seen(&offline).await?.into_iter().collect();
        let own = users.contains(&asker).then_some(asker);
        let known = relations.iter().map(|to| (to.user, to.may_see_presence())).filter(|(user, _)| Some(*user) != own);
        let everybody = known.chain(own.map(|user| (user, true)));
        let is_online = |user| online.contains(&user) || (user == asker && self.is_here(user));
        let answer = everybody.map(|(user, may_see)| self.seen(user, may_see, is_online(user), seen.get(&user).copied()));
        Ok(answer.collect())
    }

    /// Tells friends and stores times, for as long as it is polled.
    pub async fn run(self: Arc<Self>) {
        loop {
            let next = self.leave(clock::now());
            self.store_seen().await;
            if self.tell_changes().await {
                // There are more; but others leave meanwhile.
                continue;
            }
            let sleep = tokio::time::sleep(next.unwrap_or(Duration::from_secs(3600)));
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep => {}
            }
        }
    }

    /// Stores what is not stored yet, the times of those who are online included: the server is going down.
    pub async fn finish(&self) {
        let now = clock::now();
        let mut online = Vec::new();
        self.here.hub.for_each(|session| online.push(session.user));
        {
            let mut state = self.here.state.lock();
            state.seen.extend(online.into_iter().map(|user| (user, now)));
            let leaving = std::mem::take(&mut state.leaving);
            state.seen.extend(leaving);
        }
        self.store_seen().await;
    }

    /// Those whose grace time is over at `now` are offline. Returns the time until the next one's is.
    fn leave(&self, now: Millis) -> Option<Duration> {
        let grace = u64::try_from(self.grace.as_millis()).unwrap_or(u64::MAX);
        let (mut gone, mut next) = (Vec::new(), None);
        let mut state = self.here.state.lock();
        while let Some((since, user)) = state.order.front().copied() {
            let due = since.saturating_add(grace);
            if due > now {
                next = Some(Duration::from_millis(due - now));
                break;
            }
            state.order.pop_front();
            if state.leaving.get(&user) == Some(&since) {
                state.leaving.remove(&user);
                state.seen.insert(user, since);
                state.change(user, Why::Went);
                gone.push(user);
            }
        }
        drop(state);
        if let Some(elsewhere) = &self.elsewhere {
            gone.into_iter().for_each(|user| elsewhere.registrar.changed(user));
        }
        next
    }

    async fn store_seen(&self) {
        loop {
            let batch: Vec<(UserId, Millis)> = {
                let mut state = self.here.state.lock();
                let users: Vec<UserId> = state.seen.keys().copied().take(SEEN_AT_ONCE).collect();
                users.into_iter().filter_map(|user| state.seen.remove_entry(&user)).collect()
            };
            if batch.is_empty() {
                return;
            }
            if let Err(error) = self.directory.set_last_seen(&batch).await {
                tracing::warn!(%error, "last seen of {} users is not stored", batch.len());
            }
        }
    }

    /// Tells the friends of those whose changes wait longest. Returns whether there are more.
    async fn tell_changes(&self) -> bool {
        let (changes, more): (Vec<(UserId, Why)>, bool) = {
            let mut state = self.here.state.lock();
            let count = state.changes.len().min(USERS_PER_QUESTION);
            (state.changes.drain(..count).collect(), !state.changes.is_empty())
        };
        let users = self.worth_telling(changes).await;
        if users.is_empty() {
            return more;
        }
        match self.directory.friends_of(&users).await {
            Ok(friends) => {
                let mut people: Vec<UserId> = friends.iter().flat_map(|(user, friend)| [*user, *friend]).collect();
                people.sort_unstable();
                people.dedup();
                let online = self.online(&people).await;
                for (user, friend) in friends.into_iter().filter(|(_, friend)| online.contains(friend)) {
                    self.tell(friend, user, online.contains(&user)).await;
                }
            }
            Err(error) => tracing::warn!(%error, "friends of {} users are not told", users.len()),
        }
        more
    }

    /// Those for whom a change means that friends know something new: with sessions on several gateways, one that comes or goes may
    /// change nothing.
    async fn worth_telling(&self, changes: Vec<(UserId, Why)>) -> Vec<UserId> {
        let mut users: Vec<UserId> = changes.iter().map(|(user, _)| *user).collect();
        users.sort_unstable();
        users.dedup();
        let Some(Elsewhere { registry, registrar }) = &self.elsewhere else { return users };
        // When the last sessions of two gateways go at the same time, each has to see that the other's is gone.
        for (user, _) in changes.iter().filter(|(_, why)| *why == Why::Went) {
            if !registrar.is_listed() {
                return users;
            }
            registrar.settled(*user).await;
        }
        let Ok(gateways) = registry.gateways(&users).await else { return users };
        let own = registry.node().number;
        users.retain(|user| {
            let others = || gateways.get(user).into_iter().flatten().filter(|number| **number != own);
            changes.iter().filter(|(changed, _)| changed == user).any(|(_, why)| match why {
                // When two come at the same time, one of them tells.
                Why::Came => !others().any(|number| *number < own),
                Why::Went => others().next().is_none(),
                Why::Audience => true,
            })
        });
        users
    }

    /// The presence of `user` for somebody who may see it, or may not. `stored` is when the directory has last seen them.
    fn seen(&self, user: UserId, may_see: bool, online: bool, stored: Option<Millis>) -> UserPresence {
        if !may_see {
            UserPresence { user, state: PresenceState::Hidden, last_seen: None }
        } else if online {
            UserPresence { user, state: PresenceState::Online, last_seen: None }
        } else {
            let waiting = self.here.state.lock().seen.get(&user).copied();
            UserPresence { user, state: PresenceState::Offline, last_seen: stored.max(waiting) }
        }
    }

    async fn tell(&self, friend: UserId, user: UserId, online: bool) {
        let may_see = match self.relations.of(friend, user).await {
            Ok(relation) => relation.is_some_and(|relation| relation.may_see_presence()),
            Err(_) => return,
        };
        let stored = match may_see && !online {
            true => self.directory.last_seen(&[user]).await.unwrap_or_default(),
            false => Vec::new(),
        };
        let presence = self.seen(user, may_see, online, stored.first().map(|(_, at)| *at));
        self.notices.mention(&[friend], &ServerFrame::Presence { users: vec![presence] });
    }
}

impl State {
    fn change(&mut self, user: UserId, why: Why) {
        if self.changes.len() < WAITING_CHANGES && self.changes.back() != Some(&(user, why)) {
            self.changes.push_back((user, why));
        }
    }
}
