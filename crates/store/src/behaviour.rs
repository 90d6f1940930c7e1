//! Behaviour tests: what every implementation of a trait must do, whatever it is built on.
//!
//! They are part of the library, so that other crates can run them against theirs. Each takes an engine, uses ids of its
//! own (drawn from a seed, which it prints), and panics where the engine does not do what the trait says.

pub mod assignment;
pub mod cluster;
pub mod directory;
pub mod history;
pub mod queue;
pub mod sessions;

/// SplitMix64: draws the ids and sizes of a test from its seed, the same everywhere.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// An id: from 2 to 2^63, so that it has neighbours.
    pub fn id(&mut self) -> u64 {
        2 + self.below((1 << 63) - 1)
    }
}

/// A seed that differs from run to run, or the one in the environment variable `BANTER_SEED`.
pub fn seed() -> u64 {
    let given = std::env::var("BANTER_SEED").ok().and_then(|seed| seed.parse().ok());
    given.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Random::new(u64::from(now.subsec_nanos()) ^ now.as_secs() << 20).bits()
    })
}
