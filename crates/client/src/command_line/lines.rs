//! Lines that somebody types, while other lines are printed around them.

use std::io::{BufRead, IsTerminal, Write};
use std::sync::{Arc, Mutex};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, ExternalPrinter, Helper};
use tokio::sync::mpsc;

use super::output::Output;
use crate::Error;

/// What comes from the keyboard.
pub(super) enum Typed {
    /// A whole line.
    Line(String),
    /// A key, with something of a message in the line.
    Key,
}

/// Lines typed ahead; keys beyond are forgotten.
const AHEAD: usize = 64;

/// Puts the terminal back as it was. The thread that reads lines may be in the middle of one when the program ends.
pub(super) struct Terminal(#[cfg(unix)] Option<rustix::termios::Termios>);

impl Terminal {
    /// As it is now; nothing is put back where standard input is no terminal.
    pub fn remember() -> Self {
        Terminal(
            #[cfg(unix)]
            rustix::termios::tcgetattr(rustix::stdio::stdin()).ok(),
        )
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        #[cfg(unix)]
        if let Some(before) = &self.0 {
            // Nothing can be done about a terminal that is gone.
            let _ = rustix::termios::tcsetattr(rustix::stdio::stdin(), rustix::termios::OptionalActions::Drain, before);
            // The line that was begun ends, and pasting is plain again.
            if std::io::stdout().is_terminal() {
                let _ = std::io::stdout().write_all(b"\x1b[?2004l\r\n").and_then(|()| std::io::stdout().flush());
            }
        }
    }
}

/// Reads lines in a thread of their own until the end of input. At a terminal they can be edited, and `output` prints around them.
pub(super) fn read(output: &Output) -> Result<mpsc::Receiver<Typed>, Error> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    if !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { return };
                if sender.blocking_send(Typed::Line(line)).is_err() {
                    return;
                }
            }
        });
        return Ok(receiver);
    }
    let keys = Keys { sender: sender.clone(), last: Arc::default() };
    let mut editor = Editor::<Keys, rustyline::history::MemHistory>::with_history(
        rustyline::Config::default(),
        rustyline::history::MemHistory::new(),
    )
    .map_err(terminal)?;
    editor.set_helper(Some(keys));
    let mut printer = editor.create_external_printer().map_err(terminal)?;
    output.set_printer(Some(Box::new(move |line| drop(printer.print(line)))));
    std::thread::spawn(move || {
        loop {
            match editor.readline("> ") {
                Ok(line) => {
                    // A full history of its own size limit drops the oldest line.
                    let _ = editor.add_history_entry(&line);
                    if sender.blocking_send(Typed::Line(line)).is_err() {
                        return;
                    }
                }
                // The window has another size.
                Err(ReadlineError::Signal(_)) => {}
                Err(_) => return,
            }
        }
    });
    Ok(receiver)
}

fn terminal(error: ReadlineError) -> Error {
    Error::new(Error::INVALID_ARGUMENT, format!("the terminal: {error}"))
}

/// Notices that the line changed: rustyline asks for a hint after every key.
struct Keys {
    sender: mpsc::Sender<Typed>,
    last: Arc<Mutex<usize>>,
}

impl Hinter for Keys {
    type Hint = String;

    fn hint(&self, line: &str, _: usize, _: &Context<'_>) -> Option<String> {
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if line.len() > *last && !line.starts_with('/') {
            // Nobody misses a key when the channel is full.
            let _ = self.sender.try_send(Typed::Key);
        }
        *last = line.len();
        None
    }
}

impl Completer for Keys {
    type Candidate = String;
}

impl Highlighter for Keys {}

impl Validator for Keys {}

impl Helper for Keys {}
