//! The clock, and the ids that are made from it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use banter_model::Millis;
use banter_model::snowflake::{Generator, Unavailable};
use parking_lot::Mutex;

/// Now, in milliseconds since the Unix epoch.
pub fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The longest that a step back of the clock is waited out, in milliseconds; beyond it ids are refused until it has caught up.
const WAITED_FOR_CLOCK_MS: u64 = 50;

/// Gives out the ids of this node.
#[derive(Debug)]
pub struct Ids(Mutex<Generator>);

impl Ids {
    /// Ids of the node whose number is leased.
    pub fn new(node: u16) -> Self {
        Ids(Mutex::new(Generator::new(node)))
    }

    /// An id, if one can be given at once.
    pub fn try_next(&self) -> Result<u64, Unavailable> {
        self.0.lock().next(now())
    }

    /// An id, waiting for the next millisecond or for a clock that stepped back a little.
    ///
    /// # Errors
    /// When the clock is further behind than [`WAITED_FOR_CLOCK_MS`], or out of range.
    pub async fn next(&self) -> Result<u64, Unavailable> {
        loop {
            match self.try_next() {
                Ok(id) => return Ok(id),
                Err(Unavailable::Exhausted) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(Unavailable::ClockBehind { behind_ms }) if behind_ms <= WAITED_FOR_CLOCK_MS => {
                    tokio::time::sleep(Duration::from_millis(behind_ms)).await;
                }
                Err(unavailable) => return Err(unavailable),
            }
        }
    }
}
