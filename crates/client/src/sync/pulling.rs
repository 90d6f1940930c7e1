//! Closing gaps with pages.

use std::cmp::Reverse;

use banter_model::{ConversationId, Millis, Seq};
use banter_protocol::api::Page;

use super::effect::{Effect, FetchError, Notification, Window, Write};
use super::engine::{Engine, Timer};
use super::state::ConversationState;

/// More events behind than this: the newest page first.
pub const FAR_BEHIND: Seq = 200;
/// Pages asked for at one time.
const PULLS: usize = 4;
/// Ranges kept per conversation. A page read far from all of them is shown, but not remembered, once there are as many.
const RANGES: usize = 256;
/// Answers without anything new in a row, after which what the server says it has counts.
const EMPTY_PAGES: u32 = 5;
/// The longest that a server's word can hold a pull up, in seconds.
const RETRY_AFTER_MOST: u64 = 3_600;

/// Which page to ask for next.
fn next_window(state: &ConversationState) -> Option<Window> {
    let have = state.have?;
    if have >= state.reaches {
        return None;
    }
    let (top_from, top_to) = state.known.last().filter(|(_, to)| *to > have).unwrap_or((have + 1, have));
    if top_to < state.reaches {
        let from = top_to.max(have);
        return Some(if state.reaches - from > FAR_BEHIND { Window::Newest } else { Window::After(from) });
    }
    if top_from <= have + 1 {
        // All of it is stored: it only waits to be told.
        return None;
    }
    Some(if top_from - 1 - have > FAR_BEHIND { Window::Before(top_from) } else { Window::After(have) })
}

impl Engine {
    /// Puts the conversation into the queue of those to be pulled, if something is missing.
    pub(super) fn want_pull(&mut self, now: Millis, id: ConversationId) {
        let Some(state) = self.conversations.get_mut(&id) else { return };
        if state.session.pulling || state.session.pull_queued.is_some() || next_window(state).is_none() {
            return;
        }
        if state.session.pull_after > now {
            self.timers.insert((state.session.pull_after, Timer::Pull(id)));
            return;
        }
        state.session.pull_queued = Some(state.at);
        self.pull_queue.insert((Reverse(state.at), id));
    }

    /// Asks for pages, a few at a time, while the device is connected: without a session there is most likely no server either, and
    /// what is queued waits for the next one.
    pub(super) fn start_pulls(&mut self, now: Millis) {
        while self.connected
            && self.pulls.len() < PULLS
            && let Some((_, id)) = self.pull_queue.pop_first()
        {
            let Some(state) = self.conversations.get_mut(&id) else { continue };
            state.session.pull_queued = None;
            let Some(window) = next_window(state) else { continue };
            if state.session.pull_after > now {
                self.timers.insert((state.session.pull_after, Timer::Pull(id)));
                continue;
            }
            state.session.pulling = true;
            let request = self.next_request;
            self.next_request += 1;
            self.pulls.insert(request, (id, window));
            self.effect(Effect::Fetch { request, conversation: id, window });
        }
    }

    pub(super) fn fetched(&mut self, now: Millis, request: u64, result: Result<Page, FetchError>) {
        let Some((id, window)) = self.pulls.remove(&request) else { return };
        let before = self.conversations.get_mut(&id).map(|state| {
            state.session.pulling = false;
            (state.have, state.known.clone(), state.reaches)
        });
        match result {
            Ok(page) => {
                let (head, empty) = (page.head_seq, page.to < page.from);
                self.take_page(now, id, window, page, true);
                let Some(state) = self.conversations.get_mut(&id) else { return };
                if before == Some((state.have, state.known.clone(), state.reaches)) {
                    state.session.pulls_failed += 1;
                    if empty && state.session.pulls_failed >= EMPTY_PAGES {
                        // What was announced is not for this user to see, or never came to be.
                        let have = state.have.unwrap_or(0);
                        tracing::warn!(%id, have, head, reaches = state.reaches, "the server has less than it announced");
                        state.reaches = head.max(have);
                        state.session.pulls_failed = 0;
                    }
                    self.pull_later(now, id, None);
                } else {
                    state.session.pulls_failed = 0;
                }
            }
            Err(FetchError::Later { retry_after }) => {
                if let Some(state) = self.conversations.get_mut(&id) {
                    state.session.pulls_failed = state.session.pulls_failed.saturating_add(1);
                }
                self.pull_later(now, id, retry_after);
            }
            Err(FetchError::Gone) => {
                if let Some(state) = self.conversations.get_mut(&id) {
                    state.reaches = state.have.unwrap_or(0);
                }
                self.mark_changed(id);
            }
        }
        self.want_pull(now, id);
        if !self.looked_up.is_empty() && self.syncing.is_done() {
            self.look_up_stale();
        }
    }

    fn pull_later(&mut self, now: Millis, id: ConversationId, retry_after: Option<u64>) {
        if let Some(state) = self.conversations.get_mut(&id) {
            let failed = state.session.pulls_failed.clamp(1, 8);
            let asked = retry_after.unwrap_or(0).min(RETRY_AFTER_MOST) * 1_000;
            state.session.pull_after = now + (100 << failed).max(asked);
        }
    }

    /// Takes in a page, whoever asked for it. One that was `pulled` closes a gap: it is remembered however many ranges there are.
    pub(super) fn take_page(&mut self, now: Millis, id: ConversationId, window: Window, page: Page, pulled: bool) {
        let me = self.user;
        let Some(state) = self.conversations.get_mut(&id) else { return };
        let Page { events, mut from, mut to, head_seq, .. } = page;
        if to >= from {
            // The covered range begins where it was asked to; where it does not, nothing between is for the user to see.
            match window {
                Window::After(seq) => from = from.min(seq + 1),
                Window::Before(seq) => to = to.max(seq.saturating_sub(1)),
                Window::Newest | Window::Around(_) => {}
            }
        }
        let have = state.have;
        let has_room = pulled || state.known.len() < RANGES;
        let joins = has_room || state.known.around(from).is_some() || have.is_some_and(|have| from <= have + 1);
        state.reaches = state.reaches.max(head_seq);
        if to < from || !joins {
            self.mark_changed(id);
            self.want_pull(now, id);
            return;
        }
        let ahead = have.is_some_and(|have| from > have + 1);
        let mut current = true;
        state.known.insert(from, to);
        if have.is_some_and(|have| to > have) && (events.len() as u64) < to - from + 1 {
            // What happened while the user was out may have amended messages from before: those told are read anew when asked for, and
            // those that wait to be told, below what this page brought, are pulled anew.
            state.known.forget_below(have.map_or(1, |have| have + 1).max(from));
        }
        for event in &events {
            state.note(me, event);
            current &= state.follow_roster(me, event);
        }
        let last_of_others = events.iter().rev().find(|event| event.sender != me).cloned();
        self.mark_changed(id);
        for event in &events {
            self.take_answer(id, event);
        }
        if !events.is_empty() {
            self.write(Write::Keep { conversation: id, events, have: have.unwrap_or(0) });
        }
        if ahead && window == Window::Newest {
            self.notify(Notification::Ahead { conversation: id, from, to });
        }
        if let Some(event) = last_of_others.filter(|event| have.is_some_and(|have| event.seq > have)) {
            self.arrived(now, id, &event);
        }
        self.deliver(id, now);
        if !current {
            self.ask_soon(now);
        }
        self.want_pull(now, id);
    }
}
