//! Showing what happens as it happens.

use std::collections::HashMap;

use banter_model::{ConversationId, Seq};
use banter_protocol::Event;

use super::arguments::Follow;
use super::names::{self, Names};
use super::output::{Output, Style};
use crate::sync::Notification;
use crate::{Client, Error, Place};

/// Events read from the store at a time.
const CHUNK: usize = 500;

pub(super) async fn run(place: Place, output: &Output, follow: Follow) -> Result<(), Error> {
    let client = Client::open(place).await?;
    let result = tokio::select! {
        result = show(&client, output, follow) => result,
        // Interrupted is how it ends.
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    client.shutdown().await;
    result
}

async fn show(client: &Client, output: &Output, follow: Follow) -> Result<(), Error> {
    let mut stream = Events::new(client, None).await?;
    if let Some(text) = &follow.conversation {
        let conversation = names::conversation(client.api(), client.store(), client.user(), text).await?;
        stream.only = Some(conversation);
        if let Some(after) = follow.after {
            stream.told.insert(conversation, after);
            stream.catch_up().await?;
        }
    }
    let mut names = Names::kept_in(client.store());
    while let Some(notification) = stream.next().await? {
        if output.json {
            output.object(&notification);
        } else if let Some(line) = describe(client, output, &mut names, &notification, stream.only.is_none()).await {
            output.line(line);
        }
        if let Notification::SignedOut { message } = notification {
            return Err(Error::new(Error::SIGNED_OUT, message));
        }
    }
    Ok(())
}

/// A notification as people read it; `None` for what needs no line.
async fn describe(
    client: &Client,
    output: &Output,
    names: &mut Names,
    notification: &Notification,
    with_title: bool,
) -> Option<String> {
    match notification {
        Notification::Event { conversation, event } => {
            names.learn_from(client.api(), std::slice::from_ref(event)).await;
            names.learn(client.api(), conversation.peer_of(client.user())).await;
            let title = match client.conversation(*conversation).await {
                Ok(Some(state)) if with_title => {
                    let title = names.title(client.user(), *conversation, &state.roster.title);
                    output.styled(Style::Bold, &format!("[{title}] "))
                }
                _ => String::new(),
            };
            Some(format!("{title}{}", output.event(event, names)))
        }
        Notification::SignedOut { message } => Some(format!("logged out: {}", super::output::clean(message))),
        _ => None,
    }
}

/// Notifications in which each event comes once and in order, however slow the reader is: what was missed is read from the store.
pub(super) struct Events {
    client: Client,
    notifications: crate::Notifications,
    /// How far each conversation was shown.
    told: HashMap<ConversationId, Seq>,
    waiting: std::collections::VecDeque<Notification>,
    /// The one conversation to tell of; all of them when absent.
    pub only: Option<ConversationId>,
}

impl Events {
    /// From now on, of all conversations or of `only` one.
    pub async fn new(client: &Client, only: Option<ConversationId>) -> Result<Self, Error> {
        let notifications = client.notifications();
        // Whatever comes between the two lines is in both, and told once.
        let states = client.conversations().await?;
        let told = states.iter().map(|state| (state.id, state.have.unwrap_or(0))).collect();
        Ok(Events { client: client.clone(), notifications, told, waiting: Default::default(), only })
    }

    /// The next one; `None` once the client has ended.
    pub async fn next(&mut self) -> Result<Option<Notification>, Error> {
        loop {
            let next = match self.waiting.pop_front() {
                Some(waiting) => waiting,
                None => match self.notifications.next().await {
                    Some(next) => next,
                    None => return Ok(None),
                },
            };
            match &next {
                Notification::Event { conversation, event } if !self.is_next(*conversation, event) => continue,
                Notification::Lagged { missed } => {
                    let own_mark = *missed == 0;
                    self.catch_up().await?;
                    if own_mark {
                        continue;
                    }
                }
                _ => {}
            }
            let about = conversation_of(&next);
            if self.only.is_none() || about.is_none() || about == self.only {
                return Ok(Some(next));
            }
        }
    }

    fn is_next(&mut self, conversation: ConversationId, event: &Event) -> bool {
        let told = self.told.entry(conversation).or_insert(0);
        let is_next = event.seq > *told;
        *told = event.seq.max(*told);
        is_next
    }

    /// Reads what was missed from the store: one chunk per conversation, and more when that is shown.
    pub async fn catch_up(&mut self) -> Result<(), Error> {
        let mut more = false;
        for state in self.client.conversations().await? {
            if self.only.is_some_and(|only| only != state.id) {
                continue;
            }
            // A conversation that began meanwhile is shown from where it is followed, as far as it is stored.
            let told = self.told.get(&state.id).copied().unwrap_or(0);
            if state.have.is_none_or(|have| have <= told) {
                continue;
            }
            let events = self.client.stored_events(state.id, told, CHUNK).await?;
            more |= events.len() == CHUNK;
            let conversation = state.id;
            let event = |event: Event| Notification::Event { conversation, event: std::sync::Arc::new(event) };
            self.waiting.extend(events.into_iter().map(event));
        }
        if more {
            self.waiting.push_back(Notification::Lagged { missed: 0 });
        }
        Ok(())
    }
}

/// The conversation that a notification is about.
pub(super) fn conversation_of(notification: &Notification) -> Option<ConversationId> {
    match notification {
        Notification::Event { conversation, .. }
        | Notification::Ahead { conversation, .. }
        | Notification::Amended { conversation, .. }
        | Notification::Refused { conversation, .. }
        | Notification::Conversation { conversation }
        | Notification::Read { conversation, .. }
        | Notification::Delivered { conversation, .. }
        | Notification::Typing { conversation, .. } => Some(*conversation),
        Notification::Stored(stored) => Some(stored.conversation),
        _ => None,
    }
}
