//! Every limit of the product, in one place. The server enforces them, the client checks them before it sends.

/// Most members of a group (the brief: group chat of at most 100).
pub const GROUP_MEMBERS: usize = 100;
/// Most characters (Unicode scalar values) in a message's text (the brief).
pub const TEXT_CHARACTERS: usize = 100_000;
/// Most characters in a group's title.
pub const TITLE_CHARACTERS: usize = 100;
/// Most characters in a display name.
pub const DISPLAY_NAME_CHARACTERS: usize = 64;
/// Most characters in a profile's "about" line.
pub const ABOUT_CHARACTERS: usize = 280;
/// Fewest characters in a handle.
pub const HANDLE_MIN_CHARACTERS: usize = 3;
/// Most characters in a handle.
pub const HANDLE_MAX_CHARACTERS: usize = 32;
/// Fewest characters in a password (NIST SP 800-63B asks for at least 8).
pub const PASSWORD_MIN_CHARACTERS: usize = 8;
/// Most bytes in a password: bounds the work of hashing a hostile one.
pub const PASSWORD_MAX_BYTES: usize = 1_024;
/// Most bytes in the emoji of a reaction: the longest emoji sequences of Unicode 16 take 35.
pub const REACTION_BYTES: usize = 64;
/// Most different emoji on one message.
pub const REACTION_EMOJI_PER_MESSAGE: usize = 20;
/// Most edits of one message.
pub const EDITS_PER_MESSAGE: usize = 100;
/// Most mentions that are resolved in one message; further ones stay plain text.
pub const MENTIONS_PER_MESSAGE: usize = 100;
/// Tags below a device's highest that are still told apart (a 64-bit window, as IPsec's in RFC 4303 section 3.4.3).
pub const TAG_WINDOW: u64 = 64;
/// Most commands a device leaves unanswered in one conversation: half the window, so that none falls below it.
pub const UNANSWERED_PER_CONVERSATION: usize = 32;
/// Devices whose tag windows a conversation keeps; beyond it the one that wrote longest ago is forgotten.
pub const WRITING_DEVICES: usize = 1_024;
/// Most events in a page of history.
pub const PAGE_EVENTS: usize = 200;
/// Most bytes of text in a page of history; a page holds at least one event whatever its size.
pub const PAGE_BYTES: usize = 1 << 20;
/// Events in one storage bucket: bucket = seq >> 10.
pub const BUCKET_BITS: u32 = 10;
/// Most bytes in one frame from a client: 100,000 characters of 4 bytes, each possibly escaped in JSON as a
/// `\uXXXX\uXXXX` pair (12 bytes for 4), plus 4 KiB of room for the other fields.
pub const FRAME_BYTES: usize = TEXT_CHARACTERS * 12 + 4_096;
/// Most users in one presence question or one friend list page.
pub const USERS_PER_QUESTION: usize = 200;
/// Most logins (devices) one user has at a time; a further login ends the one used longest ago.
pub const DEVICES_PER_USER: usize = 20;
/// Most conversations in one sync answer; the rest follow in further answers.
pub const SYNC_CONVERSATIONS: usize = 500;
/// Stretches of a log that are kept of one membership; beyond it the oldest is forgotten.
pub const SPANS_PER_MEMBERSHIP: usize = 100;
