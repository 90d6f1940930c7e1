//! Mentions: `@handle` in a text.

use crate::limits::{HANDLE_MAX_CHARACTERS, MENTIONS_PER_MESSAGE};
use crate::name::{is_handle_byte, normalise_handle};

/// An `@handle` found in a text, not yet resolved to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The handle, in lower case and without the `@`.
    pub handle: String,
    /// Where the `@` is, in characters from the start of the text.
    pub start: u32,
    /// How long `@handle` is, in characters.
    pub length: u32,
}

/// Finds what may be mentions: an `@` at the start or after a character that is no letter, digit, `_`, `@` or `/` (so that
/// mail addresses and links are none), and a handle after it. At most [`MENTIONS_PER_MESSAGE`], in order.
pub fn find(text: &str) -> Vec<Candidate> {
    let mut found = Vec::new();
    if !text.contains('@') {
        return found;
    }
    let mut before = None;
    let mut start: u32 = 0;
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        let joined = before.is_some_and(|before: char| before.is_alphanumeric() || matches!(before, '_' | '@' | '/'));
        if character == '@' && !joined {
            let after = rest.as_str();
            let length = after
                .bytes()
                .take(HANDLE_MAX_CHARACTERS + 1)
                .take_while(|byte| is_handle_byte(byte.to_ascii_lowercase()))
                .count();
            if let Ok(handle) = normalise_handle(&after[..length]) {
                found.push(Candidate { start, length: handle.len() as u32 + 1, handle });
                if found.len() == MENTIONS_PER_MESSAGE {
                    return found;
                }
            }
        }
        before = Some(character);
        start += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handles(text: &str) -> Vec<(String, u32, u32)> {
        find(text).into_iter().map(|found| (found.handle, found.start, found.length)).collect()
    }

    #[test]
    fn places_are_in_characters() {
        assert_eq!(handles("😀 @Ada, and @bob."), [("ada".into(), 2, 4), ("bob".into(), 12, 4)]);
        assert_eq!(handles("@ada@bob (@eve)"), [("ada".into(), 0, 4), ("eve".into(), 10, 4)]);
    }

    #[test]
    fn what_is_no_mention() {
        for text in
            ["mail ada@example.org", "https://x.org/@ada", "@ab", "@", "@@ada", "@9lives", &format!("@{}", "a".repeat(33))]
        {
            assert_eq!(handles(text), [], "{text}");
        }
        assert_eq!(find(&"@ada ".repeat(500)).len(), MENTIONS_PER_MESSAGE);
    }
}
