//! What a message's text may hold.

use crate::Refusal;
use crate::limits::TEXT_CHARACTERS;

/// A control character (Unicode category Cc) other than tab, line feed and carriage return: nothing a person writes, and
/// NUL is cut or refused by too many programs that read exports.
pub fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// Is `text` a message? At most [`TEXT_CHARACTERS`], not blank, no control characters but tab and line ends.
pub fn check_text(text: &str) -> Result<(), Refusal> {
    // A text with fewer bytes than the limit cannot have more characters: the common case needs no count.
    if text.len() > TEXT_CHARACTERS {
        let characters = text.chars().count();
        if characters > TEXT_CHARACTERS {
            return Err(Refusal::TextTooLong { characters });
        }
    }
    if text.chars().all(char::is_whitespace) {
        return Err(Refusal::TextEmpty);
    }
    match text.chars().find(|character| is_forbidden(*character)) {
        Some(character) => Err(Refusal::ControlCharacter { code_point: u32::from(character) }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_counted_not_bytes() {
        assert_eq!(check_text(&"😀".repeat(100_000)), Ok(()));
        assert_eq!(check_text(&"😀".repeat(100_001)), Err(Refusal::TextTooLong { characters: 100_001 }));
        assert_eq!(check_text(&"a".repeat(100_001)), Err(Refusal::TextTooLong { characters: 100_001 }));
    }

    #[test]
    fn blank_and_control_characters() {
        for blank in ["", " ", "\n\t\r\n", "\u{3000}\u{2003}"] {
            assert_eq!(check_text(blank), Err(Refusal::TextEmpty));
        }
        for control in ['\0', '\u{1b}', '\u{7f}', '\u{85}'] {
            assert_eq!(check_text(&format!("a{control}b")), Err(Refusal::ControlCharacter { code_point: control.into() }));
        }
        for fine in ["a\n\tb\r\n", "\u{202e}right to left\u{202c}", "e\u{301}", "👩\u{200d}👩\u{200d}👧", "\u{feff}a"] {
            assert_eq!(check_text(fine), Ok(()));
        }
    }
}
