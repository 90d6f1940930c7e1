//! Deterministic data: conversations of uneven size, and texts that compress by about half.

use crate::engine::{HeadKey, RowKey};

/// SplitMix64: small, fast, the same everywhere.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// A conversation out of `count`, skewed: the tenth with the lowest numbers gets about a third of all picks.
    pub fn conversation(&mut self, count: u64) -> u64 {
        let unit = self.below(1 << 32) as f64 / (1u64 << 32) as f64;
        (((unit * unit) * count as f64) as u64).min(count - 1)
    }
}

/// The 16 bytes of a conversation: scattered, as real ids are.
pub fn head_key(conversation: u64) -> HeadKey {
    let mut random = Random::new(conversation ^ 0x6261_6e74_6572);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&random.next().to_be_bytes());
    key[8..].copy_from_slice(&random.next().to_be_bytes());
    key
}

/// The key of a message.
pub fn row_key(conversation: u64, seq: u64) -> RowKey {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&head_key(conversation));
    key[16..].copy_from_slice(&seq.to_be_bytes());
    key
}

const SYLLABLES: [&str; 32] = [
    "ka", "lo", "mi", "ne", "ru", "sa", "to", "vi", "an", "el", "or", "us", "ber", "dan", "fin", "gol", "hem", "jar", "kel",
    "lum", "mon", "nor", "pal", "qui", "ros", "sten", "tur", "ver", "win", "yor", "zel", "the",
];

/// The value of a message, about 150 bytes: an id and a sender (binary), then words of a skewed vocabulary of a few thousand.
pub fn text(conversation: u64, seq: u64) -> Vec<u8> {
    let mut random = Random::new(conversation.rotate_left(32) ^ seq);
    let target = 110 + random.below(81) as usize;
    let mut value = Vec::with_capacity(target + 16);
    value.extend_from_slice(&random.next().to_le_bytes());
    value.extend_from_slice(&random.below(1 << 20).to_le_bytes());
    while value.len() < target {
        let mut word = Random::new(random.conversation(4000));
        for _ in 0..1 + word.below(3) {
            value.extend_from_slice(SYLLABLES[word.below(32) as usize].as_bytes());
        }
        value.push(b' ');
    }
    value
}

/// A head row of 60 bytes.
pub fn head(conversation: u64, seq: u64) -> Vec<u8> {
    let mut value = vec![0; 60];
    value[..8].copy_from_slice(&seq.to_le_bytes());
    value[8..16].copy_from_slice(&conversation.to_le_bytes());
    for (i, byte) in value[16..40].iter_mut().enumerate() {
        *byte = (seq.wrapping_mul(31) as u8).wrapping_add(i as u8);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_deterministic_and_sized() {
        assert_eq!(text(7, 9), text(7, 9));
        assert_ne!(text(7, 9), text(9, 7));
        let total: usize = (0..1000).map(|seq| text(1, seq).len()).sum();
        assert!((140_000..165_000).contains(&total), "{total}");
        assert!(row_key(3, 1) < row_key(3, 2));
    }

    #[test]
    fn conversations_are_skewed() {
        let mut random = Random::new(1);
        let low = (0..10_000).filter(|_| random.conversation(100) < 10).count();
        assert!((2_800..3_600).contains(&low), "{low}");
    }
}
