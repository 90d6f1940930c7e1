//! What is printed is safe to print, and the command line is well formed.

use banter_model::{DeviceId, EventId, UserId};
use banter_protocol::{Content, Event};
use clap::{CommandFactory, Parser};

use super::names::Names;
use super::output::{Output, clean};
use super::*;
use crate::storage::Store;
use crate::sync::{self, Effect, Window};
use crate::test_server::ada;

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

#[tokio::test]
async fn without_a_server_what_is_here_is_used_and_what_is_not_kept_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::Folder(folder.path().to_owned());
    let store = Store::open(&folder.path().join("banter.sqlite")).await.unwrap();
    // Nobody listens there.
    store.begin(&ada("http://127.0.0.1:1", u64::MAX >> 12)).await.unwrap();
    store.close().await;
    let output = Output::new(false);
    let write = || arguments::Write { to: "@Bob".into(), text: vec!["hi".into()], reply_to: None, timeout: 0 };
    let refused = conversations::write(place.clone(), &output, write()).await.unwrap_err();
    let message = "no server answers at http://127.0.0.1:1 (connection refused); nothing was kept, since this device does not know @Bob yet";
    assert_eq!(refused.message, message);

    let profile = Profile::open(place.clone()).await.unwrap();
    assert_eq!(profile.store().unanswered().await.unwrap(), 0);
    profile.store().remember_handles([(UserId(2), "bob")]).await.unwrap();
    let read = || arguments::Read { conversation: "bob".into(), before: None, after: None, around: None, limit: 10, mark: false };
    let nothing = conversations::read(&profile, &output, read()).await.unwrap_err();
    assert_eq!(nothing.code, Error::UNREACHABLE, "nothing is stored that could be shown");
    drop(profile);
    let waits = conversations::write(place.clone(), &output, write()).await.unwrap_err();
    assert_eq!(waits.code, "not_stored_yet");

    let profile = Profile::open(place).await.unwrap();
    assert_eq!(profile.store().unanswered().await.unwrap(), 1);
    let conversation = "d.1.2".parse().unwrap();
    let mut state = crate::sync::ConversationState::new(conversation);
    (state.have, state.reaches) = (Some(3), 3);
    state.known.insert(2, 3);
    profile.store().apply(&[Effect::Write(sync::Write::Conversation(Box::new(state)))]).await.unwrap();
    conversations::read(&profile, &output, read()).await.unwrap();
    let page = profile.stored_page(conversation, Window::Newest, 10).await.unwrap().unwrap();
    assert_eq!((page.from, page.to, page.head_seq), (2, 3, 3));
}
