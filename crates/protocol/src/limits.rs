//! Times and sizes of the wire that both ends keep to. What a message may hold is in [`banter_model::limits`].

/// Where the WebSocket is.
pub const SOCKET_PATH: &str = "/v1/socket";
/// Where long-polling sessions are.
pub const SESSIONS_PATH: &str = "/v1/sessions";
/// A client sends something (a `ping` if nothing else) at least this often, in milliseconds.
pub const HEARTBEAT_MS: u64 = 45_000;
/// A session from which nothing came for this long is closed, in milliseconds: two heartbeats and some room.
pub const SILENCE_MS: u64 = 100_000;
/// From the first byte to `hello` or `resume`, in milliseconds.
pub const HELLO_MS: u64 = 10_000;
/// The longest that a long poll waits for a frame, in milliseconds: below the minute after which proxies cut.
pub const POLL_MS: u64 = 25_000;
/// A long-polling session that nobody polls for this long is closed, in milliseconds.
pub const POLL_SILENCE_MS: u64 = 60_000;
/// Most frames in one answer to a poll, and in one post.
pub const POLL_FRAMES: usize = 200;
/// Somebody counts as typing for this long after a `typing` frame, in milliseconds; clients repeat it half as often.
pub const TYPING_MS: u64 = 6_000;
/// Most events of one conversation that come with the answer to a sync question: more are asked for as a page.
pub const LATEST_EVENTS: usize = 20;
/// Most bytes of their texts.
pub const LATEST_BYTES: usize = 4_096;
/// Most characters in the preview of a conversation's last message.
pub const PREVIEW_CHARACTERS: usize = 200;
/// Most commands that one session has unanswered at the server, a long text counting for one more with each 4 KiB; beyond it the server reads no further from the session.
pub const UNANSWERED_PER_SESSION: u32 = 256;
