//! Lines for people, or objects for scripts.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use banter_model::{Millis, UserId};
use banter_protocol::{Content, Event};
use serde::Serialize;

use super::names::Names;
use crate::Error;

/// Takes a line to where it is shown.
pub(super) type Printer = Box<dyn FnMut(String) + Send>;

/// Where answers go.
pub(super) struct Output {
    /// Objects, rather than lines?
    pub json: bool,
    colour: bool,
    /// While a line is being edited, what is printed goes around it.
    printer: Mutex<Option<Printer>>,
}

/// How a part of a line looks on a terminal.
#[derive(Clone, Copy)]
pub(super) enum Style {
    Dim,
    Bold,
}

impl Output {
    /// Lines for people, in colour at a terminal unless `NO_COLOR` is set; or objects.
    pub fn new(json: bool) -> Self {
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let colour = !json && !no_colour && std::io::stdout().is_terminal();
        Output { json, colour, printer: Mutex::new(None) }
    }

    /// Sends lines through `printer` from now on, or to standard output again.
    pub fn set_printer(&self, printer: Option<Printer>) {
        *self.printer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = printer;
    }

    /// Prints a line that is safe to print: what came from others went through [`clean`].
    pub fn line(&self, line: impl Into<String>) {
        let mut line = line.into();
        line.push('\n');
        let mut printer = self.printer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        match printer.as_mut() {
            Some(print) => print(line),
            // Whoever closed the other end does not want it.
            None => drop(std::io::stdout().lock().write_all(line.as_bytes())),
        }
    }

    /// Prints an object as a line of JSON, in which nothing is raw.
    pub fn object(&self, object: &impl Serialize) {
        match serde_json::to_string(object) {
            Ok(line) => self.line(line),
            Err(error) => self.error(&Error::unexpected(error)),
        }
    }

    /// The object for scripts, the line for people.
    pub fn either(&self, object: &impl Serialize, line: impl FnOnce() -> String) {
        if self.json { self.object(object) } else { self.line(line()) }
    }

    /// That something was done.
    pub fn done(&self, line: &str) {
        self.either(&serde_json::json!({ "done": true }), || line.to_owned());
    }

    /// Says something beside the answer, on standard error.
    pub fn note(&self, line: &str) {
        let line = if self.json { serde_json::json!({ "note": line }).to_string() } else { clean(line) };
        // Whoever closed it does not want it.
        drop(writeln!(std::io::stderr(), "{line}"));
    }

    /// Says to people, on standard error, how to go on. Scripts do not need it.
    pub fn hint(&self, line: &str) {
        if !self.json {
            self.note(line);
        }
    }

    /// Says on standard error what did not work.
    pub fn error(&self, error: &Error) {
        let line = match (self.json, serde_json::to_string(error)) {
            (true, Ok(line)) => line,
            _ => format!("banter: {}", clean(&error.message)),
        };
        drop(writeln!(std::io::stderr(), "{line}"));
    }

    /// `text` in this style, where there are styles.
    pub fn styled(&self, style: Style, text: &str) -> String {
        let code = match style {
            Style::Dim => 2,
            Style::Bold => 1,
        };
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A name in a colour that is always the same for a user.
    pub fn name(&self, user: UserId, name: &str) -> String {
        let colour = 31 + user.0 % 6;
        if self.colour { format!("\u{1b}[{colour}m{name}\u{1b}[0m") } else { name.to_owned() }
    }

    /// An event as people read it.
    pub fn event(&self, event: &Event, names: &Names) -> String {
        let head = self.styled(Style::Dim, &format!("{:>5} {}", event.seq, clock(event.at)));
        let name = self.name(event.sender, &names.of(event.sender));
        let list = |users: &[UserId]| users.iter().map(|user| names.of(*user)).collect::<Vec<_>>().join(", ");
        let what = match &event.content {
            Content::Message { redacted: true, .. } => format!(": {}", self.styled(Style::Dim, "(deleted)")),
            Content::Message { text, reply_to, edited_at, reactions, .. } => {
                let reply = reply_to.map_or(String::new(), |seq| self.styled(Style::Dim, &format!(" (to {seq})")));
                let edited = edited_at.map_or(String::new(), |_| self.styled(Style::Dim, " (edited)"));
                let emoji: String =
                    reactions.iter().map(|reaction| format!(" {}{}", clean(&reaction.emoji), reaction.users.len())).collect();
                format!("{reply}: {}{edited}{emoji}", clean(text))
            }
            Content::Edit { target, text, .. } => format!(" edited {target}: {}", clean(text)),
            Content::Redaction { target } => format!(" deleted {target}"),
            Content::Reaction { target, emoji, added: true } => format!(" reacted to {target} with {}", clean(emoji)),
            Content::Reaction { target, emoji, .. } => format!(" took {} from {target}", clean(emoji)),
            Content::GroupCreated { title, members, .. } => format!(" made the group {} with {}", clean(title), list(members)),
            Content::MembersAdded { members } => format!(" added {}", list(members)),
            Content::MemberRemoved { member } => format!(" removed {}", names.of(*member)),
            Content::MemberLeft { successor: Some(user) } => format!(" left; the owner is now {}", names.of(*user)),
            Content::MemberLeft { .. } => " left".to_owned(),
            Content::RoleChanged { member, role } => format!(" made {} {role}", names.of(*member)),
            Content::TitleChanged { title } => format!(" named the group {}", clean(title)),
            Content::EarlierHistoryChanged { earlier_history: true } => " shows newcomers earlier messages".to_owned(),
            Content::EarlierHistoryChanged { .. } => " hides earlier messages from newcomers".to_owned(),
        };
        format!("{head} {name}{what}")
    }
}

/// Text from somebody else, made safe for a terminal: control characters become visible ones, the controls that turn the direction
/// of writing around are taken out, further lines are set in.
pub(super) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' => cleaned.push_str("\n            "),
            '\t' => cleaned.push_str("    "),
            '\r' => {}
            '\u{7f}' => cleaned.push('\u{2421}'),
            '\0'..='\u{1f}' => cleaned.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}')),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' => cleaned.push('\u{fffd}'),
            _ if character.is_control() => cleaned.push('\u{fffd}'),
            _ => cleaned.push(character),
        }
    }
    cleaned
}

/// A time as it is on the clock here; with the date if it is not from the last day.
pub(super) fn clock(at: Millis) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX)) else { return "?".to_owned() };
    let zoned = time.to_zoned(jiff::tz::TimeZone::system());
    let recent = jiff::Timestamp::now().as_millisecond() - time.as_millisecond() < 20 * 3_600_000;
    zoned.strftime(if recent { "%H:%M" } else { "%Y-%m-%d %H:%M" }).to_string()
}
