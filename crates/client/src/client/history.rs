//! Pages of history: from this device where it has them, else from the server.

use banter_model::limits::PAGE_EVENTS;
use banter_model::{ConversationId, Seq};
use banter_protocol::Event;
use banter_protocol::api::Page;

use super::command::Command;
use super::{Client, Profile};
use crate::Error;
use crate::storage::Store;
use crate::sync::{ConversationState, Window};

impl Client {
    /// A page of at most `limit` events (1 to 200), in order. What is not on this device is asked of the server, and kept.
    ///
    /// Without the server, what is on this device is returned, if there is anything.
    pub async fn page(&self, conversation: ConversationId, window: Window, limit: usize) -> Result<Page, Error> {
        let limit = limit.clamp(1, PAGE_EVENTS);
        let state = self.conversation(conversation).await?;
        let status = self.inner.status.borrow().clone();
        let trusted = status.synced || !status.connected;
        if let Some(state) = &state
            && let Some((from, to)) = covered(state, window, limit as Seq, trusted)
        {
            return self.stored_page(state, from, to).await;
        }
        match self.inner.api.page(conversation, window, limit).await {
            Ok(page) => {
                let keep = Command::Keep { conversation, window, page: Box::new(page.clone()) };
                self.inner.commands.send(keep).await.map_err(|_| super::ended())?;
                Ok(page)
            }
            Err(error) if error.is_transient() => {
                let Some(state) = state else { return Err(error) };
                let Some((from, to)) = partly(&state, window, limit as Seq) else { return Err(error) };
                self.stored_page(&state, from, to).await
            }
            Err(error) => Err(error),
        }
    }

    /// The first `limit` events after `after` that the application was told of, from this device: for going on after
    /// [`Notification::Lagged`](crate::sync::Notification::Lagged) or a restart.
    pub async fn stored_events(&self, conversation: ConversationId, after: Seq, limit: usize) -> Result<Vec<Event>, Error> {
        let have = self.conversation(conversation).await?.and_then(|state| state.have).unwrap_or(0);
        self.inner.store.events(conversation, after + 1, have, limit).await
    }

    async fn stored_page(&self, state: &ConversationState, from: Seq, to: Seq) -> Result<Page, Error> {
        stored_page(&self.inner.store, state, from, to).await
    }
}

impl Profile {
    /// What is on this device of a page of at most `limit` events (1 to 200); `None` where nothing is.
    pub async fn stored_page(&self, conversation: ConversationId, window: Window, limit: usize) -> Result<Option<Page>, Error> {
        let conversations = self.store.snapshot().await?.map_or_else(Vec::new, |snapshot| snapshot.conversations);
        let Some(state) = conversations.into_iter().find(|state| state.id == conversation) else { return Ok(None) };
        match partly(&state, window, limit.clamp(1, PAGE_EVENTS) as Seq) {
            Some((from, to)) => stored_page(&self.store, &state, from, to).await.map(Some),
            None => Ok(None),
        }
    }
}

async fn stored_page(store: &Store, state: &ConversationState, from: Seq, to: Seq) -> Result<Page, Error> {
    let events = store.events(state.id, from, to, usize::MAX >> 1).await?;
    Ok(Page { events, from, to, head_seq: state.reaches, first_seq: state.first_seq })
}

/// The places that make up the window, if all are stored. `trusted`: is what is known of the log's end current?
fn covered(state: &ConversationState, window: Window, limit: Seq, trusted: bool) -> Option<(Seq, Seq)> {
    let (first, end) = (state.first_seq.max(1), state.reaches);
    let (from, to) = places(state, window, limit);
    let (from, to) = (from.max(first), to.min(end));
    let needs_end = to == end && !matches!(window, Window::Before(_));
    if to < from || (needs_end && !trusted) {
        return None;
    }
    state.known.cover(from, to).then_some((from, to))
}

/// The stored places of the window that are nearest to where it was asked.
fn partly(state: &ConversationState, window: Window, limit: Seq) -> Option<(Seq, Seq)> {
    let (from, to) = places(state, window, limit);
    let nearest = match window {
        Window::Newest => state.known.last()?.1,
        Window::After(seq) => seq + 1,
        Window::Before(seq) => seq.checked_sub(1)?,
        Window::Around(seq) => seq,
    };
    let (stored_from, stored_to) = state.known.around(nearest)?;
    match window {
        Window::Newest => Some((stored_from.max((stored_to + 1).saturating_sub(limit)), stored_to)),
        _ => Some((from.max(stored_from), to.min(stored_to))).filter(|(from, to)| from <= to),
    }
}

fn places(state: &ConversationState, window: Window, limit: Seq) -> (Seq, Seq) {
    match window {
        Window::Newest => ((state.reaches + 1).saturating_sub(limit), state.reaches),
        Window::After(seq) => (seq + 1, seq + limit),
        Window::Before(seq) => (seq.saturating_sub(limit), seq.saturating_sub(1)),
        Window::Around(seq) => ((seq + 1).saturating_sub(limit.div_ceil(2)), seq + limit / 2),
    }
}
