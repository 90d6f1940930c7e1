//! Texts like those that people write, made from a seed.

use hdrhistogram::Histogram;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Words that there are.
const WORDS: usize = 20_000;
/// A draw of 16 bits picks a word.
const DRAWS: usize = 1 << 16;
/// Shortest and longest text, in characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 30..=200;
/// Half of the texts are shorter than this, before the limits.
const MEDIAN: f64 = 75.0;
/// Standard deviation of the logarithm of a length.
const SPREAD: f64 = 0.5;
/// Texts in one block when the texts alone are compressed.
pub const TEXTS_PER_BLOCK: usize = 1_000;

/// Makes texts.
pub struct Texts {
    words: Vec<String>,
    /// The word for each draw: those at the front of `words` for many of them, as the law of Zipf says.
    drawn: Vec<u16>,
}

impl Texts {
    /// The words of `seed`.
    pub fn new(seed: u64) -> Texts {
        let mut random = StdRng::seed_from_u64(seed);
        let words: Vec<String> = (0..WORDS).map(|rank| word(rank, &mut random)).collect();
        let weights: Vec<f64> = (1..=WORDS).map(|rank| 1.0 / rank as f64).collect();
        let all: f64 = weights.iter().sum();
        let mut drawn = Vec::with_capacity(DRAWS);
        let mut up_to = 0.0;
        for (word, weight) in weights.iter().enumerate() {
            up_to += weight / all * DRAWS as f64;
            // There are fewer words than 2^16.
            drawn.resize(drawn.len().max(up_to as usize), word as u16);
        }
        drawn.resize(DRAWS, 0);
        Texts { words, drawn }
    }

    /// A text.
    pub fn text(&self, random: &mut StdRng) -> String {
        let length = (MEDIAN * (SPREAD * normal(random)).exp()) as usize;
        let length = length.clamp(*LENGTHS.start(), *LENGTHS.end());
        let mut text = String::with_capacity(length + 32);
        let mut draws = 0_u64;
        let mut left = 0;
        while text.len() < length {
            if left == 0 {
                (draws, left) = (random.next_u64(), 4);
            }
            let draw = draws as u16;
            (draws, left) = (draws >> 16, left - 1);
            // Now and then what no dictionary holds: a time, a number, a name.
            match draw {
                0..400 => text.push_str(&random.random_range(1..100_000_u32).to_string()),
                400..600 => text.push_str(&format!("{}:{:02}", random.random_range(0..24), random.random_range(0..60))),
                _ => text.push_str(&self.words[usize::from(self.drawn[usize::from(draw)])]),
            }
            text.push_str(if draw & 15 == 7 { ", " } else { " " });
        }
        text.truncate(length);
        if text.ends_with(' ') {
            text.pop();
            text.push('.');
        }
        text
    }
}

/// A number of the standard normal distribution.
pub fn normal(random: &mut StdRng) -> f64 {
    let (angle, distance): (f64, f64) = (random.random_range(0.0..1.0), random.random_range(f64::MIN_POSITIVE..1.0));
    (-2.0 * distance.ln()).sqrt() * (angle * std::f64::consts::TAU).cos()
}

/// A word of syllables; those that are used most are short.
fn word(rank: usize, random: &mut StdRng) -> String {
    const STARTS: [&str; 20] =
        ["b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "w", "st", "th", "ch", "tr", "pl", ""];
    const VOWELS: [&str; 10] = ["a", "e", "i", "o", "u", "ea", "ou", "ai", "ee", "y"];
    const ENDS: [&str; 10] = ["", "", "", "n", "r", "s", "t", "l", "nd", "ck"];
    let syllables = if rank < 100 { 1 } else { random.random_range(1..=3) + usize::from(rank > 5_000) };
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(STARTS[random.random_range(0..STARTS.len())]);
        word.push_str(VOWELS[random.random_range(0..VOWELS.len())]);
        word.push_str(ENDS[random.random_range(0..ENDS.len())]);
    }
    word
}

/// What texts take by themselves.
pub struct TextSize {
    /// Bytes of a text, on average.
    pub plain: f64,
    /// Bytes of a text when [`TEXTS_PER_BLOCK`] of them are compressed together as the history compresses its blocks.
    pub compressed: f64,
    /// Characters of a text.
    pub lengths: Histogram<u64>,
}

/// Compresses `blocks` blocks of texts.
pub fn size(texts: &Texts, seed: u64, blocks: usize) -> anyhow::Result<TextSize> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut lengths = Histogram::new(3)?;
    let (mut plain, mut compressed) = (0, 0);
    for _ in 0..blocks {
        let mut block = String::new();
        for _ in 0..TEXTS_PER_BLOCK {
            let text = texts.text(&mut random);
            lengths.record(text.len() as u64)?;
            block.push_str(&text);
        }
        plain += block.len();
        compressed += lz4_flex::block::compress(block.as_bytes()).len();
    }
    let count = (blocks * TEXTS_PER_BLOCK) as f64;
    Ok(TextSize { plain: plain as f64 / count, compressed: compressed as f64 / count, lengths })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_texts_of_the_lengths_asked_for() {
        let texts = Texts::new(7);
        let made = |seed| {
            let mut random = StdRng::seed_from_u64(seed);
            (0..1_000).map(|_| texts.text(&mut random)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!(made(1).iter().all(|text| LENGTHS.contains(&text.len()) && !text.ends_with(' ')));
        let long = made(1).iter().filter(|text| text.len() > MEDIAN as usize).count();
        assert!((400..600).contains(&long), "{long} of 1,000 are longer than the median");
    }
}
