//! Passwords and texts.

use std::io::{BufRead, IsTerminal, Read};

use banter_model::limits::{PASSWORD_MAX_BYTES, TEXT_CHARACTERS};

use crate::Error;

/// A password: from the environment variable, else asked for without showing it, else (in a pipe) a line of standard input.
pub(super) fn password(variable: &str, prompt: &str) -> Result<String, Error> {
    if let Ok(password) = std::env::var(variable) {
        return Ok(password);
    }
    if std::io::stdin().is_terminal() {
        return Ok(rpassword::prompt_password(format!("{prompt}: "))?);
    }
    let mut line = String::new();
    std::io::stdin().lock().take(PASSWORD_MAX_BYTES as u64 + 2).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A new password. At a terminal it is asked for twice.
pub(super) fn new_password(variable: &str, prompt: &str) -> Result<String, Error> {
    let new = password(variable, prompt)?;
    if std::env::var_os(variable).is_none() && std::io::stdin().is_terminal() {
        let again = rpassword::prompt_password("once more: ")?;
        if again != new {
            return Err(Error::new("invalid_password", "the two are not the same"));
        }
    }
    banter_model::name::check_password(&new).map_err(|error| Error::new("invalid_password", error.to_string()))?;
    Ok(new)
}

/// A text from the command line, or all of standard input without the line end at its end.
pub(super) fn text(words: Vec<String>) -> Result<String, Error> {
    if !words.is_empty() && words != ["-"] {
        return Ok(words.join(" "));
    }
    let mut text = String::new();
    // One more than fits, so that what is too long is refused rather than cut.
    std::io::stdin().lock().take(TEXT_CHARACTERS as u64 * 4 + 4).read_to_string(&mut text)?;
    text.truncate(text.trim_end_matches(['\r', '\n']).len());
    Ok(text)
}
