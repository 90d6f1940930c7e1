//! When a page is full.

use banter_model::Event;

use crate::history::PageSize;

/// A page that is being filled, by the one rule that all engines share.
#[derive(Debug)]
pub struct Page {
    events: Vec<Event>,
    bytes: usize,
    size: PageSize,
}

impl Page {
    /// An empty page that is to hold at most `size`.
    pub fn new(size: PageSize) -> Page {
        Page { events: Vec::new(), bytes: 0, size }
    }

    /// Takes an event if there is room for it; the first has room whatever its size. Returns whether there may be room for
    /// another.
    pub fn take(&mut self, event: Event) -> bool {
        self.bytes += event.body.text_bytes();
        if self.bytes > self.size.bytes && !self.events.is_empty() {
            return false;
        }
        self.events.push(event);
        self.events.len() < self.size.events
    }

    /// Events taken so far.
    pub fn taken(&self) -> usize {
        self.events.len()
    }

    /// Room for so many events more, and for so many bytes of text.
    pub fn room(&self) -> PageSize {
        let bytes = self.size.bytes.saturating_sub(self.bytes);
        PageSize { events: self.size.events.saturating_sub(self.events.len()), bytes }
    }

    /// The events, in the order taken.
    pub fn into_events(self) -> Vec<Event> {
        self.events
    }
}
