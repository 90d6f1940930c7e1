//! Codes with which the server closes a WebSocket. 4000 to 4999 are the application's own (RFC 6455 section 7.4.2).

/// The device said goodbye.
pub const NORMAL: u16 = 1000;
/// The server is going away: connect again, after a random wait of up to a few seconds.
pub const GOING_AWAY: u16 = 1001;
/// Not a WebSocket as RFC 6455 has it (unmasked, reserved bits, bad continuation).
pub const PROTOCOL_ERROR: u16 = 1002;
/// A binary message: frames are text.
pub const UNSUPPORTED_DATA: u16 = 1003;
/// Text that is not UTF-8.
pub const INVALID_TEXT: u16 = 1007;
/// A frame larger than [`banter_model::limits::FRAME_BYTES`].
pub const TOO_BIG: u16 = 1009;
/// The first frame was not `hello` or `resume`, or did not come in time.
pub const HELLO_EXPECTED: u16 = 4000;
/// The access token is wrong, expired or revoked: log in or refresh, then connect again.
pub const UNAUTHENTICATED: u16 = 4001;
/// Nothing came from the device for too long.
pub const SILENT: u16 = 4002;
/// The device read too slowly, and its outbox was full: connect again and resume.
pub const TOO_SLOW: u16 = 4003;
/// Too many malformed frames.
pub const TOO_MANY_ERRORS: u16 = 4004;
/// The device was logged out or revoked.
pub const SIGNED_OUT: u16 = 4005;
