//! Frames of devices: what each does.
//!
//! What needs no waiting is done at once (the common case: a message to somebody known). Everything else becomes a future that the
//! session waits for before it takes its next frame, so that frames of one session are done in order.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use banter_model::{Action, Command, ConversationId, EventId, Mention, Objection, Refusal, Seq, UserId, mention};
use banter_protocol::frame::{self, ClientFrame};
use banter_protocol::{ErrorCode, ServerFrame};
use banter_store::directory::DirectoryError;
use banter_store::queue::PushError;
use banter_store::{Envelope, Origin, StoreError};

use crate::conversations::{receipts, sync};
use crate::gateway::Gateway;
use crate::gateway::refusing::Asked;
use crate::gateway::session::Session;
use crate::worker::Failure;

/// How often a device is told that a frame of it is being worked on. Devices that hear nothing ask after 5 s whether anybody is there, and
/// wait 5 s for the answer; a sign may be late when the server has much to do. No oftener than that needs: in a storm a hundred thousand wait
/// at the same time.
const STILL_THERE: Duration = Duration::from_secs(3);

/// What a session waits for before it takes its next frame.
pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What became of a frame.
pub enum Taken {
    /// It is done.
    Done,
    /// It was not a frame; the device was told.
    Malformed,
    /// It is done when this is.
    Waiting(Waiting),
}

/// A command as it goes to the worker.
struct Prepared {
    action: Action,
    id: EventId,
    objection: Option<Objection>,
}

/// Why a check said nothing.
enum Unsaid {
    /// The command cannot be, whatever happened before.
    Refused(Refusal),
    /// What it depends on could not be read.
    Unchecked,
}

impl From<Refusal> for Unsaid {
    fn from(refusal: Refusal) -> Self {
        Unsaid::Refused(refusal)
    }
}

impl From<StoreError> for Unsaid {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "history");
        Unsaid::Unchecked
    }
}

impl From<DirectoryError> for Unsaid {
    fn from(error: DirectoryError) -> Self {
        tracing::error!(%error, "directory");
        Unsaid::Unchecked
    }
}

impl Gateway {
    /// Takes one frame of a session that stands.
    pub fn take(self: &Arc<Self>, session: &Arc<Session>, json: &[u8]) -> Taken {
        self.node.metrics.frames_taken.inc();
        if session.has_ended() {
            // Signed out, perhaps: nothing is done in its name any more.
            return Taken::Done;
        }
        let frame = match serde_json::from_slice(json) {
            Ok(frame) => frame,
            Err(error) => {
                self.malformed(session, json, &error);
                return Taken::Malformed;
            }
        };
        if matches!(frame, ClientFrame::Ping(_)) {
            self.give(session, &ServerFrame::Pong {});
            return Taken::Done;
        }
        let rate = self.frame_rate;
        match session.frame_rate.take(self.milliseconds(), rate.per_second, rate.burst, cost(&frame)) {
            0 => self.handle(session, frame),
            // Slowed down rather than refused: what a device sends stays in order, and nothing has to be sent again.
            wait_ms => self.waiting(session, async move |gateway, session| {
                gateway.node.metrics.frames_slowed.inc();
                tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                if let Taken::Waiting(waiting) = gateway.handle(&session, frame) {
                    waiting.await;
                }
            }),
        }
    }

    fn handle(self: &Arc<Self>, session: &Arc<Session>, frame: ClientFrame) -> Taken {
        match frame {
            ClientFrame::Send(frame::Send { tag, conversation, text, reply_to }) => {
                let action = Action::Send { text, reply_to, mentions: Vec::new() };
                self.command(session, Asked { tag, conversation }, action)
            }
            ClientFrame::Edit(frame::Edit { tag, conversation, target, text }) => {
                self.command(session, Asked { tag, conversation }, Action::Edit { target, text, mentions: Vec::new() })
            }
            ClientFrame::Redact(frame::Redact { tag, conversation, target }) => {
                self.command(session, Asked { tag, conversation }, Action::Redact { target })
            }
            ClientFrame::React(frame::React { tag, conversation, target, emoji, add }) => {
                self.command(session, Asked { tag, conversation }, Action::React { target, emoji, add })
            }
            ClientFrame::Typing(frame::Typing { conversation }) => self.typing(session, conversation),
            ClientFrame::Read(up_to) => self.lasting(session, async move |gateway, session| {
                let done = receipts::read(&gateway.node, session.user, up_to.conversation, up_to.seq, Some(session.number)).await;
                gateway.tell_failure(&session, done.map(|_| ()), Some(up_to.conversation));
            }),
            ClientFrame::Delivered(up_to) => self.lasting(session, async move |gateway, session| {
                let done = receipts::delivered(&gateway.node, session.user, up_to.conversation, up_to.seq).await;
                gateway.tell_failure(&session, done, Some(up_to.conversation));
            }),
            ClientFrame::Presence(question) => self.presence(session, question.users),
            ClientFrame::Sync(question) => self.waiting(session, async move |gateway, session| {
                match sync::answer(&gateway.node, session.user, &question).await {
                    Ok(answer) => gateway.give(&session, &answer),
                    Err(body) => gateway.tell_failure(&session, Err(body), None),
                }
            }),
            ClientFrame::Hello(_) | ClientFrame::Resume(_) => {
                self.refuse(session, ErrorCode::InvalidFrame.code(), "the session stands already".to_owned(), None, None);
                Taken::Malformed
            }
            ClientFrame::Ping(_) => Taken::Done,
        }
    }

    /// Encodes a frame for one session.
    pub fn give(&self, session: &Session, frame: &ServerFrame) {
        let hub = &self.node.hub;
        hub.count(session.push(hub.encode(frame)));
    }

    fn waiting<F>(self: &Arc<Self>, session: &Arc<Session>, work: impl FnOnce(Arc<Self>, Arc<Session>) -> F) -> Taken
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (gateway, session) = (self.clone(), session.clone());
        let work = work(self.clone(), session.clone());
        Taken::Waiting(Box::pin(async move { gateway.still_there(&session, work).await }))
    }

    /// Like [`Gateway::waiting`], for what is to be finished once it is begun, even if its session ends meanwhile: what was stored has
    /// to be told to the others.
    fn lasting<F>(self: &Arc<Self>, session: &Arc<Session>, work: impl FnOnce(Arc<Self>, Arc<Session>) -> F) -> Taken
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (gateway, session) = (self.clone(), session.clone());
        let work = work(self.clone(), session.clone());
        // Begun when it is waited for, so on the runtime that waits.
        Taken::Waiting(Box::pin(async move {
            let done = gateway.still_there(&session, async { tokio::spawn(work).await }).await;
            if let Err(error) = done {
                tracing::error!(%error, "a frame");
            }
        }))
    }

    /// Does `work`. While it lasts the session takes no frame, pings neither: so that the device neither takes this server for dead nor
    /// its question for lost when it only has to wait, it is told now and then that somebody is at it; and what it says meanwhile, unread,
    /// counts as said.
    pub(super) async fn still_there<T>(&self, session: &Session, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(STILL_THERE, work.as_mut()).await {
                Ok(done) => return done,
                Err(_) => self.tell_of_work(session),
            }
        }
    }

    /// Another frame of the session is done, and more of them wait: if nothing was said for long, the device is told. Many short ones that
    /// have no answer would be silence otherwise.
    pub(super) fn go_on(&self, session: &Session) {
        if self.seconds().saturating_sub(session.told()) >= STILL_THERE.as_secs() as u32 {
            self.tell_of_work(session);
        }
    }

    fn tell_of_work(&self, session: &Session) {
        let now = self.seconds();
        session.hear(now);
        session.tell(now);
        self.give(session, &ServerFrame::Working {});
    }

    // Commands.

    fn command(self: &Arc<Self>, session: &Arc<Session>, asked: Asked, action: Action) -> Taken {
        if let Err(refusal) = action.check() {
            self.answer_failure(session, asked, &refusal.into());
            return Taken::Done;
        }
        if self.needs_no_waiting(session.user, asked.conversation, &action)
            && let Ok(id) = self.node.ids.try_next()
        {
            return self.queue(session, asked, Prepared { action, id: EventId(id), objection: None });
        }
        self.waiting(session, async move |gateway, session| {
            match gateway.prepare(session.user, asked.conversation, action).await {
                Ok(prepared) => {
                    if let Taken::Waiting(waiting) = gateway.queue(&session, asked, prepared) {
                        waiting.await;
                    }
                }
                Err(refusal) => gateway.answer_failure(&session, asked, &refusal.into()),
            }
        })
    }

    /// Can be seen at once that `user` may do `action`, and does the text name nobody?
    fn needs_no_waiting(&self, user: UserId, conversation: ConversationId, action: &Action) -> bool {
        let Action::Send { text, reply_to: None, .. } = action else { return false };
        let allowed = match conversation {
            // The fold knows who is in a group.
            ConversationId::Group(_) => true,
            ConversationId::Direct(..) => conversation
                .peer_of(user)
                .and_then(|peer| self.node.relations.known(user, peer))
                .is_some_and(|relation| relation.may_write()),
        };
        allowed && !text.contains('@')
    }

    /// Checks what needs waiting: blocks and settings, what the sender may see, and who is named in the text. What cannot be looked
    /// up, or is objected to, goes along to the worker, who knows whether the command was stored before.
    async fn prepare(&self, user: UserId, conversation: ConversationId, mut action: Action) -> Result<Prepared, Refusal> {
        let checked = self.check(user, conversation, &mut action).await;
        let id = self.node.ids.next().await;
        let (objection, id) = match (checked, id) {
            (Ok(objection), Ok(id)) => (objection, id),
            (Err(Unsaid::Refused(refusal)), _) => return Err(refusal),
            // Without an id it makes no event; 0 is no id.
            (Err(Unsaid::Unchecked), _) | (Ok(_), Err(_)) => (Some(Objection::Unchecked), 0),
        };
        Ok(Prepared { action, id: EventId(id), objection })
    }

    async fn check(&self, user: UserId, conversation: ConversationId, action: &mut Action) -> Result<Option<Objection>, Unsaid> {
        let node = &self.node;
        let mut objection = None;
        match conversation {
            ConversationId::Direct(..) => {
                let peer = conversation.peer_of(user).ok_or(Refusal::NotAMember)?;
                // Taking back one's own words is always allowed.
                if !matches!(action, Action::Redact { .. }) {
                    objection = match node.relations.of(user, peer).await? {
                        None => Some(Objection::UnknownUser),
                        Some(relation) if !relation.may_write() => Some(Objection::MayNotWrite),
                        Some(_) => None,
                    };
                }
            }
            ConversationId::Group(_) => {
                if let Some(seq) = named_place(action) {
                    let membership = node.history.membership(user, conversation).await?.ok_or(Refusal::NotAMember)?;
                    if !membership.sees(seq) {
                        return Err(Refusal::UnknownMessage { seq }.into());
                    }
                }
            }
        }
        if let Action::Send { text, mentions, .. } | Action::Edit { text, mentions, .. } = action {
            *mentions = self.mentions(conversation, text).await?;
        }
        Ok(objection)
    }

    /// The members that `text` names.
    async fn mentions(&self, conversation: ConversationId, text: &str) -> Result<Vec<Mention>, Unsaid> {
        let candidates = mention::find(text);
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        let members: Vec<UserId> = match conversation {
            ConversationId::Direct(low, high) => vec![low, high],
            ConversationId::Group(_) => {
                let roster = self.node.history.roster(conversation).await?;
                roster.unwrap_or_default().members.iter().map(|member| member.user).collect()
            }
        };
        let users = self.node.directory.users(&members).await?;
        let found = candidates.into_iter().filter_map(|candidate| {
            let user = users.iter().find(|user| user.handle == candidate.handle)?.id;
            Some(Mention { user, start: candidate.start, length: candidate.length })
        });
        Ok(found.collect())
    }

    /// Hands a command that was checked to the queue; waits when it is full.
    fn queue(self: &Arc<Self>, session: &Arc<Session>, asked: Asked, prepared: Prepared) -> Taken {
        let Asked { tag, conversation } = asked;
        let Prepared { action, id, objection } = prepared;
        let weight = action.weight();
        let command = Command { conversation, sender: session.user, device: session.device, tag: Some(tag), id, action };
        let origin = Origin { gateway: self.node.number, session: session.number };
        session.asked(weight);
        match self.node.queue.try_push(Envelope { command, origin, objection }) {
            Ok(()) => Taken::Done,
            Err(PushError::Full(envelope)) => self.waiting(session, async move |gateway, session| {
                if gateway.node.queue.push(*envelope).await.is_err() {
                    session.answered(weight);
                    gateway.answer_failure(&session, asked, &Failure::Unavailable(ErrorCode::ShuttingDown));
                }
            }),
            Err(PushError::Closed) => {
                session.answered(weight);
                self.answer_failure(session, asked, &Failure::Unavailable(ErrorCode::ShuttingDown));
                Taken::Done
            }
        }
    }

    // Typing and presence.

    fn typing(self: &Arc<Self>, session: &Arc<Session>, conversation: ConversationId) -> Taken {
        self.waiting(session, async move |gateway, session| {
            let node = &gateway.node;
            let user = session.user;
            // Nobody waits for this: whatever stands in its way, it is dropped in silence.
            let others: Vec<UserId> = match conversation.peer_of(user) {
                Some(peer) => match node.relations.of(user, peer).await {
                    Ok(Some(relation)) if relation.may_write() => vec![peer],
                    _ => return,
                },
                None => match node.history.roster(conversation).await {
                    Ok(Some(roster)) if roster.member(user).is_some() => {
                        roster.members.iter().map(|member| member.user).collect()
                    }
                    _ => return,
                },
            };
            let others: Vec<UserId> = others.into_iter().filter(|other| *other != user).collect();
            node.notices.mention(&others, &ServerFrame::Typing { conversation, user });
        })
    }

    fn presence(self: &Arc<Self>, session: &Arc<Session>, users: Vec<UserId>) -> Taken {
        if users.len() > banter_model::limits::USERS_PER_QUESTION {
            let message = format!("at most {} users in one question", banter_model::limits::USERS_PER_QUESTION);
            self.refuse(session, ErrorCode::InvalidFrame.code(), message, None, None);
            return Taken::Done;
        }
        self.waiting(session, async move |gateway, session| match gateway.node.presence.of(session.user, &users).await {
            Ok(users) => gateway.give(&session, &ServerFrame::Presence { users }),
            Err(error) => {
                tracing::error!(%error, "presence");
                let failure = Failure::Unavailable(ErrorCode::StorageUnavailable);
                gateway.refuse(&session, failure.code(), failure.to_string(), None, failure.retry_after());
            }
        })
    }
}

/// What a frame counts for in its session's rate: about the work it makes, next to a message.
fn cost(frame: &ClientFrame) -> u32 {
    match frame {
        ClientFrame::Sync(_) => 20,
        ClientFrame::Presence(_) => 10,
        _ => 1,
    }
}

/// The earlier event that an action names: the message it amends or answers.
fn named_place(action: &Action) -> Option<Seq> {
    match action {
        Action::Send { reply_to, .. } => *reply_to,
        other => other.target(),
    }
}
