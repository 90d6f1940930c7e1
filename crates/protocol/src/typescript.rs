//! The TypeScript of these types, limits and codes, for `web/packages/client`. A test fails when what is committed there is not
//! what these types say; `BANTER_WRITE_TYPES=1 cargo test -p banter-protocol typescript` writes it anew.

use std::fmt::Write;
use std::path::Path;

use banter_model::name::InvalidName;
use banter_model::{Action, Refusal, Role, permission};
use ts_rs::{Config, TS};

use crate::{ErrorCode, api, close_code, event, frame, sync};

const HEAD: &str =
    "// Generated from crates/protocol and crates/model. Not to be edited: see crates/protocol/src/typescript.rs.\n";

fn declare<T: TS>(out: &mut String) {
    // Ids are strings and numbers below 2^53, so that every number is a JavaScript one.
    let config = Config::new().with_large_int("number");
    writeln!(out, "\n{}export {}", T::docs().unwrap_or_default(), T::decl(&config)).expect("a string takes all");
}

macro_rules! types {
    ($($name:ty),* $(,)?) => {{
        let mut out = HEAD.to_owned() + ALIASES;
        $(declare::<$name>(&mut out);)*
        out
    }};
}

/// Names for numbers, as in `banter_model`.
const ALIASES: &str = "
/** An event's place in its conversation: 1, 2, 3 ... without a gap. */
export type Seq = number;

/** How many messages there are up to and including an event. */
export type Ordinal = number;

/** Milliseconds since the Unix epoch. */
export type Millis = number;
";

fn types() -> String {
    types![
        banter_model::UserId,
        banter_model::DeviceId,
        banter_model::GroupId,
        banter_model::EventId,
        banter_model::ConversationId,
        banter_model::Tag,
        banter_model::Marker,
        banter_model::Mention,
        banter_model::Reactions,
        banter_model::Role,
        crate::ErrorBody,
        event::Event,
        event::Content,
        frame::ClientFrame,
        frame::Empty,
        frame::Hello,
        frame::Resume,
        frame::Send,
        frame::Edit,
        frame::Redact,
        frame::React,
        frame::UpTo,
        frame::Typing,
        frame::PresenceQuestion,
        frame::SyncQuestion,
        frame::ServerFrame,
        frame::UserPresence,
        frame::PresenceState,
        frame::AccountPart,
        sync::ConversationSummary,
        sync::Preview,
        sync::Group,
        sync::GroupMember,
        sync::Peer,
        api::SignUp,
        api::Login,
        api::LoggedIn,
        api::Servers,
        api::Tokens,
        api::ChatServer,
        api::Refresh,
        api::Device,
        api::Devices,
        api::ChangePassword,
        api::DeleteAccount,
        api::Profile,
        api::Profiles,
        api::ChangeProfile,
        api::Settings,
        api::ChangeSettings,
        api::Audience,
        api::Writers,
        api::Conversations,
        api::Page,
        api::Markers,
        api::MemberMarkers,
        api::MarkRead,
        api::ReadMarker,
        api::CreateGroup,
        api::GroupCreated,
        api::ChangeGroup,
        api::AddMembers,
        api::SetRole,
        api::Changed,
        api::Friends,
        api::Friendship,
        api::FriendshipState,
        api::Blocks,
        api::Presences,
        api::SessionOpened,
        api::Poll,
    ]
}

macro_rules! constants {
    ($out:ident, $source:literal, $module:path, $($name:ident)*) => {{
        use $module as module;
        let listed = [$(stringify!($name)),*];
        for line in include_str!($source).lines() {
            if let Some(name) = line.strip_prefix("pub const ").and_then(|rest| rest.split(':').next()) {
                assert!(listed.contains(&name), "{name} of {} is not in the list for TypeScript", $source);
            }
        }
        $(writeln!($out, "export const {} = {:?};", stringify!($name), module::$name).expect("a string takes all");)*
    }};
}

/// A refusal that names a number: `{}` stands for the number.
fn template(refusal: &Refusal, number: &str) -> String {
    refusal.to_string().replace(number, "{}")
}

fn constants() -> String {
    let mut out = format!("{HEAD}\n");
    constants!(out, "../../model/src/limits.rs", banter_model::limits,
        GROUP_MEMBERS TEXT_CHARACTERS TITLE_CHARACTERS DISPLAY_NAME_CHARACTERS ABOUT_CHARACTERS HANDLE_MIN_CHARACTERS
        HANDLE_MAX_CHARACTERS PASSWORD_MIN_CHARACTERS PASSWORD_MAX_BYTES REACTION_BYTES REACTION_EMOJI_PER_MESSAGE EDITS_PER_MESSAGE
        MENTIONS_PER_MESSAGE TAG_WINDOW UNANSWERED_PER_CONVERSATION WRITING_DEVICES PAGE_EVENTS PAGE_BYTES BUCKET_BITS FRAME_BYTES
        USERS_PER_QUESTION DEVICES_PER_USER SYNC_CONVERSATIONS SPANS_PER_MEMBERSHIP);
    constants!(out, "limits.rs", crate::limits,
        SOCKET_PATH SESSIONS_PATH HEARTBEAT_MS SILENCE_MS HELLO_MS POLL_MS POLL_SILENCE_MS POLL_FRAMES TYPING_MS LATEST_EVENTS
        LATEST_BYTES PREVIEW_CHARACTERS UNANSWERED_PER_SESSION);
    out += "\n/** Codes with which the server closes a session. */\nexport const closeCode = {\n";
    let codes = [
        ("normal", close_code::NORMAL),
        ("goingAway", close_code::GOING_AWAY),
        ("unauthenticated", close_code::UNAUTHENTICATED),
        ("silent", close_code::SILENT),
        ("tooSlow", close_code::TOO_SLOW),
        ("tooManyErrors", close_code::TOO_MANY_ERRORS),
        ("signedOut", close_code::SIGNED_OUT),
    ];
    codes.iter().for_each(|(name, code)| writeln!(out, "  {name}: {code},").expect("a string takes all"));
    out += "} as const;\n\n/** Codes of the API's errors; refusals of the conversation log have codes of their own. */\nexport type ErrorCode =\n";
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| format!("  | {:?}", code.code())).collect();
    writeln!(out, "{};", codes.join("\n")).expect("a string takes all");
    out += "\n/** The lowest role that may do it in a group. */\nexport const roleNeeded = {\n";
    let actions = [
        ("send", Action::Send { text: String::new(), reply_to: None, mentions: vec![] }),
        ("addMembers", Action::AddMembers { members: vec![] }),
        ("removeMember", Action::RemoveMember { member: banter_model::UserId(1) }),
        ("setRole", Action::SetRole { member: banter_model::UserId(1), role: Role::Admin }),
        ("setTitle", Action::SetTitle { title: String::new() }),
        ("setEarlierHistory", Action::SetEarlierHistory { earlier_history: true }),
        ("leave", Action::Leave),
    ];
    for (name, action) in actions {
        writeln!(out, "  {name}: \"{}\",", permission::role_needed(&action)).expect("a string takes all");
    }
    out += "} as const;\n\n/** What is said of what is refused before it is sent, by code; `{}` stands for the number found. */\nexport const refusals = {\n";
    let refusals = [
        Refusal::TextEmpty,
        Refusal::NotAMember,
        Refusal::NotAGroup,
        Refusal::StaleTag,
        Refusal::Name(InvalidName::Handle),
        Refusal::Name(InvalidName::DisplayName),
        Refusal::Name(InvalidName::About),
        Refusal::Name(InvalidName::Title),
        Refusal::Name(InvalidName::Password),
        Refusal::Name(InvalidName::Reaction),
    ];
    refusals
        .iter()
        .for_each(|refusal| writeln!(out, "  {}: {:?},", refusal.code(), refusal.to_string()).expect("a string takes all"));
    let too_long = Refusal::TextTooLong { characters: 987_654_321 };
    writeln!(out, "  {}: {:?},", too_long.code(), template(&too_long, "987654321")).expect("a string takes all");
    let control = Refusal::ControlCharacter { code_point: 0x10_FFFF };
    writeln!(out, "  {}: {:?},", control.code(), template(&control, "10FFFF")).expect("a string takes all");
    out += "} as const;\n";
    out
}

#[test]
fn typescript_is_what_these_types_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web/packages/client/src/protocol");
    let index = format!("{HEAD}export * from \"./constants.js\";\nexport type * from \"./types.js\";\n");
    for (name, text) in [("types.ts", types()), ("constants.ts", constants()), ("index.ts", index)] {
        let path = folder.join(name);
        if std::env::var_os("BANTER_WRITE_TYPES").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(committed == text, "{name} is stale: BANTER_WRITE_TYPES=1 cargo test -p banter-protocol typescript");
    }
}
