//! What is printed is safe to print, and the command line is well formed.

use banter_model::{DeviceId, EventId, UserId};
use banter_protocol::{Content, Event};
use clap::{CommandFactory, Parser};

use super::names::Names;
use super::output::{Output, clean};
use super::*;

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[test]
fn the_command_line_is_well_formed() {
    Program::command().debug_assert();
    let parsed = Program::try_parse_from(["chat", "write", "@bob", "hello", "there", "--json", "--profile", "x"]).unwrap();
    assert!(parsed.arguments.global.json);
    assert!(matches!(parsed.arguments.action, Some(Action::Write(write)) if write.text == ["hello", "there"]));
    assert!(Program::try_parse_from(["chat", "read", "bob", "--before", "1", "--after", "2"]).is_err());
    for (limit, fits) in [("0", false), ("1", true), ("200", true), ("201", false)] {
        assert_eq!(Program::try_parse_from(["chat", "read", "bob", "--limit", limit]).is_ok(), fits, "{limit}");
    }
    let server = "http://localhost:1";
    assert!(Program::try_parse_from(["chat", "log-in", "ada", "--server", server]).is_ok());
    assert!(Program::try_parse_from(["chat", "list", "--server", server]).is_err(), "it would have no effect");
}

#[test]
fn control_characters_never_reach_the_terminal() {
    let hostile = "a\u{1b}]0;owned\u{7}\u{9b}31m\r\n\t\u{202e}b\0\u{7f}\u{2028}";
    let cleaned = clean(hostile);
    assert!(cleaned.chars().all(|character| character == '\n' || !character.is_control()), "{cleaned:?}");
    assert!(!cleaned.contains(['\u{202e}', '\u{2028}']));
    assert_eq!(clean("grüße 👩\u{200d}👧"), "grüße 👩\u{200d}👧");
    let content = Content::GroupCreated { title: hostile.into(), members: vec![], earlier_history: false };
    let (sender, device) = (UserId(1), DeviceId(1));
    let event = Event { seq: 1, ordinal: 0, id: EventId(1), at: 1, sender, device, tag: None, content };
    let line = Output::new(true).event(&event, &Names::default());
    assert!(line.chars().all(|character| character == '\n' || !character.is_control()), "{line:?}");
}

#[test]
fn a_profile_is_no_path() {
    let global = |profile: &str, folder: Option<&str>| GlobalOptions {
        profile: profile.into(),
        folder: folder.map(PathBuf::from),
        json: false,
    };
    for wrong in ["", "..", "../x", "a/b", ".hidden"] {
        assert_eq!(place(&global(wrong, None)).unwrap_err().code, Error::INVALID_ARGUMENT, "{wrong}");
    }
    assert_eq!(place(&global("x", Some("/f"))).unwrap(), Place::Folder("/f".into()));
}
