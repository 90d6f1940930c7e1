//! Handles, display names, titles, passwords and reactions: what each may look like.

use crate::limits::{
    ABOUT_CHARACTERS, DISPLAY_NAME_CHARACTERS, HANDLE_MAX_CHARACTERS, HANDLE_MIN_CHARACTERS, PASSWORD_MAX_BYTES,
    PASSWORD_MIN_CHARACTERS, REACTION_BYTES, TITLE_CHARACTERS,
};

/// A value of a person's or a group's that cannot be taken, with what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum InvalidName {
    /// Not a handle.
    #[error(
        "a handle has {HANDLE_MIN_CHARACTERS} to {HANDLE_MAX_CHARACTERS} characters, begins with a letter a to z and goes on with \
         letters a to z, digits and _"
    )]
    Handle,
    /// Not a display name.
    #[error("a display name has 1 to {DISPLAY_NAME_CHARACTERS} characters, not only spaces, and no control characters")]
    DisplayName,
    /// Not an "about" line.
    #[error("an about line has at most {ABOUT_CHARACTERS} characters and no control characters but line ends")]
    About,
    /// Not a title.
    #[error("a group's title has 1 to {TITLE_CHARACTERS} characters, not only spaces, and no control characters")]
    Title,
    /// Not a password.
    #[error("a password has at least {PASSWORD_MIN_CHARACTERS} characters and at most {PASSWORD_MAX_BYTES} bytes")]
    Password,
    /// Not an emoji.
    #[error("a reaction is one emoji of at most {REACTION_BYTES} bytes, without spaces, letters or control characters")]
    Reaction,
}

/// The one spelling of a handle: lower case, a to z, digits and `_`, beginning with a letter. Takes upper case and a leading `@`.
pub fn normalise_handle(text: &str) -> Result<String, InvalidName> {
    let handle = text.strip_prefix('@').unwrap_or(text).to_ascii_lowercase();
    let right_length = (HANDLE_MIN_CHARACTERS..=HANDLE_MAX_CHARACTERS).contains(&handle.len());
    let right_characters = handle.bytes().all(is_handle_byte) && handle.starts_with(|first: char| first.is_ascii_lowercase());
    if right_length && right_characters { Ok(handle) } else { Err(InvalidName::Handle) }
}

/// May `byte` stand in a (lower-case) handle?
pub(crate) fn is_handle_byte(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'
}

fn is_line(text: &str, most: usize) -> bool {
    let blank = text.chars().all(char::is_whitespace);
    !blank && text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// Checks a display name.
pub fn check_display_name(name: &str) -> Result<(), InvalidName> {
    if is_line(name, DISPLAY_NAME_CHARACTERS) { Ok(()) } else { Err(InvalidName::DisplayName) }
}

/// Checks an "about" line; it may be empty.
pub fn check_about(about: &str) -> Result<(), InvalidName> {
    let fits = about.chars().count() <= ABOUT_CHARACTERS && !about.chars().any(crate::text::is_forbidden);
    if fits { Ok(()) } else { Err(InvalidName::About) }
}

/// Checks a group's title.
pub fn check_title(title: &str) -> Result<(), InvalidName> {
    if is_line(title, TITLE_CHARACTERS) { Ok(()) } else { Err(InvalidName::Title) }
}

/// Checks the length of a new password.
pub fn check_password(password: &str) -> Result<(), InvalidName> {
    let fits = password.chars().count() >= PASSWORD_MIN_CHARACTERS && password.len() <= PASSWORD_MAX_BYTES;
    if fits { Ok(()) } else { Err(InvalidName::Password) }
}

/// Checks the emoji of a reaction. Emoji grow every year, so this keeps out what is surely none instead of listing them.
pub fn check_reaction(emoji: &str) -> Result<(), InvalidName> {
    let strange = |character: char| character.is_control() || character.is_whitespace() || character.is_alphabetic();
    // Keycaps (#, *, 0 to 9) begin with an ASCII character and end with U+20E3.
    let plain_ascii = emoji.is_ascii();
    let fits = !emoji.is_empty() && emoji.len() <= REACTION_BYTES && !plain_ascii && !emoji.chars().any(strange);
    if fits { Ok(()) } else { Err(InvalidName::Reaction) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handles() {
        assert_eq!(normalise_handle("@Ada_99"), Ok("ada_99".to_owned()));
        for wrong in ["", "ab", "_ada", "9ada", "a b", "ädä", "ada-b", "@@ada", &"a".repeat(33)] {
            assert_eq!(normalise_handle(wrong), Err(InvalidName::Handle), "{wrong:?}");
        }
    }

    #[test]
    fn reactions() {
        for fine in ["👍", "❤️", "👩‍👩‍👧", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🇧🇷"] {
            assert_eq!(check_reaction(fine), Ok(()), "{fine}");
        }
        for wrong in ["", "a", "1", "👍 ", "ok👍", "\0", &"👍".repeat(17)] {
            assert_eq!(check_reaction(wrong), Err(InvalidName::Reaction), "{wrong:?}");
        }
    }

    #[test]
    fn lines() {
        assert!(check_title("Weekend ⛵").is_ok() && check_title(" \u{3000}").is_err() && check_title("a\nb").is_err());
        assert!(check_display_name(&"ä".repeat(64)).is_ok() && check_display_name(&"ä".repeat(65)).is_err());
        assert!(check_about("").is_ok() && check_about("a\nb").is_ok() && check_about("a\0").is_err());
        assert!(check_password("12345678").is_ok() && check_password("1234567").is_err());
        assert!(check_password(&"a".repeat(1_025)).is_err());
    }
}
