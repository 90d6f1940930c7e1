// Generated from crates/protocol and crates/model. Not to be edited: see crates/protocol/src/typescript.rs.

export const GROUP_MEMBERS = 100;
export const TEXT_CHARACTERS = 100000;
export const TITLE_CHARACTERS = 100;
export const DISPLAY_NAME_CHARACTERS = 64;
export const ABOUT_CHARACTERS = 280;
export const HANDLE_MIN_CHARACTERS = 3;
export const HANDLE_MAX_CHARACTERS = 32;
export const PASSWORD_MIN_CHARACTERS = 8;
export const PASSWORD_MAX_BYTES = 1024;
export const REACTION_BYTES = 64;
export const REACTION_EMOJI_PER_MESSAGE = 20;
export const EDITS_PER_MESSAGE = 100;
export const MENTIONS_PER_MESSAGE = 100;
export const TAG_WINDOW = 64;
export const UNANSWERED_PER_CONVERSATION = 32;
export const WRITING_DEVICES = 1024;
export const PAGE_EVENTS = 200;
export const PAGE_BYTES = 1048576;
export const BUCKET_BITS = 10;
export const FRAME_BYTES = 1204096;
export const USERS_PER_QUESTION = 200;
export const DEVICES_PER_USER = 20;
export const SYNC_CONVERSATIONS = 500;
export const SPANS_PER_MEMBERSHIP = 100;
export const SOCKET_PATH = "/v1/socket";
export const SESSIONS_PATH = "/v1/sessions";
export const HEARTBEAT_MS = 45000;
export const SILENCE_MS = 100000;
export const HELLO_MS = 10000;
export const POLL_MS = 25000;
export const POLL_SILENCE_MS = 60000;
export const POLL_FRAMES = 200;
export const TYPING_MS = 6000;
export const LATEST_EVENTS = 20;
export const LATEST_BYTES = 4096;
export const PREVIEW_CHARACTERS = 200;
export const UNANSWERED_PER_SESSION = 256;

/** Codes with which the server closes a session. */
export const closeCode = {
  normal: 1000,
  goingAway: 1001,
  unauthenticated: 4001,
  silent: 4002,
  tooSlow: 4003,
  tooManyErrors: 4004,
  signedOut: 4005,
} as const;

/** Codes of the API's errors; refusals of the conversation log have codes of their own. */
export type ErrorCode =
  | "invalid_request"
  | "invalid_json"
  | "invalid_frame"
  | "invalid_parameter"
  | "invalid_handle"
  | "invalid_display_name"
  | "invalid_about"
  | "invalid_password"
  | "invalid_tag"
  | "too_large"
  | "unsupported_media_type"
  | "not_found"
  | "method_not_allowed"
  | "unauthenticated"
  | "token_expired"
  | "invalid_refresh_token"
  | "wrong_credentials"
  | "handle_taken"
  | "unknown_user"
  | "unknown_device"
  | "no_friend_request"
  | "not_yourself"
  | "may_not_write"
  | "foreign_origin"
  | "rate_limited"
  | "busy"
  | "storage_full"
  | "storage_unavailable"
  | "clock_behind"
  | "shutting_down"
  | "request_timeout"
  | "unknown_session"
  | "internal";

/** The lowest role that may do it in a group. */
export const roleNeeded = {
  send: "member",
  addMembers: "admin",
  removeMember: "admin",
  setRole: "owner",
  setTitle: "admin",
  setEarlierHistory: "admin",
  leave: "member",
} as const;

/** What is said of what is refused before it is sent, by code; `{}` stands for the number found. */
export const refusals = {
  text_empty: "a message needs a text that is not only white space",
  not_a_member: "there is no such conversation, or you are not a member of it",
  not_a_group: "that can be done in a group only, this is a direct conversation",
  stale_tag: "the tag is too far below this device's latest in the conversation: pull its history to see whether it was applied",
  invalid_handle: "a handle has 3 to 32 characters, begins with a letter a to z and goes on with letters a to z, digits and _",
  invalid_display_name: "a display name has 1 to 64 characters, not only spaces, and no control characters",
  invalid_about: "an about line has at most 280 characters and no control characters but line ends",
  invalid_title: "a group's title has 1 to 100 characters, not only spaces, and no control characters",
  invalid_password: "a password has at least 8 characters and at most 1024 bytes",
  invalid_reaction: "a reaction is one emoji of at most 64 bytes, without spaces, letters or control characters",
  text_too_long: "a message has at most 100000 characters, this one has {}",
  control_character: "a message cannot hold the control character U+{}; tab and line ends are allowed",
} as const;
