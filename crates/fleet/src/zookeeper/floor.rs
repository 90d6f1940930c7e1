//! How far ids of a leased number may go.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use banter_model::Millis;
use banter_store::cluster::IdFloor;
use tokio::sync::Notify;

/// The floor as far as it is written, and whether anybody wants it raised.
#[derive(Debug)]
pub(super) struct LeasedFloor {
    after: Millis,
    until: AtomicU64,
    /// Ids were asked for: from then on the floor is raised before they run out.
    wanted: AtomicBool,
    /// Somebody waits for ids.
    pub(super) short: Notify,
    ended: AtomicBool,
}

impl LeasedFloor {
    pub(super) fn new(after: Millis, until: Millis) -> Self {
        let (until, wanted, ended) = (AtomicU64::new(until), AtomicBool::new(false), AtomicBool::new(false));
        LeasedFloor { after, until, wanted, short: Notify::new(), ended }
    }

    /// What is written.
    pub(super) fn written(&self) -> Millis {
        self.until.load(Ordering::Acquire)
    }

    /// It is written up to `until`.
    pub(super) fn raise(&self, until: Millis) {
        self.until.fetch_max(until, Ordering::AcqRel);
    }

    /// Whether ids were ever asked for.
    pub(super) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// The number is no longer ours.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }
}

impl IdFloor for LeasedFloor {
    fn after(&self) -> Millis {
        self.after
    }

    fn until(&self, now: Millis) -> Millis {
        if self.ended.load(Ordering::Acquire) {
            return 0;
        }
        let until = self.until.load(Ordering::Acquire);
        if !self.wanted.swap(true, Ordering::Relaxed) || now > until {
            self.short.notify_one();
        }
        until
    }
}
