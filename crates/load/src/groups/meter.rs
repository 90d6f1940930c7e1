//! What a stretch of a run cost: the counters of the server and the processor time of both sides, before and after.

use std::time::Instant;

use anyhow::Result;

use crate::counters::Counters;
use crate::process;
use crate::server::Server;

/// The meters at one moment.
pub struct Reading {
    at: Instant,
    server: f64,
    generator: f64,
    counters: Counters,
}

impl Reading {
    /// Reads them now.
    pub async fn take(server: &Server) -> Result<Reading> {
        Ok(Reading {
            at: Instant::now(),
            server: process::cpu_seconds(server.pid())?,
            generator: process::cpu_seconds(std::process::id())?,
            counters: Counters::read(server.address).await?,
        })
    }

    /// What they moved by from this reading to a later one.
    pub fn until<'a>(&'a self, later: &'a Reading) -> Stretch<'a> {
        Stretch { before: self, after: later }
    }
}

/// What lies between two readings.
pub struct Stretch<'a> {
    before: &'a Reading,
    after: &'a Reading,
}

impl Stretch<'_> {
    /// How long it was, in seconds.
    pub fn seconds(&self) -> f64 {
        (self.after.at - self.before.at).as_secs_f64()
    }

    /// Processors that the server used: 1.0 is one of them all the time.
    pub fn server_processors(&self) -> f64 {
        self.server_seconds() / self.seconds()
    }

    /// Processor time of the server, in seconds.
    pub fn server_seconds(&self) -> f64 {
        self.after.server - self.before.server
    }

    /// Processors that the generator used.
    pub fn generator_processors(&self) -> f64 {
        (self.after.generator - self.before.generator) / self.seconds()
    }

    /// How far a counter of the server moved; 0 if there is none of that name.
    pub fn change(&self, name: &str) -> f64 {
        self.after.counters.of(name) - self.before.counters.of(name)
    }

    /// How far a counter moved for each step of another.
    pub fn per(&self, name: &str, other: &str) -> f64 {
        self.change(name) / self.change(other).max(1.0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stretch_is_the_difference() {
        let at = Instant::now();
        let counters = |events: f64, frames: f64| Counters::parse(&format!("events {events}\nframes {frames}"));
        let before = Reading { at, server: 1.0, generator: 0.5, counters: counters(10.0, 10.0) };
        let after = Reading { at: at + Duration::from_secs(2), server: 4.0, generator: 1.5, counters: counters(20.0, 30.0) };
        let stretch = before.until(&after);
        assert_eq!((stretch.seconds(), stretch.server_seconds()), (2.0, 3.0));
        assert_eq!((stretch.server_processors(), stretch.generator_processors()), (1.5, 0.5));
        assert_eq!((stretch.change("events"), stretch.per("frames", "events"), stretch.change("none")), (10.0, 2.0, 0.0));
    }
}
